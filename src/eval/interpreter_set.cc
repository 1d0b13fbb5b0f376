// The interpreter's lookups in sets and maps, and what rules add to them: net/netfilter/
// nft_lookup.c, nft_dynset.c, nft_set_hash.c.
#include <fmt/format.h>

#include <algorithm>

#include "base/overloaded.h"
#include "base/time.h"
#include "base/visit.h"
#include "eval/interpreter.h"
#include "eval/ticks.h"
#include "ruleset/expr.h"

namespace rolewall::eval {

using ruleset::VerdictCode;

// Where it may be over, it may take its room beside the one that a packet then adds.
bool Interpreter::chooses_whether_over(const Program::Set& set) {
  const bool over = choose_whether(fmt::format("an element of {} has timed out", set.set->name));
  if (!over) state_.may_linger(set.number, clock_.now_ns);
  return over;
}

// nft_set_elem_expired() asks a clock of ticks: at an element's end either may be so.
void Interpreter::settle_end(const DynamicElement& element, const Program::Set& set,
                             std::string_view key) {
  const std::uint64_t margin = doubt_about_end_ns(clock_.error_ns);
  if (element.expires_ns == 0 || element.expires_ns > clock_.now_ns + margin ||
      clock_.now_ns > element.expires_ns + margin) {
    return;
  }
  const bool over = chooses_whether_over(set);
  state_.set_end(set.number, key, over ? clock_.now_ns : clock_.now_ns + 1);
}

void Interpreter::ask_for(PartialSet& set, std::string_view key) {
  ruleset::Bytes bytes(key.begin(), key.end());
  if (!set.read.contains(bytes)) set.asked.insert(std::move(bytes));
}

// When an element of the ruleset ends; 0: never.
std::uint64_t Interpreter::end_of(const Program::Set& set, std::size_t element) const {
  if (!set.set->has_timeout) return 0;
  const ruleset::Elements& elements = set.set->elements;
  std::uint64_t left_ms = set.set->timeout_ms;
  if (!elements.timeouts_ms.empty() && elements.timeouts_ms[element] != 0) {
    if (elements.timeouts_ms[element] == ruleset::kNeverEnds) return 0;
    left_ms = elements.timeouts_ms[element];
  }
  if (!elements.expirations_ms.empty() && elements.expirations_ms[element] != 0) {
    left_ms = elements.expirations_ms[element];
  }
  return left_ms == 0 ? 0 : state_.began_ns() + left_ms * 1'000'000;
}

State::Ends Interpreter::ends_of(const Program::Set& set) const {
  State::Ends ends;
  if (!set.set->has_timeout) return ends;
  const ruleset::Elements& elements = set.set->elements;
  for (std::size_t i = 0; i < elements.count(); ++i) {
    const auto key = elements.key(i);
    if (const auto end = end_of(set, i); end != 0)
      ends.emplace_back(end, std::string(key.begin(), key.end()));
  }
  return ends;
}

// An element of the ruleset, as settle_end().
bool Interpreter::has_ended(const Program::Set& set, std::uint32_t element) {
  const std::uint64_t end = end_of(set, element);
  if (end == 0) return false;
  const std::uint64_t margin = doubt_about_end_ns(clock_.error_ns);
  if (clock_.now_ns + margin < end) return false;
  return clock_.now_ns > end + margin || chooses_whether_over(set);
}

// Whether the collector may have taken an element away before its time: one that counts
// connections, all of which have ended (nft_rhash_expr_needs_gc_run()).
bool Interpreter::is_idle(const DynamicElement& element) {
  for (std::size_t i = 0; i < element.exprs->size(); ++i) {
    if (!std::holds_alternative<ruleset::Connlimit>((*element.exprs)[i])) continue;
    const auto cell = static_cast<CellIndex>(element.first_cell + i);
    return std::ranges::all_of(state_.connections(cell).open, [&](const CountedFlow& counted) {
      return has_ended(counted, true);
    });
  }
  return false;
}

Interpreter::Hit Interpreter::find_element(const Program::Set& set, const std::uint8_t* key) {
  const std::string_view text(reinterpret_cast<const char*>(key), set.set->key_size());
  const bool may_change = set.set->dynamic || set.set->has_timeout;
  if (may_change && state_.all_is_doubtful()) state_.meet_doubt();
  if (const DynamicElement* added = state_.find(set.number, text)) {
    if (added->deleted) return {};
    settle_end(*added, set, text);
    if (added->expires_ns == 0 || added->expires_ns > clock_.now_ns) {
      return {.place = Hit::Place::Added, .added = added};
    }
    return {};
  }
  const std::uint32_t element = set.index.find(key);
  if (element == SetIndex::kNone) {
    if (set.partial != nullptr) ask_for(*set.partial, text);
    return {};
  }
  if (has_ended(set, element)) return {};
  return {.place = Hit::Place::Element, .element = element};
}

Interpreter::Hit Interpreter::find(const Program::Set& set, const std::uint8_t* key) {
  const Hit hit = find_element(set, key);
  if (hit.place == Hit::Place::Nowhere && set.set->elements.has_catch_all) {
    return {.place = Hit::Place::CatchAll};
  }
  return hit;
}

Interpreter::Next Interpreter::run_lookup(const ruleset::Lookup& lookup, const Program::Set& set) {
  Hit hit = find(set, at(lookup.source));
  if (hit.place == Hit::Place::Added && is_idle(*hit.added) &&
      choose_whether(fmt::format("an element of {}, whose connections have ended, is collected",
                                 set.set->name))) {
    hit = {};
  }
  const bool found = hit.place != Hit::Place::Nowhere;
  if (found == lookup.inverted) return Next::Break;
  return found ? take_hit(lookup, set, hit) : Next::Expression;
}

Interpreter::Next Interpreter::take_hit(const ruleset::Lookup& lookup, const Program::Set& set,
                                        const Hit& hit) {
  const ruleset::Elements& elements = set.set->elements;
  Next next = Next::Expression;
  switch (lookup.result) {
    case ruleset::LookupResult::Membership:
      break;
    case ruleset::LookupResult::Data:
      if (hit.place == Hit::Place::Element) {
        store(lookup.destination, elements.value(hit.element));
      } else {
        store(lookup.destination,
              hit.place == Hit::Place::Added ? hit.added->data : elements.catch_all_data);
      }
      break;
    case ruleset::LookupResult::Verdict: {
      const bool catch_all = hit.place == Hit::Place::CatchAll;
      const ruleset::Verdict& verdict =
          catch_all ? elements.catch_all_verdict : elements.verdicts[hit.element];
      target_ = {.code = verdict.code,
                 .chain = catch_all ? set.catch_all_target : set.targets[hit.element]};
      // An element may say "continue", which is no verdict.
      if (verdict.code == VerdictCode::Break) return Next::Break;
      next = verdict.code == VerdictCode::Continue ? Next::Expression : Next::Verdict;
      break;
    }
  }
  // The element's expressions run after its value is taken, and may still break the rule.
  if (hit.place == Hit::Place::Element) {
    const Next after = run_element(element_exprs(*set.set, hit.element),
                                   set.first_cell + hit.element * set.cells_each);
    return after == Next::Expression ? next : after;
  }
  if (hit.place == Hit::Place::Added) {
    const Next after = run_element(*hit.added->exprs, hit.added->first_cell);
    return after == Next::Expression ? next : after;
  }
  return next;
}

// Elements that have ended, or were taken away, take their room until the collector has run
// (nft_rhash_gc()): it does so at the set's interval, later on a machine that is busy.
bool Interpreter::is_full(const Program::Set& set, std::uint32_t most,
                          const std::vector<ruleset::StatefulExpr>& exprs) {
  constexpr std::uint64_t kUsualInterval = kNsPerSecond;
  constexpr std::uint64_t kMostDelay = kNsPerSecond;
  std::size_t count = set.set->elements.count();
  if (set.partial != nullptr) {
    if (!set.partial->count) return choose_whether(fmt::format("set {} is full", set.set->name));
    count = *set.partial->count;
  }
  const std::uint64_t interval = set.set->gc_interval_ms == 0
                                     ? kUsualInterval
                                     : set.set->gc_interval_ms * std::uint64_t{1'000'000};
  const auto added =
      state_.added(set.number, clock_.now_ns, interval + kMostDelay + clock_.error_ns,
                   [&] { return ends_of(set); });
  const auto declared = static_cast<std::int64_t>(count);
  const std::int64_t unsure = state_.doubtful_in(set.number);
  const auto room_for = static_cast<std::int64_t>(most);
  const auto is_full_with = [&](std::int64_t number) { return declared + number >= room_for; };
  if (is_full_with(added.least - unsure) != is_full_with(added.most + unsure)) {
    if (unsure != 0) state_.meet_doubt();
    if (is_full_with(added.least) != is_full_with(added.most)) {
      return choose_whether(
          fmt::format("set {} is full of elements that have ended", set.set->name));
    }
  }
  const bool may_be_collected = std::ranges::any_of(
      exprs, [](const auto& expr) { return std::holds_alternative<ruleset::Connlimit>(expr); });
  if (is_full_with(added.least) && may_be_collected) {
    return choose_whether(fmt::format("set {} is full", set.set->name));
  }
  return is_full_with(added.least);
}

// nft_dynset_eval(): of what has an end, a new one; it ends at once where neither the rule nor the
// set says how long. `exprs` have run already: of such an element they run a last time.
void Interpreter::renew(const Program::Set& set, const Hit& hit, const std::uint8_t* key,
                        std::uint64_t timeout_ms) {
  const std::string_view text(reinterpret_cast<const char*>(key), set.set->key_size());
  const bool in_elements = set.index.find(key) != SetIndex::kNone;
  const std::uint64_t expires_ns = clock_.now_ns + timeout_ms * 1'000'000;
  if (hit.place == Hit::Place::Element) {
    if (end_of(set, hit.element) == 0) return;
    if (timeout_ms == 0) return state_.remove(set.number, text, true, clock_.now_ns);
    const ruleset::Elements& elements = set.set->elements;
    ruleset::Bytes data;
    if (elements.data_size != 0) {
      const auto value = elements.value(hit.element);
      data.assign(value.begin(), value.end());
    }
    state_.adopt(set.number, text, &element_exprs(*set.set, hit.element),
                 set.first_cell + hit.element * set.cells_each, expires_ns, std::move(data));
  } else if (hit.added->expires_ns != 0) {
    if (timeout_ms == 0) return state_.remove(set.number, text, in_elements, clock_.now_ns);
    state_.set_end(set.number, text, expires_ns);
  }
}

Interpreter::Next Interpreter::run_dynset(const ruleset::Dynset& dynset, const Program::Set& set) {
  constexpr std::uint32_t kDefaultSize = 0xffff;
  const ruleset::Set& declared = *set.set;
  const std::uint8_t* key = at(dynset.key);
  const std::string_view text(reinterpret_cast<const char*>(key), declared.key_size());
  const Hit hit = find_element(set, key);
  if (dynset.op == ruleset::DynsetOp::Delete) {
    if (hit.place != Hit::Place::Nowhere) {
      state_.remove(set.number, text, set.index.find(key) != SetIndex::kNone, clock_.now_ns);
    }
    return Next::Expression;
  }

  const std::uint64_t timeout_ms = !declared.has_timeout    ? 0
                                   : dynset.timeout_ms != 0 ? dynset.timeout_ms
                                                            : declared.timeout_ms;
  const std::vector<ruleset::StatefulExpr>* exprs = nullptr;
  CellIndex first_cell = 0;
  const bool is_new = hit.place == Hit::Place::Nowhere;
  if (hit.place == Hit::Place::Element) {
    exprs = &element_exprs(declared, hit.element);
    first_cell = set.first_cell + hit.element * set.cells_each;
  } else if (hit.place == Hit::Place::Added) {
    exprs = hit.added->exprs;
    first_cell = hit.added->first_cell;
  } else {
    const std::uint32_t most = declared.size == 0 ? kDefaultSize : declared.size;
    exprs = dynset.exprs.empty() ? &declared.exprs : &dynset.exprs;
    if (is_full(set, most, *exprs)) {
      return dynset.inverted ? Next::Expression : Next::Break;
    }
    ruleset::Bytes data;
    if (dynset.data) data.assign(at(*dynset.data), at(*dynset.data) + declared.data.size);
    const std::uint64_t expires_ns = timeout_ms != 0 ? clock_.now_ns + timeout_ms * 1'000'000 : 0;
    const DynamicElement& added =
        state_.add(set.number, text, set.index.find(key) != SetIndex::kNone, exprs, expires_ns,
                   std::move(data));
    first_cell = added.first_cell;
  }
  const Next next = run_element(*exprs, first_cell);
  if (!is_new && dynset.op == ruleset::DynsetOp::Update) renew(set, hit, key, timeout_ms);
  if (next != Next::Expression) return next;
  return dynset.inverted ? Next::Break : Next::Expression;
}

Interpreter::Next Interpreter::run_element(const std::vector<ruleset::StatefulExpr>& exprs,
                                           CellIndex first_cell) {
  for (std::size_t i = 0; i < exprs.size(); ++i) {
    const auto cell = static_cast<CellIndex>(first_cell + i);
    const auto passes = [](bool goes_on) { return goes_on ? Next::Expression : Next::Break; };
    const Next next = visit_closed(
        Overloaded{[](const ruleset::Counter&) { return Next::Expression; },
                   [&](const ruleset::Limit& limit) { return run_limit(limit, cell); },
                   [&](const ruleset::Connlimit& connlimit) {
                     return run_connlimit(connlimit, cell, true);
                   },
                   [&](const ruleset::Quota& quota) { return passes(run_quota(quota, cell)); },
                   [](const ruleset::Last&) { return Next::Expression; }},
        exprs[i]);
    if (next != Next::Expression) return next;
  }
  return Next::Expression;
}

}  // namespace rolewall::eval
