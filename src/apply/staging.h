// A transaction is one message, and the socket's send buffer bounds it: for who may not raise that
// (in a container, say) at Debian's default some 26,000 addresses. What is too large is put into
// the kernel beforehand, in several transactions: sets that no rule names yet, which decide
// nothing. The switch is one transaction still.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "apply/belief.h"
#include "apply/difference.h"
#include "apply/kernel.h"
#include "base/error.h"
#include "netlink/netlink.h"
#include "ruleset/ruleset.h"

namespace rolewall::apply {

// Whether a rule names the set.
bool is_named(const ruleset::Table& table, std::string_view set);

// Fills the large sets of `change` that are new. std::nullopt where there are none that can be
// filled beforehand: nothing was sent then. Else what is there now; `clash`: another program
// changed something meanwhile, or the kernel refused it, and what was put there has to be taken
// away.
struct Staged {
  Belief live;
  bool clash = false;
  std::vector<netlink::Refusal> refusals;
};
Result<std::optional<Staged>> stage(Kernel& kernel, const Belief& live, const Difference& change);

// Takes away what was put there. Failing here, it stays without being named by any rule, and the
// next apply removes it.
void unstage(Kernel& kernel, const Belief& before, const Belief& staged);

}  // namespace rolewall::apply
