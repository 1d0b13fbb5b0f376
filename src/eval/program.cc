#include "eval/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/one_of.h"
#include "base/overloaded.h"
#include "base/visit.h"
#include "ruleset/expr.h"

namespace rolewall::eval {
namespace {

using ruleset::ConntrackUse;
using ruleset::Expr;
using ruleset::Memory;

// Whether an element's expression has a cell.
bool keeps_state(const ruleset::StatefulExpr& expr) {
  return ruleset::memory_of(expr) != Memory::Count;
}

std::string text_of(const ruleset::Unsupported& unsupported) {
  return unsupported.reason.empty()
             ? fmt::format("the expression {} is not modelled", unsupported.name)
             : fmt::format("the expression {} is not modelled: {}", unsupported.name,
                           unsupported.reason);
}

// What keeps the machine from running a named object, or "".
std::string problem_of(const ruleset::Object& object) {
  const auto* unsupported = std::get_if<ruleset::Unsupported>(&object.body);
  if (unsupported == nullptr) return "";
  return fmt::format("object {}: not modelled: {}", object.name, unsupported->reason);
}

// What keeps it from looking things up in the set, or "".
std::string problem_of(const ruleset::Set& set) {
  if (set.unsupported.empty()) return "";
  return fmt::format("set {} could not be read completely: {}", set.name, set.unsupported);
}

template <class T>
std::uint32_t place_of(const T* thing, const std::vector<T>& among) {
  return static_cast<std::uint32_t>(thing - among.data());
}

}  // namespace

const std::vector<ruleset::StatefulExpr>& element_exprs(const ruleset::Set& set,
                                                        std::uint32_t element) {
  const auto& own = set.elements.exprs;
  return element < own.size() && !own[element].empty() ? own[element] : set.exprs;
}

// Prepares one table.
class Program::Preparer {
 public:
  Preparer(Program& program, State& state, PartialSets* partial, Table& into)
      : program_(program), state_(state), partial_(partial), into_(into) {}

  // `first_set`: how many sets the tables before have.
  void prepare(std::uint32_t first_set) {
    const ruleset::Table& table = *into_.table;
    program_.tracking_ |= ruleset::tracking_of(into_.names);
    into_.first_object_cell = state_.reserve(table.objects.size());
    into_.sets.reserve(table.sets.size());
    for (const ruleset::Set& set : table.sets) prepare_set(set, first_set++);
    for (const ruleset::Chain& chain : table.chains) {
      Chain& prepared = into_.chains.emplace_back();
      prepared.chain = &chain;
      for (const ruleset::Rule& rule : chain.rules) {
        prepared.rules.push_back({&rule, static_cast<std::uint32_t>(program_.operands_.size())});
        for (const Expr& expr : rule.exprs) program_.operands_.push_back(operand_of(expr));
      }
    }
  }

 private:
  std::uint32_t problem(std::string text) {
    program_.problems_.push_back(std::move(text));
    return kFirstProblem + static_cast<std::uint32_t>(program_.problems_.size() - 1);
  }

  std::uint32_t target_of(const ruleset::Verdict& verdict) const {
    if (verdict.chain.empty()) return kNone;
    return place_of(into_.names.chain(verdict.chain), into_.table->chains);
  }
  std::uint32_t object_named(std::uint32_t type, std::string_view name) const {
    return place_of(into_.names.object(type, name), into_.table->objects);
  }
  const ruleset::Set& set_named(std::string_view name) const { return *into_.names.set(name); }

  PartialSet* partial_of(const ruleset::Set& set) const {
    if (partial_ == nullptr) return nullptr;
    const auto at = partial_->find(&set);
    return at == partial_->end() ? nullptr : &at->second;
  }

  void prepare_set(const ruleset::Set& set, std::uint32_t number) {
    Set& prepared = into_.sets.emplace_back(set);
    prepared.number = number;
    prepared.partial = partial_of(set);
    // An element that was not read may count connections.
    if (prepared.partial != nullptr) {
      program_.tracking_ |= ruleset::tracking_in(into_.table->family, ConntrackUse::Unknown);
    }
    const ruleset::Elements& elements = set.elements;
    for (const ruleset::Verdict& verdict : elements.verdicts) {
      prepared.targets.push_back(target_of(verdict));
    }
    for (const std::string& object : elements.objects) {
      prepared.targets.push_back(object_named(set.object_type, object));
    }
    if (elements.has_catch_all) {
      prepared.catch_all_target = set.kind == ruleset::SetKind::ObjectMap
                                      ? object_named(set.object_type, elements.catch_all_object)
                                      : target_of(elements.catch_all_verdict);
    }
    std::size_t most = std::ranges::any_of(set.exprs, keeps_state) ? set.exprs.size() : 0;
    for (const auto& exprs : elements.exprs) {
      if (std::ranges::any_of(exprs, keeps_state)) most = std::max(most, exprs.size());
    }
    prepared.cells_each = static_cast<std::uint32_t>(most);
    prepared.first_cell = state_.reserve(most * elements.count());
  }

  // Of an expression that works on a set.
  std::uint32_t set_operand(std::string_view name) {
    const ruleset::Set& set = set_named(name);
    if (std::string text = problem_of(set); !text.empty()) return problem(std::move(text));
    return place_of(&set, into_.table->sets);
  }

  std::uint32_t operand_of(const ruleset::ObjectRef& reference) {
    const std::uint32_t object = object_named(reference.type, reference.name);
    std::string text = problem_of(into_.table->objects[object]);
    return text.empty() ? object : problem(std::move(text));
  }

  std::uint32_t operand_of(const ruleset::ObjectLookup& lookup) {
    const std::uint32_t set = set_operand(lookup.set);
    if (set >= kFirstProblem) return set;
    const Set& prepared = into_.sets[set];
    std::vector<std::uint32_t> targets = prepared.targets;
    if (prepared.set->elements.has_catch_all) targets.push_back(prepared.catch_all_target);
    for (const std::uint32_t object : targets) {
      std::string text = problem_of(into_.table->objects[object]);
      if (!text.empty()) return problem(std::move(text));
    }
    return set;
  }

  std::uint32_t operand_of(const ruleset::XtMatch& match) {
    auto meaning = ruleset::meaning_of(match);
    if (!meaning) {
      return problem(fmt::format("iptables' match `{}`: {}", match.name, meaning.error().message));
    }
    const auto number = static_cast<std::uint32_t>(program_.xt_matches_.size());
    program_.xt_matches_.push_back({std::move(*meaning), state_.reserve(1)});
    dispute_list(number);
    if (const auto* set = std::get_if<ruleset::XtSet>(&program_.xt_matches_.back().meaning)) {
      program_.asks_ipset_counters_ |= set->looks_at_counters();
    }
    return number;
  }

  // Whoever is loaded first makes a list that rules share by its name (htable_create(), and
  // recent_mt_check(), whose lists both families share).
  void dispute_list(std::uint32_t number) {
    XtMatch& match = program_.xt_matches_[number];
    const auto* limit = std::get_if<ruleset::XtHashlimit>(&match.meaning);
    const auto* recent = std::get_if<ruleset::XtRecent>(&match.meaning);
    if (limit == nullptr && recent == nullptr) return;
    const bool is_ipv6 = limit != nullptr && into_.table->family == ruleset::Family::Ip6;
    const std::string list =
        limit != nullptr ? "hashlimit/" + limit->name : "recent/" + recent->name;
    const auto [at, is_first] = program_.first_of_list_.try_emplace({list, is_ipv6}, number);
    if (is_first) return;
    XtMatch& first = program_.xt_matches_[at->second];
    if (limit != nullptr) {
      // One list, whose entries all of them spend.
      match.cell = first.cell;
      const auto& of_first = std::get<ruleset::XtHashlimit>(first.meaning);
      match.is_disputed = first.is_disputed || !of_first.makes_same_list(*limit);
    } else {
      match.is_disputed =
          first.is_disputed || std::get<ruleset::XtRecent>(first.meaning).mask != recent->mask;
    }
    if (!match.is_disputed || first.is_disputed) return;
    for (XtMatch& each : program_.xt_matches_) {
      const auto* other = std::get_if<ruleset::XtHashlimit>(&each.meaning);
      const auto* other_recent = std::get_if<ruleset::XtRecent>(&each.meaning);
      each.is_disputed |= limit != nullptr
                              ? other != nullptr && other->name == limit->name
                              : other_recent != nullptr && other_recent->name == recent->name;
    }
  }

  std::uint32_t operand_of(const ruleset::XtTarget& target) {
    auto meaning = ruleset::meaning_of(target);
    if (!meaning) {
      return problem(
          fmt::format("iptables' target `{}`: {}", target.name, meaning.error().message));
    }
    if (const auto* set = std::get_if<ruleset::XtSetTarget>(&*meaning)) {
      program_.changes_ipsets_ |= set->add.is_there() || set->remove.is_there();
    }
    program_.xt_targets_.push_back(std::move(*meaning));
    return static_cast<std::uint32_t>(program_.xt_targets_.size() - 1);
  }

  // A set, a chain, an object or a cell, by its number; 0 where the expression needs none.
  std::uint32_t operand_of(const Expr& expr) {
    namespace r = ruleset;
    return visit_closed(
        Overloaded{
            [this](const OneOf<r::Lookup, r::Dynset> auto& e) { return set_operand(e.set); },
            [this](const OneOf<r::ObjectRef, r::ObjectLookup> auto& e) { return operand_of(e); },
            [this](const r::ImmediateVerdict& e) {
              return e.verdict.chain.empty() ? 0U : target_of(e.verdict);
            },
            [this](const OneOf<r::Limit, r::Connlimit, r::Quota, r::Numgen> auto&) {
              return state_.reserve(1);
            },
            [this](const r::PayloadWrite& e) {
              return e.base == r::PayloadBase::Link
                         ? problem("a write into the Ethernet header, which is not modelled")
                         : 0U;
            },
            [this](const r::XtMatch& e) { return operand_of(e); },
            [this](const r::XtTarget& e) { return operand_of(e); },
            [this](const r::Unsupported& e) { return problem(text_of(e)); },
            [](const OneOf<r::Payload, r::Meta, r::Ct, r::Exthdr, r::Fib, r::Rt, r::Socket, r::Osf,
                           r::JenkinsHash, r::SymmetricHash, r::Tunnel, r::Xfrm, r::Immediate,
                           r::BitwiseMask, r::BitwiseShift, r::BitwiseRegisters, r::Byteorder,
                           r::Cmp, r::Range, r::Counter, r::Last, r::MetaSet, r::CtSet,
                           r::ExthdrWrite, r::ExthdrReset, r::Log, r::Reject, r::Notrack, r::Nat,
                           r::Masquerade, r::Redirect, r::Tproxy, r::Synproxy, r::Dup,
                           r::Fwd> auto&) { return 0U; },
        },
        expr);
  }

  Program& program_;
  State& state_;
  PartialSets* partial_;
  Table& into_;
};

Program::Program(const ruleset::Ruleset& ruleset, State& state, PartialSets* partial) {
  std::uint32_t sets = 0;
  for (const ruleset::Table& table : ruleset.tables) {
    Preparer(*this, state, partial, tables_.emplace_back(table)).prepare(sets);
    sets += static_cast<std::uint32_t>(table.sets.size());
  }
}

}  // namespace rolewall::eval
