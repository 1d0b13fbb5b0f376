// The packets whose fate differs: for people, for programs, and as a comment of a pull request.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ask/diff.h"
#include "cli/json.h"
#include "cli/terminal.h"

namespace rolewall::cli {

// As `diff` shows it, its last line apart. `most`: so many classes at most.
std::vector<std::string> lines_of(const Terminal& to, const ask::Diff& diff, std::size_t most);

// "newly accepted: tcp/8080 internet > web-01".
std::string line_of(const Terminal& to, const ask::DiffClass& one);

// "more permissive: 1 class newly accepted; 3 hosts compared, 9 the same".
std::string summary(const ask::Diff& diff);

// "no packet's fate differs".
inline constexpr std::string_view kNoDifference = "no packet's fate differs";

// The members of the verb's JSON (docs/json.md).
void add_members(Json& json, const ask::Diff& diff);

// At most so long, as GitHub takes it: what does not fit is counted.
inline constexpr std::size_t kLongestComment = 65'536;
// `remarks`: what decides beside the rules, in sentences.
std::string markdown(const ask::Diff& diff, std::string_view before, std::string_view after,
                     const std::vector<std::string>& remarks);

}  // namespace rolewall::cli
