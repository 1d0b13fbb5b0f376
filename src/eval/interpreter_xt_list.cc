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
bool Interpreter::xt_asks(const r::XtRecent& match) {
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
  if (table == nullptr || state_.noted(list + " as a whole", "") != 0) {
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

// hashlimit_mt_common(). Ports that a packet should have and has not drop it
// (hashlimit_init_dst()).
bool Interpreter::xt_asks(const r::XtHashlimit& match, XtPacket& packet) {
  enum : std::uint32_t { kDestination = 1, kDestinationPort = 2, kSource = 4, kSourcePort = 8 };
  std::array<std::uint16_t, 2> ports{};  // of the source, of the destination
  if ((match.by & (kDestinationPort | kSourcePort)) != 0) {
    std::optional<std::size_t> at = packet.transport();
    std::uint8_t protocol = frame_->bytes[ipv4::kProtocol];
    if (frame_->ipv6) {
      const auto found =
          skip_ipv6_extensions(frame_->bytes, ipv6::kHeaderSize, frame_->bytes[ipv6::kNextHeader]);
      if (!found) return packet.drop();
      at = found->offset;
      protocol = found->protocol;
    }
    if (const std::optional<std::size_t> offset = ports_offset(protocol)) {
      const std::uint8_t* both = packet.read(*at + *offset, 4);
      if (both == nullptr) return packet.drop();
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
  const std::string key = fmt::format(
      "{}:{}->{}:{}",
      address((match.by & kSource) != 0, frame_->ipv6 ? ipv6::kSource : ipv4::kSource,
              match.source_length),
      ports[0],
      address((match.by & kDestination) != 0,
              frame_->ipv6 ? ipv6::kDestination : ipv4::kDestination, match.destination_length),
      ports[1]);
  const std::string name = (frame_->ipv6 ? "ip6t_hashlimit/" : "ipt_hashlimit/") + match.name;
  const r::XtTable* table = xt_table_of(*frame_->host, name);
  const auto chosen = [&] {
    return choose_whether(fmt::format("the hashlimit {} still has tokens", match.name)) !=
           match.above;
  };
  if (table == nullptr || match.counts_bytes) return chosen();
  // Of the first packet of an entry it is known what it has left.
  if (++state_.noted(name, key) > 1) return chosen();
  const std::optional<Credit> credit = credit_of(*table, key);
  if (!credit) {
    const std::uint64_t entries = table->lines.size() + ++state_.noted(name + " adds", "");
    return entries > match.most ? chosen() : !match.above;
  }
  if (credit->cost == 0) return chosen();
  if (credit->left >= credit->cost) return !match.above;
  // It may have the rest by the time of the question.
  const double missing = static_cast<double>(credit->cost - credit->left) /
                         static_cast<double>(credit->cost) * static_cast<double>(match.period);
  return missing < 1'000'000 ? chosen() : match.above;
}

}  // namespace rolewall::eval
