// The names of the built-in steps: what our table does before and after the policy's rules. They
// stand as comments on the rules of our base chains, and so in answers, counters and logs; a
// policy's test may name one as the decider.
#pragma once

#include <array>
#include <string_view>

namespace rolewall::net::step {

inline constexpr std::string_view kEstablished = "(established)";
inline constexpr std::string_view kLoopback = "(loopback)";
inline constexpr std::string_view kBanned = "(banned)";
inline constexpr std::string_view kInvalid = "(invalid)";
inline constexpr std::string_view kSpoofed = "(spoofed)";
inline constexpr std::string_view kAllowed = "(allowed)";
inline constexpr std::string_view kDefault = "(default)";

// In the order in which a packet meets them after the early rules.
inline constexpr std::array kAll = {kEstablished, kLoopback, kBanned, kInvalid,
                                    kSpoofed,     kAllowed,  kDefault};

// As a policy writes it: without its brackets.
constexpr std::string_view word(std::string_view step) {
  return step.substr(1, step.size() - 2);
}

}  // namespace rolewall::net::step
