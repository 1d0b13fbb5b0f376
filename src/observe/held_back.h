// What the defaults deny, or would in audit mode, is counted packet by packet; the log's limits let
// fewer lines through. So whoever concludes something from the lines is to say how many there are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "observe/stats.h"
#include "observe/written_policy.h"

namespace rolewall::observe {

// Packets that came to the defaults' end of our base chains from one look to the next.
// std::nullopt: there is no table, or another one, whose counters say nothing of before.
std::optional<std::uint64_t> met_defaults(const Look& now, const Look& earlier);

// Which limits of the log hold lines back, and how to see more: sentences.
std::vector<std::string> limits_of_log(const WrittenPolicy& policy);

}  // namespace rolewall::observe
