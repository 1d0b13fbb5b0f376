// Devices of a machine by which frames pass between the ports of a bridge of its own.
#pragma once

#include <optional>
#include <string_view>

#include "ruleset/host.h"

namespace rolewall::ruleset {

// The device itself, or the one that it stands on as a VLAN; null: none of them is a bridge.
const Interface* bridge_of(const Host& host, std::string_view device);

// Whether what passes so is shown to the chains of IP. Absent: not known; of a VLAN's frames it
// hangs on bridge-nf-filter-vlan-tagged, too. REQUIRES: bridge_of().
std::optional<bool> shows_frames(const Host& host, bool ipv6, std::string_view device);

}  // namespace rolewall::ruleset
