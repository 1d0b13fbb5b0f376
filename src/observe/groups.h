// The multicast groups of this network namespace: which ones programs and the kernel have joined,
// and on which devices.
#pragma once

#include <string_view>
#include <vector>

#include "ruleset/host.h"

namespace rolewall::observe {

std::vector<ruleset::JoinedGroup> joined_groups();

// What /proc/net/igmp, /proc/net/igmp6 and /proc/net/mcfilter list.
std::vector<ruleset::JoinedGroup> joined_groups(std::string_view igmp, std::string_view igmp6,
                                                std::string_view filters);

}  // namespace rolewall::observe
