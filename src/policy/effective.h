// Which rules hold on one host, in the order in which a packet meets them: blocks in the order of
// `use`, then the role's own, then the next role's; each block once, where it is first named; less
// what is skipped, disabled, expired, not `on` this host, or names interfaces of which it has none.
// What one of a host's roles skips is skipped on that host, whichever of its roles uses the block.
#pragma once

#include <vector>

#include "policy/policy.h"

namespace rolewall::policy {

struct EffectiveRule {
  const Rule* rule = nullptr;
  const RuleFile* file = nullptr;
};

struct HostPolicy {
  const Host* host = nullptr;
  Index index = 0;
  Defaults defaults;                   // the site's, with the roles' overrides
  std::vector<EffectiveRule> inbound;  // early ones included, in order
  std::vector<EffectiveRule> outbound;
  std::vector<EffectiveRule> forward;
  std::vector<EffectiveRule> nat;

  std::vector<EffectiveRule>& rules(Direction direction);
};

// REQUIRES: `policy` was loaded without errors. Pointers are into `policy`.
HostPolicy effective_policy(const Policy& policy, Index host, Date date);

}  // namespace rolewall::policy
