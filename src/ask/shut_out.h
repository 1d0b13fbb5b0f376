// What every apply of a host would be refused for: the guard's questions (apply/guard.h) that can
// be asked without the machine. Where the answer hangs on what only the machine knows, nothing is
// found. And a limit, by which management is shut out afterwards.
#pragma once

#include <optional>
#include <set>
#include <span>

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

  // Of hosts that are alike (alike.h): one is asked for all, but those that are managers
  // themselves, who are not asked about their own address. Those that were asked the site forgets.
  void find(std::span<const policy::Index> alike, Diagnostics& findings);
  // The limit alone, which no apply is refused for.
  void find_limit(policy::Index host, Diagnostics& findings);

 private:
  struct Found {
    std::optional<net::Address> manager;    // who is shut out
    const policy::Rule* limited = nullptr;  // counts managers against its limit
    bool neighbours = false;                // are shut out
  };
  Found ask(policy::Index host);
  void report(policy::Index host, const Found& found, Diagnostics& findings);
  void report_limit(const policy::Rule* rule, Diagnostics& findings);

  const policy::Policy& policy_;
  const policy::Date date_;
  Site& site_;
  Prover prover_;
  std::set<const policy::Rule*> limited_;  // found already: several hosts have a role's rule
};

// For whoever puts one host's ruleset in force: that rule, if there is one.
void find_limit_on_management(const policy::Policy& policy, policy::Date date, policy::Index host,
                              Diagnostics& findings);

}  // namespace rolewall::ask
