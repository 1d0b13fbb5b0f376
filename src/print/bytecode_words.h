// The notation of `nft --debug=netlink`, which is libnftnl's (src/expr/*.c, 1.2.4), line for line:
// whoever has read nft's reads ours, and the two can be compared.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "ruleset/value.h"

namespace rolewall::print {

// Words of 32 bits as they lie in registers, read in the host's order.
std::string words(std::span<const std::uint8_t> bytes);
std::string words(const ruleset::Value& value);

// "accept", "jump -> web.in".
std::string verdict_words(const ruleset::Verdict& verdict);

}  // namespace rolewall::print
