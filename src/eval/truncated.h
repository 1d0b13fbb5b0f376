// Packets of which a capture kept the beginning alone (Packet::missing).
#pragma once

#include "eval/packet.h"

namespace rolewall::eval {

// Why such a packet cannot be asked about: its headers, by which conntrack and the stack know it,
// are not all there. Null: they are, or nothing is missing.
const char* truncation_error(const Packet& packet);

}  // namespace rolewall::eval
