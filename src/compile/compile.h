// The compiler: a site's policy, lowered for one host, to the Ruleset that enforces it there.
//
// The passes are listed in compile.cc, in order. The table that comes out is `inet rolewall`
// (ruleset::kOwnTable): base chains with the built-in steps, one chain for each policy rule,
// dispatch chains and maps between them. The same input gives the same bytes.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "policy/policy.h"
#include "ruleset/snapshot.h"

namespace rolewall::compile {

struct Options {
  policy::Date date;  // rules that `expires` by then are left out
  // Off: every rule is tested one after the other in policy order, with no dispatch maps and no
  // shared sets. Slow and plain; the tests compare it with the optimised form.
  bool optimise = true;
};

// REQUIRES: `policy` was loaded without errors. Everything that such a policy can say can be
// expressed, so this cannot fail; nothing is ever left out or broadened. The table passes
// ruleset::verify(), or the compiler is wrong and aborts.
ruleset::Snapshot compile(const policy::Policy& policy, policy::Index host, const Options& options);

struct Pass {
  std::string_view name;
  std::string_view gives;
};

// In their order.
std::span<const Pass> passes();

// What there is after a pass: of the first, lower, its rules as text; of each other the table as
// far as it has come.
using AfterPass = std::variant<std::string, ruleset::Snapshot>;

// REQUIRES: as compile(), and `last` is one of passes(). verify() judges the table after each.
AfterPass compile_until(const policy::Policy& policy, policy::Index host, const Options& options,
                        const Pass& last);

}  // namespace rolewall::compile
