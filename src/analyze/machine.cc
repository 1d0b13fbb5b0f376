#include "analyze/machine.h"

#include <fmt/format.h>

#include <utility>

#include "analyze/rule_run.h"
#include "base/check.h"
#include "ruleset/expr.h"
#include "ruleset/names.h"

namespace rolewall::analyze {

Machine::Machine(Diagrams& diagrams, PacketSpace& space, const ruleset::Ruleset& ruleset,
                 const ruleset::Host& host, std::shared_ptr<const RulesetFacts> facts)
    : diagrams_(diagrams),
      space_(space),
      domain_(space.packets()),
      ruleset_(ruleset),
      host_(host),
      environments_(space),
      facts_(std::move(facts)) {}

void Machine::narrow_to_few(Diagram domain) {
  narrow(domain);
  if (domain != kNothing) bounds_.emplace(diagrams_, space_, domain);
}

Diagram Machine::outcome(const Outcome& outcome) {
  Outcome plain = outcome;
  if (plain.kind != Outcome::Kind::Decided) {
    plain.fate = Fate::Accept;
  } else if (plain.fate != Fate::Accept) {
    plain.environment = bare(plain.environment, plain.fate);  // nobody asks what has become of it
  }
  const std::uint64_t key = std::uint64_t{plain.environment} << 16 |
                            static_cast<std::uint64_t>(plain.kind) << 8 |
                            static_cast<std::uint64_t>(plain.fate);
  const auto [number, is_new] =
      outcome_numbers_.emplace(key, static_cast<std::uint32_t>(outcomes_.size()));
  if (is_new) {
    outcomes_.push_back(plain);
    of_kind_[static_cast<std::size_t>(plain.kind)].push_back(number->second);
  }
  return terminal(kFirstOutcome + number->second);
}

Diagram Machine::decided(Fate fate, EnvironmentId environment) {
  return outcome({Outcome::Kind::Decided, fate, environment});
}

// What is noted of a packet that goes no further, what a known connection keeps of it, and what a
// rejected one is answered.
EnvironmentId Machine::bare(EnvironmentId environment, Fate fate) {
  if (shared_ == nullptr) return 0;
  const Environment& noted = environments_[environment];
  Environment plain = environments_[0];
  plain.logged = noted.logged;
  plain.left = noted.left;
  plain.line = noted.line;
  plain.taken = noted.taken;
  if (fate == Fate::Reject) plain.headers = noted.headers;
  bool keeps = false;
  for (const Part part : {Part::KnownMark, Part::KnownLabels}) {
    if (noted.part(part) == plain.part(part)) continue;
    plain.part(part) = noted.part(part);
    keeps = true;
  }
  const bool is_bare = plain.logged == 0 && plain.left == 0 && plain.line == 0 && !plain.taken &&
                       plain.headers == 0 && !keeps;
  return is_bare ? 0 : environments_.intern(std::move(plain));
}

EnvironmentId Machine::noted(EnvironmentId environment, std::uint32_t line, bool replaces) {
  if (environments_[environment].line != 0 && !replaces) return environment;
  Environment changed = environments_[environment];
  changed.line = line;
  return environments_.intern(std::move(changed));
}

// As ask::deciding_hook(): of those that let a packet on the one that filters.
Diagram Machine::decided_by(const Frame& frame, std::uint32_t rule, Fate fate,
                            EnvironmentId environment) {
  if (shared_ != nullptr && shared_->notes_lines) {
    const bool filters = frame.hook == ruleset::Hook::Input ||
                         frame.hook == ruleset::Hook::Forward ||
                         frame.hook == ruleset::Hook::Output;
    environment = noted(environment, place(frame, rule), fate != Fate::Accept || filters);
  }
  if (shared_ != nullptr && fate == Fate::Stack) {
    Environment taken = environments_[environment];
    taken.taken = true;
    environment = environments_.intern(std::move(taken));
  }
  return decided(fate, environment);
}

std::uint32_t Machine::place(const Frame& frame, std::uint32_t rule) const {
  return numbers_ == nullptr ? rule + 1 : numbers_->of(frame.table, frame.chain, rule);
}

Diagram Machine::where_accepted(Diagram first, const std::function<Diagram(EnvironmentId)>& rest) {
  return diagrams_.map(first, [&](std::uint32_t value) {
    const Outcome& outcome = outcome_of(value);
    const bool accepted = outcome.kind == Outcome::Kind::Decided && outcome.fate == Fate::Accept;
    return accepted ? rest(outcome.environment) : terminal(value);
  });
}

template <class Rest>
Diagram Machine::then(Diagram first, Outcome::Kind kind, const Rest& rest) {
  // Most rules change nothing: then there is one such outcome, and the rest is not looked for.
  const std::vector<std::uint32_t>& of_kind = of_kind_[static_cast<std::size_t>(kind)];
  if (of_kind.size() == 1) {
    const std::uint32_t value = kFirstOutcome + of_kind.front();
    if (!diagrams_.ends_in(first, value)) return first;
    return diagrams_.replace(first, value, rest(outcome_of(value).environment));
  }
  return diagrams_.map(first, [&](std::uint32_t value) {
    const Outcome& outcome = outcome_of(value);
    return outcome.kind == kind ? rest(outcome.environment) : terminal(value);
  });
}

Diagram Machine::rules(const Frame& frame, std::uint32_t from, std::uint32_t to,
                       EnvironmentId environment) {
  if (bounds_) {
    const auto& all = ruleset_.tables[frame.table].chains[frame.chain].rules;
    const Environment& now = environments_[environment];
    while (from < to && bounds_->refuse(all[from].exprs, now)) ++from;
    while (from < to && bounds_->refuse(all[to - 1].exprs, now)) --to;
  }
  if (from == to) return outcome({Outcome::Kind::Next, {}, environment});
  // A hostile ruleset calls its chains over and over: runs of rules are of the budget, too.
  constexpr std::uint64_t kStepsOfRule = 500;
  diagrams_.spend(kStepsOfRule);
  if (to - from == 1) return RuleRun(*this, frame, from, environment).run();
  const std::uint32_t middle = from + (to - from) / 2;
  const Diagram first = rules(frame, from, middle, environment);
  return then(first, Outcome::Kind::Next,
              [&](EnvironmentId after) { return rules(frame, middle, to, after); });
}

Diagram Machine::chain_of(const Frame& frame, EnvironmentId environment) {
  // Where no value of a place is asked for, all callers share it.
  constexpr std::uint32_t kAnyCalls = 0xffffffff;
  const auto key = [&](std::uint32_t calls) {
    return ChainKey{frame.table, frame.chain, frame.hook, environment, calls};
  };
  if (const auto had = chains_.find(key(kAnyCalls)); had != chains_.end()) return had->second;
  if (const auto had = chains_.find(key(frame.calls)); had != chains_.end()) {
    ++free_met_;
    return had->second;
  }
  const std::uint64_t before = free_met_;
  const ruleset::Chain& chain = ruleset_.tables[frame.table].chains[frame.chain];
  Diagram all = rules(frame, 0, static_cast<std::uint32_t>(chain.rules.size()), environment);
  all = then(all, Outcome::Kind::Next,
             [&](EnvironmentId after) { return outcome({Outcome::Kind::Return, {}, after}); });
  chains_.emplace(key(free_met_ == before ? kAnyCalls : frame.calls), all);
  return all;
}

std::uint32_t Machine::call_line(const std::string& chain, bool returns) {
  constexpr std::uint32_t kNobody = 0xffffffff;
  return shared_->places.way(kNobody, returns ? 1 : 2, chain);
}

Diagram Machine::call(const Frame& from, std::uint32_t rule, const std::string& name,
                      EnvironmentId environment, bool returns) {
  const ruleset::Table& table = ruleset_.tables[from.table];
  const ruleset::Chain* chain = names(from.table).chain(name);
  CHECK(chain != nullptr, "verify() found the chain");
  if (stops_at_calls_) {
    Environment called = environments_[environment];
    called.line = call_line(name, returns);
    return outcome({Outcome::Kind::Return, {}, environments_.intern(std::move(called))});
  }
  Frame frame = from;
  frame.chain = static_cast<std::uint32_t>(chain - table.chains.data());
  frame.calls = shared_ != nullptr
                    ? shared_->places.way(from.calls, place(from, rule), name)
                    : calls_
                          .emplace(std::tuple(from.calls, from.chain, rule, frame.chain),
                                   static_cast<std::uint32_t>(calls_.size()) + 1)
                          .first->second;
  const Diagram called = chain_of(frame, environment);
  // A goto's return is the calling chain's.
  if (!returns) return called;
  return then(called, Outcome::Kind::Return,
              [&](EnvironmentId after) { return outcome({Outcome::Kind::Next, {}, after}); });
}

Diagram Machine::run(std::uint32_t table, std::uint32_t chain, ruleset::Hook hook,
                     EnvironmentId environment) {
  Frame frame{table, chain, hook, 0};
  constexpr std::uint32_t kNoRule = 0xffffffff;
  frame.calls =
      shared_ != nullptr
          ? shared_->places.way(static_cast<std::uint32_t>(hook), numbers_->policy_of(table, chain),
                                "")
          : calls_
                .emplace(std::tuple(static_cast<std::uint32_t>(hook), table, kNoRule, chain),
                         static_cast<std::uint32_t>(calls_.size()) + 1)
                .first->second;
  const auto& base = ruleset_.tables[table].chains[chain].base;
  const Fate policy =
      base && base->policy == ruleset::VerdictCode::Drop ? Fate::Drop : Fate::Accept;
  return then(chain_of(frame, environment), Outcome::Kind::Return, [&](EnvironmentId after) {
    if (shared_ != nullptr && shared_->notes_lines) {
      after = noted(after, numbers_->policy_of(table, chain), policy != Fate::Accept);
    }
    return decided(policy, after);
  });
}

std::uint32_t Machine::change(EnvironmentId environment, FoundFrom from) {
  const auto [known, is_new] = changes_.try_emplace({environment, from});
  if (!is_new) return known->second;
  const Environment& now = environments_[environment];
  std::vector<std::uint32_t> row{now.headers};
  const auto add = [&row](const Bits& bits) {
    for (const Bit bit : bits) row.push_back(bit.code());
  };
  for (std::size_t i = 0; i < kPartCount; ++i) {
    const auto part = static_cast<Part>(i);
    const bool in_headers =
        part == Part::Family || (part >= Part::Protocol && part <= Part::Length);
    const bool routes = part == Part::InDevice || part == Part::OutDevice || part == Part::Mark;
    if (in_headers || from == FoundFrom::All || (routes && from == FoundFrom::Routing)) {
      add(now.parts[i]);
    }
  }
  if (from == FoundFrom::All) {
    for (const Bits& bits : now.original) add(bits);
    row.push_back(static_cast<std::uint32_t>(now.tracked) << 1 | (now.has_socket ? 1 : 0));
  }
  return known->second = space_.number_of(row);
}

std::string Machine::as_changed(EnvironmentId environment, FoundFrom from) {
  const std::uint32_t number = change(environment, from);
  return number == change(0, from) ? "" : fmt::format(" (as it is by then, {})", number);
}

FieldId Machine::free_at(const Frame& frame, std::uint32_t rule, std::string_view what,
                         unsigned bits, FieldKind kind) {
  ++free_met_;
  const ruleset::Table& table = ruleset_.tables[frame.table];
  const FieldId field = space_.free(
      fmt::format("{} ({} {}, chain {}, rule {}{}{})", what, ruleset::name_of(table.family),
                  table.name, table.chains[frame.chain].name, place(frame, rule), kWay,
                  frame.calls),
      bits, kind);
  space_.set_asked_by(field, {frame.table, frame.chain, rule});
  asked_.insert(field);
  return field;
}

std::optional<Diagram>& Machine::members(const ruleset::Set& set, BitSpan key) {
  std::vector<std::uint32_t> codes;
  codes.reserve(key.size());
  for (const Bit bit : key) codes.push_back(bit.code());
  return members_[{&set, std::move(codes)}];
}

const ruleset::IpSet* Machine::ipset(std::string_view name) {
  if (!ipsets_) ipsets_ = ruleset::read_ipsets(host_.ipsets);
  const auto at = std::ranges::find(*ipsets_, name, &ruleset::IpSet::name);
  return at == ipsets_->end() ? nullptr : &*at;
}

}  // namespace rolewall::analyze
