// Bob Jenkins' lookup3 as the kernel has it: jhash() of include/linux/jhash.h and
// reciprocal_scale() of include/linux/kernel.h.
#pragma once

#include <cstdint>

#include "eval/wire.h"

namespace rolewall::eval {

std::uint32_t jhash(ByteSpan key, std::uint32_t seed);

// Of all 32-bit numbers to those below `end`, in their order.
std::uint32_t reciprocal_scale(std::uint32_t number, std::uint32_t end);

}  // namespace rolewall::eval
