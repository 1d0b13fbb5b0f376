// What a change cuts, or has cut, for people and for programs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "apply/not_admitted.h"
#include "cli/json.h"
#include "ruleset/snapshot.h"

namespace rolewall::cli {

// Of the policy that is to come into force, and of the one that is: where a rule is written.
struct BothSources {
  const ruleset::SourceMap& wanted;
  const ruleset::SourceMap& applied;
};

// Of what was applied last; empty where nothing is recorded.
ruleset::SourceMap sources_in_force(const std::string& state_directory);

// "tcp 10.0.2.10:40312 > 10.0.3.10:3306"
std::string in_words(const apply::OpenConnection& connection);

// What becomes of them: they are ended, or go on unless that is asked for with `command`.
struct Cutting {
  bool cuts = false;
  std::string_view command = "rolewall apply --cut";
};

// "12 of 340 open connections are no longer admitted ..."; "" where all are, and nothing is
// unclear.
std::string summary(const apply::NotAdmitted& found, const Cutting& cutting = {});
// Below it: by rule, the first few of each. `each`: so many of a rule at most.
std::vector<std::string> lines_of(const apply::NotAdmitted& found, const BothSources& sources,
                                  std::size_t each);
// "connections" of a plan.
Json to_json(const apply::NotAdmitted& found, const BothSources& sources);

// The same on the screen, in few lines, before `snapshot` comes into force.
void say_cuts(const ruleset::Snapshot& snapshot, const apply::GuardFacts& facts,
              const std::string& state_directory, const Cutting& cutting);

// What came of --cut.
void say_cut(const apply::CutOff& cut);

}  // namespace rolewall::cli
