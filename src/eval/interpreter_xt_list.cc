// Matches of iptables that keep a list by a name, which rules share and which outlives them:
// net/netfilter/xt_recent.c, xt_hashlimit.c. What a list held is the host's, as /proc/net shows it
// (Host::xt_tables); what packets have noted since is in the state. Of a list that was not read
// nothing is known.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

#include "eval/interpreter.h"
#include "net/address.h"
#include "net/protocol.h"

namespace rolewall::eval {
namespace {

namespace r = ruleset;

// proto_ports_offset() of include/linux/in.h: where a protocol has its ports.
std::optional<std::size_t> ports_offset(std::uint8_t protocol) {
  constexpr std::uint8_t kEsp = 50;
  constexpr std::uint8_t kAh = 51;
  switch (protocol) {
    case net::protocol::kTcp:
    case net::protocol::kUdp:
    case net::protocol::kDccp:
    case net::protocol::kSctp:
    case net::protocol::kUdpLite:
    case kEsp:
      return 0;
    case kAh:
      return 4;
    default:
      return std::nullopt;
  }
}

// An address as /proc/net has it (%pI4, %pI6): of IPv6 every digit.
std::string as_listed(std::span<const std::uint8_t> address) {
  std::string text;
  for (std::size_t i = 0; i < address.size(); ++i) {
    if (address.size() == 4) {
      text += fmt::format("{}{}", i == 0 ? "" : ".", address[i]);
    } else {
      text += fmt::format("{}{:02x}", i == 0 || i % 2 != 0 ? "" : ":", address[i]);
    }
  }
  return text;
}

const r::XtTable* xt_table_of(const r::Host& host, const std::string& name) {
  const auto table = std::ranges::find(host.xt_tables, name, &r::XtTable::name);
  return table == host.xt_tables.end() ? nullptr : &*table;
}

// The numbers of a text, with whatever stands between them.
std::vector<std::uint64_t> numbers_in(std::string_view text) {
  std::vector<std::uint64_t> numbers;
  while (!text.empty()) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc()) {
      numbers.push_back(number);
      text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    } else {
      text.remove_prefix(1);
    }
  }
  return numbers;
}

// "src=192.0.2.7 ttl: 64 last_seen: 4298185071 oldest_pkt: 2 4298180000, 4298185071": when it was
// seen, in ticks. Absent: it is not in the list.
std::optional<std::vector<std::uint64_t>> recent_stamps(const r::XtTable& table,
                                                        const std::string& address) {
  const std::string begin = "src=" + address + " ";
  for (const std::string& line : table.lines) {
    if (!line.starts_with(begin)) continue;
    constexpr std::string_view kBefore = "oldest_pkt: ";
    const std::size_t at = line.find(kBefore);
    if (at == std::string::npos) return std::vector<std::uint64_t>{};
    auto numbers = numbers_in(std::string_view(line).substr(at + kBefore.size()));
    if (!numbers.empty()) numbers.erase(numbers.begin());  // which is the next to be overwritten
    return numbers;
  }
  return std::nullopt;
}

// "59 192.0.2.7:0->0.0.0.0:0 12000 160000 32000": what is left of the credit, how much it may
// become, and what a packet costs.
struct Credit {
  std::uint64_t left = 0;
  std::uint64_t cost = 0;
};
std::optional<Credit> credit_of(const r::XtTable& table, const std::string& key) {
  for (const std::string& line : table.lines) {
    const std::size_t at = line.find(" " + key + " ");
    if (at == std::string::npos) continue;
    const auto numbers = numbers_in(std::string_view(line).substr(at + key.size() + 2));
    if (numbers.size() == 3) return Credit{numbers[0], numbers[2]};
    return Credit{};
  }
  return std::nullopt;
}

}  // namespace

// How many of these stamps count, for certain and perhaps: those of the last `seconds`.
Interpreter::RecentHits Interpreter::recent_hits(const r::XtRecent& match,
                                                 std::span<const std::uint64_t> stamps) const {
  RecentHits hits;
  const std::optional<r::Ticks>& ticks = frame_->host->ticks;
  if (match.seconds == 0) {
    hits.certain = stamps.size();
  } else if (!ticks) {
    hits.possible = stamps.size();
  } else {
    // The question may come a second after the list was read.
    const std::uint64_t margin = ticks->per_second;
    std::uint64_t now = ticks->now;
    if (clock_.now_ns > state_.began_ns()) {
      now += (clock_.now_ns - state_.began_ns()) / 1'000'000 * ticks->per_second / 1000;
    }
    const std::uint64_t within = std::uint64_t{match.seconds} * ticks->per_second;
    for (const std::uint64_t stamp : stamps) {
      const std::uint64_t age = now > stamp ? now - stamp : 0;
      if (age + margin <= within) {
        ++hits.certain;
      } else if (age <= within + margin) {
        ++hits.possible;
      }
    }
  }
  return hits;
}

// recent_mt()
bool Interpreter::xt_asks(const r::XtRecent& match, const Program::XtMatch& ready) {
  using Does = r::XtRecent::Does;
  const std::size_t size = frame_->ipv6 ? 16 : 4;
  const std::size_t source = frame_->ipv6 ? ipv6::kSource : ipv4::kSource;
  const std::size_t destination = frame_->ipv6 ? ipv6::kDestination : ipv4::kDestination;
  const ByteSpan bytes = frame_->bytes.subspan(match.by_destination ? destination : source, size);
  std::vector<std::uint8_t> masked(bytes.begin(), bytes.end());
  for (std::size_t i = 0; i < size; ++i) masked[i] &= match.mask[i];
  const std::string text = net::format(net::address_from_bytes(masked));
  const std::string key = as_listed(masked);
  const std::string list = "recent " + match.name;
  const r::XtTable* table = xt_table_of(*frame_->host, "xt_recent/" + match.name);
  const auto chosen = [&] {
    return choose_whether(fmt::format("{} is in the recent list {} as -m recent asks", text,
                                      match.name)) != match.inverted;
  };
  // What packets have done to it: seen its address so often, taken it away, changed all in a way
  // that is not known.
  if (table == nullptr || ready.is_disputed || state_.noted(list + " as a whole", "") != 0) {
    if (match.does == Does::Sets) return !match.inverted;
    return chosen();
  }
  auto stamps = recent_stamps(*table, key);
  if (state_.noted(list + " removed", key) != 0) stamps.reset();
  const bool is_there = stamps.has_value() || state_.noted(list, key) != 0;
  // Of which time-to-live an entry is, is not followed.
  if (match.same_ttl && is_there) {
    state_.noted(list + " as a whole", "") = 1;
    return match.does == Does::Sets ? !match.inverted : chosen();
  }
  switch (match.does) {
    case Does::Sets: {
      // The list has room for so many (ip_list_tot), and then forgets the one not seen for longest.
      constexpr std::uint64_t kRoom = 100;
      if (!is_there && table->lines.size() + ++state_.noted(list + " adds", "") > kRoom) {
        state_.noted(list + " as a whole", "") = 1;
      }
      ++state_.noted(list, key);
      return !match.inverted;
    }
    case Does::Removes:
      state_.noted(list, key) = 0;
      state_.noted(list + " removed", key) = 1;
      return is_there != match.inverted;
    case Does::Checks:
    case Does::Updates: {
      if (!is_there) return match.inverted;
      RecentHits hits = recent_hits(match, stamps.value_or(std::vector<std::uint64_t>{}));
      const bool by_time = match.seconds != 0 && clock_.now_ns != 0;
      (by_time ? hits.possible : hits.certain) += state_.noted(list, key);
      // What is older is forgotten, too: other rules may have asked for it.
      if (match.reaps && stamps && hits.certain < stamps->size()) {
        state_.noted(list + " as a whole", "") = 1;
      }
      const std::uint64_t needed = std::max<std::uint64_t>(match.hits, 1);
      const bool may_hold = hits.certain + hits.possible >= needed;
      const bool holds =
          hits.certain < needed && may_hold ? chosen() : (hits.certain >= needed) != match.inverted;
      if (match.does == Does::Updates && holds) ++state_.noted(list, key);
      return holds;
    }
  }
  return false;
}

// hashlimit_init_dst(): the entry of the packet, as it is listed. Absent: ports that it should have
// and has not.
std::optional<std::string> Interpreter::hashlimit_entry(const r::XtHashlimit& match,
                                                        XtPacket& packet) const {
  enum : std::uint32_t { kDestination = 1, kDestinationPort = 2, kSource = 4, kSourcePort = 8 };
  std::array<std::uint16_t, 2> ports{};  // of the source, of the destination
  if ((match.by & (kDestinationPort | kSourcePort)) != 0) {
    std::optional<std::size_t> at = packet.transport();
    std::uint8_t protocol = frame_->bytes[ipv4::kProtocol];
    if (frame_->ipv6) {
      const auto found =
          skip_ipv6_extensions(frame_->bytes, ipv6::kHeaderSize, frame_->bytes[ipv6::kNextHeader]);
      if (!found) return std::nullopt;
      at = found->offset;
      protocol = found->protocol;
    }
    if (const std::optional<std::size_t> offset = ports_offset(protocol)) {
      const std::uint8_t* both = packet.read(*at + *offset, 4);
      if (both == nullptr) return std::nullopt;
      if ((match.by & kSourcePort) != 0) ports[0] = be16(both);
      if ((match.by & kDestinationPort) != 0) ports[1] = be16(both + 2);
    }
  }
  const std::size_t size = frame_->ipv6 ? 16 : 4;
  const auto address = [&](bool is_asked, std::size_t at, std::size_t length) {
    std::vector<std::uint8_t> bytes(size);
    for (std::size_t i = 0; is_asked && i < size; ++i) {
      const std::size_t left = length > i * 8 ? length - i * 8 : 0;
      const unsigned mask = left >= 8 ? 0xffU : 0xffU & ~(0xffU >> left);
      bytes[i] = static_cast<std::uint8_t>(frame_->bytes[at + i] & mask);
    }
    return as_listed(bytes);
  };
  return fmt::format(
      "{}:{}->{}:{}",
      address((match.by & kSource) != 0, frame_->ipv6 ? ipv6::kSource : ipv4::kSource,
              match.source_length),
      ports[0],
      address((match.by & kDestination) != 0,
              frame_->ipv6 ? ipv6::kDestination : ipv4::kDestination, match.destination_length),
      ports[1]);
}

// user2credits() keeps the proportions: as many packets as the burst are within it.
std::optional<r::Limit> Interpreter::as_limit(const r::XtHashlimit& match) {
  constexpr std::uint64_t kScale = 1'000'000;
  constexpr std::uint64_t kCoarser = 100;  // as long as nothing is lost, so that it stays in bounds
  constexpr std::uint64_t kMostMillionths = std::uint64_t{1} << 52;
  const bool fits = match.period != 0 && match.burst != 0 && match.burst <= UINT32_MAX &&
                    match.period <= kMostMillionths / match.burst;
  if (!fits || match.counts_bytes || match.interval != 0) return std::nullopt;
  constexpr std::uint64_t kMostPeriod = 0x400000000;  // a limit's, in nanoseconds, is below 2^64
  const std::uint64_t by = match.period % kCoarser == 0 ? kCoarser : 1;
  if (match.period / by > kMostPeriod) return std::nullopt;
  return r::Limit{.unit = r::LimitUnit::Packets,
                  .rate = kScale / by,
                  .per_seconds = match.period / by,
                  .burst = static_cast<std::uint32_t>(match.burst)};
}

// hashlimit_mt_common(). What has no entry finds none in a table that is full, and is dropped, as
// is a packet without the ports.
bool Interpreter::xt_asks(const r::XtHashlimit& match, const Program::XtMatch& ready,
                          XtPacket& packet) {
  const std::string name = (frame_->ipv6 ? "ip6t_hashlimit/" : "ipt_hashlimit/") + match.name;
  const r::XtTable* table = xt_table_of(*frame_->host, name);
  const auto chosen = [&] {
    return choose_whether(fmt::format("the hashlimit {} still has tokens", match.name)) !=
           match.above;
  };
  const std::optional<std::string> key = hashlimit_entry(match, packet);
  if (!key) return packet.drop();
  if (table == nullptr || ready.is_disputed) return chosen();
  const std::uint64_t seen_before = state_.noted(name, *key);
  const std::optional<Credit> credit = credit_of(*table, *key);
  if (!credit && seen_before == 0) {
    const std::uint64_t entries = table->lines.size() + state_.noted(name + " adds", "") + 1;
    const r::XtHashlimit::Room room = match.room();
    // Where time passes, others may have ended.
    const bool is_certain = room.most && clock_.now_ns == 0;
    if (entries > room.least &&
        (is_certain || choose_whether(fmt::format("the hashlimit {} is full", match.name)))) {
      return packet.drop();
    }
    ++state_.noted(name + " adds", "");
  }
  ++state_.noted(name, *key);
  if (credit) {
    // Of the first packet of an entry it is known what it has left.
    if (seen_before != 0 || match.counts_bytes || credit->cost == 0) return chosen();
    if (credit->left >= credit->cost) return !match.above;
    // It may have the rest by the time of the question.
    const double missing = static_cast<double>(credit->cost - credit->left) /
                           static_cast<double>(credit->cost) * static_cast<double>(match.period);
    return missing < 1'000'000 ? chosen() : match.above;
  }
  // One that has begun here has all its tokens, of bytes at least for the first packet.
  const std::optional<r::Limit> limit = as_limit(match);
  if (!limit) {
    const bool is_first_of_bytes = seen_before == 0 && match.counts_bytes && match.interval == 0;
    return is_first_of_bytes ? !match.above : chosen();
  }
  std::uint64_t& last_ns = state_.noted(name + " last", *key);
  const bool may_have_ended =
      seen_before != 0 &&
      clock_.now_ns > last_ns + match.expires_after_ms * std::uint64_t{1'000'000};
  last_ns = clock_.now_ns;
  const CellIndex cell = state_.cell_of(ready.cell, *key);
  std::optional<bool> within = is_within_ticking_limit(*limit, cell);
  if (may_have_ended && within == false) within.reset();
  if (!within)
    within = choose_whether(fmt::format("the hashlimit {} still has tokens", match.name));
  state_.spend_limit(*limit, cell, frame_->length(), ticking_clock(), *within);
  return *within != match.above;
}

}  // namespace rolewall::eval
