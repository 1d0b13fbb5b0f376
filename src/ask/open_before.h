// Whether a captured packet may be of a connection that was open before the capture began.
#pragma once

#include <cstdint>
#include <optional>

#include "eval/packet.h"

namespace rolewall::ask {

// The state that it then has; absent: it begins a connection, as far as it tells. `capture_ns`: how
// long the capture has gone on without a packet of it, from the beginning; absent where what would
// show the connection may be missing at any time. REQUIRES: its flow is not known.
std::optional<std::uint32_t> state_if_open_before(const eval::Packet& packet,
                                                  std::optional<std::uint64_t> capture_ns);

}  // namespace rolewall::ask
