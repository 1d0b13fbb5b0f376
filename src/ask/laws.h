// The policies' laws, [[never]] and [[always]]: which statement each is, of which hosts. They are
// proven together with the tests (test_report.h).
#pragma once

#include <optional>
#include <vector>

#include "ask/prover.h"
#include "base/diagnostic.h"
#include "policy/policy.h"

namespace rolewall::ask {

// One line of words of a law, about one host (a role's or a block's law, once for each host that
// uses the file) or about both ends (site.toml's).
struct LawCase {
  const policy::Law* law = nullptr;
  const policy::PacketWords* words = nullptr;
  std::optional<policy::Index> host;
  Proof proof = {};

  Statement statement() const;
};

// In the order of the files: roles and blocks, then site.toml. What is wrong in their words is
// reported. REQUIRES: the policy was loaded without errors; pointers are into it.
std::vector<LawCase> plan_laws(const policy::Policy& policy, Diagnostics& diagnostics);

// After they were proven: takes out the cases of hosts that no packet of the words concerns. Words
// that concern nobody are an error.
void drop_unasked(std::vector<LawCase>& laws, Diagnostics& diagnostics);

}  // namespace rolewall::ask
