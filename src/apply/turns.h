// A lifeline as the evaluator takes it: its packets, and what has become of one.
#pragma once

#include <cstdint>
#include <vector>

#include "apply/lifelines.h"
#include "eval/eval.h"
#include "eval/packet.h"

namespace rolewall::apply {

// `as_delivered`: where the first packet is translated, from where it is answered hangs on that (a
// redirection is to the address of the device that it arrives by), and it alone is asked about.
std::size_t turns_in(const Lifeline& line, bool as_delivered);
std::vector<eval::Turn> turns_of(const Lifeline& line, bool as_delivered);

// Where a packet of the protocol has come to.
Endpoint destination_of(const eval::Packet& packet, std::uint8_t protocol);

bool is_forwarded(const eval::Journey& journey);

}  // namespace rolewall::apply
