#include "cli/traced_packets.h"

#include <fmt/format.h>

#include <algorithm>

#include "ask/packet_parts.h"
#include "ask/trace_table.h"
#include "ask/translations.h"
#include "net/address.h"
#include "net/ipv6_extensions.h"
#include "net/protocol.h"
#include "ruleset/names.h"
#include "sandbox/watch.h"

namespace rolewall::cli {
namespace {

using observe::TraceMessage;
using ruleset::Hook;
using ruleset::VerdictCode;

// Of a packet that meets no further chain nothing more is told.
constexpr std::uint64_t kSilenceMs = 300;
constexpr std::size_t kMostLeading = 4096;

bool is_last(const TraceMessage& message) {
  const bool decides = message.type == observe::TraceType::Policy || message.handle != 0;
  return message.stolen || (decides && (message.verdict.code == VerdictCode::Drop ||
                                        message.verdict.code == VerdictCode::Queue));
}

std::string device_of(std::uint32_t index, const ruleset::Host& host) {
  constexpr std::uint32_t kLoopbackIndex = 1;
  if (index == 0) return "";
  if (index == kLoopbackIndex) return "lo";
  const auto at = std::ranges::find(host.interfaces, index, &ruleset::Interface::index);
  return at == host.interfaces.end() ? fmt::format("device {}", index) : at->device;
}

const ruleset::Chain* chain_of(const TraceMessage& message, const ruleset::Ruleset& ruleset) {
  for (const ruleset::Table& table : ruleset.tables) {
    if (table.family == message.family && table.name == message.table) {
      return find_chain(table, message.chain);
    }
  }
  return nullptr;
}

// The sandbox's reader knows by gates where a hook begins and ends.
TraceMessage gate(Hook hook, std::string_view end) {
  TraceMessage message;
  message.table = sandbox::watch::kTable;
  message.chain = fmt::format("{}-{}", ruleset::name_of(hook), end);
  return message;
}

Hook next_hook(Hook hook, Hook towards) {
  if (hook == Hook::Prerouting) return towards == Hook::Input ? Hook::Input : Hook::Forward;
  return Hook::Postrouting;
}

// Messages with gates between the hooks, also those on which no chain was met.
class WithGates {
 public:
  WithGates(Hook first, const std::string& own_table) : hook_(first), own_table_(own_table) {}

  std::vector<TraceMessage> of(const TracedPacket& packet, const ruleset::Ruleset& ruleset) {
    for (const TraceMessage& message : packet.messages) {
      if (message.table == own_table_) {
        if (message.chain == ask::trace_chain::kDelivered) leave(Hook::Input);
        if (message.chain == ask::trace_chain::kLeft) leave(Hook::Postrouting);
        continue;
      }
      if (message.table.starts_with(ask::kTraceTables)) continue;  // another trace's
      const ruleset::Chain* chain = chain_of(message, ruleset);
      if (chain != nullptr && chain->base) come_to(chain->base->hook);
      told_.push_back(message);
    }
    return std::move(told_);
  }

 private:
  void come_to(Hook hook) {
    while (hook_ < hook && hook_ != Hook::Postrouting) {
      if (hook == Hook::Forward && hook_ == Hook::Input) break;
      told_.push_back(gate(hook_, "last"));
      hook_ = next_hook(hook_, hook);
      told_.push_back(gate(hook_, "first"));
    }
  }
  void leave(Hook hook) {
    come_to(hook);
    told_.push_back(gate(hook, "last"));
  }

  Hook hook_;
  const std::string& own_table_;
  std::vector<TraceMessage> told_;
};

// Of TCP's options, which the kernel does not tell, there are none: no-operation in their place.
// Who finds that a rule has looked for one knows that it was asked in vain.
void fill_tcp_options(eval::Packet& packet, std::size_t header,
                      const std::vector<std::uint8_t>& transport) {
  constexpr std::size_t kFixed = 20;
  constexpr std::size_t kDataOffset = 12;
  constexpr std::uint8_t kNoOperation = 1;
  const std::uint8_t protocol = packet.bytes[is_ipv6(packet) ? 6 : 9];
  if (protocol != net::protocol::kTcp || transport.size() != kFixed) return;
  const std::size_t whole = std::size_t{transport[kDataOffset]} / 16 * 4;
  if (whole > kFixed) packet.bytes.resize(header + whole, kNoOperation);
}

}  // namespace

void TracedPackets::take(TraceMessage message, std::uint64_t now_ms) {
  const bool is_own_rule = message.table == own_table_ && message.handle != 0;
  const bool begins = is_own_rule && message.chain == ask::trace_chain::kMark;
  // Over the loopback, and where another program marks too, the bit is there before our rule sets
  // it: then the rule that leads to it tells as well, and tells the headers, once for a chain.
  if (is_own_rule && !begins) {
    if (leading_.size() >= kMostLeading) leading_.clear();
    leading_[message.id] = std::move(message);
    return;
  }
  if (begins) {
    const auto leading = leading_.find(message.id);
    if (leading != leading_.end()) {
      if (message.network_header.empty()) message = std::move(leading->second);
      leading_.erase(leading);
    }
    TracedPacket packet;
    packet.arrives = message.out_index == 0;
    packet.first = std::move(message);
    packet.first_ms = packet.last_ms = now_ms;
    by_id_[packet.first.id] = packets_.size();
    packets_.push_back(std::move(packet));
    return;
  }
  const auto at = by_id_.find(message.id);
  if (at == by_id_.end()) {
    ++strays_;
    return;
  }
  TracedPacket& packet = packets_[at->second];
  packet.last_ms = now_ms;
  // The end of a chain without rules is told of, and then its policy.
  const bool came_through =
      message.table == own_table_ && message.type == observe::TraceType::Policy &&
      (message.chain == ask::trace_chain::kDelivered || message.chain == ask::trace_chain::kLeft);
  if (came_through || is_last(message)) packet.ended = true;
  packet.messages.push_back(std::move(message));
  // What comes with the number from now on is another packet's.
  if (packet.ended) by_id_.erase(at);
}

std::vector<TracedPacket> TracedPackets::finished(std::uint64_t now_ms) {
  std::vector<TracedPacket> done;
  std::vector<TracedPacket> left;
  for (TracedPacket& packet : packets_) {
    const bool is_done = packet.ended || now_ms - packet.last_ms >= kSilenceMs;
    (is_done ? done : left).push_back(std::move(packet));
  }
  packets_ = std::move(left);
  by_id_.clear();
  for (std::size_t i = 0; i < packets_.size(); ++i) by_id_[packets_[i].first.id] = i;
  return done;
}

std::vector<TracedPacket> TracedPackets::all() {
  by_id_.clear();
  return std::exchange(packets_, {});
}

Result<sandbox::Observation> observation_of(const TracedPacket& packet,
                                            const ruleset::Ruleset& ruleset,
                                            const sandbox::Reader& reader) {
  const Hook first = packet.arrives ? Hook::Prerouting : Hook::Output;
  const auto told = WithGates(first, packet.first.table).of(packet, ruleset);
  return reader.read(first, told);
}

Result<eval::Packet> packet_in(const TraceMessage& message, const ruleset::Host& host) {
  const auto& network = message.network_header;
  const auto& transport = message.transport_header;
  constexpr std::size_t kIpv4 = 20;
  constexpr std::size_t kIpv6 = 40;
  const bool ipv6 = !network.empty() && network[0] >> 4 == 6;
  if (network.size() < (ipv6 ? kIpv6 : kIpv4)) {
    return fail(ErrorKind::System, "the kernel has told no header of it");
  }
  const std::size_t header = ipv6 ? network.size() : std::size_t{network[0]} % 16 * 4;
  // Of them the kernel tells none (nf_tables_trace.c: nf_trace_fill_pkt_info): of what follows it
  // tells the first bytes, and not what that is.
  const bool extended = ipv6 && net::is_ipv6_extension(network[6]);
  if (header > network.size() || extended) {
    return fail(ErrorKind::System, "it has more headers than the kernel tells");
  }
  eval::Packet packet;
  packet.ether_type = ipv6 ? eval::kEtherTypeIpv6 : eval::kEtherTypeIpv4;
  packet.bytes = network;
  packet.bytes.insert(packet.bytes.end(), transport.begin(), transport.end());
  fill_tcp_options(packet, header, transport);
  const std::size_t length = ipv6 ? kIpv6 + (std::size_t{network[4]} << 8 | network[5])
                                  : std::size_t{network[2]} << 8 | network[3];
  if (length > packet.bytes.size()) {
    packet.missing = static_cast<std::uint32_t>(length - packet.bytes.size());
    packet.bytes.resize(length);
  } else if (length >= header) {
    packet.bytes.resize(length);
  }
  packet.in_device = device_of(message.in_index, host);
  packet.out_device = device_of(message.out_index, host);
  packet.mark = message.mark;
  packet.may_be_merged = true;
  packet.sender_is_open = message.in_index == 0;
  const net::Address to = ask::destination_of(packet);
  if (net::is_multicast(to)) packet.type = eval::PacketType::Multicast;
  if (net::is_limited_broadcast(to)) packet.type = eval::PacketType::Broadcast;
  return packet;
}

TracedFlow flow_of(const TracedPacket& packet) {
  constexpr std::uint32_t kTranslated = 0x30;  // IPS_SRC_NAT, IPS_DST_NAT
  TracedFlow flow;
  for (const TraceMessage& message : packet.messages) {
    if (!message.ct_state || flow.state) continue;
    flow.state = message.ct_state;
    flow.translated = (message.ct_status & kTranslated) != 0;
  }
  return flow;
}

std::vector<std::string> translations_of(const TracedPacket& packet, const ruleset::Host& host) {
  std::vector<std::string> words;
  auto before = packet_in(packet.first, host);
  for (const TraceMessage& message : packet.messages) {
    if (!message.begins_base_chain || !before) continue;
    auto now = packet_in(message, host);
    if (!now) continue;
    const ask::Translations changed = ask::translations_of(*before, *now);
    if (!changed.destination.empty()) words.push_back(changed.destination);
    if (!changed.source.empty()) words.push_back(changed.source);
    before = std::move(now);
  }
  return words;
}

namespace {

// Its addresses, where at least those were told.
std::string unread_in_words(const TraceMessage& message, const std::string& why) {
  const netlink::View header(message.network_header);
  const bool ipv6 = !header.empty() && header[0] >> 4 == 6;
  const std::size_t at = ipv6 ? 8 : 12;
  const std::size_t size = ipv6 ? 16 : 4;
  if (header.size() < at + 2 * size) return "a packet that cannot be read: " + why;
  return fmt::format("a packet {} > {} that cannot be read: {}",
                     net::format(net::address_from_bytes(header.subspan(at, size))),
                     net::format(net::address_from_bytes(header.subspan(at + size, size))), why);
}

}  // namespace

std::string words_of(const TracedPacket& packet, const ruleset::Host& host) {
  const auto told = packet_in(packet.first, host);
  if (!told) return unread_in_words(packet.first, told.error().message);
  auto sample = ask::sample_of(*told);
  if (!sample) return "a packet without a transport header";
  const TracedFlow flow = flow_of(packet);
  if (flow.state && *flow.state != ruleset::ct_state::kNew) sample->ct_state = flow.state;
  sample->in = packet.arrives ? told->in_device : "";
  sample->out = packet.arrives ? "" : told->out_device;
  return ask::to_words(*sample);
}

}  // namespace rolewall::cli
