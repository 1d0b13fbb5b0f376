#include "analyze/denotation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "net/built_in_steps.h"
#include "net/conntrack_helpers.h"
#include "net/protocol.h"
#include "ruleset/loads.h"
#include "ruleset/names.h"

namespace rolewall::analyze {
namespace {

using policy::Action;
using PolicyWay = policy::Direction;
namespace built_in = net::step;
namespace ct_state = ruleset::ct_state;
namespace protocol = net::protocol;

constexpr Diagram kNext = terminal(2);

// What `internet` leaves out beside the site's own: link-local, multicast, loopback.
constexpr std::array kNoInternet{"169.254.0.0/16", "fe80::/10",   "224.0.0.0/4",
                                 "ff00::/8",       "127.0.0.0/8", "::1"};
constexpr std::array kLinkLocal{"169.254.0.0/16", "fe80::/10"};
constexpr std::array kGroups{"224.0.0.0/4", "ff00::/8"};
// Addresses that mean the machine itself, or all on its link.
constexpr std::array kHere{"127.0.0.0/8", "0.0.0.0", "255.255.255.255", "::1"};

std::uint32_t word_at(net::Uint128 number, unsigned word) {
  return static_cast<std::uint32_t>(number >> (96 - 32 * word));
}

// Eight characters of a device's name, from `half * 8`; where it is shorter, filled up.
std::uint64_t half_of_device(std::string_view name, unsigned half, std::uint8_t filler) {
  std::uint64_t value = 0;
  for (std::size_t i = half * 8; i < half * 8 + 8; ++i) {
    value = value << 8 | (i < name.size() ? static_cast<std::uint8_t>(name[i]) : filler);
  }
  return value;
}

std::optional<net::Address> of_family(const policy::Translation& translation, bool ipv6) {
  for (const net::Address& address : translation.addresses) {
    if (net::is_ipv4(address) != ipv6) return address;
  }
  return std::nullopt;
}

// Whether the rule has the same packets and the same meaning, on whichever host it stands.
bool is_everywhere_alike(const policy::Rule& rule) {
  const policy::Conditions& conditions = rule.conditions;
  const auto names_self = [](const policy::Selectors& selectors) {
    return std::ranges::any_of(selectors.items, [](const policy::Selector& item) {
      return item.term.kind == policy::TermKind::Self;
    });
  };
  return conditions.in.empty() && conditions.out.empty() && !rule.limit && !rule.connections &&
         !names_self(conditions.from) && !names_self(conditions.to);
}

std::string port_of(const policy::Translation& translation) {
  return translation.port ? fmt::to_string(*translation.port) : "";
}

}  // namespace

Denotation::Denotation(Diagrams& diagrams, PacketSpace& space, Meanings& meanings,
                       const policy::Policy& policy, const policy::HostPolicy& host,
                       const RunTime& run_time)
    : d_(diagrams),
      space_(space),
      meanings_(meanings),
      policy_(policy),
      host_(host),
      run_time_(run_time) {}

// --- words -------------------------------------------------------------------------------------

Diagram Denotation::is(Part part, std::uint64_t first, std::uint64_t last) {
  return d_.where(space_.field(part), first, last);
}

Diagram Denotation::is_protocol(std::uint8_t number) {
  return is(Part::Protocol, number, number);
}

Diagram Denotation::is_state(std::uint32_t state) {
  return d_.where(space_.state(), state, state);
}

// An IPv6 address stands in four fields, the highest first; `word` is the one that is looked at.
Diagram Denotation::between(FieldId words, unsigned word, net::Uint128 first, net::Uint128 last) {
  if (word == 4) return kEverything;
  const std::uint32_t low = word_at(first, word);
  const std::uint32_t high = word_at(last, word);
  const auto is_word = [&](std::uint64_t from, std::uint64_t to) {
    return d_.where(words + word, from, to);
  };
  if (low == high) return d_.both(is_word(low, low), between(words, word + 1, first, last));
  const Diagram least = between(words, word + 1, first, ~net::Uint128{0});
  const Diagram most = between(words, word + 1, 0, last);
  Diagram all = d_.either(d_.both(is_word(low, low), least), d_.both(is_word(high, high), most));
  if (high - low > 1) {
    all = d_.either(all, is_word(std::uint64_t{low} + 1, std::uint64_t{high} - 1));
  }
  return all;
}

Diagram Denotation::at(Side side, const net::Prefix& prefix) {
  const bool source = side == Side::Source;
  const net::Address first = net::first(prefix);
  const net::Address last = net::last(prefix);
  if (const auto* ipv4 = std::get_if<net::Ipv4>(&first)) {
    return d_.both(space_.is_ipv4(), is(source ? Part::Source4 : Part::Destination4, ipv4->value,
                                        std::get<net::Ipv4>(last).value));
  }
  const FieldId words = space_.field(source ? Part::Source6 : Part::Destination6);
  return d_.both(space_.is_ipv6(), between(words, 0, std::get<net::Ipv6>(first).value,
                                           std::get<net::Ipv6>(last).value));
}

Diagram Denotation::at(Side side, std::span<const char* const> prefixes) {
  std::vector<Diagram> all;
  for (const char* text : prefixes) all.push_back(at(side, *net::parse_prefix(text)));
  return d_.union_of(std::move(all));
}

Diagram Denotation::of_host(Side side, const policy::Host& host) {
  std::vector<Diagram> all;
  for (const auto* list : {&host.addresses, &host.virtual_addresses}) {
    for (const net::Prefix& prefix : *list) all.push_back(at(side, prefix));
  }
  return d_.union_of(std::move(all));
}

Diagram Denotation::of_set(Side side, const net::AddressSet& set) {
  const bool source = side == Side::Source;
  std::vector<Values> values;
  for (const auto& interval : set.ipv4.intervals()) {
    values.push_back({interval.first.value, interval.last.value});
  }
  const Diagram ipv4 = d_.where(space_.field(source ? Part::Source4 : Part::Destination4), values);
  std::vector<Diagram> ipv6;
  const FieldId words = space_.field(source ? Part::Source6 : Part::Destination6);
  for (const auto& interval : set.ipv6.intervals()) {
    ipv6.push_back(between(words, 0, interval.first.value, interval.last.value));
  }
  return d_.either(d_.both(space_.is_ipv4(), ipv4),
                   d_.both(space_.is_ipv6(), d_.union_of(std::move(ipv6))));
}

Diagram Denotation::of_term(Side side, const policy::Term& term) {
  Terms& terms = term.kind == policy::TermKind::Self ? terms_ : shared_->terms;
  const std::tuple key(side == Side::Source, term.kind, term.index, term.prefix);
  const auto had = terms.find(key);
  if (had != terms.end()) return had->second;
  const Diagram made = made_of_term(side, term);
  terms.emplace(key, made);
  return made;
}

Diagram Denotation::made_of_term(Side side, const policy::Term& term) {
  const auto of_hosts = [&](const auto& is_meant) {
    std::vector<Diagram> all;
    for (policy::Index i = 0; i < policy_.hosts.size(); ++i) {
      if (is_meant(i)) all.push_back(of_host(side, policy_.hosts[i]));
    }
    return d_.union_of(std::move(all));
  };
  const auto has = [](const std::vector<policy::Index>& all, policy::Index one) {
    return std::ranges::find(all, one) != all.end();
  };
  switch (term.kind) {
    case policy::TermKind::Any:
      return kEverything;
    case policy::TermKind::Internet:
      return d_.complement(inside(side));
    case policy::TermKind::Site:
      return of_hosts([](policy::Index) { return true; });
    case policy::TermKind::Self:
      return of_host(side, *host_.host);
    case policy::TermKind::Management:
      return policy_.management ? of_selectors(side, *policy_.management) : kNothing;
    case policy::TermKind::LinkLocal:
      return at(side, kLinkLocal);
    case policy::TermKind::Prefix:
      return at(side, term.prefix);
    case policy::TermKind::Host:
      return of_host(side, policy_.hosts[term.index]);
    case policy::TermKind::Role:
      return of_hosts(
          [&](policy::Index host) { return has(policy_.hosts[host].roles, term.index); });
    case policy::TermKind::Tag:
      return of_hosts(
          [&](policy::Index host) { return has(policy_.hosts[host].tags, term.index); });
    case policy::TermKind::Network:
      return of_set(side, policy_.networks[term.index].addresses);
  }
  return kNothing;
}

Diagram Denotation::inside(Side side) {
  std::vector<Diagram> all{at(side, kNoInternet)};
  for (const policy::Host& host : policy_.hosts) all.push_back(of_host(side, host));
  if (policy_.internal.given) all.push_back(of_selectors(side, policy_.internal));
  return d_.union_of(std::move(all));
}

Diagram Denotation::of_selectors(Side side, const policy::Selectors& selectors) {
  if (!selectors.given) return kEverything;
  bool has_plain = false;
  Diagram plain = kNothing;
  Diagram negated = kNothing;
  for (const policy::Selector& selector : selectors.items) {
    const Diagram term = of_term(side, selector.term);
    if (selector.negated) {
      negated = d_.either(negated, term);
    } else {
      plain = d_.either(plain, term);
      has_plain = true;
    }
  }
  return d_.minus(has_plain ? plain : kEverything, negated);
}

// The keyword `icmp` is IPv4's and `icmpv6` IPv6's; "protocol/1" is the bare number in both.
Diagram Denotation::of_literal(const policy::ServiceLiteral& literal) {
  Diagram all = is_protocol(literal.protocol);
  if (literal.text.starts_with("protocol/")) return all;
  const bool icmp = literal.protocol == protocol::kIcmp;
  if (icmp || literal.protocol == protocol::kIcmpv6) {
    all = d_.both(all, icmp ? space_.is_ipv4() : space_.is_ipv6());
    if (literal.icmp_type) {
      const std::uint64_t type = std::uint64_t{*literal.icmp_type} << 8;
      all = d_.both(all, is(Part::Transport0, type, type + 255));
    }
    return all;
  }
  all = d_.both(all, is(Part::Transport0, literal.source.first, literal.source.last));
  return d_.both(all, is(Part::Transport2, literal.destination.first, literal.destination.last));
}

Diagram Denotation::of_services(const policy::ServiceList& services) {
  if (!services.given) return kEverything;
  std::vector<Diagram> all;
  for (const policy::ServiceLiteral& literal : services.literals) {
    all.push_back(of_literal(literal));
  }
  return d_.union_of(std::move(all));
}

Diagram Denotation::by_device(Part part, std::string_view device) {
  const FieldId first = space_.field(part);
  const bool is_pattern = device.ends_with('*');
  if (is_pattern) device.remove_suffix(1);
  const std::uint8_t most = is_pattern ? 255 : 0;
  return d_.both(
      d_.where(first, half_of_device(device, 0, 0), half_of_device(device, 0, most)),
      d_.where(first + 1, half_of_device(device, 1, 0), half_of_device(device, 1, most)));
}

Diagram Denotation::by_interfaces(Part part, const std::vector<std::string>& names) {
  if (names.empty()) return kEverything;
  std::vector<Diagram> all;
  for (const policy::HostInterface& interface : host_.host->interfaces) {
    if (std::ranges::find(names, interface.name) == names.end()) continue;
    for (const std::string& device : interface.devices) all.push_back(by_device(part, device));
  }
  return d_.union_of(std::move(all));
}

Diagram Denotation::matches(const policy::Rule& rule, Direction direction) {
  // All of them, by name: what is not asked here would be taken for granted (policy.h).
  const auto& [services, from, to, in, out, user] = rule.conditions;
  Diagram all = d_.both(of_services(services), of_selectors(Side::Source, from));
  all = d_.both(all, of_selectors(Side::Destination, to));
  // What a local program sends has come by no device.
  if (!in.empty() && direction == Direction::Send) return kNothing;
  all = d_.both(all, by_interfaces(Part::InDevice, in));
  all = d_.both(all, by_interfaces(Part::OutDevice, out));
  if (user) {
    all = d_.both(all, d_.where(space_.has_user(), 1, 1));
    all = d_.both(all, d_.where(space_.user(), *user, *user));
  }
  return all;
}

// Neighbour discovery, router advertisements and MLD (RFC 4861, 2710, 3810).
Diagram Denotation::is_discovery() {
  const auto type = [&](std::uint64_t first, std::uint64_t last) {
    return is(Part::Transport0, first << 8, last << 8 | 255);
  };
  return d_.both(d_.both(space_.is_ipv6(), is_protocol(protocol::kIcmpv6)),
                 d_.either(type(130, 136), type(143, 143)));
}

// --- steps -------------------------------------------------------------------------------------

Diagram Denotation::accepted(std::string_view by) {
  Meaning meaning;
  meaning.by = by;
  return meanings_.terminal_of(meaning);
}

Diagram Denotation::dropped(std::string_view by) {
  Meaning meaning;
  meaning.fate = Fate::Drop;
  meaning.by = by;
  return meanings_.terminal_of(meaning);
}

// A connection's first packet, TCP with SYN and no ACK, gets a reset; every other packet ICMP.
Diagram Denotation::denied(Action action, std::string_view by) {
  switch (action) {
    case Action::Accept:
      return accepted(by);
    case Action::Drop:
      return dropped(by);
    case Action::Reject:
      break;
  }
  constexpr unsigned kSyn = 2;
  constexpr unsigned kAck = 16;
  std::vector<Values> begins;
  for (unsigned flags = 0; flags < 256; ++flags) {
    if ((flags & (kSyn | kAck)) == kSyn) begins.push_back({flags, flags});
  }
  const Diagram first_of_tcp =
      d_.both(is_protocol(protocol::kTcp), d_.where(space_.field(Part::Flags), begins));
  Meaning meaning;
  meaning.fate = Fate::Reject;
  meaning.by = by;
  meaning.told = told::kProhibited;
  const Diagram prohibited = meanings_.terminal_of(meaning);
  meaning.told = told::kReset;
  return d_.choose(first_of_tcp, meanings_.terminal_of(meaning), prohibited);
}

Diagram Denotation::step(Diagram packets, Diagram meaning) {
  return d_.choose(packets, meaning, kNext);
}

Diagram Denotation::first_of(std::span<const Diagram> steps) {
  if (steps.empty()) return kNext;
  if (steps.size() == 1) return steps.front();
  const std::size_t half = steps.size() / 2;
  return d_.replace(first_of(steps.first(half)), value_of(kNext), first_of(steps.subspan(half)));
}

FieldId Denotation::limit(const std::string& rule, bool connections) {
  const std::pair key(rule, connections);
  if (const auto had = limits_.find(key); had != limits_.end()) return had->second;
  const FieldId field = space_.free(
      fmt::format("it is over {} of {}", connections ? "the connections" : "the limit", rule), 1,
      FieldKind::Choice);
  space_.set_unspent(field, 0);
  limits_.emplace(key, field);
  return field;
}

// A limit denies the excess: by a drop or reject rule's own action, else by the direction's
// default. Within it an accept rule accepts, a drop or reject rule passes on to the next.
Denotation::Step Denotation::ruled(const policy::Rule& rule, Action by_default,
                                   Direction direction) {
  const bool everywhere = is_everywhere_alike(rule);
  if (everywhere) {
    const auto had = shared_->rules.find({&rule, direction});
    if (had != shared_->rules.end()) return had->second;
  }
  const std::string& name = rule.full_name;
  const bool audits = host_.defaults.mode == policy::Mode::Audit;
  Diagram over = kNothing;
  const auto add = [&](bool connections) {
    over = d_.either(over, d_.where(limit(name, connections), 1, 1));
  };
  if (rule.limit) add(false);
  if (rule.connections) add(true);
  Diagram meaning = denied(rule.action, name);
  if (rule.limit || rule.connections) {
    const bool accepts = rule.action == Action::Accept;
    const Diagram excess = accepts ? denied(audits ? Action::Accept : by_default, name) : meaning;
    meaning = d_.choose(over, excess, accepts ? meaning : kNext);
  }
  const Step step{&rule, name, matches(rule, direction), meaning};
  if (everywhere) shared_->rules.emplace(std::pair(&rule, direction), step);
  return step;
}

// What is related and an answer all the same: ICMP errors, resets that `reject` sends, and what a
// helper made so that this policy names.
Diagram Denotation::related() {
  Diagram all = d_.either(is_protocol(protocol::kIcmp), is_protocol(protocol::kIcmpv6));
  std::vector<Values> resets;
  for (unsigned flags = 0; flags < 256; ++flags) {
    if ((flags & 4) != 0) resets.push_back({flags, flags});
  }
  all = d_.either(
      all, d_.both(is_protocol(protocol::kTcp), d_.where(space_.field(Part::Flags), resets)));
  const std::string read = fmt::format("ct {}", ruleset::name_of(ruleset::CtKey::Helper));
  for (const auto* rules : {&host_.inbound, &host_.outbound, &host_.forward}) {
    for (const policy::EffectiveRule& each : *rules) {
      const net::ConntrackHelper* helper = each.rule->helper;
      if (helper == nullptr) continue;
      expected_ = space_.free("a helper of the policy expects it", 1, FieldKind::NotModelled);
      std::array<std::uint8_t, 16> name{};
      std::ranges::copy(helper->name, name.begin());
      const Bits bits = space_.free_bits(read, 128, FieldKind::NotModelled);
      const auto is_named = Comparison(d_).equal(bits, name);
      all = d_.either(all, d_.both(d_.where(*expected_, 1, 1), is_named.value_or(kNothing)));
    }
  }
  return step(d_.both(is_state(ct_state::kRelated), all), accepted(built_in::kEstablished));
}

// What a banned address sends, and what is sent to it: but for neighbour discovery.
Diagram Denotation::banned(PolicyWay way, Translating translating) {
  if (run_time_.banned.empty()) return kNext;
  const auto is_banned = [&](Side side) {
    std::vector<Diagram> all;
    for (const net::Prefix& prefix : run_time_.banned) all.push_back(at(side, prefix));
    return d_.minus(d_.union_of(std::move(all)), is_discovery());
  };
  const Diagram sends = step(is_banned(Side::Source), dropped(built_in::kBanned));
  if (way == PolicyWay::Inbound) return sends;
  const bool passes = way == PolicyWay::Forward;
  const Action by_default = passes ? host_.defaults.forward : host_.defaults.outbound;
  Diagram to_banned = is_banned(Side::Destination);
  if (translating != nullptr) {
    const auto of = [&](bool ipv6) {
      const auto address = new_address(translating, ipv6);
      const bool is_one = address && std::ranges::any_of(run_time_.banned, [&](const auto& one) {
                            return net::AddressSet::from({one}).contains(*address);
                          });
      return is_one ? d_.complement(is_discovery()) : kNothing;
    };
    to_banned = d_.choose(space_.is_ipv6(), of(true), of(false));
  }
  const Diagram gets =
      step(to_banned,
           denied(by_default == Action::Accept ? Action::Drop : by_default, built_in::kBanned));
  if (!passes) return gets;
  return first_of(std::array{sends, gets});
}

// A source `behind` interfaces of this host that arrives on none of them.
Diagram Denotation::spoofed() {
  Diagram behind = kNothing;
  Diagram right = kNothing;
  for (const policy::HostInterface& interface : host_.host->interfaces) {
    if (!interface.behind) continue;
    const Diagram from = of_set(Side::Source, *interface.behind);
    behind = d_.either(behind, from);
    for (const std::string& device : interface.devices) {
      right = d_.either(right, d_.both(from, by_device(Part::InDevice, device)));
    }
  }
  return step(d_.minus(behind, right), dropped(built_in::kSpoofed));
}

// By the port that the packet comes to.
Diagram Denotation::opened(Translating translating) {
  std::vector<Diagram> all;
  for (const RunTime::Opening& opening : run_time_.opened) {
    Diagram one = d_.both(is_protocol(opening.protocol),
                          at(Side::Source, {opening.from, net::address_bits(opening.from)}));
    const auto port = translating != nullptr ? translating->translation->port : std::nullopt;
    if (port) {
      if (*port != opening.port) one = kNothing;
    } else {
      one = d_.both(one, is(Part::Transport2, opening.port, opening.port));
    }
    all.push_back(one);
  }
  return step(d_.union_of(std::move(all)), accepted(built_in::kAllowed));
}

// --- ways --------------------------------------------------------------------------------------

// `translating`: what the packet's destination is made, while `service` and `to` mean what the
// client wrote.
std::vector<Denotation::Step> Denotation::steps(PolicyWay way, Translating translating) {
  const policy::Defaults& defaults = host_.defaults;
  const bool audits = defaults.mode == policy::Mode::Audit;
  const bool leaves = way == PolicyWay::Outbound;
  const Direction direction = leaves ? Direction::Send : Direction::Arrive;
  std::vector<Step> steps;
  const auto add = [&](std::string_view by, Diagram meaning) {
    steps.push_back({nullptr, by, kEverything, meaning});
  };
  add(built_in::kEstablished,
      step(is_state(ct_state::kEstablished), accepted(built_in::kEstablished)));
  // Before the rarer part of (established), which accepts as well.
  if (way != PolicyWay::Forward) {
    add(built_in::kLoopback, step(by_device(leaves ? Part::OutDevice : Part::InDevice, "lo"),
                                  accepted(built_in::kLoopback)));
  }
  add(built_in::kEstablished, related());
  add(built_in::kBanned, banned(way, translating));
  if (!audits) {
    add(built_in::kInvalid, step(is_state(ct_state::kInvalid), dropped(built_in::kInvalid)));
    if (!leaves) add(built_in::kSpoofed, spoofed());
  }
  if (way == PolicyWay::Inbound) add(built_in::kAllowed, opened(translating));
  const bool passes = way == PolicyWay::Forward;
  const Action by_default = leaves   ? defaults.outbound
                            : passes ? defaults.forward
                                     : defaults.inbound;
  for (const policy::EffectiveRule& each : leaves   ? host_.outbound
                                           : passes ? host_.forward
                                                    : host_.inbound) {
    const policy::Rule& rule = *each.rule;
    if (!rule.early) steps.push_back(ruled(rule, by_default, direction));
  }
  // A [[nat]] rule admits what it translates.
  if (translating != nullptr) add(translating->full_name, accepted(translating->full_name));
  add(built_in::kDefault, denied(audits ? Action::Accept : by_default, built_in::kDefault));
  return steps;
}

Diagram Denotation::first_of(const std::vector<Step>& steps) {
  std::vector<Diagram> meanings;
  for (const Step& each : steps) meanings.push_back(step(each.packets, each.then));
  return first_of(meanings);
}

Diagram Denotation::matched(const Step& step) {
  return d_.both(step.packets, d_.map(step.then, [](std::uint32_t value) {
    return value == kGoesOn ? kNothing : kEverything;
  }));
}

// By its fate alone, so that many steps are alike.
Diagram Denotation::accepted(const std::vector<Step>& steps) {
  std::vector<Diagram> fates;
  for (const Step& each : steps) {
    const Diagram fate = d_.map(each.then, [&](std::uint32_t value) {
      if (value < Meanings::kFirst) return terminal(value);
      return meanings_.of(value).fate == Fate::Accept ? kEverything : kNothing;
    });
    fates.push_back(step(each.packets, fate));
  }
  return d_.replace(first_of(fates), kGoesOn, kNothing);
}

Diagram Denotation::judged(PolicyWay way, Translating translating) {
  return first_of(steps(way, translating));
}

bool Denotation::bears(const net::Address& address) const {
  if (net::is_multicast(address)) return true;
  for (const auto* list : {&host_.host->addresses, &host_.host->virtual_addresses}) {
    if (net::AddressSet::from(*list).contains(address)) return true;
  }
  return false;
}

std::optional<net::Address> Denotation::new_address(Translating translating, bool ipv6) const {
  return of_family(*translating->translation, ipv6);
}

std::vector<net::Address> Denotation::own_addresses(bool ipv6) const {
  std::vector<net::Address> all;
  for (const net::Prefix& prefix : host_.host->addresses) {
    const bool single = prefix.length == net::address_bits(prefix.address);
    if (single && net::is_ipv4(prefix.address) != ipv6) all.push_back(prefix.address);
  }
  return all;
}

bool Denotation::is_one_of_own(const net::Address& address) const {
  const bool drawn = std::ranges::any_of(host_.nat, [](const policy::EffectiveRule& each) {
    return each.rule->translation->kind == policy::Translation::Kind::Local;
  });
  const auto own = own_addresses(!net::is_ipv4(address));
  return drawn && own.size() > 1 && std::ranges::find(own, address) != own.end();
}

// Delivered to this host; the others it passes on.
Diagram Denotation::is_delivered(Translating translating) {
  if (translating != nullptr) {
    if (translating->translation->kind == policy::Translation::Kind::Local) return kEverything;
    const auto here = [&](bool ipv6) {
      const auto address = new_address(translating, ipv6);
      return address && bears(*address) ? kEverything : kNothing;
    };
    return d_.choose(space_.is_ipv6(), here(true), here(false));
  }
  Diagram all = of_host(Side::Destination, *host_.host);
  all = d_.either(all, at(Side::Destination, kGroups));
  all = d_.either(all, at(Side::Destination, kHere));
  // Each link has a link-local address of its own, which no policy lists: what names no device to
  // leave by is for this host.
  const std::array<const char*, 1> link{"fe80::/10"};
  all = d_.either(all, d_.both(at(Side::Destination, link), by_device(Part::OutDevice, "")));
  // What the host has sent to itself.
  std::vector<Diagram> own;
  const std::array<const char*, 2> loopback{"127.0.0.0/8", "::1"};
  own.push_back(at(Side::Source, loopback));
  for (const auto* list : {&host_.host->addresses, &host_.host->virtual_addresses}) {
    for (const net::Prefix& prefix : *list) {
      if (prefix.length == net::address_bits(prefix.address)) {
        own.push_back(at(Side::Source, prefix));
      }
    }
  }
  return d_.either(all, d_.both(by_device(Part::InDevice, "lo"), d_.union_of(std::move(own))));
}

Diagram Denotation::arriving(Translating translating) {
  Meaning none;
  none.fate = Fate::Stack;
  const Diagram passed =
      d_.choose(by_device(Part::OutDevice, ""), meanings_.terminal_of(none),
                with_source(judged(PolicyWay::Forward, translating), Direction::Arrive));
  return d_.choose(is_delivered(translating), judged(PolicyWay::Inbound, translating), passed);
}

// Before connection tracking: of all that arrives but over the loopback and neighbour discovery.
std::vector<Denotation::Step> Denotation::early_steps() {
  std::vector<Step> steps;
  for (const policy::EffectiveRule& each : host_.inbound) {
    const policy::Rule& rule = *each.rule;
    if (!rule.early) continue;
    steps.push_back(ruled(rule, host_.defaults.inbound, Direction::Arrive));
  }
  return steps;
}

Diagram Denotation::early() {
  return d_.choose(not_early(), kNext, first_of(early_steps()));
}

Diagram Denotation::not_early() {
  return d_.either(by_device(Part::InDevice, "lo"), is_discovery());
}

Diagram Denotation::translated_by(const policy::Rule& rule) {
  const Diagram first = d_.minus(is_state(ct_state::kNew), by_device(Part::InDevice, "lo"));
  const Diagram asked = d_.both(matches(rule, Direction::Arrive), concerned(*rule.translation));
  return d_.both(first, d_.minus(asked, is_already(rule, Side::Destination)));
}

// --- translations ------------------------------------------------------------------------------

// It concerns the families of its addresses alone.
Diagram Denotation::concerned(const policy::Translation& translation) const {
  if (translation.addresses.empty()) return kEverything;
  const bool ipv4 = of_family(translation, false).has_value();
  const bool ipv6 = of_family(translation, true).has_value();
  if (ipv4 && ipv6) return kEverything;
  return ipv4 ? space_.is_ipv4() : space_.is_ipv6();
}

// Packets that are already what the rule would make them: they are not translated.
Diagram Denotation::is_already(const policy::Rule& rule, Side side) {
  const policy::Translation& translation = *rule.translation;
  const auto of = [&](bool ipv6) {
    std::vector<net::Address> to;
    if (const auto address = of_family(translation, ipv6)) to.push_back(*address);
    const bool local = translation.kind == policy::Translation::Kind::Local;
    if (local) to = own_addresses(ipv6);
    const bool drawn = local && to.size() > 1;
    const FieldId first = drawn ? space_.first_address(to) : 0;
    if (drawn && std::ranges::find(told_, first) == told_.end()) told_.push_back(first);
    std::vector<Diagram> all;
    for (std::size_t i = 0; i < to.size(); ++i) {
      Diagram one = at(side, {to[i], net::address_bits(to[i])});
      const std::uint64_t last = i + 1 == to.size() && drawn ? d_.largest(first) : i;
      if (drawn) one = d_.both(one, d_.where(first, i, last));
      all.push_back(one);
    }
    return d_.union_of(std::move(all));
  };
  Diagram all = d_.choose(space_.is_ipv6(), of(true), of(false));
  if (translation.port) {
    all = d_.both(all, is(Part::Transport2, *translation.port, *translation.port));
  }
  return all;
}

Diagram Denotation::changed(Diagram all, Side side, std::string_view address,
                            const std::string& port) {
  return d_.map(all, [&](std::uint32_t value) {
    if (value < Meanings::kFirst || meanings_.of(value).fate != Fate::Accept) {
      return terminal(value);
    }
    Meaning meaning = meanings_.of(value);
    (side == Side::Source ? meaning.source : meaning.destination) = address;
    if (!port.empty()) meaning.port = port;
    return meanings_.terminal_of(meaning);
  });
}

Diagram Denotation::with_destination(Diagram all, const policy::Rule& rule) {
  const policy::Translation& translation = *rule.translation;
  const auto of = [&](bool ipv6) {
    auto address = of_family(translation, ipv6);
    if (translation.kind == policy::Translation::Kind::Local) {
      const auto own = own_addresses(ipv6);
      if (own.size() == 1) address = own.front();
    }
    const bool is_told = address && !is_one_of_own(*address);
    return changed(all, Side::Destination, is_told ? net::format(*address) : std::string(kDrawn),
                   port_of(translation));
  };
  return d_.choose(space_.is_ipv6(), of(true), of(false));
}

// As it leaves, asked with what the client wrote. A connection's first packet alone is translated,
// and nothing that came over the loopback.
Diagram Denotation::with_source(Diagram all, Direction direction) {
  Diagram result = all;
  for (auto each = host_.nat.rbegin(); each != host_.nat.rend(); ++each) {
    const policy::Rule& rule = *each->rule;
    const policy::Translation& translation = *rule.translation;
    if (!translation.of_source()) continue;
    const auto of = [&](bool ipv6) {
      const auto address = of_family(translation, ipv6);
      return changed(all, Side::Source, address ? net::format(*address) : std::string(kDrawn), "");
    };
    Diagram translated = d_.choose(space_.is_ipv6(), of(true), of(false));
    if (!translation.addresses.empty()) {
      translated = d_.choose(is_already(rule, Side::Source), all, translated);
    }
    result =
        d_.choose(d_.both(matches(rule, direction), concerned(translation)), translated, result);
  }
  Diagram first = is_state(ct_state::kNew);
  if (direction == Direction::Arrive) first = d_.minus(first, by_device(Part::InDevice, "lo"));
  return d_.choose(first, result, all);
}

Diagram Denotation::of(Direction direction) {
  if (direction == Direction::Send) {
    return with_source(judged(PolicyWay::Outbound, nullptr), Direction::Send);
  }
  const Diagram as_it_is = arriving(nullptr);
  const Diagram first = d_.minus(is_state(ct_state::kNew), by_device(Part::InDevice, "lo"));
  Diagram translated = as_it_is;
  for (auto each = host_.nat.rbegin(); each != host_.nat.rend(); ++each) {
    const policy::Rule& rule = *each->rule;
    const policy::Translation& translation = *rule.translation;
    if (translation.of_source()) continue;
    const Diagram asked = d_.both(matches(rule, direction), concerned(translation));
    const Diagram already = is_already(rule, Side::Destination);
    const Diagram goes = d_.choose(already, as_it_is, with_destination(arriving(&rule), rule));
    translated = d_.choose(asked, goes, translated);
  }
  return first_of(std::array{early(), d_.choose(first, translated, as_it_is)});
}

std::vector<Denotation::Step> Denotation::translations(bool of_source, Direction direction) {
  std::vector<Step> steps;
  for (const policy::EffectiveRule& each : host_.nat) {
    const policy::Rule& rule = *each.rule;
    if (rule.translation->of_source() != of_source) continue;
    const Diagram asked = d_.both(matches(rule, direction), concerned(*rule.translation));
    steps.push_back({&rule, rule.full_name, asked, accepted(rule.full_name)});
  }
  return steps;
}

std::optional<FieldId> Denotation::over(std::string_view rule, bool connections) const {
  const auto at = limits_.find(std::pair(std::string(rule), connections));
  return at == limits_.end() ? std::nullopt : std::optional(at->second);
}

bool Denotation::translates(std::string_view rule) const {
  return std::ranges::any_of(
      host_.nat, [&](const policy::EffectiveRule& each) { return each.rule->full_name == rule; });
}

}  // namespace rolewall::analyze
