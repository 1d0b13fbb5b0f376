// What every apply of a host would be refused for: the guard's questions (apply/guard.h) that can
// be asked without the machine. Where the answer hangs on what only the machine knows, nothing is
// found. And a limit, by which management is shut out afterwards.
#pragma once

#include <set>

#include "ask/prover.h"
#include "ask/site.h"
#include "base/diagnostic.h"
#include "policy/policy.h"

namespace rolewall::ask {

class ShutOut {
 public:
  // Holds references to the policy and the site.
  ShutOut(const policy::Policy& policy, policy::Date date, Site& site)
      : policy_(policy), date_(date), site_(site), prover_(policy, site) {}

  void find(policy::Index host, Diagnostics& findings);

 private:
  const policy::Policy& policy_;
  const policy::Date date_;
  Site& site_;
  Prover prover_;
  std::set<const policy::Rule*> limited_;  // found already: several hosts have a role's rule
};

}  // namespace rolewall::ask
