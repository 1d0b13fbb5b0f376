// Devices of a machine by which frames pass between the ports of a bridge of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "ruleset/host.h"

namespace rolewall::ruleset {

enum class BridgeOf : std::uint8_t {
  None,
  Itself,   // the device is a bridge
  Carrier,  // a VLAN that stands on one: what passes between its ports is in a VLAN's frames
};
BridgeOf bridge_of(const Host& host, std::string_view device);

// Whether what passes so is shown to the chains of IP. Absent: not known; of a VLAN's frames it
// hangs on bridge-nf-filter-vlan-tagged, too.
std::optional<bool> shows_frames(const Host& host, bool ipv6, BridgeOf bridge);

}  // namespace rolewall::ruleset
