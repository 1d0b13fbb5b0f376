// How the condition begins that an order at one priority is (hook_order.h), by which those who list
// conditions know it from what the kernel draws anew for each packet.
#pragma once

#include <string_view>

namespace rolewall::ruleset {

inline constexpr std::string_view kOrderOf = "the order of ";

}  // namespace rolewall::ruleset
