// What `compile --format json` and `dump` write and `--ruleset` reads: a ruleset together with the
// host that it is for and, for one of ours, where in the policy each rule came from.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "ruleset/host.h"
#include "ruleset/ruleset.h"

namespace rolewall::ruleset {

struct SourceLine {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::string expires{};  // the rule's last day, "2026-11-30"; "" for none
  bool operator==(const SourceLine&) const = default;
};

// From a rule's id (its comment in the kernel) to the policy line. Kept beside the ruleset and not
// in it, so that moving a line in a file changes no rule in the kernel.
using SourceMap = std::map<std::string, SourceLine, std::less<>>;

struct Snapshot {
  // A reader refuses a newer version than it knows.
  static constexpr int kVersion = 1;

  Host host;
  Ruleset ruleset;
  SourceMap sources;
  bool operator==(const Snapshot&) const = default;
};

}  // namespace rolewall::ruleset
