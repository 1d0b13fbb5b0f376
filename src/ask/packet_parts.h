// What a packet's bytes tell, of a capture mostly.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ask/sample.h"
#include "eval/packet.h"

namespace rolewall::ask {

// What the words of a packet say of it; absent where its headers are not whole.
std::optional<Sample> sample_of(const eval::Packet& packet);

bool is_fragment(const eval::Packet& packet);
bool has_header(const eval::Packet& packet);

// A network card, or nobody where the wire is none, was to fill it in: until then the sum of the
// pseudo-header stands there (CHECKSUM_PARTIAL), and the kernel takes it for right.
bool awaits_checksum(const eval::Packet& packet);

// Without checksums, which a network card may have been to fill in.
std::vector<std::uint8_t> content(const eval::Packet& packet);

// By a packet socket, perhaps.
bool asks_for_an_address(const eval::Packet& packet);
// By its addresses.
bool may_be_forwarded(const eval::Packet& packet);
// Leaves this host, and no question has said by whom it is sent.
bool is_sent_by_program(const eval::Packet& packet);

}  // namespace rolewall::ask
