// The site's files for verbs that put a policy in force: what somebody else could write is not read
// (base/trusted_path.h).
#pragma once

#include <set>
#include <string>
#include <vector>

#include "policy/files.h"

namespace rolewall::policy {

// An error names the file or directory that others could write, and how to mend that.
class TrustedFiles : public DiskFiles {
 public:
  Result<std::string> read(const std::string& path, std::size_t limit) const override;
  Result<std::vector<std::string>> list(const std::string& directory) const override;

  Result<void> check(const std::string& path) const;

 private:
  mutable std::set<std::string> trusted_;  // directories that were found to be so
};

}  // namespace rolewall::policy
