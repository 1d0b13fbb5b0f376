// Registers hold 32 bits: what is loaded into them, and each field of a concatenated key, fills
// whole ones, the rest with zeros (include/net/netfilter/nf_tables.h, nft_reg_store8() and its
// like).
#pragma once

#include <cstddef>

namespace rolewall::ruleset {

constexpr std::size_t registers_in(std::size_t bytes) {
  return (bytes + 3) / 4;
}

// How many bytes those registers are.
constexpr std::size_t padded_size(std::size_t bytes) {
  return registers_in(bytes) * 4;
}

}  // namespace rolewall::ruleset
