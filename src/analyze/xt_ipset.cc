// iptables' sets of ip_set, where it is known what they hold and no packet changes that: read with
// the machine, without times, of addresses, networks, ports and marks, and changed by no rule.
// net/netfilter/ipset of the kernel: ip_set_test() of ip_set_core.c, and of each type its kadt
// function (what of the packet is looked up) and mtype_test_cidrs() of ip_set_hash_gen.h (which
// network counts). Any other set is free to hold the packet or not.
#include <algorithm>
#include <map>

#include "analyze/rule_run.h"
#include "net/protocol.h"
#include "ruleset/ipset.h"

namespace rolewall::analyze {
namespace {

using ruleset::IpSet;

std::vector<std::uint8_t> part_of_key(std::string_view key, std::size_t at, std::size_t count) {
  const std::string_view part = key.substr(at, count);
  return {part.begin(), part.end()};
}

bool is_zero(std::span<const std::uint8_t> bytes) {
  return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

// Whether it says all that there is: what it holds is what it held when it was read.
bool is_static(const IpSet& set, const RulesetFacts& facts, const ruleset::Host& host) {
  const bool has_known_fields = std::ranges::none_of(set.fields, [](IpSet::Field field) {
    return field == IpSet::Field::Mac || field == IpSet::Field::Device;
  });
  return has_known_fields && !set.timeout && set.unread == 0 &&
         !facts.may_change_ipset(host, set.name);
}

// One side of a packet's headers, as a set's fields ask for it.
struct IpsetSides {
  Part address;
  Part port;
};
IpsetSides sides_of(bool source, bool ipv6) {
  if (source) return {ipv6 ? Part::Source6 : Part::Source4, Part::Transport0};
  return {ipv6 ? Part::Destination6 : Part::Destination4, Part::Transport2};
}

}  // namespace

// get_port() of ip_set_getport.c: of ICMP type and code, of what has no ports a port of 0.
std::optional<Diagram> RuleRun::is_ipset_port(std::uint8_t number,
                                              std::span<const std::uint8_t> port, bool source) {
  const auto protocol_is = compare_.equal(now().part(Part::Protocol), std::array{number});
  std::optional<Diagram> port_is = is_zero(port) ? kEverything : kNothing;
  switch (number) {
    case net::protocol::kTcp:
    case net::protocol::kUdp:
    case net::protocol::kUdpLite:
    case net::protocol::kSctp:
      port_is = compare_.equal(now().part(sides_of(source, false).port), port);
      break;
    case net::protocol::kIcmp:
    case net::protocol::kIcmpv6:
      port_is = compare_.equal(now().part(Part::Transport0), port);
      break;
    case 0:
      port_is = kNothing;
      break;
    default:
      break;
  }
  if (!protocol_is || !port_is) return std::nullopt;
  return diagrams_.both(*protocol_is, *port_is);
}

// The packets that have an element's key, and the lengths of its networks.
std::optional<Diagram> RuleRun::has_ipset_key(const IpSet& set, std::string_view key,
                                              std::uint8_t sources,
                                              std::array<std::uint8_t, 2>& lengths) {
  const bool ipv6 = set.family == IpSet::Family::Ipv6;
  const bool is_bitmap = set.method == IpSet::Method::Bitmap;
  Diagram box = kEverything;
  std::size_t at = 0;
  std::size_t networks = 0;
  for (std::size_t i = 0; i < set.fields.size(); ++i) {
    const bool source = (sources >> (i + 1) & 1) != 0;
    const auto next = [&](std::size_t count) {
      at += count;
      return part_of_key(key, at - count, count);
    };
    std::optional<Diagram> is;
    switch (set.fields[i]) {
      case IpSet::Field::Address: {
        const auto address = next(set.address_size());
        Bits bits = now().part(sides_of(source, ipv6).address);
        for (std::size_t bit = 0; bit < set.mask.size() * 8; ++bit) {
          if ((set.mask[bit / 8] << bit % 8 & 0x80) == 0) bits[bit] = Bit();
        }
        // hash:ip and hash:ip,port take none for an address.
        const bool takes_none = set.fields.size() > 2 || is_bitmap || set.has(IpSet::Field::Mark);
        is = takes_none || !is_zero(address) ? compare_.equal(bits, address) : kNothing;
        break;
      }
      case IpSet::Field::Network: {
        const auto first = next(set.address_size());
        const std::uint8_t length = next(1).front();
        auto last = first;
        for (std::size_t bit = length; bit < last.size() * 8; ++bit) {
          last[bit / 8] = static_cast<std::uint8_t>(last[bit / 8] | 0x80U >> bit % 8);
        }
        lengths[networks++] = length;
        is = compare_.between(now().part(sides_of(source, ipv6).address), first, last);
        break;
      }
      case IpSet::Field::Port: {
        if (!is_bitmap) {
          const std::uint8_t protocol = next(1).front();
          is = is_ipset_port(protocol, next(2), source);
          break;
        }
        const auto port = next(2);
        const auto tcp = is_ipset_port(net::protocol::kTcp, port, source);
        const auto udp = is_ipset_port(net::protocol::kUdp, port, source);
        if (tcp && udp) is = diagrams_.either(*tcp, *udp);
        break;
      }
      case IpSet::Field::Mark: {
        std::uint32_t mark = 0;
        for (const std::uint8_t byte : next(4)) mark = mark << 8 | byte;
        is = has_mark(now().part(Part::Mark), {.value = mark, .mask = set.mark_mask});
        break;
      }
      case IpSet::Field::Mac:
      case IpSet::Field::Device:
        break;
    }
    if (!is) return std::nullopt;
    box = diagrams_.both(box, *is);
  }
  return box;
}

// mtype_test_cidrs(): the longest networks count, the first field's before the second's.
std::optional<Machine::IpsetHolds> RuleRun::ipset_holds(const IpSet& set,
                                                        const ruleset::XtSet& match) {
  const ruleset::Family of_table = machine_.ruleset().tables[frame_.table].family;
  const bool ipv6 = of_table == ruleset::Family::Ip6;
  if (!ipv6 && of_table != ruleset::Family::Ip) return std::nullopt;
  const auto family = ipv6 ? IpSet::Family::Ipv6 : IpSet::Family::Ipv4;
  Machine::IpsetHolds holds;
  if (match.dimensions < set.fields.size()) return holds;
  if (set.family != IpSet::Family::Any && set.family != family) return holds;
  std::vector<std::uint32_t> asked{match.sources};
  for (const Part part : {sides_of(true, ipv6).address, sides_of(false, ipv6).address,
                          Part::Protocol, Part::Transport0, Part::Transport2, Part::Mark}) {
    for (const Bit bit : now().part(part)) asked.push_back(bit.code());
  }
  std::optional<Machine::IpsetHolds>& known = machine_.ipset_holds(set, std::move(asked));
  if (known) return known;
  struct OfLengths {
    std::vector<Diagram> held;
    std::vector<Diagram> excluded;
  };
  std::map<std::array<std::uint8_t, 2>, OfLengths> all;
  std::map<std::string_view, bool> rows;  // whether each excludes
  for (const auto& [key, element] : set.elements) rows.emplace(key, element.excludes);
  for (const auto& [key, excludes] : rows) {
    std::array<std::uint8_t, 2> lengths{};
    const auto box = has_ipset_key(set, key, match.sources, lengths);
    if (!box) return std::nullopt;
    OfLengths& of = all[lengths];
    (excludes ? of.excluded : of.held).push_back(*box);
  }
  for (auto& [lengths, of] : all) {
    const Diagram held = diagrams_.union_of(std::move(of.held));
    const Diagram excluded = diagrams_.union_of(std::move(of.excluded));
    holds.held = diagrams_.either(diagrams_.minus(holds.held, excluded), held);
    holds.excluded = diagrams_.either(diagrams_.minus(holds.excluded, held), excluded);
  }
  // hash_netnet6_kadt() takes none for the first address.
  if (ipv6 && set.fields.size() == 2 && set.lengths.size() == 2) {
    const bool source = (match.sources >> 1 & 1) != 0;
    const auto none =
        compare_.equal(now().part(sides_of(source, true).address), std::array<std::uint8_t, 16>{});
    if (!none) return std::nullopt;
    holds.held = diagrams_.minus(holds.held, *none);
    holds.excluded = diagrams_.minus(holds.excluded, *none);
  }
  known = holds;
  return holds;
}

// set_match_v1() to _v4(); list_set_ktest(): of a list, whether one of its sets holds it.
std::optional<Diagram> RuleRun::xt_holds(const ruleset::XtSet& match) {
  const ruleset::Host& host = machine_.host();
  const RulesetFacts& facts = machine_.facts();
  const auto number =
      std::ranges::find(host.ipset_numbers, match.index, &ruleset::IpsetNumber::number);
  if (number == host.ipset_numbers.end() || match.looks_at_counters()) return std::nullopt;
  const IpSet* set = machine_.ipset(number->name);
  if (set == nullptr || !is_static(*set, facts, host)) return std::nullopt;
  if (!set->is_list()) {
    const auto holds = ipset_holds(*set, match);
    if (!holds) return std::nullopt;
    const bool asks_excluded = match.takes_excluded && !set->lengths.empty();
    const Diagram is = asks_excluded ? holds->excluded : holds->held;
    return match.inverted ? diagrams_.complement(is) : is;
  }
  Diagram any = kNothing;
  for (const IpSet::Member& member : set->members) {
    if (match.dimensions < 1) break;
    const IpSet* of = machine_.ipset(member.name);
    if (of == nullptr || of->is_list() || member.seconds_left || !is_static(*of, facts, host)) {
      return std::nullopt;
    }
    const auto holds = ipset_holds(*of, match);
    if (!holds) return std::nullopt;
    any = diagrams_.either(any, holds->held);
  }
  return match.inverted ? diagrams_.complement(any) : any;
}

}  // namespace rolewall::analyze
