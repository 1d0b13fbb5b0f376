// The kernel's connection tracking helpers: programs that read what a connection says, so that
// conntrack expects the connections that it announces (net/netfilter/nf_conntrack_*.c).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "net/protocol.h"

namespace rolewall::net {

struct ConntrackHelper {
  std::string_view name;  // the kernel's
  bool tcp = false;
  bool udp = false;
  bool ipv6 = false;  // all are for IPv4
  // The module that rewrites the addresses it reads, on a host that translates; "": there is none.
  std::string_view nat_module{};

  bool is_of(std::uint8_t protocol) const {
    return (protocol == protocol::kTcp && tcp) || (protocol == protocol::kUdp && udp);
  }
};

inline constexpr std::array kConntrackHelpers = {
    ConntrackHelper{"ftp", true, false, true, "nf_nat_ftp"},
    ConntrackHelper{"tftp", false, true, true, "nf_nat_tftp"},
    ConntrackHelper{"sip", true, true, true, "nf_nat_sip"},
    ConntrackHelper{"irc", true, false, false, "nf_nat_irc"},
    ConntrackHelper{"pptp", true, false, false, "nf_nat_pptp"},
    ConntrackHelper{"amanda", false, true, true, "nf_nat_amanda"},
    ConntrackHelper{"sane", true, false, true},
    ConntrackHelper{"snmp", false, true, false, "nf_nat_snmp_basic"},
    ConntrackHelper{"netbios-ns", false, true, false},
    ConntrackHelper{"RAS", false, true, true, "nf_nat_h323"},
    ConntrackHelper{"Q.931", true, false, true, "nf_nat_h323"},
};

// nullptr: the kernel has none of this name.
inline const ConntrackHelper* find_conntrack_helper(std::string_view name) {
  for (const ConntrackHelper& helper : kConntrackHelpers) {
    if (helper.name == name) return &helper;
  }
  return nullptr;
}

}  // namespace rolewall::net
