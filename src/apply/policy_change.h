// What a plan changes in the policy, key by key, as people wrote it: what was recorded at the last
// apply (ruleset::Written) against what is wanted.
#pragma once

#include <string>
#include <vector>

#include "apply/words.h"
#include "ruleset/snapshot.h"

namespace rolewall::apply {

struct KeyChange {
  std::string key;
  std::vector<std::string> before;  // empty: the key was left out
  std::vector<std::string> after;   // empty: it is left out now
  // What is in one of them alone; of addresses as sets, however they are put together.
  std::vector<std::string> more{};
  std::vector<std::string> less{};
  bool some_stays = false;  // of what it was
};

struct PolicyChange {
  ChangeKind kind = ChangeKind::Changed;
  std::string of;    // "rule", "defaults", "network", "role", ...
  std::string name;  // "web.inbound.app-from-lb"
  std::string file;  // where it stands; of what was removed, where it stood
  std::uint32_t line = 0;
  std::vector<KeyChange> keys;       // of what is changed
  std::vector<std::string> used_by;  // of a name: the rules that say it and do not change

  std::vector<std::string> caused_by{};  // of a name: those it consists of that have changed

  bool is_rule() const { return of == ruleset::kWrittenRule; }
};

// Rules first, in their order; those that were removed come last. Of a name that rules say, only
// that it stands for something else: which rules say it is in the rules.
std::vector<PolicyChange> policy_changes(const std::vector<ruleset::Written>& before,
                                         const std::vector<ruleset::Written>& after);

}  // namespace rolewall::apply
