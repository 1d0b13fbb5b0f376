// What `diff` compares: each of its two words is a directory of policies, a ruleset in a file, the
// kernel's ruleset, a generation of the history or a git revision.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ask/diff.h"
#include "cli/site_options.h"
#include "ruleset/snapshot.h"

namespace rolewall::cli {

struct DiffQuestion {
  SiteOptions site;  // whose directory a revision is read of
  std::string host;  // "": all that there are
  std::string state_directory;
};

// One side: a site, or one host's ruleset.
struct DiffSide {
  std::string name;  // as it is shown
  std::optional<LoadedSite> site;
  std::optional<ruleset::Snapshot> snapshot;
  bool is_live = false;
  std::vector<std::string> remarks;  // of a machine's, what decides beside the rules
  std::string revision;              // of git; "": it is none
};

inline constexpr std::string_view kLiveSide = "live";
inline constexpr std::string_view kGenerationSide = "generation:";
inline constexpr std::string_view kGitSide = "git:";

// `word`: "" is the site that `question` names, or that is found.
Result<DiffSide> read_side(const std::string& word, const DiffQuestion& question);

// Host by host. An error where the host that is asked for is on neither side.
Result<ask::Diff> compare(const DiffSide& before, const DiffSide& after,
                          const DiffQuestion& question);

// The kernel's ruleset with the table that `compiled` puts in force; the machine is the kernel's.
ruleset::Snapshot put_into(ruleset::Snapshot live, const ruleset::Snapshot& compiled);

}  // namespace rolewall::cli
