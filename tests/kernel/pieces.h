// A packet cut up into fragments as a network may deliver them: in any order, twice, over one
// another, or not all of them.
#pragma once

#include <cstdint>
#include <vector>

#include "random.h"
#include "segment.h"

namespace rolewall::kernel_judge {

// A number for a datagram's fragments that none has had lately: the kernel keeps those that wait
// for the rest beyond the end of a conversation.
std::uint32_t fresh_number();

// All of one that datagram() made. Empty where it is too short to be cut.
std::vector<Bytes> cut_up(const Bytes& packet, std::uint32_t number, Random& random);

bool is_fragment(const Bytes& packet);
// The number that a fragment bears.
std::uint32_t number_of(const Bytes& fragment);
void renumber(Bytes& fragment, std::uint32_t number);

}  // namespace rolewall::kernel_judge
