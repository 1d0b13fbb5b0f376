#include "sandbox/observation.h"

#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "ruleset/rule_parts.h"
#include "sandbox/watch.h"

namespace rolewall::sandbox {
namespace {

using ruleset::Hook;
using ruleset::VerdictCode;

std::string table_key(ruleset::Family family, std::string_view name) {
  return fmt::format("{} {}", static_cast<unsigned>(family), name);
}

Hook after(Hook hook) {
  return hook == Hook::Prerouting ? Hook::Input : Hook::Postrouting;
}

Fate fate_of(const ruleset::Verdict& verdict, bool rejects, bool stolen) {
  if (stolen) return Fate::Stolen;
  switch (verdict.code) {
    case VerdictCode::Drop:
      return rejects ? Fate::Reject : Fate::Drop;
    case VerdictCode::Queue:
      return Fate::Queue;
    case VerdictCode::Accept:
    case VerdictCode::Continue:
    case VerdictCode::Break:
    case VerdictCode::Jump:
    case VerdictCode::Goto:
    case VerdictCode::Return:
      return Fate::Accept;
  }
  return Fate::Accept;
}

}  // namespace

std::string_view words_of(Fate fate) {
  switch (fate) {
    case Fate::Accept:
      return "accept";
    case Fate::Drop:
      return "drop";
    case Fate::Reject:
      return "reject";
    case Fate::Queue:
      return "queue";
    case Fate::Stolen:
      return "taken away by a rule";
    case Fate::Stack:
      return "discarded outside of its chains";
  }
  return "";
}

const Step* HookObservation::decision() const {
  if (fate == Fate::Stack || path.empty()) return nullptr;
  if (fate != Fate::Accept) return &path.back();
  const Step* decided = nullptr;
  for (const Step& step : path) {
    if (step.verdict.code != VerdictCode::Accept) continue;
    if (decided == nullptr || step.rule != Step::kEnd || decided->rule == Step::kEnd) {
      decided = &step;
    }
  }
  return decided;
}

Observation read_counters(Hook first, const ruleset::Table& watch) {
  Observation seen;
  seen.traced = false;
  std::vector<Hook> way{first, after(first)};
  if (watch::passed(watch, {Hook::Forward, watch::End::First})) {
    way = {first, Hook::Forward, Hook::Postrouting};
  }
  for (const Hook hook : way) {
    const bool came = watch::passed(watch, {hook, watch::End::First});
    const bool left = watch::passed(watch, {hook, watch::End::Last});
    const Fate fate = left ? Fate::Accept : came ? Fate::Drop : Fate::Stack;
    seen.hooks.push_back({.hook = hook, .fate = fate, .path = {}});
    if (fate != Fate::Accept) break;
  }
  return seen;
}

Result<void> all_read(std::span<const observe::TraceMessage> messages) {
  for (const observe::TraceMessage& message : messages) {
    if (message.problem.empty()) continue;
    return fail(
        ErrorKind::System,
        fmt::format("the kernel's decision is unknown: its trace of table {} chain {} rule {} "
                    "cannot be read ({})",
                    message.table, message.chain, message.handle, message.problem));
  }
  return {};
}

Reader::Reader(const ruleset::Ruleset& ruleset) {
  for (std::uint32_t t = 0; t < ruleset.tables.size(); ++t) {
    const auto& from = ruleset.tables[t];
    Table& table = tables_[table_key(from.family, from.name)];
    table.index = t;
    for (std::uint32_t c = 0; c < from.chains.size(); ++c) {
      const auto& chain = from.chains[c];
      table.chains[chain.name] = {c, chain.base.has_value()};
      for (std::uint32_t r = 0; r < chain.rules.size(); ++r) {
        table.rules[chain.rules[r].handle] = {c, r, ruleset::rejects(chain.rules[r])};
      }
    }
  }
}

Result<Reader::Told> Reader::tell(const observe::TraceMessage& message) const {
  const auto unknown = [&] {
    return fail(
        ErrorKind::System,
        fmt::format("the trace names table {} chain {} rule {}, which the ruleset does not have",
                    message.table, message.chain, message.handle));
  };
  const auto table = tables_.find(table_key(message.family, message.table));
  if (table == tables_.end()) return unknown();
  const auto chain = table->second.chains.find(message.chain);
  if (chain == table->second.chains.end()) return unknown();

  Told told{{table->second.index, chain->second.index, Step::kEnd, message.verdict}};
  if (message.handle != 0) {
    const auto rule = table->second.rules.find(message.handle);
    if (rule == table->second.rules.end() || rule->second.chain != told.step.chain) {
      return unknown();
    }
    told.step.rule = rule->second.index;
    told.fate = fate_of(message.verdict, rule->second.rejects, message.stolen);
  } else if (message.type == observe::TraceType::Policy) {
    told.fate = fate_of(message.verdict, false, false);
  } else {
    told.step.verdict.code = VerdictCode::Return;
    told.implied = chain->second.is_base;
  }
  return told;
}

Result<Observation> Reader::read(Hook first,
                                 std::span<const observe::TraceMessage> messages) const {
  TRY(all_read(messages));
  Observation seen;
  seen.hooks.push_back({.hook = first, .fate = Fate::Stack, .path = {}});
  for (const observe::TraceMessage& message : messages) {
    HookObservation& current = seen.hooks.back();
    if (message.table == watch::kTable) {
      const auto gate = watch::gate(message.chain);
      if (!gate) continue;
      // A broadcast's copy for this host runs through postrouting a second time.
      if (gate->hook < current.hook) break;
      if (gate->end == watch::End::First) {
        if (gate->hook != current.hook) {
          seen.hooks.push_back({.hook = gate->hook, .fate = Fate::Stack, .path = {}});
        }
        continue;
      }
      current.fate = Fate::Accept;
      if (gate->hook == Hook::Input || gate->hook == Hook::Postrouting) return seen;
      continue;
    }
    auto told = tell(message);
    if (!told) return std::unexpected(told.error());
    if (told->implied) continue;
    current.path.push_back(std::move(told->step));
    if (told->fate != Fate::Accept) {
      current.fate = told->fate;
      return seen;
    }
  }
  // It got through a hook and was not seen at the next.
  if (seen.hooks.back().fate == Fate::Accept) {
    seen.hooks.push_back({.hook = after(seen.hooks.back().hook), .fate = Fate::Stack, .path = {}});
  }
  return seen;
}

}  // namespace rolewall::sandbox
