#include "ask/prover.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

#include "ask/prover_parts.h"
#include "net/protocol.h"
#include "ruleset/order_words.h"

namespace rolewall::ask {
namespace {

using analyze::Analysis;
using analyze::Diagram;
using analyze::Fate;
using analyze::kNothing;
using analyze::Part;
using policy::Index;

constexpr std::array<Fate, 1> kAccepted{Fate::Accept};
constexpr std::array<Fate, 2> kDenied{Fate::Drop, Fate::Reject};
constexpr std::array<Fate, 2> kNotDropped{Fate::Accept, Fate::Reject};
constexpr std::array<Fate, 2> kNotRejected{Fate::Accept, Fate::Drop};
constexpr std::size_t kMostMachines = 32;

bool breaks(Claim claim, Verdict verdict) {
  switch (claim) {
    case Claim::Never:
      return verdict == Verdict::Accept;
    case Claim::Always:
      return verdict == Verdict::Drop || verdict == Verdict::Reject;
    case Claim::Drop:
      return verdict == Verdict::Accept || verdict == Verdict::Reject;
    case Claim::Reject:
      return verdict == Verdict::Accept || verdict == Verdict::Drop;
  }
  return false;
}

// Whatever is drawn, and not only for what is usual.
bool may_break(Claim claim, const Answer& answer) {
  if (breaks(claim, answer.verdict)) return true;
  const Hop* hop = deciding_hop(answer);
  if (hop == nullptr || answer.verdict != Verdict::Conditional) return false;
  return std::ranges::any_of(hop->alternatives, [&](const Alternative& alternative) {
    return breaks(claim, alternative.verdict);
  });
}

// Where it hangs on the order of chains alone, which is one or the other and no draw: that order.
// "" where it does not.
std::string order_that_decides(Claim claim, const Answer& answer) {
  const Hop* hop = deciding_hop(answer);
  if (hop == nullptr || answer.verdict != Verdict::Conditional) return "";
  std::string order;
  bool any_holds = false;
  for (const Alternative& alternative : hop->alternatives) {
    if (!breaks(claim, alternative.verdict)) {
      any_holds = true;
    } else if (alternative.when.contains(ruleset::kOrderOf)) {
      order = alternative.when;
    } else {
      return "";
    }
  }
  return any_holds ? order : "";
}

// The packet in fields that words can say, as it is asked again.
Sample sample_of_packet(const eval::Packet& packet) {
  const bool ipv6 = eval::is_ipv6(packet);
  const std::vector<std::uint8_t>& bytes = packet.bytes;
  const std::size_t header = ipv6 ? 40 : 20;
  const auto address = [&](std::size_t at) {
    return net::address_from_bytes(std::span(bytes).subspan(at, ipv6 ? 16 : 4));
  };
  const auto number = [&](std::size_t at) {
    return at + 1 < bytes.size() ? static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1])
                                 : std::uint16_t{0};
  };
  Sample sample;
  sample.fields.source = address(ipv6 ? 8 : 12);
  sample.fields.destination = address(ipv6 ? 24 : 16);
  sample.fields.protocol = bytes[ipv6 ? 6 : 9];
  sample.fields.source_port = number(header);
  sample.fields.destination_port = number(header + 2);
  if (header + 13 < bytes.size()) sample.fields.tcp_flags = bytes[header + 13];
  if (header + 1 < bytes.size()) {
    sample.fields.icmp_type = bytes[header];
    sample.fields.icmp_code = bytes[header + 1];
  }
  sample.fields.ttl = bytes[ipv6 ? 7 : 8];
  sample.fields.length = static_cast<std::uint32_t>(bytes.size());
  sample.fields.dscp =
      static_cast<std::uint8_t>(ipv6 ? (bytes[0] & 15) << 2 | bytes[1] >> 6 : bytes[1] >> 2);
  sample.fields.dont_fragment = !ipv6 && (bytes[6] & 0x40) != 0;
  return sample;
}

// As words name it; "" where the host's policy names no interface, so that none of its rules asks.
std::string word_for(const ruleset::Host& host, const std::string& device) {
  const std::string* name = nullptr;
  for (const ruleset::Interface& interface : host.interfaces) {
    if (interface.device == device) name = &interface.name;
  }
  if (name == nullptr) return host.interfaces.empty() ? "" : device;
  const auto same = std::ranges::count(host.interfaces, *name, &ruleset::Interface::name);
  return same == 1 ? *name : device;
}

void add_each_once(std::vector<std::string> from, std::vector<std::string>& to) {
  for (std::string& each : from) {
    if (std::ranges::find(to, each) == to.end()) to.push_back(std::move(each));
  }
}

// As a set of packets that travel.
Diagram in(analyze::Travelling& travelling, bool source, const net::AddressSet& set) {
  analyze::Diagrams& d = travelling.diagrams();
  analyze::PacketSpace& space = travelling.space();
  if (set.is_all()) return analyze::kEverything;
  std::vector<analyze::Values> values;
  for (const auto& interval : set.ipv4.intervals()) {
    values.push_back({interval.first.value, interval.last.value});
  }
  const Diagram of_ipv4 = d.where(space.field(source ? Part::Source4 : Part::Destination4), values);
  analyze::Comparison compare(d);
  std::vector<Diagram> all;
  for (const auto& interval : set.ipv6.intervals()) {
    all.push_back(*compare.between(space.part(source ? Part::Source6 : Part::Destination6),
                                   net::to_bytes(interval.first), net::to_bytes(interval.last)));
  }
  return d.choose(space.is_ipv4(), of_ipv4, d.union_of(std::move(all)));
}

}  // namespace

std::span<const Fate> breaking(Claim claim) {
  switch (claim) {
    case Claim::Never:
      return kAccepted;
    case Claim::Always:
      return kDenied;
    case Claim::Drop:
      return kNotDropped;
    case Claim::Reject:
      return kNotRejected;
  }
  return {};
}

analyze::Direction direction_of(Does does) {
  return does == Does::Send ? analyze::Direction::Send : analyze::Direction::Arrive;
}

Prover::Prover(const policy::Policy& policy, Site& site)
    : policy_(policy), site_(site), ends_(policy) {
  std::set<std::uint16_t> ports;
  for (const policy::Service& service : policy.services) {
    for (const policy::ServiceLiteral& literal : service.literals) {
      if (net::has_ports(literal.protocol)) ports.insert(literal.destination.first);
    }
  }
  known_ports_.assign(ports.begin(), ports.end());
}
Prover::~Prover() = default;

Prover::Machine& Prover::machine(Index host) {
  if (const auto had = machines_.find(host); had != machines_.end()) return *had->second;
  if (machines_.size() == kMostMachines) machines_.clear();
  return *machines_.emplace(host, std::make_unique<Machine>(site_.snapshot(host))).first->second;
}

void Prover::forget(Index host) {
  machines_.erase(host);
}

analyze::Natural Prover::natural(const Statement& statement) const {
  analyze::Natural natural;
  const auto add = [&](const policy::End& end, std::vector<net::Address>& to) {
    for (const Party& party : ends_.parties(end.selectors, statement.asking.self)) {
      to.insert(to.end(), party.addresses.begin(), party.addresses.end());
    }
  };
  add(statement.words->from, natural.sources);
  add(statement.words->to, natural.destinations);
  natural.ports = known_ports_;
  return natural;
}

void Prover::rely_on(Analysis& analysis, analyze::Direction direction, Diagram packets) {
  const auto accepted = analysis.by_choice(direction, kAccepted);
  if (!accepted) return;
  add_each_once(analysis.counted_in(analysis.diagrams().both(*accepted, packets)), relied_on_);
}

// --- several hosts -----------------------------------------------------------------------------

void Prover::add(Join& join, const Statement& statement, const AskedPart& part, Machine& host,
                 analyze::Taken taken) {
  join.asks = true;
  if (join.budget_ended) return;
  const analyze::Direction direction = direction_of(part.does);
  const auto added = Analysis::within_budget<bool>([&] {
    const auto packets = host.sets.packets(*statement.words, part);
    if (!packets) return false;
    const auto take = [&](Diagram within) {
      const auto set = travelling_.take(host.analysis, direction, kAccepted, within, taken);
      if (!set) throw analyze::BudgetEnded{set.error().why};
      if (taken == analyze::Taken::Must) rely_on(host.analysis, direction, within);
      return *set;
    };
    const auto translated = host.analysis.translated(direction);
    if (!translated) throw analyze::BudgetEnded{translated.error().why};
    analyze::Diagrams& own = host.analysis.diagrams();
    analyze::Diagrams& d = travelling_.diagrams();
    const bool is_at = part.has_devices && statement.words->at == part.host;
    if (part.does == Does::Receive) {
      Diagram& to = is_at ? join.received_by_at : join.received;
      const bool whole = taken == analyze::Taken::May || statement.asking.alone;
      to = d.either(to, take(whole ? *packets : own.minus(*packets, *translated)));
      return true;
    }
    const Diagram changed = own.both(*packets, *translated);
    const Diagram kept = own.minus(*packets, *translated);
    Diagram& to = part.does == Does::PassOn ? join.passed_on : is_at ? join.sent_by_at : join.sent;
    Diagram& other = part.does == Does::PassOn ? join.passed_on_translated
                     : is_at                   ? join.sent_by_at
                                               : join.sent_translated;
    to = d.either(to, take(kept));
    // Who gets it then is not asked: it may be accepted.
    const bool counts = taken == analyze::Taken::May || statement.asking.alone;
    if (changed != kNothing && counts) other = d.either(other, take(changed));
    return true;
  });
  if (!added) {
    join.budget_ended = added.error().why;
  } else if (!*added) {
    join.no_field = "`frag=` and `time=` are asked with samples alone";
  }
}

// What all that are asked accept. Of what is translated on the way, the next is not asked: there
// may be less.
Diagram Prover::joined(const Join& join, const AskedWords& asked, const Statement& statement) {
  analyze::Diagrams& d = travelling_.diagrams();
  if (statement.asking.alone) {
    Diagram all = d.either(d.either(join.sent, join.sent_translated), join.received);
    all = d.either(all, d.either(join.sent_by_at, join.received_by_at));
    return d.either(all, d.either(join.passed_on, join.passed_on_translated));
  }
  const net::AddressSet& hosts = policy_.site_addresses;
  // A sender whose owner is named is a host.
  const Diagram from_outside =
      statement.words->user ? kNothing : in(travelling_, true, asked.from - hosts);
  const Diagram to_outside = in(travelling_, false, asked.to - hosts);
  const Diagram taken = d.either(join.received, to_outside);
  const Diagram sent = d.either(join.sent, join.sent_translated);
  if (asked.at) {
    Diagram through = d.both(join.passed_on, taken);
    through = d.either(through, join.passed_on_translated);
    through = d.either(through, join.received_by_at);
    return d.either(join.sent_by_at, d.both(d.either(sent, from_outside), through));
  }
  const Diagram all = d.either(d.both(join.sent, taken), join.sent_translated);
  return d.either(all, d.both(from_outside, join.received));
}

void Prover::add_all(Join& join, const Statement& statement, const AskedWords& asked,
                     analyze::Taken taken) {
  for (Index host = 0; host < policy_.hosts.size(); ++host) {
    for (const AskedPart& part :
         asked_parts(policy_, *statement.words, asked, statement.asking, host)) {
      add(join, statement, part, machine(host), taken);
    }
  }
}

analyze::Answer<Diagram> Prover::accepted(const Statement& statement, analyze::Taken taken) {
  Join join;
  const AskedWords asked = asked_words(policy_, *statement.words, statement.asking);
  add_all(join, statement, asked, taken);
  if (join.budget_ended) return std::unexpected(analyze::NotProven{*join.budget_ended});
  if (!join.no_field.empty()) return std::unexpected(analyze::NotProven{join.no_field});
  return Analysis::within_budget<Diagram>([&] { return joined(join, asked, statement); });
}

// --- one packet --------------------------------------------------------------------------------

Sample Prover::sample_like(const Statement& statement, const Sample& like) {
  Sample sample = like;
  const AskedWords asked = asked_words(policy_, *statement.words, statement.asking);
  const auto within = [&](net::Address& address, const net::AddressSet& set) {
    if (set.contains(address)) return;
    const bool ipv4 = net::is_ipv4(address);
    if (ipv4 && !set.ipv4.empty()) address = set.ipv4.intervals().front().first;
    if (!ipv4 && !set.ipv6.empty()) address = set.ipv6.intervals().front().first;
  };
  within(sample.fields.source, asked.from);
  within(sample.fields.destination, asked.to);
  sample.in.clear();
  sample.out.clear();
  sample.user.reset();
  sample.sender.reset();
  sample.through.reset();
  sample.receiver.reset();
  sample.at.clear();
  sample.alone = statement.asking.alone;
  for (Index host = 0; host < policy_.hosts.size(); ++host) {
    for (const AskedPart& part :
         asked_parts(policy_, *statement.words, asked, statement.asking, host)) {
      if (!part.from.contains(sample.fields.source) ||
          !part.to.contains(sample.fields.destination)) {
        continue;
      }
      std::optional<Index>& who = part.does == Does::Send      ? sample.sender
                                  : part.does == Does::Receive ? sample.receiver
                                                               : sample.through;
      if (who) continue;
      who = host;
      if (part.does == Does::PassOn) sample.at = policy_.hosts[host].name;
    }
  }
  return sample;
}

std::optional<Sample> Prover::sample_of(const Statement& statement, Diagram set) {
  const auto packet = travelling_.packet(set, natural(statement));
  if (!packet) return std::nullopt;
  Sample sample = sample_like(statement, sample_of_packet(*packet));
  if (statement.words->state) sample.ct_state = ct_state_of(*statement.words->state);
  sample.user = statement.words->user;
  // Who, of several that bear an address, by which devices, and whose: as each accepts it.
  const AskedWords asked = asked_words(policy_, *statement.words, statement.asking);
  std::set<Does> found;
  for (Index host = 0; host < policy_.hosts.size(); ++host) {
    for (const AskedPart& part :
         asked_parts(policy_, *statement.words, asked, statement.asking, host)) {
      const bool is_of_it =
          part.from.contains(sample.fields.source) && part.to.contains(sample.fields.destination);
      if (!is_of_it || found.contains(part.does)) continue;
      const auto witness = as_accepted(statement, part, *packet);
      if (!witness) continue;
      found.insert(part.does);
      const ruleset::Host& own = machine(host).analysis.host();
      if (part.does == Does::Send) {
        sample.sender = host;
        if (witness->packet.user) sample.user = witness->packet.user;
        if (part.has_devices) sample.out = word_for(own, witness->packet.out_device);
      } else {
        (part.does == Does::PassOn ? sample.through : sample.receiver) = host;
        if (part.has_devices) sample.in = word_for(own, witness->packet.in_device);
        if (part.has_devices && part.does == Does::PassOn)
          sample.out = word_for(own, witness->packet.out_device);
      }
      if (statement.asking.alone) sample.ct_state = witness->packet.ct_state;
    }
  }
  return sample;
}

// The packet as a host accepts it.
std::optional<analyze::Witness> Prover::as_accepted(const Statement& statement,
                                                    const AskedPart& part,
                                                    const eval::Packet& packet) {
  using Found = std::optional<analyze::Witness>;
  Machine& host = machine(part.host);
  const analyze::Direction direction = direction_of(part.does);
  const auto witness = Analysis::within_budget<Found>([&]() -> Found {
    analyze::Diagrams& d = host.analysis.diagrams();
    const auto packets = host.sets.packets(*statement.words, part);
    const auto all = host.analysis.by_choice(direction, kAccepted);
    if (!packets || !all) return std::nullopt;
    const Diagram of =
        d.both(d.both(*all, *packets), with_headers_of(host.analysis, direction, packet));
    const Diagram plain = d.both(of, host.analysis.space().unspent());
    return host.analysis.witness(direction, plain != kNothing ? plain : of);
  });
  return witness ? *witness : std::nullopt;
}

Proof Prover::judged(const Statement& statement, Sample sample,
                     const std::vector<std::string>& choices, bool translates) {
  Answer answer = site_.ask(sample);
  const std::string order = order_that_decides(statement.claim, answer);
  if (order.empty() && may_break(statement.claim, answer)) {
    return {Proof::Outcome::Broken, std::move(sample), std::move(answer), ""};
  }
  std::string why;
  if (!order.empty()) {
    why = fmt::format("`{}` may be the one: {}", answer.packet, order);
  } else if (!choices.empty()) {
    why = fmt::format("`{}` may be the one: {}", answer.packet, fmt::join(choices, ", "));
  } else if (translates) {
    why = fmt::format(
        "`{}` may be the one: a host on its way translates addresses, and what becomes of it then "
        "is asked with samples alone",
        answer.packet);
  } else {
    why = fmt::format(
        "the analyser says that `{}` breaks it, the evaluator does not: please report this mistake "
        "of ours",
        answer.packet);
  }
  return {Proof::Outcome::NotProven, std::nullopt, std::nullopt, std::move(why)};
}

// --- statements --------------------------------------------------------------------------------

Proof Prover::ask_part(const Statement& statement, const AskedPart& part) {
  Machine& host = machine(part.host);
  Analysis& analysis = host.analysis;
  const analyze::Direction direction = direction_of(part.does);
  struct Found {
    bool asked = false;
    std::optional<analyze::Witness> witness;
    std::vector<std::string> as_long_as = {};
  };
  const auto found = Analysis::within_budget<Found>([&] {
    const auto packets = host.sets.packets(*statement.words, part);
    if (!packets) return Found{};
    analyze::Diagrams& d = analysis.diagrams();
    const auto wrong = analysis.by_choice(direction, breaking(statement.claim));
    if (!wrong) throw analyze::BudgetEnded{wrong.error().why};
    Diagram broken = d.both(*wrong, *packets);
    const bool always = statement.claim == Claim::Always;
    if (always && !statement.words->tcp_flags) {
      broken = d.both(broken, host.sets.plain_beginnings());
    }
    if (broken == kNothing) return Found{true, std::nullopt};
    const Diagram plain = d.both(broken, analysis.space().unspent());
    if (always && plain == kNothing) {
      return Found{true, std::nullopt, analysis.counted_in(broken)};
    }
    if (plain != kNothing) broken = plain;
    // One that breaks it whatever is not modelled needs no luck with the evaluator.
    const Diagram sure = d.quantify(broken, [&](analyze::FieldId field) {
      const bool open = analysis.space().facts(field).kind == analyze::FieldKind::NotModelled;
      return open ? analyze::Quantifier::All : analyze::Quantifier::Keep;
    });
    if (sure != kNothing) broken = sure;
    const analyze::Natural wanted = natural(statement);
    return Found{true, analysis.witness(direction, broken, &wanted)};
  });
  if (!found) return {Proof::Outcome::NotProven, {}, {}, found.error().why};
  if (!found->asked) {
    return {Proof::Outcome::NotAsked, {}, {}, "`frag=` and `time=` are asked with samples alone"};
  }
  if (!found->witness) return {Proof::Outcome::Holds, {}, {}, "", found->as_long_as};
  const eval::Packet& packet = found->witness->packet;
  Sample sample = sample_of_packet(packet);
  sample.alone = true;
  sample.ct_state = packet.ct_state;
  sample.user = packet.user;
  const std::string in = word_for(analysis.host(), packet.in_device);
  const std::string out = word_for(analysis.host(), packet.out_device);
  switch (part.does) {
    case Does::Send:
      sample.sender = part.host;
      sample.out = out;
      break;
    case Does::PassOn:
      sample.through = part.host;
      sample.at = policy_.hosts[part.host].name;
      sample.in = in;
      sample.out = out;
      break;
    case Does::Receive:
      sample.receiver = part.host;
      sample.in = in;
      break;
  }
  return judged(statement, std::move(sample), found->witness->choices, host.translates);
}

Proof Prover::ask_join(const Statement& statement, const AskedWords& asked, Join& join) {
  if (!join.asks) return {};
  if (!join.no_field.empty()) return {Proof::Outcome::NotAsked, {}, {}, join.no_field};
  auto all = Analysis::within_budget<Diagram>([&] { return joined(join, asked, statement); });
  if (join.of_many && (join.budget_ended || !all || *all != kNothing)) {
    // Each for itself: what a host sends to itself is nobody's.
    join = {};
    add_all(join, statement, asked, analyze::Taken::May);
    all = Analysis::within_budget<Diagram>([&] { return joined(join, asked, statement); });
  }
  if (join.budget_ended) return {Proof::Outcome::NotProven, {}, {}, *join.budget_ended};
  if (!all) return {Proof::Outcome::NotProven, {}, {}, all.error().why};
  if (*all == kNothing) return {Proof::Outcome::Holds, {}, {}, ""};
  auto sample = sample_of(statement, *all);
  if (!sample) return {Proof::Outcome::Holds, {}, {}, ""};
  const auto translates = [&](const std::optional<Index>& host) {
    if (!host) return false;
    const Machine& of = machine(*host);
    return of.translates || (statement.words->state && of.analysis.may_be_translated());
  };
  const bool translated = translates(sample->sender) || translates(sample->through) ||
                          translates(sample->receiver) || join.sent_translated != kNothing;
  return judged(statement, std::move(*sample), {}, translated);
}

std::vector<Proof> Prover::prove(std::span<const Statement> statements) {
  std::vector<Proof> proofs(statements.size());
  std::vector<Join> joins(statements.size());
  prove_alike(statements, proofs, joins);
  // What is still open, host by host, so that each machine is made once.
  std::map<Index, std::vector<std::size_t>> alone;
  std::vector<std::size_t> of_any;  // by whatever host
  std::vector<AskedWords> asked(statements.size());
  for (std::size_t i = 0; i < statements.size(); ++i) {
    const Statement& statement = statements[i];
    if (proofs[i].outcome != Proof::Outcome::NotAsked) continue;
    asked[i] = asked_words(policy_, *statement.words, statement.asking);
    if (statement.asking.alone) {
      alone[*statement.asking.self].push_back(i);
    } else if (statement.claim != Claim::Never) {
      of_any.push_back(i);
    }
  }
  const auto ask_host = [&](std::size_t i, Index host) {
    for (const AskedPart& part :
         asked_parts(policy_, *statements[i].words, asked[i], statements[i].asking, host)) {
      const bool open = proofs[i].outcome == Proof::Outcome::NotAsked ||
                        proofs[i].outcome == Proof::Outcome::Holds;
      if (!open) continue;
      std::vector<std::string> before = std::move(proofs[i].as_long_as);
      proofs[i] = ask_part(statements[i], part);
      if (proofs[i].outcome != Proof::Outcome::Holds) continue;
      add_each_once(std::exchange(proofs[i].as_long_as, std::move(before)), proofs[i].as_long_as);
    }
  };
  for (Index host = 0; host < policy_.hosts.size(); ++host) {
    if (const auto own = alone.find(host); own != alone.end()) {
      for (const std::size_t i : own->second) ask_host(i, host);
    }
    for (const std::size_t i : of_any) ask_host(i, host);
  }
  for (std::size_t i = 0; i < statements.size(); ++i) {
    const bool joins_ends = !statements[i].asking.alone && statements[i].claim == Claim::Never;
    if (joins_ends) proofs[i] = ask_join(statements[i], asked[i], joins[i]);
  }
  return proofs;
}

}  // namespace rolewall::ask
