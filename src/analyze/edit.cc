#include "analyze/edit.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "analyze/rule_run.h"
#include "ruleset/effects.h"
#include "ruleset/expr.h"
#include "ruleset/xt_target.h"

namespace rolewall::analyze {
namespace {

using ruleset::Hook;
using ruleset::Ruleset;
using Indices = std::vector<ruleset::TableIndex>;

Indices indices_of(const Ruleset& ruleset) {
  Indices all;
  for (const ruleset::Table& table : ruleset.tables) all.emplace_back(table);
  return all;
}

constexpr std::uint8_t bit_of(Hook hook) {
  return static_cast<std::uint8_t>(1U << static_cast<unsigned>(hook));
}

// All that decides which chains are asked, and when.
struct Frame {
  std::vector<std::tuple<ruleset::Family, std::string, std::uint32_t, std::string>> chains;
  std::vector<ruleset::BaseChain> bases;
  ruleset::TrackingUse tracking;
  bool operator==(const Frame&) const = default;
};

Frame frame_of(const Ruleset& ruleset, const Indices& indices) {
  Frame frame;
  for (std::size_t t = 0; t < ruleset.tables.size(); ++t) {
    const ruleset::Table& table = ruleset.tables[t];
    frame.tracking |= ruleset::tracking_of(indices[t]);
    for (const ruleset::Chain& chain : table.chains) {
      if (!chain.base) continue;
      frame.chains.emplace_back(table.family, table.name, table.flags, chain.name);
      frame.bases.push_back(*chain.base);
    }
  }
  return frame;
}

// By table and chain, the hooks that lead there.
std::vector<std::vector<std::uint8_t>> hooks_of(const Ruleset& ruleset, const Indices& indices) {
  std::vector<std::vector<std::uint8_t>> hooks;
  for (std::size_t t = 0; t < ruleset.tables.size(); ++t) {
    const ruleset::Table& table = ruleset.tables[t];
    std::vector<std::uint8_t>& of = hooks.emplace_back(table.chains.size());
    std::vector<std::size_t> open;
    const auto reach = [&](std::size_t chain, std::uint8_t by) {
      if ((of[chain] | by) == of[chain]) return;
      of[chain] |= by;
      open.push_back(chain);
    };
    for (std::size_t c = 0; c < table.chains.size(); ++c) {
      if (table.chains[c].base) reach(c, bit_of(table.chains[c].base->hook));
    }
    while (!open.empty()) {
      const std::size_t from = open.back();
      open.pop_back();
      const auto call = [&](const ruleset::Verdict& verdict) {
        if (verdict.chain.empty()) return;
        const ruleset::Chain* chain = indices[t].chain(verdict.chain);
        if (chain != nullptr) {
          reach(static_cast<std::size_t>(chain - table.chains.data()), of[from]);
        }
      };
      for (const ruleset::Rule& rule : table.chains[from].rules) {
        for (const ruleset::Expr& expr : rule.exprs) {
          if (const auto* verdict = std::get_if<ruleset::ImmediateVerdict>(&expr)) {
            call(verdict->verdict);
          }
          const auto* lookup = std::get_if<ruleset::Lookup>(&expr);
          if (lookup == nullptr || lookup->result != ruleset::LookupResult::Verdict) continue;
          const ruleset::Set* set = indices[t].set(lookup->set);
          if (set == nullptr) continue;
          for (const ruleset::Verdict& verdict : set->elements.verdicts) call(verdict);
          call(set->elements.catch_all_verdict);
        }
      }
    }
  }
  return hooks;
}

// Sets that rules fill: what they hold is not known.
std::set<std::tuple<ruleset::Family, std::string, std::string>> filled_sets(
    const Ruleset& ruleset) {
  std::set<std::tuple<ruleset::Family, std::string, std::string>> all;
  for (const ruleset::Table& table : ruleset.tables) {
    for (const ruleset::Chain& chain : table.chains) {
      for (const ruleset::Rule& rule : chain.rules) {
        for (const ruleset::Expr& expr : rule.exprs) {
          const auto* dynset = std::get_if<ruleset::Dynset>(&expr);
          if (dynset != nullptr) all.emplace(table.family, table.name, dynset->set);
        }
      }
    }
  }
  return all;
}

bool asks_connections(const ruleset::Rule& rule) {
  return std::ranges::any_of(rule.exprs, [](const ruleset::Expr& expr) {
    return std::holds_alternative<ruleset::Ct>(expr) ||
           std::holds_alternative<ruleset::CtSet>(expr) ||
           std::holds_alternative<ruleset::Notrack>(expr) ||
           std::holds_alternative<ruleset::XtMatch>(expr) ||
           std::holds_alternative<ruleset::XtTarget>(expr);
  });
}

// What both sides' rules come to, by one numbering.
class Outcomes {
 public:
  Diagram number(const Machine& machine, const Outcome& outcome, EnvironmentId began) {
    if (outcome.kind == Outcome::Kind::Next && outcome.environment == began) return terminal(0);
    const Environment& environment = machine.environments()[outcome.environment];
    std::vector<std::uint32_t> key{static_cast<std::uint32_t>(outcome.kind),
                                   static_cast<std::uint32_t>(outcome.fate),
                                   static_cast<std::uint32_t>(environment.tracked),
                                   environment.has_socket ? 1U : 0U,
                                   environment.logged,
                                   environment.taken ? 1U : 0U,
                                   environment.line};
    const auto add = [&](const Bits& bits) {
      for (const Bit bit : bits) key.push_back(bit.code());
    };
    for (const Bits& part : environment.parts) add(part);
    for (const Bits& part : environment.original) add(part);
    const auto next = static_cast<std::uint32_t>(numbers_.size()) + 1;
    return terminal(numbers_.emplace(std::move(key), next).first->second);
  }

 private:
  std::map<std::vector<std::uint32_t>, std::uint32_t> numbers_;
};

}  // namespace

Edit::Edit(const Side& before, const Side& after, Shared& shared)
    : before_(before),
      after_(after),
      shared_(shared),
      before_tables_(indices_of(before.ruleset)),
      after_tables_(indices_of(after.ruleset)) {
  is_whole_ =
      !(before.host == after.host) ||
      !(frame_of(before.ruleset, before_tables_) == frame_of(after.ruleset, after_tables_)) ||
      filled_sets(before.ruleset) != filled_sets(after.ruleset);
  if (!is_whole_) find_parts();
}

bool Edit::same_contents(std::uint32_t table, std::uint32_t other, const std::string& name) {
  const auto [known, is_new] = same_contents_.emplace(std::pair(table, name), true);
  if (!is_new) return known->second;
  const ruleset::Set* a = before_tables_[table].set(name);
  const ruleset::Set* b = after_tables_[other].set(name);
  known->second = a != nullptr && b != nullptr && a->kind == b->kind && a->key == b->key &&
                  a->data == b->data && a->interval == b->interval && a->exprs == b->exprs &&
                  a->unsupported == b->unsupported && a->elements == b->elements;
  return known->second;
}

// Whether rules that are the same look into sets that are not.
bool Edit::looks_elsewhere(const RulePlace& before, const RulePlace& after) {
  const auto& exprs =
      before_.ruleset.tables[before.table].chains[before.chain].rules[before.rule].exprs;
  return std::ranges::any_of(exprs, [&](const ruleset::Expr& expr) {
    const auto* lookup = std::get_if<ruleset::Lookup>(&expr);
    if (lookup == nullptr) return false;
    const ruleset::Set* set = before_tables_[before.table].set(lookup->set);
    return set != nullptr && !set->anonymous &&
           !same_contents(before.table, after.table, lookup->set);
  });
}

void Edit::add_parts(std::size_t table, std::size_t chain, std::size_t other_table,
                     std::size_t other, bool has_before, bool has_after) {
  const auto numbers_of = [](const Side& side, std::size_t t, std::size_t c, bool has) {
    std::vector<std::uint32_t> numbers;
    if (!has) return numbers;
    const std::size_t count = side.ruleset.tables[t].chains[c].rules.size();
    for (std::uint32_t rule = 0; rule < count; ++rule) {
      numbers.push_back(
          side.numbers.of(static_cast<std::uint32_t>(t), static_cast<std::uint32_t>(c), rule));
    }
    return numbers;
  };
  const auto was = numbers_of(before_, table, chain, has_before);
  const auto is = numbers_of(after_, other_table, other, has_after);
  const auto at = [](std::size_t t, std::size_t c, std::size_t rule) {
    return RulePlace{static_cast<std::uint32_t>(t), static_cast<std::uint32_t>(c),
                     static_cast<std::uint32_t>(rule)};
  };
  const auto edited = [&](std::uint32_t number) { return shared_.places.is_edited(number); };
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < was.size() || j < is.size()) {
    Part part;
    for (; i < was.size() && edited(was[i]); ++i) part.before.push_back(at(table, chain, i));
    for (; j < is.size() && edited(is[j]); ++j) part.after.push_back(at(other_table, other, j));
    if (!part.before.empty() || !part.after.empty()) parts_.push_back(std::move(part));
    // The two that come next are the same, for those in order are all that is left.
    if (i >= was.size() || j >= is.size()) continue;
    const RulePlace of_was = at(table, chain, i++);
    const RulePlace of_is = at(other_table, other, j++);
    if (looks_elsewhere(of_was, of_is)) parts_.push_back({{of_was}, {of_is}});
  }
}

void Edit::find_parts() {
  const Ruleset& before = before_.ruleset;
  const Ruleset& after = after_.ruleset;
  const auto hooks_before = hooks_of(before, before_tables_);
  const auto hooks_after = hooks_of(after, after_tables_);
  std::set<std::pair<std::size_t, std::size_t>> met;
  const auto add = [&](std::size_t t, std::size_t c, std::size_t u, std::size_t d, bool was,
                       bool is) {
    std::uint8_t hooks = 0;
    if (was) hooks |= hooks_before[t][c];
    if (is) hooks |= hooks_after[u][d];
    if (hooks == 0) return;
    const std::size_t first = parts_.size();
    add_parts(t, c, u, d, was, is);
    for (std::size_t i = first; i < parts_.size(); ++i) parts_[i].hooks = hooks;
  };
  for (std::size_t t = 0; t < before.tables.size(); ++t) {
    const ruleset::Table& table = before.tables[t];
    const auto same = std::ranges::find_if(after.tables, [&](const ruleset::Table& other) {
      return other.family == table.family && other.name == table.name;
    });
    const auto u = static_cast<std::size_t>(same - after.tables.begin());
    for (std::size_t c = 0; c < table.chains.size(); ++c) {
      const ruleset::Chain* other =
          same == after.tables.end() ? nullptr : after_tables_[u].chain(table.chains[c].name);
      const std::size_t d =
          other == nullptr ? 0 : static_cast<std::size_t>(other - same->chains.data());
      if (other != nullptr) met.emplace(u, d);
      add(t, c, u, d, true, other != nullptr);
    }
  }
  for (std::size_t u = 0; u < after.tables.size(); ++u) {
    for (std::size_t d = 0; d < after.tables[u].chains.size(); ++d) {
      if (!met.contains({u, d})) add(0, 0, u, d, false, true);
    }
  }
  for (const auto& [ruleset, tables] :
       {std::pair(&before, &before_tables_), std::pair(&after, &after_tables_)}) {
    for (std::size_t t = 0; t < ruleset->tables.size(); ++t) {
      const ruleset::Table& table = ruleset->tables[t];
      for (const ruleset::Set& set : table.sets) {
        writes_.anything = writes_.anything || !set.unsupported.empty();
      }
      for (const ruleset::Chain& chain : table.chains) {
        for (const ruleset::Rule& rule : chain.rules) {
          for (const ruleset::Expr& expr : rule.exprs) {
            if (const auto* set = std::get_if<ruleset::MetaSet>(&expr)) {
              writes_.marks = true;
              writes_.type = writes_.type || set->key == ruleset::MetaKey::PktType;
            } else if (std::holds_alternative<ruleset::CtSet>(expr)) {
              writes_.marks = true;
            } else if (std::holds_alternative<ruleset::Nat>(expr) ||
                       std::holds_alternative<ruleset::Masquerade>(expr) ||
                       std::holds_alternative<ruleset::Redirect>(expr)) {
              writes_.addresses = true;
            } else if (const auto* target = std::get_if<ruleset::XtTarget>(&expr)) {
              const auto meaning = ruleset::meaning_of(*target);
              const bool writes_nothing =
                  meaning && (std::holds_alternative<ruleset::XtNotes>(*meaning) ||
                              std::holds_alternative<ruleset::XtTee>(*meaning) ||
                              std::holds_alternative<ruleset::XtReject>(*meaning));
              writes_.anything = writes_.anything || !writes_nothing;
            } else if (const auto* object = std::get_if<ruleset::ObjectRef>(&expr)) {
              const ruleset::Object* named = (*tables)[t].object(object->type, object->name);
              writes_.anything = writes_.anything || named == nullptr ||
                                 std::holds_alternative<ruleset::Synproxy>(named->body) ||
                                 std::holds_alternative<ruleset::Unsupported>(named->body);
            } else if (std::holds_alternative<ruleset::Tproxy>(expr)) {
              is_whole_ = true;  // the packet's socket is told apart
            } else if (std::holds_alternative<ruleset::PayloadWrite>(expr) ||
                       std::holds_alternative<ruleset::Synproxy>(expr) ||
                       std::holds_alternative<ruleset::Unsupported>(expr)) {
              writes_.anything = true;
            }
          }
        }
      }
    }
  }
}

Diagram Edit::packets(Diagrams& diagrams, PacketSpace& space, Direction direction, Diagram domain) {
  if (is_whole_) return domain;
  const bool arrives = direction == Direction::Arrive;
  Machine before(diagrams, space, before_.ruleset, before_.host);
  Machine after(diagrams, space, after_.ruleset, after_.host);
  before.share(shared_, before_.numbers);
  after.share(shared_, after_.numbers);
  for (Machine* machine : {&before, &after}) {
    machine->narrow(domain);
    machine->stop_at_calls();
  }
  // What it may be by the time that it comes to a rule of this hook.
  const auto environment = [&](Hook hook, Tracked tracked) {
    using analyze::Part;
    Environment now = before.environments()[0];
    const auto free = [&](Part part) {
      const auto number = static_cast<std::size_t>(part);
      now.parts[number] = space.free_bits(fmt::format("part {} at an edit", number),
                                          now.parts[number].size(), FieldKind::NotModelled);
    };
    const bool moves = writes_.anything || writes_.addresses || writes_.marks;
    if (!arrives) {
      now.part(Part::InDevice) = Bits(128);
      if (moves) free(Part::OutDevice);
    } else if (hook == Hook::Forward || hook == Hook::Postrouting) {
      for (const Part part : {Part::OutDevice, Part::TimeToLive, Part::Priority}) free(part);
    } else {
      now.part(Part::OutDevice) = Bits(128);
    }
    free(Part::CtStatus);
    now.tracked = tracked;
    if (writes_.anything) {
      for (std::size_t i = 0; i < kPartCount; ++i) {
        const auto part = static_cast<Part>(i);
        // As unknown_environment() has it.
        const bool stays = part == Part::Family || part == Part::InDevice ||
                           part == Part::OutDevice || part == Part::Protocol ||
                           part == Part::Length;
        if (!stays) free(part);
      }
    }
    if (writes_.type) free(Part::Type);
    if (writes_.marks) {
      for (const Part part : {Part::Mark, Part::Priority, Part::CtMark, Part::CtLabels}) free(part);
    }
    if (writes_.addresses) {
      for (const Part part : {Part::Source4, Part::Source6, Part::Destination4, Part::Destination6,
                              Part::Transport0, Part::Transport2}) {
        free(part);
      }
    }
    constexpr std::array kTuple{std::pair(TuplePart::Source4, Part::Source4),
                                std::pair(TuplePart::Destination4, Part::Destination4),
                                std::pair(TuplePart::Source6, Part::Source6),
                                std::pair(TuplePart::Destination6, Part::Destination6),
                                std::pair(TuplePart::SourcePort, Part::Transport0),
                                std::pair(TuplePart::DestinationPort, Part::Transport2)};
    for (const auto& [to, from] : kTuple) {
      Bits& original = now.original[static_cast<std::size_t>(to)];
      original = now.part(from);
      if (writes_.anything || writes_.addresses) {
        original = space.free_bits(fmt::format("tuple {} at an edit", static_cast<int>(to)),
                                   original.size(), FieldKind::NotModelled);
      }
    }
    return now;
  };
  Outcomes outcomes;
  // What a rule does of the packets that it does not break for: 0 is nothing.
  const auto run = [&](Machine& machine, const RulePlace& rule, Hook hook, Environment began) {
    const EnvironmentId id = machine.environments().intern(std::move(began));
    const Machine::Frame frame{rule.table, rule.chain, hook, 0};
    return diagrams.map(RuleRun(machine, frame, rule.rule, id).run(), [&](std::uint32_t value) {
      return outcomes.number(machine, machine.outcome_of(value), id);
    });
  };
  const auto acts = [&](Diagram does) {
    return diagrams.map(does,
                        [](std::uint32_t value) { return value == 0 ? kNothing : kEverything; });
  };
  std::vector<Diagram> all;
  const auto add = [&](const Part& part, Hook hook, Tracked tracked) {
    const bool pair = part.before.size() == 1 && part.after.size() == 1;
    std::vector<Diagram> does;
    for (const RulePlace& rule : part.before) {
      does.push_back(run(before, rule, hook, environment(hook, tracked)));
    }
    for (const RulePlace& rule : part.after) {
      does.push_back(run(after, rule, hook, environment(hook, tracked)));
    }
    if (pair) {
      all.push_back(diagrams.differ(does[0], does[1]));
      return;
    }
    for (const Diagram one : does) all.push_back(acts(one));
  };
  const std::array<Hook, 4> arriving{Hook::Prerouting, Hook::Input, Hook::Forward,
                                     Hook::Postrouting};
  const std::array<Hook, 2> leaving{Hook::Output, Hook::Postrouting};
  const std::span<const Hook> hooks = arrives ? std::span<const Hook>(arriving) : leaving;
  for (const Part& part : parts_) {
    const auto asks = [](const Ruleset& ruleset, const std::vector<RulePlace>& rules) {
      return std::ranges::any_of(rules, [&](const RulePlace& rule) {
        return asks_connections(ruleset.tables[rule.table].chains[rule.chain].rules[rule.rule]);
      });
    };
    const bool by_tracking = asks(before_.ruleset, part.before) || asks(after_.ruleset, part.after);
    for (const Hook hook : hooks) {
      if ((part.hooks & bit_of(hook)) == 0) continue;
      add(part, hook, Tracked::Yes);
      if (!by_tracking) continue;
      for (const Tracked tracked : {Tracked::NotYet, Tracked::Never, Tracked::InZone}) {
        add(part, hook, tracked);
      }
    }
  }
  Diagram met = diagrams.both(domain, diagrams.union_of(std::move(all)));
  met = diagrams.quantify(met, [&](FieldId field) {
    return space.facts(field).kind == FieldKind::Packet ? Quantifier::Keep : Quantifier::Any;
  });
  return diagrams.both(domain, met);
}

}  // namespace rolewall::analyze
