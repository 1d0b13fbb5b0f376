// What a rule would open that is not written yet: the site with it in a role's file and without
// it, compared as `diff` does, for every host of the role. Both in force: in audit mode nothing is
// denied, and no rule would open anything.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ask/diff.h"
#include "cli/site_options.h"

namespace rolewall::cli {

class RuleOpenings {
 public:
  // The site that `options` find on a server, for the host of this name. An error says what is in
  // the way.
  static Result<RuleOpenings> open(const SiteOptions& options, const std::string& host);

  // A file into which the rule could be written: of each role that the host has, in its order.
  struct RoleFile {
    std::string path;
    std::vector<std::string> hosts;
  };
  const std::vector<RoleFile>& files() const { return files_; }
  // `rule`: TOML. An error where the site has one with it.
  Result<ask::Diff> of(const std::string& rule, const RoleFile& file) const;

 private:
  SiteOptions options_;
  std::string directory_;
  std::unique_ptr<policy::Files> reader_;
  LoadedSite without_;
  std::vector<RoleFile> files_;
};

}  // namespace rolewall::cli
