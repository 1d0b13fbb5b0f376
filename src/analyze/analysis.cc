#include "analyze/analysis.h"

#include <fmt/format.h>

#include <algorithm>

#include "analyze/way.h"
#include "analyze/witness.h"
#include "ruleset/names.h"

namespace rolewall::analyze {

Analysis::Analysis(const ruleset::Ruleset& ruleset, const ruleset::Host& host, Budget budget)
    : host_(host),
      diagrams_(std::make_unique<Diagrams>(budget)),
      space_(std::make_unique<PacketSpace>(*diagrams_, host.conntrack.tcp_loose)),
      machine_(std::make_unique<Machine>(*diagrams_, *space_, ruleset, host)) {}
Analysis::~Analysis() = default;

Diagram Analysis::fates(Direction direction) {
  std::optional<Diagram>& made = fates_[static_cast<std::size_t>(direction)];
  if (!made) {
    Way way(*machine_, KnownConnections::Any);
    made = direction == Direction::Arrive ? way.arrive() : way.send();
  }
  return *made;
}

Diagram Analysis::with(Direction direction, std::span<const Fate> wanted) {
  const Diagram set = diagrams_->map(fates(direction), [&](std::uint32_t value) {
    const Fate fate = machine_->outcome_of(value).fate;
    return std::ranges::find(wanted, fate) != wanted.end() ? kEverything : kNothing;
  });
  return diagrams_->both(set, space_->packets());
}

Answer<Diagram> Analysis::by_choice(Direction direction, std::span<const Fate> fates) {
  return within_budget<Diagram>([&] { return with(direction, fates); });
}

bool Analysis::may_be_translated() const {
  return machine_->facts().may_translate(false) || machine_->facts().may_translate(true);
}

std::vector<std::string> Analysis::counted_in(Diagram set) {
  std::vector<std::string> names;
  for (const FieldId field : diagrams_->fields(set)) {
    const FieldFacts& facts = space_->facts(field);
    if (!facts.unspent || !facts.asked_by) continue;
    const RulePlace& at = *facts.asked_by;
    const ruleset::Table& table = machine_->ruleset().tables[at.table];
    std::string name = fmt::format(
        "{} ({} {}, chain {}, rule {})", facts.name.substr(0, facts.name.find(", expression")),
        ruleset::name_of(table.family), table.name, table.chains[at.chain].name, at.rule + 1);
    if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
  }
  return names;
}

Answer<Diagram> Analysis::translated(Direction direction) {
  constexpr std::array kTold{Part::Source4,      Part::Destination4, Part::Source6,
                             Part::Destination6, Part::Transport0,   Part::Transport2,
                             Part::Transport4};
  return within_budget<Diagram>([&] {
    return diagrams_->map(fates(direction), [&](std::uint32_t value) {
      const Outcome& outcome = machine_->outcome_of(value);
      const Environment& after = machine_->environments()[outcome.environment];
      const bool same = std::ranges::all_of(
          kTold, [&](Part part) { return after.part(part) == space_->part(part); });
      const bool changed = !same || after.translated_before;
      return outcome.fate == Fate::Accept && changed ? kEverything : kNothing;
    });
  });
}

// What is not modelled is quantified last: whatever it is, there is a choice, or every choice does.
Answer<PacketSet> Analysis::quantified(Direction direction, std::span<const Fate> fates,
                                       bool some) {
  return within_budget<PacketSet>([&] {
    const auto all_of = [&](Diagram set, FieldKind kind, Quantifier quantifier) {
      return diagrams_->quantify(set, [&](FieldId field) {
        return space_->facts(field).kind == kind ? quantifier : Quantifier::Keep;
      });
    };
    const Diagram set =
        all_of(with(direction, fates), FieldKind::Choice, some ? Quantifier::Any : Quantifier::All);
    const Diagram most = all_of(set, FieldKind::NotModelled, Quantifier::Any);
    const Diagram least = all_of(set, FieldKind::NotModelled, Quantifier::All);
    if (most == least) return PacketSet{most, Exactness::Exact};
    return some ? PacketSet{most, Exactness::AtMost} : PacketSet{least, Exactness::AtLeast};
  });
}

Answer<PacketSet> Analysis::may(Direction direction, std::span<const Fate> fates) {
  return quantified(direction, fates, true);
}

Answer<PacketSet> Analysis::must(Direction direction, std::span<const Fate> fates) {
  return quantified(direction, fates, false);
}

std::optional<Witness> Analysis::witness(Direction direction, Diagram set, const Natural* natural) {
  return witness_of(*diagrams_, *space_, host_, direction, set, natural);
}

bool Analysis::contains(Direction direction, Diagram set, const eval::Packet& packet) {
  const auto values = values_of(*diagrams_, *space_, direction, packet);
  return diagrams_->at(set, [&](FieldId field) {
    return field < values.size() ? values[field] : 0;
  }) == value_of(kEverything);
}

bool Analysis::is_in_space(Direction direction, const eval::Packet& packet) {
  const auto values = values_of(*diagrams_, *space_, direction, packet);
  return !values.empty();
}

}  // namespace rolewall::analyze
