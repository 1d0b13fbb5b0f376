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

// Where a packet of the protocol has come to, and with which address it has left.
Endpoint destination_of(const eval::Packet& packet, std::uint8_t protocol);
net::Address source_of(const eval::Packet& packet);

bool is_own(const ruleset::Host& machine, const net::Address& address);

// The first packet has come to where the line says.
bool comes_to(const Lifeline& line, const Leg& leg, const eval::Journey& journey, bool as_delivered,
              const ruleset::Host& machine);

// An address that is behind one device is not to come in by another: the policy says so. `ours` is
// the table of that number.
bool denied_by_behind(const eval::Journey& journey, const Lifeline& line,
                      const ruleset::Table& ours, std::uint32_t number);

bool is_forwarded(const eval::Journey& journey);

}  // namespace rolewall::apply
