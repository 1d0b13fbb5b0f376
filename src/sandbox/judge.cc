#include "sandbox/judge.h"

#include <fmt/format.h>
#include <net/if.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "netlink/conntrack.h"
#include "netlink/netlink.h"
#include "observe/packet_log.h"
#include "observe/trace.h"
#include "sandbox/exposure.h"
#include "sandbox/sandbox.h"
#include "sandbox/watch.h"
#include "sandbox/wire.h"

namespace rolewall::sandbox {
namespace {

using ruleset::Hook;

constexpr int kFenceTimeoutMs = 2000;
// A packet whose trace was lost is tried again, so often.
constexpr int kAttempts = 4;

// Packets of one processor's queue are handled in its order.
Result<void> stay_on_one_processor() {
  const int processor = ::sched_getcpu();
  cpu_set_t set;
  CPU_ZERO(&set);
  if (processor >= 0) CPU_SET(processor, &set);
  if (processor < 0 || ::sched_setaffinity(0, sizeof set, &set) != 0) {
    return fail(ErrorKind::System, fmt::format("stay on one processor: {}", std::strerror(errno)),
                errno);
  }
  return {};
}

Result<void> commit(netlink::Connection& kernel, const ruleset::Table& table) {
  auto committed = kernel.replace_table(table, std::nullopt);
  if (!committed) return std::unexpected(committed.error());
  if (committed->committed) return {};
  if (committed->refusals.empty()) {
    return fail(ErrorKind::System, fmt::format("table {} was not committed", table.name));
  }
  const netlink::Refusal& refusal = committed->refusals.front();
  return fail(ErrorKind::System,
              fmt::format("the kernel refuses {}: {} {}", refusal.what,
                          std::strerror(refusal.os_errno), refusal.kernel_message),
              refusal.os_errno);
}

// Frames that mean nothing but their mark: the watch drops them first of all.
eval::Packet fence_packet(const std::string& device) {
  eval::Packet packet;
  packet.in_device = device;
  packet.bytes = {0x45, 0, 0, 20, 0, 0, 0, 0, 64, 59, 0x00, 0, 192, 0, 2, 1, 192, 0, 2, 2};
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < packet.bytes.size(); i += 2) {
    sum += static_cast<std::uint32_t>(packet.bytes[i] << 8 | packet.bytes[i + 1]);
  }
  sum = ~((sum & 0xffff) + (sum >> 16));
  packet.bytes[10] = static_cast<std::uint8_t>(sum >> 8);
  packet.bytes[11] = static_cast<std::uint8_t>(sum);
  return packet;
}

// Whether the transport header begins behind the packet's end, by the lengths that the IPv6
// extension headers give (ipv6_find_hdr() of net/ipv6/exthdrs_core.c).
bool is_untraceable(const eval::Packet& packet) {
  enum : std::uint8_t { kHopByHop = 0, kRouting = 43, kFragment = 44, kOptions = 60 };
  constexpr std::size_t kFixedHeader = 40;
  if (packet.ether_type != eval::kEtherTypeIpv6 || packet.bytes.size() < kFixedHeader) return false;
  const std::size_t payload = static_cast<std::size_t>(packet.bytes[4] << 8 | packet.bytes[5]);
  const std::size_t end = std::min(packet.bytes.size(), kFixedHeader + payload);
  std::uint8_t next = packet.bytes[6];
  std::size_t at = kFixedHeader;
  while (at + 2 <= end) {
    const bool is_options = next == kHopByHop || next == kRouting || next == kOptions;
    if (!is_options && next != kFragment) return false;
    next = packet.bytes[at];
    at += is_options ? (packet.bytes[at + 1] + 1U) * 8U : 8U;
  }
  return at > end;
}

bool is_watch(const observe::TraceMessage& message, Hook hook, watch::End end) {
  return message.table == watch::kTable && watch::gate(message.chain) == watch::Gate{hook, end};
}

// The first message of a packet, and of which.
bool begins(const observe::TraceMessage& message, std::uint32_t mark) {
  return message.begins_base_chain && message.table == watch::kTable && message.mark == mark;
}

}  // namespace

struct Judge::State {
  netlink::Connection kernel;
  Load load;
  observe::TraceSocket trace;
  Wire wire;
  ruleset::Ruleset ruleset;
  Reader reader;
  Exposure exposure;
  std::uint32_t number = 0;
  std::uint64_t loads = 0;
  bool handles_checked = false;
  std::vector<observe::TraceMessage> messages;
  std::map<unsigned, std::string> devices;  // by index
  Memory memory = Memory::None;
  std::optional<observe::PacketLog> log;  // where it is to tell what packets are in the end
  std::vector<observe::LoggedPacket> logged;

  State(netlink::Connection kernel, Load load, observe::TraceSocket trace, Wire wire)
      : kernel(std::move(kernel)),
        load(std::move(load)),
        trace(std::move(trace)),
        wire(std::move(wire)) {}

  Result<ruleset::Ruleset> dump(bool with_elements) {
    auto live = kernel.dump(with_elements);
    if (!live) return live;
    std::erase_if(live->tables, [](const auto& table) { return table.name == watch::kTable; });
    return live;
  }

  bool keeps_memory() const { return memory == Memory::Kept; }
  watch::Means means() const {
    if (keeps_memory()) return watch::Means::Follow;
    return log ? watch::Means::Look : watch::Means::Trace;
  }

  Result<void> begin() {
    TRY(commit(kernel, watch::table(means())));
    TRY(load());
    ++loads;
    auto live = dump(true);
    if (!live) return std::unexpected(live.error());
    ruleset = std::move(*live);
    reader = Reader(ruleset);
    exposure = Exposure(ruleset);
    return {};
  }

  Result<void> load_again() {
    TRY(load());
    ++loads;
    exposure.reset();
    if (std::exchange(handles_checked, true)) return {};
    auto live = dump(false);
    if (!live) return std::unexpected(live.error());
    if (!(Reader(*live) == reader)) {
      return fail(ErrorKind::System, "the ruleset has different handles when loaded again");
    }
    return {};
  }

  const std::string& device(unsigned index) {
    const auto [entry, is_new] = devices.try_emplace(index);
    std::array<char, IF_NAMESIZE> name{};
    if (is_new && ::if_indextoname(index, name.data()) != nullptr) entry->second = name.data();
    return entry->second;
  }

  std::uint32_t next_mark() {
    number = number == watch::kNumberMask ? 1 : number + 1;
    return watch::kOurs | number;
  }

  // A message that is not understood may be any packet's.
  Result<void> listen(int timeout_ms) {
    const std::size_t before = messages.size();
    TRY(trace.read(messages, timeout_ms));
    return all_read(std::span(messages).subspan(before));
  }

  // The messages of the packet with this mark, from among `messages`, so far.
  std::span<const observe::TraceMessage> of(std::uint32_t mark) const {
    const auto first =
        std::ranges::find_if(messages, [&](const auto& m) { return begins(m, mark); });
    const auto last = std::find_if(first, messages.end(), [&](const auto& m) {
      return m.mark != mark && m.begins_base_chain && m.table == watch::kTable &&
             (m.mark & watch::kOursMask) == watch::kOurs;
    });
    return {first, last};
  }

  // Its way is at an end: a verdict ended it, or the watch's last chain did.
  static bool complete(std::span<const observe::TraceMessage> way) {
    return !way.empty() &&
           (is_watch(way.back(), Hook::Input, watch::End::Last) ||
            is_watch(way.back(), Hook::Postrouting, watch::End::Last) ||
            (way.back().table != watch::kTable &&
             (way.back().stolen || way.back().verdict.code == ruleset::VerdictCode::Drop ||
              way.back().verdict.code == ruleset::VerdictCode::Queue)));
  }

  // All that the kernel tells of frames sent until now on `device`.
  Result<void> wait(const std::string& device) {
    const std::uint32_t mark = next_mark() | watch::kFence;
    TRY(wire.arrive(fence_packet(device), mark));
    while (std::ranges::none_of(messages, [&](const auto& m) { return begins(m, mark); })) {
      const std::size_t before = messages.size();
      TRY(listen(kFenceTimeoutMs));
      if (messages.size() == before) {
        return fail(ErrorKind::System, "the kernel tells nothing of a packet on " + device);
      }
    }
    return {};
  }

  // A link that has just come up may lose its first frames, though it says that it is running.
  Result<void> settle(const std::string& device) {
    constexpr int kTries = 100;
    constexpr int kTryMs = 50;
    for (int i = 0; i < kTries; ++i) {
      const std::uint32_t mark = next_mark() | watch::kFence;
      TRY(wire.arrive(fence_packet(device), mark));
      TRY(listen(kTryMs));
      const bool heard =
          std::ranges::any_of(messages, [&](const auto& m) { return begins(m, mark); });
      messages.clear();
      if (heard) return {};
    }
    return fail(ErrorKind::System, "the kernel tells nothing of a packet on " + device);
  }

  // Returns the errno with which the stack refused it, where it is sent.
  Result<int> dispatch(Hook first, const eval::Packet& packet, std::uint32_t mark) {
    if (first == Hook::Output) return wire.send(packet, mark);
    TRY(wire.arrive(packet, mark));
    return 0;
  }

  Result<Observation> count(Hook first, const eval::Packet& packet) {
    TRY(commit(kernel, watch::table(watch::Means::Counters)));
    const auto refused = dispatch(first, packet, next_mark());
    if (!refused) return std::unexpected(refused.error());
    if (first == Hook::Prerouting) TRY(wait(packet.in_device));
    const auto dumped = kernel.dump_table(ruleset::Family::Inet, watch::kTable, false);
    if (!dumped) return std::unexpected(dumped.error());
    const auto& table = *dumped;
    if (!table) return fail(ErrorKind::System, "the watch's table is gone");
    Observation seen = read_counters(first, *table);
    if (seen.fate() == Fate::Stack && *refused != 0) seen.reason = std::strerror(*refused);
    TRY(commit(kernel, watch::table(means())));
    TRY(load_again());  // the rules that it met are not known
    return seen;
  }

  Result<Observation> observe(Hook first, const eval::Packet& packet) {
    if (packet.mark != 0) {
      return fail(ErrorKind::Usage, "the sandbox cannot set a packet's mark");
    }
    if (!keeps_memory() && exposure.exhausted()) TRY(load_again());
    messages.clear();
    if (log) TRY(log->read(logged));  // of a packet whose trace was lost
    logged.clear();
    if (is_untraceable(packet)) {
      if (keeps_memory()) return fail(ErrorKind::Usage, "the kernel cannot trace this packet");
      return count(first, packet);
    }
    const std::uint32_t mark = next_mark();
    const auto refused = dispatch(first, packet, mark);
    if (!refused) return std::unexpected(refused.error());
    TRY(listen(0));
    if (first == Hook::Prerouting && !complete(of(mark))) TRY(wait(packet.in_device));

    const auto way = of(mark);
    auto seen = reader.read(first, way);
    if (!seen) return seen;
    if (!way.empty()) {
      seen->device = device(first == Hook::Output ? way[0].out_index : way[0].in_index);
      for (const observe::TraceMessage& message : way) {
        if (message.out_index != 0) seen->leaves_by = device(message.out_index);
      }
    }
    if (seen->fate() == Fate::Stack && *refused != 0) seen->reason = std::strerror(*refused);
    if (log) {
      TRY(log->read(logged));
      if (!logged.empty()) {
        observe::LoggedPacket& packet_after = logged.front();
        if (!packet_after.problem.empty()) {
          return fail(
              ErrorKind::System,
              fmt::format("the packet's final form is unknown: the kernel's log of it cannot "
                          "be read ({})",
                          packet_after.problem));
        }
        seen->after = std::move(packet_after.bytes);
      }
    }
    exposure.add(*seen);
    // What it sends to itself comes in again, mark and all, behind what was observed.
    if (first == Hook::Output && (packet.out_device == "lo" || seen->leaves_by == "lo")) {
      exposure.exhaust();
    }
    return seen;
  }

  Result<Observation> judge(Hook first, const eval::Packet& packet) {
    for (int attempt = 1;; ++attempt) {
      auto seen = observe(first, packet);
      if (seen || seen.error().kind != ErrorKind::Conflict || attempt == kAttempts ||
          keeps_memory()) {
        return seen;
      }
      TRY(load_again());  // what the lost packet left behind is not known
    }
  }
};

Judge::Judge(std::unique_ptr<State> state) : state_(std::move(state)) {}
Judge::~Judge() = default;
Judge::Judge(Judge&&) noexcept = default;
Judge& Judge::operator=(Judge&&) noexcept = default;

Result<Judge> Judge::open(const ruleset::Host& host, Load load, Memory memory, After after) {
  TRY(stay_on_one_processor());
  auto kernel = netlink::Connection::open();
  if (!kernel) return std::unexpected(kernel.error());
  auto trace = observe::TraceSocket::open();
  if (!trace) return std::unexpected(trace.error());
  auto wire = Wire::open(realise(host));
  if (!wire) return std::unexpected(wire.error());
  auto state = std::make_unique<State>(std::move(*kernel), std::move(load), std::move(*trace),
                                       std::move(*wire));
  state->memory = memory;
  if (memory == Memory::Kept || after == After::Told) {
    auto log = observe::PacketLog::open(watch::kLogGroup);
    if (!log) return std::unexpected(log.error());
    state->log = std::move(*log);
  }
  TRY(state->begin());
  for (const auto& interface : realise(host).interfaces) TRY(state->settle(interface.device));
  return Judge(std::move(state));
}

Result<Judge> Judge::open(const ruleset::Host& host, ruleset::Table table) {
  auto opened = netlink::Connection::open();
  if (!opened) return std::unexpected(opened.error());
  auto kernel = std::make_shared<netlink::Connection>(std::move(*opened));
  return open(host, [kernel, table = std::move(table)] { return commit(*kernel, table); });
}

const ruleset::Ruleset& Judge::ruleset() const {
  return state_->ruleset;
}

Result<Observation> Judge::arrive(const eval::Packet& packet) {
  return state_->judge(Hook::Prerouting, packet);
}

Result<Observation> Judge::send(const eval::Packet& packet) {
  return state_->judge(Hook::Output, packet);
}

Result<void> Judge::forget() {
  if (state_->exposure.begun()) TRY(state_->load_again());
  return netlink::forget_connections();
}

std::uint64_t Judge::loads() const {
  return state_->loads;
}

}  // namespace rolewall::sandbox
