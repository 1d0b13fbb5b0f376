// What a rule that accepts may do to the connection: `helper` and `mss`.
#pragma once

#include <optional>

#include "net/conntrack_helpers.h"
#include "policy/keys.h"
#include "policy/policy.h"

namespace rolewall::policy {

// nullptr, or nothing, where the key is left out or was reported. REQUIRES: the rule's action and
// services were read.
const net::ConntrackHelper* read_helper(const Section& section, const Rule& rule,
                                        Diagnostics& diagnostics);
std::optional<SegmentSize> read_segment_size(const Section& section, const Rule& rule,
                                             Diagnostics& diagnostics);

}  // namespace rolewall::policy
