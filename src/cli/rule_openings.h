// What a rule would open that is not written yet: the site with it in the role's file and without
// it, compared as `diff` does, for every host of the role. Both in force: in audit mode nothing is
// denied, and no rule would open anything.
#pragma once

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

  // The role's file, into which the rule would be written.
  const std::string& file() const { return file_; }
  // `rule`: TOML. An error where the site has one with it.
  Result<ask::Diff> of(const std::string& rule) const;

 private:
  SiteOptions options_;
  std::string directory_;
  std::string file_;
  LoadedSite without_;
  std::vector<std::string> hosts_;
};

}  // namespace rolewall::cli
