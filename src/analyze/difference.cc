#include "analyze/difference.h"

#include <algorithm>
#include <array>
#include <map>

#include "analyze/endings.h"
#include "analyze/way.h"
#include "analyze/witness.h"

namespace rolewall::analyze {
namespace {

// Both functions together: at each packet the number of the pair of their terminals.
class Pairs {
 public:
  explicit Pairs(Diagrams& diagrams) : diagrams_(diagrams) {}

  Diagram of(Diagram a, Diagram b) {
    return diagrams_.map(a, [&](std::uint32_t of_a) {
      return diagrams_.map(b, [&](std::uint32_t of_b) {
        all_.emplace_back(of_a, of_b);
        return terminal(static_cast<std::uint32_t>(all_.size() - 1));
      });
    });
  }
  // Each pair that there is, with its packets.
  template <class Visit>
  void each(Diagram pairs, const Visit& visit) {
    for (const std::uint32_t one : diagrams_.terminals(pairs)) {
      const Diagram set = diagrams_.map(
          pairs, [&](std::uint32_t value) { return value == one ? kEverything : kNothing; });
      visit(all_[one].first, all_[one].second, set);
    }
  }

 private:
  Diagrams& diagrams_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> all_;
};

// REQUIRES: of different fates.
DifferenceKind kind_of(Fate before, Fate after) {
  if (before != Fate::Accept && after == Fate::Accept) return DifferenceKind::NewlyAccepted;
  if (before == Fate::Accept) return DifferenceKind::NewlyDenied;
  return DifferenceKind::DeniedOtherwise;
}

constexpr std::size_t kKinds = static_cast<std::size_t>(DifferenceKind::Drawn) + 1;

}  // namespace

Difference::Difference(const Side& before, const Side& after, Budget budget)
    : before_(before),
      after_(after),
      facts_before_(std::make_shared<RulesetFacts>(before.ruleset)),
      facts_after_(std::make_shared<RulesetFacts>(after.ruleset)),
      places_(facts_before_->tables(), facts_after_->tables()),
      remembered_({before.ruleset, before.host, *facts_before_},
                  {after.ruleset, after.host, *facts_after_}),
      asked_(kept_asked(before.ruleset, after.ruleset)),
      unlike_(remembered_.unlike()),
      shared_{places_, &remembered_},
      diagrams_(std::make_unique<Diagrams>(budget)),
      space_(std::make_unique<PacketSpace>(*diagrams_, after.host.conntrack.tcp_loose,
                                           order_for(after.ruleset))) {
  for (const auto& [side, numbers] :
       {std::pair(&before_, &places_.before()), std::pair(&after_, &places_.after())}) {
    if (!edit_asks_outside(side->ruleset, *numbers, places_)) continue;
    unlike_.emplace_back("what becomes of fragments, and of packets with IP or TCP options");
    break;
  }
}
Difference::~Difference() = default;

Difference::Run Difference::run(Machine& machine, Direction direction) {
  Way way(machine, KnownConnections::Untranslated, TurnedBack::AsItLeaves);
  const Diagram all = direction == Direction::Arrive ? way.arrive() : way.send();
  return {diagrams_->choose(machine.domain(), all, kNothing), way.unknown_orders(),
          way.lost_order()};
}

// The kernel runs what stands at one priority by when it was registered, which a ruleset tells of
// one table alone: nothing shows that it is the same before and after.
void Difference::note_orders(const Run& before, const Run& after) {
  for (const std::string& order : before.unknown_orders) {
    if (after.unknown_orders.contains(order)) assumed_.insert(order);
  }
  for (const Run* run : {&before, &after}) {
    if (run->lost_order.empty()) continue;
    std::string what = run->lost_order + ": there are too many to try each";
    if (std::ranges::find(unlike_, what) == unlike_.end()) unlike_.push_back(std::move(what));
  }
}

Diagram Difference::without(Diagram set, FieldKind kind, Quantifier quantifier) {
  return diagrams_->quantify(set, [&](FieldId field) {
    return space_->facts(field).kind == kind ? quantifier : Quantifier::Keep;
  });
}

// A short name has nothing behind its end. The space has such values all the same, for a name is
// two fields; of the devices that there are they are left out, lest an example bears one.
Diagram Difference::no_names() {
  Diagrams& d = *diagrams_;
  Diagram all = kNothing;
  const auto leave_out = [&](std::string_view device) {
    constexpr std::size_t kFirstField = 8;
    if (device.size() >= kFirstField || device.ends_with('*')) return;
    std::uint64_t begins = 0;
    for (std::size_t i = 0; i < kFirstField; ++i) {
      begins = begins << 8 | (i < device.size() ? static_cast<std::uint8_t>(device[i]) : 0);
    }
    for (const Part part : {Part::InDevice, Part::OutDevice}) {
      const FieldId field = space_->field(part);
      const Diagram longer = d.complement(d.where(field + 1, 0, 0));
      all = d.either(all, d.both(d.where(field, begins, begins), longer));
    }
  };
  leave_out("lo");
  for (const Side* side : {&before_, &after_}) {
    for (const ruleset::Interface& interface : side->host.interfaces) leave_out(interface.device);
  }
  return all;
}

Diagram Difference::packets_of_edit(Direction direction) {
  if (!edit_) {
    edit_.emplace(Edit::Side{before_.ruleset, before_.host, places_.before(), facts_before_},
                  Edit::Side{after_.ruleset, after_.host, places_.after(), facts_after_}, shared_);
  }
  const Diagram asked = diagrams_->minus(space_->packets(), no_names());
  return edit_->packets(*diagrams_, *space_, direction, asked);
}

// What names an extension header of IPv6 as a protocol is about packets that are none of the space.
// What is as much about a protocol that nobody names has no extension header in mind.
void Difference::note_extended(Direction direction) {
  constexpr std::uint64_t kNobodys = 255;  // RFC 5237: reserved
  const auto touched = [&](Diagram domain) {
    return edit_->packets(*diagrams_, *space_, direction, domain) != kNothing;
  };
  const Diagram reserved = diagrams_->both(space_->is_ipv6(), space_->is(Part::Protocol, kNobodys));
  if (touched(reserved) || !touched(space_->extended())) return;
  const std::string what =
      "what becomes of packets whose protocol is an extension header of IPv6 (AH, protocol 51)";
  if (std::ranges::find(unlike_, what) == unlike_.end()) unlike_.push_back(what);
}

// Where the outcome hangs on the field, whatever the other ways say.
Diagram Difference::hang_on(FieldId field, const std::set<FieldId>& ways, Diagram outcomes) {
  const auto over = [&](Diagram set, Quantifier quantifier) {
    return diagrams_->quantify(
        set, [&](FieldId of) { return of == field ? quantifier : Quantifier::Keep; });
  };
  std::vector<Diagram> all;
  for (const std::uint32_t value : diagrams_->terminals(outcomes)) {
    const Diagram set = diagrams_->map(
        outcomes, [&](std::uint32_t of) { return of == value ? kEverything : kNothing; });
    all.push_back(diagrams_->minus(over(set, Quantifier::Any), over(set, Quantifier::All)));
  }
  return diagrams_->quantify(diagrams_->union_of(std::move(all)), [&](FieldId of) {
    return ways.contains(of) ? Quantifier::Any : Quantifier::Keep;
  });
}

// What a rule leaves free has a name for each way of calls that leads to it, and an edit may have
// it called from elsewhere. Where no packet meets it by two ways, each has it asked once on either
// side, and what it then says is the same: the second field of each pair is the first.
std::vector<std::pair<FieldId, FieldId>> Difference::same_by_other_ways(const Asked& before,
                                                                        const Asked& after) {
  using Ways = std::set<FieldId>;
  std::map<std::string_view, std::pair<Ways, Ways>> all;  // before and after
  const auto gather = [&](const Asked& asked, Ways std::pair<Ways, Ways>::* side) {
    for (const FieldId field : asked.fields) {
      const std::string_view name = space_->facts(field).name;
      const std::size_t way = name.rfind(kWay);
      if (diagrams_->largest(field) == 1) (all[name.substr(0, way)].*side).insert(field);
    }
  };
  gather(before, &std::pair<Ways, Ways>::first);
  gather(after, &std::pair<Ways, Ways>::second);
  const auto are_apart = [&](const Ways& ways, Diagram outcomes) {
    Diagram met = kNothing;
    for (const FieldId field : ways) {
      const Diagram hang = hang_on(field, ways, outcomes);
      // It was asked, and may have been before another way was, or after.
      if (hang == kNothing || diagrams_->both(met, hang) != kNothing) return false;
      met = diagrams_->either(met, hang);
    }
    return true;
  };
  std::vector<std::pair<FieldId, FieldId>> same;
  for (auto& [name, ways] : all) {
    auto& [was, is] = ways;
    if (was == is || was.empty() || is.empty()) continue;
    if (!are_apart(was, before.outcomes) || !are_apart(is, after.outcomes)) continue;
    was.merge(is);
    for (const FieldId other : was) {
      if (other != *was.begin()) same.emplace_back(*was.begin(), other);
    }
  }
  return same;
}

std::vector<DifferencePart> Difference::find(Direction direction) {
  Diagrams& d = *diagrams_;
  shared_.notes_logs = true;
  shared_.notes_lines = false;
  Machine before(d, *space_, before_.ruleset, before_.host, facts_before_);
  Machine after(d, *space_, after_.ruleset, after_.host, facts_after_);
  before.share(shared_, places_.before());
  after.share(shared_, places_.after());
  const Diagram domain = packets_of_edit(direction);
  note_extended(direction);
  if (domain == kNothing) return {};
  before.narrow_to_few(domain);
  after.narrow_to_few(domain);
  Endings endings;
  const Run run_before = run(before, direction);
  const Run run_after = run(after, direction);
  note_orders(run_before, run_after);
  const auto ended = [&](const Machine& machine, const Run& run) {
    return d.map(run.outcomes, [&](std::uint32_t value) {
      return value < Endings::kFirst ? terminal(value)
                                     : endings.terminal_of(machine, machine.outcome_of(value));
    });
  };
  const Diagram was = ended(before, run_before);
  const Diagram is = ended(after, run_after);
  const Diagram differs = d.differ(was, is);
  std::array<Diagram, kKinds> found;
  found.fill(kNothing);
  if (differs != kNothing) {
    Pairs pairs(d);
    const Diagram both =
        pairs.of(d.choose(differs, was, kNothing), d.choose(differs, is, kNothing));
    pairs.each(both, [&](std::uint32_t a, std::uint32_t b, Diagram set) {
      if (a == b) return;
      const Ending& of_a = endings.of(a);
      const Ending& of_b = endings.of(b);
      const auto add = [&](DifferenceKind kind, Diagram packets) {
        Diagram& all = found[static_cast<std::size_t>(kind)];
        all = d.either(all, packets);
      };
      if (of_a.fate != of_b.fate) return add(kind_of(of_a.fate, of_b.fate), set);
      const EndingsDiffer how = differ(d, *space_, of_a, of_b, set, asked_);
      add(DifferenceKind::DeniedOtherwise, how.answered);
      add(DifferenceKind::Rewritten, how.rewritten);
      add(DifferenceKind::Logged, how.logged);
      add(DifferenceKind::Remembered, how.remembered);
      not_asked_.insert(how.not_asked.begin(), how.not_asked.end());
    });
  }
  for (const auto& [field, other] :
       same_by_other_ways({before.asked(), was}, {after.asked(), is})) {
    const Diagram same = d.choose(d.where(field, 1, 1), d.where(other, 1, 1), d.where(other, 0, 0));
    for (Diagram& set : found) {
      set = d.quantify(d.both(set, same), [&, other = other](FieldId of) {
        return of == other ? Quantifier::Any : Quantifier::Keep;
      });
    }
  }
  return parts_of(found);
}

// `found`: by kind, the packets with what is free.
std::vector<DifferencePart> Difference::parts_of(std::span<const Diagram> found) {
  Diagrams& d = *diagrams_;
  std::array<Diagram, kKinds> may;
  std::array<Diagram, kKinds> certain;
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    const Diagram some = without(found[kind], FieldKind::Choice, Quantifier::Any);
    may[kind] = without(some, FieldKind::NotModelled, Quantifier::Any);
    const Diagram all = without(found[kind], FieldKind::Choice, Quantifier::All);
    certain[kind] = without(all, FieldKind::NotModelled, Quantifier::All);
  }
  const auto of = [](DifferenceKind kind) { return static_cast<std::size_t>(kind); };
  // Now more, now less.
  const std::size_t drawn = of(DifferenceKind::Drawn);
  const std::size_t accepted = of(DifferenceKind::NewlyAccepted);
  const std::size_t denied = of(DifferenceKind::NewlyDenied);
  may[drawn] = d.both(may[accepted], may[denied]);
  certain[drawn] = kNothing;
  std::vector<DifferencePart> parts;
  Diagram taken = may[drawn];
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    Diagram packets = may[kind];
    if (kind != drawn) {
      packets = d.minus(packets, taken);
      taken = d.either(taken, packets);
    }
    if (packets == kNothing) continue;
    const Diagram by_choice =
        kind == drawn ? d.either(found[accepted], found[denied]) : found[kind];
    parts.push_back({static_cast<DifferenceKind>(kind), packets, d.both(packets, by_choice),
                     d.both(packets, certain[kind])});
  }
  return parts;
}

Answer<std::vector<DifferencePart>> Difference::parts(Direction direction) {
  return Analysis::within_budget<std::vector<DifferencePart>>([&] { return find(direction); });
}

// The rules are run again for these packets alone: then their lines are few.
std::vector<DecidedPair> Difference::pairs(Direction direction, Diagram packets) {
  Diagrams& d = *diagrams_;
  shared_.notes_logs = false;
  shared_.notes_lines = true;
  const Diagram domain = d.both(packets, space_->packets());
  if (domain == kNothing) return {};
  const auto lines = [&](const Side& side, const Places::Numbers& numbers,
                         const std::shared_ptr<const RulesetFacts>& facts) {
    Machine machine(d, *space_, side.ruleset, side.host, facts);
    machine.share(shared_, numbers);
    machine.narrow_to_few(domain);
    return d.map(run(machine, direction).outcomes, [&](std::uint32_t value) {
      if (value < Endings::kFirst) return terminal(0);
      return terminal(machine.environments()[machine.outcome_of(value).environment].line);
    });
  };
  const Diagram before = lines(before_, places_.before(), facts_before_);
  const Diagram after = lines(after_, places_.after(), facts_after_);
  Pairs pairs(d);
  std::vector<DecidedPair> all;
  pairs.each(pairs.of(before, after), [&](std::uint32_t a, std::uint32_t b, Diagram set) {
    set = d.both(set, domain);
    set = without(set, FieldKind::Choice, Quantifier::Any);
    set = without(set, FieldKind::NotModelled, Quantifier::Any);
    if (set != kNothing) all.push_back({a, b, set});
  });
  return all;
}

Answer<std::vector<DecidedPair>> Difference::decided(Direction direction, Diagram packets) {
  return Analysis::within_budget<std::vector<DecidedPair>>(
      [&] { return pairs(direction, packets); });
}

std::optional<Witness> Difference::witness(Direction direction, Diagram set) {
  return witness_of(*diagrams_, *space_, after_.host, direction, set);
}

bool Difference::contains(Direction direction, Diagram set, const eval::Packet& packet) {
  const auto values = values_of(*diagrams_, *space_, direction, packet);
  return diagrams_->at(set, [&](FieldId field) {
    return field < values.size() ? values[field] : 0;
  }) == value_of(kEverything);
}

bool Difference::is_in_space(Direction direction, const eval::Packet& packet) {
  return !values_of(*diagrams_, *space_, direction, packet).empty();
}

}  // namespace rolewall::analyze
