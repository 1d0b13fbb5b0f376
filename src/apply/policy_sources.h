// The files that a generation was compiled from, kept with it (`policies.json`): a refresh compiles
// them again, with other addresses for the DNS names, on another day.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/error.h"

namespace rolewall::apply {

// Paths are absolute. Where nothing of the policy can change by itself (no DNS name, no rule that
// expires), all is empty.
struct PolicySources {
  std::string directory{};  // of the site
  std::string rules{};      // of what is shipped
  std::map<std::string, std::string, std::less<>> files{};
  std::map<std::string, std::vector<std::string>, std::less<>> folders{};
  bool operator==(const PolicySources&) const = default;
};

std::string to_json(const PolicySources& sources);
Result<PolicySources> policy_sources_from_json(const std::string& text);

}  // namespace rolewall::apply
