#include "analyze/agreement.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "analyze/way.h"
#include "analyze/witness.h"
#include "ruleset/expr.h"
#include "ruleset/names.h"
#include "ruleset/own_table.h"

namespace rolewall::analyze {
namespace {

// What a rule of ours never writes: beside addresses and ports, which a translation may.
constexpr std::array kNeverWritten{
    Part::Protocol,     Part::Flags,       Part::Transport4,   Part::Transport8,
    Part::Transport12,  Part::Transport14, Part::Transport16,  Part::Transport18,
    Part::TrafficClass, Part::FlowLabel,   Part::DontFragment, Part::Identification,
    Part::Type,         Part::Mark,        Part::CtMark,       Part::CtLabels,
    Part::KnownMark,    Part::KnownLabels,
};

std::optional<std::vector<std::uint8_t>> known_bytes(const Bits& bits) {
  std::vector<std::uint8_t> bytes(bits.size() / 8);
  for (std::size_t i = 0; i < bits.size(); ++i) {
    if (!bits[i].is_known()) return std::nullopt;
    if (bits[i].value()) bytes[i / 8] |= static_cast<std::uint8_t>(0x80 >> i % 8);
  }
  return bytes;
}

bool counts_connections(const ruleset::Rule& rule) {
  return std::ranges::any_of(rule.exprs, [](const ruleset::Expr& expr) {
    if (std::holds_alternative<ruleset::Connlimit>(expr)) return true;
    const auto* dynset = std::get_if<ruleset::Dynset>(&expr);
    return dynset != nullptr && std::ranges::any_of(dynset->exprs, [](const auto& state) {
             return std::holds_alternative<ruleset::Connlimit>(state);
           });
  });
}

std::string told_by(const ruleset::Rule& rule) {
  for (const ruleset::Expr& expr : rule.exprs) {
    const auto* reject = std::get_if<ruleset::Reject>(&expr);
    if (reject == nullptr) continue;
    constexpr std::uint8_t kAdminProhibited = 3;  // NFT_REJECT_ICMPX_ADMIN_PROHIBITED
    switch (reject->type) {
      case ruleset::RejectType::TcpReset:
        return std::string(told::kReset);
      case ruleset::RejectType::IcmpxUnreachable:
        if (reject->code == kAdminProhibited) return std::string(told::kProhibited);
        break;
      case ruleset::RejectType::IcmpUnreachable:
        break;
    }
    return fmt::format("reject {} {}", static_cast<int>(reject->type), reject->code);
  }
  return "";
}

}  // namespace

// Both as functions to meanings, and what they were asked with.
struct Agreement::Sides {
  Diagram of_policy = kNothing;
  Diagram of_ruleset = kNothing;
  // A choice of the ruleset's: the policy's that it is, and its value where that one is 1.
  struct Alias {
    FieldId of = 0;
    std::uint64_t when_set = 1;
  };
  std::map<FieldId, Alias> aliases;
  std::vector<FieldId> unchanged;  // free bits that are 0: a translation makes it another packet
  std::vector<FieldId> told;       // not modelled, but the policy speaks of it as well
};

Agreement::Agreement(const ruleset::Ruleset& ruleset, const ruleset::Host& host,
                     const policy::Policy& policy, const policy::HostPolicy& effective,
                     const RunTime& run_time, Budget budget)
    : ruleset_(ruleset),
      host_(host),
      diagrams_(std::make_unique<Diagrams>(budget)),
      space_(std::make_unique<PacketSpace>(*diagrams_, host.conntrack.tcp_loose)),
      facts_(std::make_shared<RulesetFacts>(ruleset)),
      places_(facts_->tables(), facts_->tables()),
      shared_{.places = places_, .notes_logs = false, .notes_lines = true},
      denotation_(*diagrams_, *space_, meanings_, policy, effective, run_time) {
  number_lines();
}
Agreement::~Agreement() = default;

void Agreement::number_lines() {
  for (std::uint32_t t = 0; t < ruleset_.tables.size(); ++t) {
    const auto& chains = ruleset_.tables[t].chains;
    for (std::uint32_t c = 0; c < chains.size(); ++c) {
      chain_policies_.emplace(places_.before().policy_of(t, c), chains[c].name);
      for (std::uint32_t r = 0; r < chains[c].rules.size(); ++r) {
        lines_.emplace(places_.before().of(t, c, r), RulePlace{t, c, r});
      }
    }
  }
}

Answer<std::optional<Disagreement>> Agreement::find(Direction direction) {
  try {
    return search(direction);
  } catch (const BudgetEnded& ended) {
    return std::unexpected(NotProven{ended.what});
  } catch (const NotProven& open) {
    return std::unexpected(open);
  }
}

Meaning Agreement::meaning_of(const Machine& machine, const Outcome& outcome) {
  const Environment& after = machine.environments()[outcome.environment];
  Meaning meaning;
  meaning.fate = outcome.fate;
  if (outcome.fate == Fate::Stack) return meaning;
  if (const auto line = lines_.find(after.line); line != lines_.end()) {
    const RulePlace& at = line->second;
    const ruleset::Rule& rule = ruleset_.tables[at.table].chains[at.chain].rules[at.rule];
    meaning.by = rule.comment.text();
    if (outcome.fate == Fate::Reject) meaning.told = told_by(rule);
  } else if (const auto policy = chain_policies_.find(after.line);
             policy != chain_policies_.end()) {
    meaning.by = fmt::format("the policy of chain {}", policy->second);
  }
  if (outcome.fate != Fate::Accept) return meaning;
  const auto address = [&](Part ipv4, Part ipv6) -> std::string {
    for (const Part part : {ipv4, ipv6}) {
      if (after.part(part) == space_->part(part)) continue;
      const auto bytes = known_bytes(after.part(part));
      if (!bytes) return std::string(kDrawn);
      const net::Address to = net::address_from_bytes(*bytes);
      return denotation_.is_one_of_own(to) ? std::string(kDrawn) : net::format(to);
    }
    return "";
  };
  meaning.source = address(Part::Source4, Part::Source6);
  meaning.destination = address(Part::Destination4, Part::Destination6);
  if (after.part(Part::Transport2) != space_->part(Part::Transport2)) {
    const auto bytes = known_bytes(after.part(Part::Transport2));
    meaning.port = bytes ? fmt::to_string((*bytes)[0] << 8 | (*bytes)[1]) : std::string(kDrawn);
  }
  for (const Part part : kNeverWritten) {
    const Bits none(after.part(part).size());
    const bool begins_as_zero = part >= Part::Mark && part < Part::KnownMark;
    if (after.part(part) == (begins_as_zero ? none : space_->part(part))) continue;
    meaning.written +=
        fmt::format("{}part {}", meaning.written.empty() ? "" : ", ", static_cast<int>(part));
  }
  return meaning;
}

// What the ruleset leaves free at a place of its own the policy leaves free by its rule's name.
void Agreement::align(Sides& sides, FieldId field) {
  const FieldFacts& facts = space_->facts(field);
  if (!facts.asked_by) return;
  const RulePlace& at = *facts.asked_by;
  const ruleset::Chain& chain = ruleset_.tables[at.table].chains[at.chain];
  if (facts.kind == FieldKind::Choice) {
    const auto of = denotation_.over(chain.name, counts_connections(chain.rules[at.rule]));
    if (of && facts.unspent) {
      sides.aliases.emplace(field, Sides::Alias{*of, *facts.unspent == 0 ? 1U : 0U});
    }
  } else if (chain.name == ruleset::own::kRelated && denotation_.expected()) {
    sides.aliases.emplace(field, Sides::Alias{*denotation_.expected(), 1});
  } else if (denotation_.translates(chain.name) && diagrams_->largest(field) == 1) {
    sides.unchanged.push_back(field);
  }
}

// A connection that was open before and is related to another: whether its destination was
// translated the policy does not know, and it is taken for one that was not.
Diagram Agreement::assumed(Diagram set) {
  const std::string name =
      fmt::format("ct {} of a known connection (-1)", ruleset::name_of(ruleset::CtKey::Status));
  const Bits status = space_->free_bits(name, 32, FieldKind::NotModelled);
  const Bit bit = status[kDestinationNat / 8 * 8 + 7 - kDestinationNat % 8];
  Bits byte(8);
  byte.back() = bit;
  const auto is_unset = Comparison(*diagrams_).equal(byte, std::array<std::uint8_t, 1>{0});
  const FieldId field = status.front().field();
  return diagrams_->quantify(diagrams_->both(set, is_unset.value_or(kEverything)), [&](FieldId of) {
    return of == field ? Quantifier::Any : Quantifier::Keep;
  });
}

Diagram Agreement::without_what_is_not_modelled(const Sides& sides, Diagram set) {
  return diagrams_->quantify(set, [&](FieldId field) {
    const bool open = space_->facts(field).kind == FieldKind::NotModelled &&
                      std::ranges::find(sides.told, field) == sides.told.end();
    return open ? Quantifier::All : Quantifier::Keep;
  });
}

std::string Agreement::what_is_open(const Sides& sides, Diagram set) {
  for (const FieldId field : diagrams_->fields(set)) {
    if (space_->facts(field).kind != FieldKind::NotModelled) continue;
    if (std::ranges::find(sides.told, field) != sides.told.end()) continue;
    return fmt::format("it hangs on what is not modelled: {}", space_->facts(field).name);
  }
  return "it hangs on what is not modelled";
}

std::optional<Disagreement> Agreement::search(Direction direction) {
  Diagrams& d = *diagrams_;
  Machine machine(d, *space_, ruleset_, host_, facts_);
  machine.share(shared_, places_.before());
  Way way(machine);
  Sides sides;
  const Diagram all = direction == Direction::Arrive ? way.arrive() : way.send();
  const auto is_one = [](std::uint32_t value) { return value < Meanings::kFirst; };
  // Outcomes are numbered anew before the denotation is made: from here on all are meanings.
  sides.of_ruleset = d.map(all, [&](std::uint32_t value) {
    return meanings_.terminal_of(meaning_of(machine, machine.outcome_of(value)));
  });
  sides.of_policy = denotation_.of(direction);
  const auto by_stack = [&](Diagram function) {
    return d.map(function, [&](std::uint32_t value) {
      return !is_one(value) && meanings_.of(value).fate == Fate::Stack ? kEverything : kNothing;
    });
  };
  const Diagram passed_over = d.either(by_stack(sides.of_ruleset), by_stack(sides.of_policy));
  Diagram differs = d.both(d.differ(sides.of_ruleset, sides.of_policy), space_->packets());
  differs = d.minus(differs, passed_over);
  // A socket has both owners: a packet that has a group alone is no program's.
  differs = d.minus(differs,
                    d.both(d.where(space_->has_group(), 1, 1), d.where(space_->has_user(), 0, 0)));
  if (differs == kNothing) return std::nullopt;

  for (const FieldId field : d.fields(differs)) align(sides, field);
  differs = assumed(differs);
  for (const FieldId field : sides.unchanged) {
    differs = d.quantify(d.both(differs, d.where(field, 0, 0)), [&](FieldId of) {
      return of == field ? Quantifier::Any : Quantifier::Keep;
    });
  }
  // One after the other: all of them together would ask about every combination.
  for (const auto& [field, alias] : sides.aliases) {
    const Diagram set = d.where(field, alias.when_set, alias.when_set);
    const Diagram same = d.choose(d.where(alias.of, 1, 1), set, d.complement(set));
    differs = d.quantify(d.both(differs, same), [&, one = field](FieldId of) {
      return of == one ? Quantifier::Any : Quantifier::Keep;
    });
  }
  if (denotation_.expected()) {
    sides.told.push_back(*denotation_.expected());
    const std::string helper = fmt::format("ct {}", ruleset::name_of(ruleset::CtKey::Helper));
    for (const Bit bit : space_->free_bits(helper, 128, FieldKind::NotModelled)) {
      if (sides.told.back() != bit.field()) sides.told.push_back(bit.field());
    }
  }
  std::ranges::copy(denotation_.told(), std::back_inserter(sides.told));
  if (differs == kNothing) return std::nullopt;
  const Diagram certain = without_what_is_not_modelled(sides, differs);
  if (certain == kNothing) throw NotProven{what_is_open(sides, differs)};
  return shown(sides, direction, certain);
}

// A packet as natural as there is one: a connection's first, and nothing counted yet.
Disagreement Agreement::shown(const Sides& sides, Direction direction, Diagram set) {
  Diagrams& d = *diagrams_;
  Diagram unspent = kEverything;
  for (const FieldId field : d.fields(set)) {
    if (space_->facts(field).unspent) {
      unspent = d.both(
          unspent, d.where(field, *space_->facts(field).unspent, *space_->facts(field).unspent));
    }
  }
  const Diagram first = space_->first_packets();
  const std::array narrower{d.both(unspent, first), first, unspent};
  for (const Diagram narrow : narrower) {
    const Diagram part = d.both(set, narrow);
    if (part == kNothing) continue;
    set = part;
    break;
  }
  const auto witness = witness_of(d, *space_, host_, direction, set);
  Disagreement found;
  found.direction = direction;
  found.packet = witness->packet;
  const auto values = values_of(d, *space_, direction, found.packet);
  Diagram rest = set;
  for (FieldId field = 0; field < values.size(); ++field) {
    rest = d.quantify(d.both(rest, d.where(field, values[field], values[field])),
                      [&](FieldId of) { return of == field ? Quantifier::Any : Quantifier::Keep; });
  }
  std::map<FieldId, std::uint64_t> free;
  const auto none = [](FieldId) { return std::span<const std::uint64_t>(); };
  if (const auto way = d.way_to(rest, value_of(kEverything), none)) {
    for (const Diagrams::Step& step : *way) {
      const std::uint64_t unspent_value =
          space_->facts(step.field).unspent.value_or(step.values.first);
      const bool fits = step.values.first <= unspent_value && unspent_value <= step.values.last;
      free[step.field] = fits ? unspent_value : step.values.first;
      if (!fits) found.where.push_back(space_->facts(step.field).name);
    }
  }
  const auto value = [&](FieldId field) -> std::uint64_t {
    if (field < values.size()) return values[field];
    if (const auto alias = sides.aliases.find(field); alias != sides.aliases.end()) {
      const auto of = free.find(alias->second.of);
      const bool is_set = of != free.end() && of->second != 0;
      return is_set ? alias->second.when_set : 1 - alias->second.when_set;
    }
    const auto known = free.find(field);
    if (known != free.end()) return known->second;
    return space_->facts(field).unspent.value_or(0);
  };
  found.of_policy = meanings_.of(d.at(sides.of_policy, value));
  found.of_ruleset = meanings_.of(d.at(sides.of_ruleset, value));
  return found;
}

}  // namespace rolewall::analyze
