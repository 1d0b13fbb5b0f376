// The site's files for verbs that put a policy in force: what somebody else could write is not read
// (as OpenSSH's StrictModes has it).
#pragma once

#include <set>
#include <string>
#include <vector>

#include "policy/files.h"

namespace rolewall::cli {

// An error names the file or directory that others could write, and how to mend that. Every
// directory up to the root counts, and every link on the way: whoever can rename one can put
// another in its place. Because nobody else can, what was looked at is what is read.
class TrustedFiles : public policy::DiskFiles {
 public:
  Result<std::string> read(const std::string& path, std::size_t limit) const override;
  Result<std::vector<std::string>> list(const std::string& directory) const override;

  Result<void> check(const std::string& path) const;

 private:
  mutable std::set<std::string> trusted_;  // directories that were found to be so
};

// Whether there is anybody else: not in a user namespace that knows one user alone (`unshare -r`),
// where all other owners look alike.
bool others_are_known();

}  // namespace rolewall::cli
