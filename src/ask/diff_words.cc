#include "ask/diff_words.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "analyze/address_values.h"
#include "ask/ends.h"
#include "net/ct_names.h"
#include "net/known_addresses.h"
#include "net/prefixes.h"
#include "net/protocol.h"
#include "ruleset/loads.h"

namespace rolewall::ask {
namespace {

using analyze::Diagram;
using analyze::FieldId;
using analyze::Part;
using policy::Index;

constexpr std::size_t kMostWords = 4;

// "a, b, c and 7 more".
std::string listed(const std::vector<std::string>& words) {
  if (words.size() <= kMostWords) return fmt::format("{}", fmt::join(words, ","));
  return fmt::format("{} and {} more",
                     fmt::join(words.begin(), words.begin() + kMostWords - 1, ","),
                     words.size() - kMostWords + 1);
}

std::uint64_t eight_of(std::string_view name, std::size_t from, std::uint8_t filler) {
  std::uint64_t value = 0;
  for (std::size_t i = from; i < from + 8; ++i) {
    value = value << 8 | (i < name.size() ? static_cast<std::uint8_t>(name[i]) : filler);
  }
  return value;
}

const net::AddressSet& strange_sources() {
  static const net::AddressSet kStrange =
      net::no_sources() |
      net::known_addresses({"0.0.0.0/8", "127.0.0.0/8", "240.0.0.0/4", "::/127"});
  return kStrange;
}

using Known = std::pair<std::string_view, net::AddressSet>;

// Without those that another has: "web" rather than "web-01,web-02".
void keep_the_widest(std::vector<Known>& known) {
  std::vector<Known> widest;
  for (Known& each : known) {
    const auto has = [](const Known& one, const Known& other) {
      return (other.second - one.second).empty();
    };
    if (std::ranges::any_of(widest, [&](const Known& other) { return has(other, each); })) continue;
    std::erase_if(widest, [&](const Known& other) { return has(each, other); });
    widest.push_back(std::move(each));
  }
  known = std::move(widest);
}

}  // namespace

// --- names -------------------------------------------------------------------------------------

PolicyNames::PolicyNames(const policy::Policy& policy) : policy_(policy) {
  const auto add = [&](std::string name, net::AddressSet set) {
    if (!set.empty()) names_.emplace_back(std::move(name), std::move(set));
  };
  add("any", net::AddressSet::all());
  add("internet", policy.internet);
  add("management", policy.management_addresses);
  for (const policy::Host& host : policy.hosts) add(host.name, host.all_addresses());
  std::map<Index, net::AddressSet> roles;
  for (const policy::Host& host : policy.hosts) {
    for (const Index role : host.roles) roles[role] = roles[role] | host.all_addresses();
  }
  const auto named = [&](policy::TermKind kind, Index index) -> std::string {
    for (const auto& [name, of] : policy.names) {
      if (of.kind != kind || of.index != index) continue;
      if (policy.names.count(name) == 1) return name;
      return fmt::format("{}:{}",
                         kind == policy::TermKind::Role  ? "role"
                         : kind == policy::TermKind::Tag ? "tag"
                                                         : "net",
                         name);
    }
    return "";
  };
  for (auto& [role, set] : roles) {
    if (std::string name = named(policy::TermKind::Role, role); !name.empty()) {
      add(std::move(name), std::move(set));
    }
  }
  for (Index tag = 0; tag < policy.tags.size(); ++tag) {
    if (std::string name = named(policy::TermKind::Tag, tag); !name.empty()) {
      add(std::move(name), policy.tags[tag].addresses);
    }
  }
  for (Index network = 0; network < policy.networks.size(); ++network) {
    if (std::string name = named(policy::TermKind::Network, network); !name.empty()) {
      add(std::move(name), policy.networks[network].addresses);
    }
  }
  if (policy.hosts.size() > 1) add("site", policy.site_addresses);
}

PolicyNames::Name PolicyNames::of(const net::AddressSet& set, const net::AddressSet& odd, bool ipv4,
                                  bool ipv6) const {
  const auto plain = [&](net::AddressSet of) {
    if (!ipv4) of.ipv4 = {};
    if (!ipv6) of.ipv6 = {};
    return of - odd;
  };
  const auto in_prefixes = [](const net::AddressSet& of, std::vector<std::string>& words,
                              std::string_view sign) {
    for (const net::Prefix& prefix : net::to_prefixes(of)) {
      words.push_back(std::string(sign) + net::format(prefix));
      if (words.size() > kMostWords) return;
    }
  };
  std::vector<std::string> words;
  const net::AddressSet wanted = plain(set);
  if (wanted.empty()) {
    in_prefixes(set, words, "");
    return {listed(words)};
  }
  const auto has_both = [](const net::AddressSet& of) {
    return !of.ipv4.empty() && !of.ipv6.empty();
  };
  std::vector<Known> within;
  const std::pair<std::string, net::AddressSet>* around = nullptr;  // the last is the narrowest
  for (const auto& named : names_) {
    net::AddressSet bare = plain(named.second);
    if (bare.empty()) continue;
    if (bare == wanted) return {named.first, true, has_both(named.second)};
    if ((wanted - bare).empty() &&
        (around == nullptr || (plain(named.second) - plain(around->second)).empty())) {
      around = &named;
    }
    if ((bare - wanted).empty()) within.emplace_back(named.first, std::move(bare));
  }
  // Several together, and what is left by its prefixes.
  net::AddressSet left = wanted;
  keep_the_widest(within);
  for (const auto& [name, of] : within) {
    if ((of & left).empty()) continue;
    words.emplace_back(name);
    left = left - of;
  }
  in_prefixes(left, words, "");
  if (words.size() <= kMostWords) return {listed(words)};
  if (around == nullptr) return {listed(words), false};
  // One less others: "internet,!partner".
  net::AddressSet missing = plain(around->second) - wanted;
  words = {around->first};
  within.clear();
  for (const auto& [name, of] : names_) {
    net::AddressSet bare = plain(of);
    if (!bare.empty() && (bare - missing).empty()) within.emplace_back(name, std::move(bare));
  }
  keep_the_widest(within);
  for (const auto& [name, of] : within) {
    if ((of & missing).empty()) continue;
    words.push_back(fmt::format("!{}", name));
    missing = missing - of;
  }
  in_prefixes(missing, words, "!");
  if (words.size() <= kMostWords) return {listed(words), true, has_both(around->second)};
  return {around->first, false, has_both(around->second)};
}

std::string PolicyNames::of_hosts(const std::vector<std::string>& hosts) const {
  net::AddressSet all;
  for (const std::string& name : hosts) {
    if (const auto host = policy::find_host(policy_, name)) {
      all = all | policy_.hosts[*host].all_addresses();
    }
  }
  for (const auto& [name, of] : names_) {
    if (!all.empty() && of == all) return name;
  }
  return listed(hosts);
}

// --- sets --------------------------------------------------------------------------------------

SetTeller::SetTeller(const PolicyNames& names, const ruleset::Host& host,
                     analyze::Difference& difference)
    : names_(names),
      host_(host),
      difference_(difference),
      d_(difference.diagrams()),
      space_(difference.space()),
      own_(net::AddressSet::from(host.addresses) | net::AddressSet::from(host.virtual_addresses)),
      odd_(strange_sources() | own_) {}

Diagram SetTeller::project(Diagram set, const std::vector<FieldId>& kept) {
  return d_.quantify(set, [&](FieldId field) {
    const bool keeps = std::ranges::find(kept, field) != kept.end();
    return keeps ? analyze::Quantifier::Keep : analyze::Quantifier::Any;
  });
}

Diagram SetTeller::in(Part ipv4, Part ipv6, const net::AddressSet& set) {
  std::vector<analyze::Values> values;
  for (const auto& interval : set.ipv4.intervals()) {
    values.push_back({interval.first.value, interval.last.value});
  }
  const Diagram of_ipv4 = d_.where(space_.field(ipv4), values);
  analyze::Comparison compare(d_);
  std::vector<Diagram> all;
  for (const auto& interval : set.ipv6.intervals()) {
    const auto is = compare.between(space_.part(ipv6), net::to_bytes(interval.first),
                                    net::to_bytes(interval.last));
    all.push_back(is.value_or(analyze::kNothing));
  }
  return d_.choose(space_.is_ipv4(), of_ipv4, d_.union_of(std::move(all)));
}

Diagram SetTeller::device(Part part, const std::string& name) {
  const FieldId first = space_.field(part);
  const bool any = name.ends_with('*');
  const std::string_view bare = any ? std::string_view(name).substr(0, name.size() - 1) : name;
  const std::uint8_t highest = any ? 0xff : 0;
  const Diagram begins =
      d_.where(first, eight_of(bare, 0, 0), eight_of(bare, 0, bare.size() < 8 ? highest : 0));
  if (any && bare.size() < 8) return begins;
  return d_.both(begins, d_.where(first + 1, eight_of(bare, 8, 0), eight_of(bare, 8, highest)));
}

// Of each interface the addresses that are behind it, as samples have it (interfaces_for()).
Diagram SetTeller::by_devices(PacketWay way) {
  const bool sent = way == PacketWay::Sent;
  const Part part = sent ? Part::OutDevice : Part::InDevice;
  const Part ipv4 = sent ? Part::Destination4 : Part::Source4;
  const Part ipv6 = sent ? Part::Destination6 : Part::Source6;
  Diagram all = d_.minus(d_.complement(device(part, "lo")), device(part, ""));
  if (way == PacketWay::Passes) {
    all = d_.both(all, d_.complement(device(Part::OutDevice, "lo")));
  }
  if (host_.interfaces.empty()) return all;
  net::AddressSet behind;
  bool has_open = false;
  for (const ruleset::Interface& interface : host_.interfaces) {
    behind = behind | interface.behind;
    has_open = has_open || interface.behind.empty();
  }
  std::vector<Diagram> ways;
  for (const ruleset::Interface& interface : host_.interfaces) {
    const bool takes_rest = interface.behind.empty() || !has_open;
    const net::AddressSet beside = takes_rest ? interface.behind | ~behind : interface.behind;
    ways.push_back(d_.both(device(part, interface.device), in(ipv4, ipv6, beside)));
  }
  return d_.both(all, d_.union_of(std::move(ways)));
}

Diagram SetTeller::natural(PacketWay way, Diagram set) {
  const auto is = [&](Part part, std::uint64_t first, std::uint64_t last) {
    return d_.where(space_.field(part), first, last);
  };
  Diagram all = d_.both(set, is(Part::Type, 0, 2));
  // What narrows it is taken where something is left.
  const auto narrow = [&](Diagram by) {
    const Diagram some = d_.both(all, by);
    if (some != analyze::kNothing) all = some;
  };
  const bool sent = way == PacketWay::Sent;
  const auto from = [&](const net::AddressSet& of) { return in(Part::Source4, Part::Source6, of); };
  const auto to = [&](const net::AddressSet& of) {
    return in(Part::Destination4, Part::Destination6, of);
  };
  narrow(space_.first_packets());
  narrow(d_.choose(space_.is(Part::Protocol, net::protocol::kTcp), is(Part::Flags, 2, 2),
                   analyze::kEverything));
  if (way != PacketWay::Passes) narrow(sent ? from(own_) : to(own_));
  narrow(sent ? d_.complement(to(odd_)) : d_.complement(from(odd_)));
  narrow(by_devices(way));
  if (way == PacketWay::Arrives) narrow(device(Part::OutDevice, ""));
  narrow(is(Part::Type, 0, 0));
  narrow(is(Part::TimeToLive, 2, 255));
  return all;
}

net::AddressSet SetTeller::addresses(Diagram set, bool source) {
  return analyze::addresses_in(d_, space_, set, source).addresses;
}

// --- services ----------------------------------------------------------------------------------

namespace {

std::string in_numbers(std::uint8_t protocol, const analyze::Values& values) {
  return values.first == values.last
             ? fmt::format("{}/{}", net::protocol_name(protocol), values.first)
             : fmt::format("{}/{}-{}", net::protocol_name(protocol), values.first, values.last);
}

// The literal's own values, as ports() has them.
analyze::Values values_of(const policy::ServiceLiteral& literal) {
  if (literal.icmp_type) return {*literal.icmp_type, *literal.icmp_type};
  if (net::has_ports(literal.protocol)) {
    return {literal.destination.first, literal.destination.last};
  }
  return {0, 65535};
}

bool is_icmp(std::uint8_t protocol) {
  return protocol == net::protocol::kIcmp || protocol == net::protocol::kIcmpv6;
}

}  // namespace

std::string SetTeller::services(Diagram set, bool& whole) {
  const FieldId protocol_field = space_.field(Part::Protocol);
  std::vector<std::uint8_t> protocols;
  for (const auto& run : d_.runs(project(set, {protocol_field}), protocol_field)) {
    if (run.then != analyze::kEverything) continue;
    for (std::uint64_t value = run.values.first; value <= run.values.last; ++value) {
      protocols.push_back(static_cast<std::uint8_t>(value));
    }
  }
  // By protocol, the ports or types; of the others all there is.
  using Found = std::pair<std::uint8_t, analyze::Values>;
  std::vector<Found> found;
  bool all_of_each = true;
  for (const std::uint8_t protocol : protocols) {
    const bool icmp = is_icmp(protocol);
    if (!icmp && !net::has_ports(protocol)) {
      found.push_back({protocol, {0, 65535}});
      continue;
    }
    const FieldId field = space_.field(icmp ? Part::Transport0 : Part::Transport2);
    const Diagram of = d_.both(set, d_.where(protocol_field, protocol, protocol));
    for (const auto& run : d_.runs(project(of, {field}), field)) {
      if (run.then != analyze::kEverything) continue;
      const unsigned shift = icmp ? 8 : 0;
      found.push_back({protocol, {run.values.first >> shift, run.values.last >> shift}});
      all_of_each = all_of_each && run.values.first == 0 && run.values.last == 65535;
    }
  }
  constexpr std::size_t kNearlyAll = 240;  // IPv6's extension headers are no protocols
  if (protocols.size() >= kNearlyAll) {
    whole = all_of_each;
    return "any service";
  }
  std::vector<std::string> words;
  const auto take = [&](const Found& one) {
    const auto at = std::ranges::find(found, one);
    if (at == found.end()) return false;
    found.erase(at);
    return true;
  };
  // A service's name where all its literals are there, the longest first.
  std::vector<const policy::Service*> services;
  for (const policy::Service& service : names_.policy().services) services.push_back(&service);
  std::ranges::stable_sort(services, std::greater(),
                           [](const policy::Service* service) { return service->literals.size(); });
  for (const policy::Service* service : services) {
    const bool fits =
        !service->literals.empty() &&
        std::ranges::all_of(service->literals, [&](const policy::ServiceLiteral& literal) {
          const bool any_source = literal.source.first == 0 && literal.source.last == 65535;
          return (any_source || !net::has_ports(literal.protocol)) &&
                 std::ranges::find(found, Found{literal.protocol, values_of(literal)}) !=
                     found.end();
        });
    if (!fits) continue;
    for (const policy::ServiceLiteral& literal : service->literals) {
      take({literal.protocol, values_of(literal)});
    }
    words.push_back(service->name);
  }
  for (const auto& [protocol, values] : found) {
    if (is_icmp(protocol) || net::has_ports(protocol)) {
      const bool every = values.first == 0 && values.last == (is_icmp(protocol) ? 255 : 65535);
      words.push_back(every ? std::string(net::protocol_name(protocol))
                            : in_numbers(protocol, values));
    } else {
      words.push_back(fmt::format("protocol/{}", protocol));
    }
  }
  return listed(words);
}

// --- all of it ---------------------------------------------------------------------------------

std::string SetTeller::devices(PacketWay way, Diagram set, Diagram expected, Diagram& box) {
  std::string words;
  const auto add = [&](Part part, std::string_view option) {
    std::vector<std::string> names;
    Diagram some = analyze::kNothing;
    bool all = true;
    for (const ruleset::Interface& interface : host_.interfaces) {
      const Diagram by = device(part, interface.device);
      const bool takes = d_.both(set, by) != analyze::kNothing;
      all = all && (takes || d_.both(expected, by) == analyze::kNothing);
      if (!takes) continue;
      some = d_.either(some, by);
      const std::string& name = interface.name.empty() ? interface.device : interface.name;
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
    if (all || names.empty()) return;
    box = d_.both(box, some);
    words += fmt::format("{}{}={}", words.empty() ? "" : " ", option, fmt::join(names, ","));
  };
  if (way != PacketWay::Sent) add(Part::InDevice, "in");
  if (way != PacketWay::Arrives) add(Part::OutDevice, "out");
  return words;
}

std::string SetTeller::states(Diagram set) {
  const Diagram by_state = project(set, {space_.state()});
  std::vector<std::string> names;
  for (const auto& state : net::kCtStates) {
    const bool has =
        d_.both(by_state, d_.where(space_.state(), state.bit, state.bit)) != analyze::kNothing;
    if (has) names.emplace_back(state.name);
  }
  return fmt::format("{}", fmt::join(names, ","));
}

// The documentation's own, where it is among them; else the first that a machine can have.
Diagram SetTeller::likely(const SetWords& words, Diagram set) {
  const auto narrow = [&](const net::AddressSet& of, Part ipv4, Part ipv6) {
    std::vector<net::Address> wanted;
    for (const char* usual : {"192.0.2.1", "2001:db8:ffff::1"}) {
      const auto prefix = net::parse_prefix(usual);
      if (prefix && of.contains(prefix->address)) wanted.push_back(prefix->address);
    }
    for (const net::Prefix& prefix : net::to_prefixes(of)) {
      const net::Address first = host_addresses(prefix).first;
      if (of.contains(first)) wanted.push_back(first);
      if (wanted.size() > kMostWords) break;
    }
    for (const net::Address& address : wanted) {
      const net::Prefix alone{address, net::address_bits(address)};
      Diagram some = d_.both(set, in(ipv4, ipv6, net::AddressSet::from({alone})));
      some = d_.both(some, net::is_ipv4(address) ? space_.is_ipv4() : space_.is_ipv6());
      if (some == analyze::kNothing) continue;
      set = some;
      return;
    }
  };
  narrow(words.from_set, Part::Source4, Part::Source6);
  narrow(words.to_set, Part::Destination4, Part::Destination6);
  return set;
}

SetWords SetTeller::tell(PacketWay way, Diagram set) {
  SetWords words;
  const Diagram some = natural(way, set);
  words.natural = some;
  bool whole = true;
  words.service = services(some, whole);
  const bool ipv4 = d_.both(some, space_.is_ipv4()) != analyze::kNothing;
  const bool ipv6 = d_.both(some, space_.is_ipv6()) != analyze::kNothing;
  const net::AddressSet from = addresses(some, true);
  const net::AddressSet to = addresses(some, false);
  words.from_set = from;
  words.to_set = to;
  const auto own_name = [&](const net::AddressSet& side) -> std::optional<PolicyNames::Name> {
    net::AddressSet own = own_;
    if (!ipv4) own.ipv4 = {};
    if (!ipv6) own.ipv6 = {};
    if (side.empty() || !(side - own).empty() || !(own - side).empty()) return std::nullopt;
    return PolicyNames::Name{host_.name, true, !own_.ipv4.empty() && !own_.ipv6.empty()};
  };
  const auto from_own = way == PacketWay::Sent ? own_name(from) : std::nullopt;
  const auto to_own = way == PacketWay::Arrives ? own_name(to) : std::nullopt;
  const net::AddressSet none;
  const PolicyNames::Name from_name =
      from_own ? *from_own : names_.of(from, way == PacketWay::Sent ? none : odd_, ipv4, ipv6);
  const PolicyNames::Name to_name =
      to_own ? *to_own : names_.of(to, way == PacketWay::Sent ? odd_ : none, ipv4, ipv6);
  words.from = from_name.words;
  words.to = to_name.words;
  if (ipv4 != ipv6 && from_name.is_of_both && to_name.is_of_both) {
    words.options = ipv4 ? "family=4" : "family=6";
  }
  const auto add = [&](const std::string& option) {
    if (option.empty()) return;
    words.options += (words.options.empty() ? "" : " ") + option;
  };
  Diagram box = project(some, {space_.field(Part::Family)});
  const FieldId protocol = space_.field(Part::Protocol);
  box =
      d_.both(box, project(some, {space_.field(Part::Family), protocol,
                                  space_.field(Part::Transport2), space_.field(Part::Transport0)}));
  box = d_.both(box, in(Part::Source4, Part::Source6, from));
  box = d_.both(box, in(Part::Destination4, Part::Destination6, to));
  const Diagram first = d_.both(some, space_.first_packets());
  Diagram domain = first == analyze::kNothing ? space_.packets() : space_.first_packets();
  // As Difference has it: a short device's name has nothing behind its end.
  const auto leave_out = [&](std::string_view name) {
    if (name.size() >= 8 || name.ends_with('*')) return;
    for (const Part part : {Part::InDevice, Part::OutDevice}) {
      const FieldId field = space_.field(part);
      const std::uint64_t begins = eight_of(name, 0, 0);
      domain = d_.minus(domain, d_.both(d_.where(field, begins, begins),
                                        d_.complement(d_.where(field + 1, 0, 0))));
    }
  };
  leave_out("lo");
  for (const ruleset::Interface& interface : host_.interfaces) leave_out(interface.device);
  if (first == analyze::kNothing) {
    add("state=" + states(set));
    box = d_.both(box, project(some, {space_.state()}));
  }
  const Diagram expected = natural(way, d_.both(box, domain));
  add(devices(way, some, expected, box));
  words.whole =
      whole && from_name.whole && to_name.whole && natural(way, d_.both(box, domain)) == some;
  return words;
}

}  // namespace rolewall::ask
