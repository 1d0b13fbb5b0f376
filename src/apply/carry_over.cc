#include "apply/carry_over.h"

#include <algorithm>
#include <variant>

#include "apply/elements.h"
#include "base/check.h"
#include "ruleset/effects.h"
#include "ruleset/expr.h"

namespace rolewall::apply {
namespace {

using namespace ruleset;

bool means_something(const Elements& elements, std::size_t row) {
  return elements.exprs.empty() ||
         std::ranges::none_of(elements.exprs[row], [](const StatefulExpr& expr) {
           const Memory memory = memory_of(expr);
           return memory == Memory::Tokens || memory == Memory::Connections;
         });
}

}  // namespace

void carry_elements(const Set& live, Set& wanted) {
  if (!filled_at_run_time(wanted) || wanted.kind != SetKind::Set) return;
  if (!live.unsupported.empty() || live.kind != wanted.kind || live.key != wanted.key ||
      live.interval != wanted.interval || live.has_timeout != wanted.has_timeout ||
      live.exprs != wanted.exprs) {
    return;
  }
  Elements from = live.elements;
  // The set's own timeout may be another now; an element keeps the one that it was made with.
  from.timeouts_ms.resize(from.count());
  for (std::uint64_t& timeout : from.timeouts_ms) {
    if (timeout == 0) timeout = live.timeout_ms;
    if (timeout == wanted.timeout_ms) timeout = 0;
  }
  if (wanted.interval && from.key_ends.empty()) from.key_ends = from.keys;
  wanted.elements = {};
  wanted.elements.key_size = wanted.key_size();
  for (std::size_t row = 0; row < from.count(); ++row) {
    if (means_something(from, row)) wanted.elements.append(from, row);
  }
}

void take_state(const Rule& live, Rule& wanted) {
  CHECK(live.exprs.size() == wanted.exprs.size(), "rules that are equal");
  wanted.exprs = live.exprs;  // they differ in what the kernel counts alone
}

void take_count(const Rule& live, Rule& wanted) {
  if (live.comment != wanted.comment || live.exprs.empty() || wanted.exprs.empty()) return;
  const auto* counted = std::get_if<Counter>(&live.exprs.front());
  auto* counts = std::get_if<Counter>(&wanted.exprs.front());
  if (counted != nullptr && counts != nullptr) *counts = *counted;
}

}  // namespace rolewall::apply
