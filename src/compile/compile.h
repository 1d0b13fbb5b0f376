// The compiler: a site's policy, lowered for one host, to the Ruleset that enforces it there.
//
// The passes, in order, are listed in compile.cc. The table that comes out is `inet rolewall`
// (ruleset::kOwnTable): base chains with the built-in steps, one chain for each policy rule,
// dispatch chains and maps between them. The same input gives the same bytes.
#pragma once

#include <string_view>

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
// expressed, so this cannot fail; nothing is ever left out or broadened.
ruleset::Snapshot compile(const policy::Policy& policy, policy::Index host, const Options& options);

// Names of the built-in steps, in the order in which a packet meets them after the early rules;
// they stand as comments on rules of the base chains.
namespace builtin {
inline constexpr std::string_view kLoopback = "(loopback)";
inline constexpr std::string_view kEstablished = "(established)";
inline constexpr std::string_view kBanned = "(banned)";
inline constexpr std::string_view kInvalid = "(invalid)";
inline constexpr std::string_view kSpoofed = "(spoofed)";
inline constexpr std::string_view kAllowed = "(allowed)";
inline constexpr std::string_view kDefault = "(default)";
}  // namespace builtin

}  // namespace rolewall::compile
