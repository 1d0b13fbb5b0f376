// The types of ICMP and ICMPv6 that the policy language names.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "net/protocol.h"

namespace rolewall::net {

struct IcmpType {
  std::string_view name;
  std::uint8_t number;
};

// IANA's registries "ICMP Type Numbers" and "ICMPv6 Parameters".
inline constexpr std::array kIcmpTypes = {IcmpType{"echo-reply", 0},
                                          IcmpType{"destination-unreachable", 3},
                                          IcmpType{"redirect", 5},
                                          IcmpType{"echo-request", 8},
                                          IcmpType{"router-advertisement", 9},
                                          IcmpType{"router-solicitation", 10},
                                          IcmpType{"time-exceeded", 11},
                                          IcmpType{"parameter-problem", 12},
                                          IcmpType{"timestamp-request", 13},
                                          IcmpType{"timestamp-reply", 14}};
inline constexpr std::array kIcmpv6Types = {IcmpType{"destination-unreachable", 1},
                                            IcmpType{"packet-too-big", 2},
                                            IcmpType{"time-exceeded", 3},
                                            IcmpType{"parameter-problem", 4},
                                            IcmpType{"echo-request", 128},
                                            IcmpType{"echo-reply", 129},
                                            IcmpType{"mld-query", 130},
                                            IcmpType{"mld-report", 131},
                                            IcmpType{"mld-done", 132},
                                            IcmpType{"router-solicitation", 133},
                                            IcmpType{"router-advertisement", 134},
                                            IcmpType{"neighbour-solicitation", 135},
                                            IcmpType{"neighbour-advertisement", 136},
                                            IcmpType{"redirect", 137},
                                            IcmpType{"mld2-report", 143}};

inline std::span<const IcmpType> icmp_types(std::uint8_t protocol) {
  if (protocol == protocol::kIcmp) return kIcmpTypes;
  return kIcmpv6Types;
}

}  // namespace rolewall::net
