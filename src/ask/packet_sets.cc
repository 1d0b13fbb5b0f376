#include "ask/packet_sets.h"

#include "net/protocol.h"

namespace rolewall::ask {
namespace {

using analyze::Diagram;
using analyze::Part;

std::uint64_t first_half(std::string_view name, std::uint8_t filler) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    value = value << 8 | (i < name.size() ? static_cast<std::uint8_t>(name[i]) : filler);
  }
  return value;
}
std::uint64_t second_half(std::string_view name, std::uint8_t filler) {
  return first_half(name.size() > 8 ? name.substr(8) : std::string_view(), filler);
}

}  // namespace

std::optional<Diagram> PacketSets::packets(const policy::PacketWords& words,
                                           const AskedPart& part) {
  if (words.fragment || words.time_ns) return std::nullopt;
  const Diagram ends = d_.both(in(Part::Source4, Part::Source6, part.from),
                               in(Part::Destination4, Part::Destination6, part.to));
  const Diagram headers = d_.both(d_.both(ends, of_service(words)), of_options(words));
  // Nothing is left of such words in the space, and of nothing everything holds.
  if (!words.service.literals.empty() && d_.both(headers, space_.extended()) != analyze::kNothing) {
    throw analyze::BudgetEnded{
        "it names an extension header of IPv6 (protocol/51, AH, is one), and such packets are "
        "outside "
        "of every proof: what follows that header decides as well"};
  }
  Diagram all =
      words.state ? is(space_.state(), ct_state_of(*words.state)) : space_.first_packets();
  all = d_.both(all, headers);
  all = d_.both(all, by_devices(words, part));
  all = d_.both(all, of_owner(part.does == Does::Send ? words.user : std::nullopt));
  return d_.both(all, space_.packets());
}

Diagram PacketSets::plain_beginnings() {
  constexpr std::uint64_t kSyn = 2;
  return d_.choose(is(space_.field(Part::Protocol), net::protocol::kTcp),
                   within(Part::Flags, kSyn, kSyn), analyze::kEverything);
}

Diagram PacketSets::in(Part ipv4, Part ipv6, const net::AddressSet& set) {
  if (set.is_all()) return analyze::kEverything;
  std::vector<analyze::Values> values;
  for (const auto& interval : set.ipv4.intervals()) {
    values.push_back({interval.first.value, interval.last.value});
  }
  const Diagram of_ipv4 = d_.where(space_.field(ipv4), values);
  analyze::Comparison compare(d_);
  std::vector<Diagram> all;
  for (const auto& interval : set.ipv6.intervals()) {
    all.push_back(*compare.between(space_.part(ipv6), net::to_bytes(interval.first),
                                   net::to_bytes(interval.last)));
  }
  return d_.choose(space_.is_ipv4(), of_ipv4, d_.union_of(std::move(all)));
}

Diagram PacketSets::of_service(const policy::PacketWords& words) {
  if (!words.service.given && words.service.literals.empty()) return analyze::kEverything;
  std::vector<Diagram> all;
  for (const policy::ServiceLiteral& literal : words.service.literals) {
    Diagram of = is(space_.field(Part::Protocol), literal.protocol);
    if (literal.protocol == net::protocol::kIcmp) of = d_.both(of, space_.is_ipv4());
    if (literal.protocol == net::protocol::kIcmpv6) of = d_.both(of, space_.is_ipv6());
    if (literal.icmp_type) {
      const std::uint64_t type = std::uint64_t{*literal.icmp_type} << 8;
      of = d_.both(of, within(Part::Transport0, type, type | 0xff));
    } else if (net::has_ports(literal.protocol)) {
      const net::PortRange to =
          words.to.port ? net::PortRange{*words.to.port, *words.to.port} : literal.destination;
      const net::PortRange from =
          words.from.port ? net::PortRange{*words.from.port, *words.from.port} : literal.source;
      of = d_.both(of, within(Part::Transport2, to.first, to.last));
      of = d_.both(of, within(Part::Transport0, from.first, from.last));
    }
    all.push_back(of);
  }
  return d_.union_of(std::move(all));
}

Diagram PacketSets::of_options(const policy::PacketWords& words) {
  Diagram all = of_type();
  const auto narrow = [&](Diagram by) { all = d_.both(all, by); };
  if (words.family) narrow(*words.family == 4 ? space_.is_ipv4() : space_.is_ipv6());
  if (words.tcp_flags) narrow(within(Part::Flags, *words.tcp_flags, *words.tcp_flags));
  if (words.length) narrow(within(Part::Length, *words.length, *words.length));
  if (words.ttl) narrow(within(Part::TimeToLive, *words.ttl, *words.ttl));
  if (words.dscp) {
    const std::uint64_t first = std::uint64_t{*words.dscp} << 2;
    narrow(within(Part::TrafficClass, first, first | 3));
  }
  if (words.dont_fragment) {
    const std::uint64_t bit = *words.dont_fragment ? 1 : 0;
    narrow(d_.both(within(Part::DontFragment, bit, bit), space_.is_ipv4()));
  }
  return all;
}

// A socket has both owners; one that has only a group is no program's.
Diagram PacketSets::of_owner(std::optional<std::uint32_t> user) {
  const Diagram has_user = is(space_.has_user(), 1);
  const Diagram owned = d_.choose(has_user, analyze::kEverything, is(space_.has_group(), 0));
  if (!user) return owned;
  return d_.both(owned, d_.both(has_user, is(space_.user(), *user)));
}

// PACKET_HOST; to a group PACKET_MULTICAST, to all PACKET_BROADCAST.
Diagram PacketSets::of_type() {
  constexpr std::uint64_t kAll = 0xffffffff;
  const Diagram group =
      d_.choose(space_.is_ipv4(), within(Part::Destination4, 0xe0000000, 0xefffffff),
                within(Part::Destination6, 0xff000000, kAll));
  const Diagram to_all = d_.both(space_.is_ipv4(), within(Part::Destination4, kAll, kAll));
  return d_.choose(group, within(Part::Type, 2, 2),
                   d_.choose(to_all, within(Part::Type, 1, 1), within(Part::Type, 0, 0)));
}

Diagram PacketSets::device(Part part, std::string_view name) {
  const analyze::FieldId first = space_.field(part);
  const bool any = name.ends_with('*');
  if (any) name.remove_suffix(1);
  const std::uint8_t highest = any ? 0xff : 0;
  if (any && name.size() < 8) {
    return d_.where(first, first_half(name, 0), first_half(name, highest));
  }
  return d_.both(is(first, first_half(name, 0)),
                 d_.where(first + 1, second_half(name, 0), second_half(name, highest)));
}

// As interfaces_for() says of one address: the interface that it is behind, else those with nothing
// behind them, else all. Where a machine's routes are known, all that it has.
Diagram PacketSets::on_side(bool arrives, const std::optional<policy::InterfaceWord>& word) {
  const Part part = arrives ? Part::InDevice : Part::OutDevice;
  const Part ipv4 = arrives ? Part::Source4 : Part::Destination4;
  const Part ipv6 = arrives ? Part::Source6 : Part::Destination6;
  Diagram all = d_.complement(device(part, "lo"));
  all = d_.minus(all, device(part, ""));
  if (host_.interfaces.empty()) return word ? d_.both(all, device(part, word->text)) : all;
  net::AddressSet behind;
  bool has_open = false;
  for (const ruleset::Interface& interface : host_.interfaces) {
    behind = behind | interface.behind;
    has_open = has_open || interface.behind.empty();
  }
  std::vector<Diagram> ways;
  for (const ruleset::Interface& interface : host_.interfaces) {
    const Diagram by = device(part, interface.device);
    if (word) {
      if (interface.name == word->text || interface.device == word->text) ways.push_back(by);
      continue;
    }
    if (host_.routes) {
      ways.push_back(by);
      continue;
    }
    const bool takes_rest = interface.behind.empty() || !has_open;
    const net::AddressSet beside = takes_rest ? interface.behind | ~behind : interface.behind;
    ways.push_back(d_.both(by, in(ipv4, ipv6, beside)));
  }
  // A device that the policy knows by no name of its own.
  if (word && ways.empty()) ways.push_back(device(part, word->text));
  return d_.both(all, d_.union_of(std::move(ways)));
}

Diagram PacketSets::by_devices(const policy::PacketWords& words, const AskedPart& part) {
  const std::optional<policy::InterfaceWord> none;
  const auto& in = part.has_devices ? words.in : none;
  const auto& out = part.has_devices ? words.out : none;
  switch (part.does) {
    case Does::Send:
      return on_side(false, out);
    case Does::PassOn:
      return d_.both(on_side(true, in), on_side(false, out));
    case Does::Receive:
      break;
  }
  const Diagram arrives = on_side(true, in);
  const Diagram stays = device(Part::OutDevice, "");
  if (!translates_) return d_.both(arrives, stays);
  // It goes on by any of its devices, as the new destination wants.
  std::vector<Diagram> ways;
  if (!out) ways.push_back(stays);
  for (const ruleset::Interface& interface : host_.interfaces) {
    if (!out || interface.name == out->text || interface.device == out->text) {
      ways.push_back(device(Part::OutDevice, interface.device));
    }
  }
  return d_.both(arrives, d_.union_of(std::move(ways)));
}

}  // namespace rolewall::ask
