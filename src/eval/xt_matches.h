// What matches of iptables say of the packet's own bytes: the match functions of net/netfilter/
// xt_*.c, net/ipv4/netfilter/ipt_*.c and net/ipv6/netfilter/ip6t_*.c that read nothing else. Those
// that ask the connection, the host or a memory are the interpreter's (interpreter_xt.cc).
#pragma once

#include "eval/xt_packet.h"
#include "ruleset/xt_match.h"

namespace rolewall::eval {

// xt_ports.cc
bool xt_holds(const ruleset::XtTcp& match, XtPacket& packet);
bool xt_holds(const ruleset::XtUdp& match, XtPacket& packet);
bool xt_holds(const ruleset::XtMultiport& match, XtPacket& packet);
bool xt_holds(const ruleset::XtSctp& match, XtPacket& packet);
bool xt_holds(const ruleset::XtDccp& match, XtPacket& packet);
bool xt_holds(const ruleset::XtIcmp& match, XtPacket& packet);
bool xt_holds(const ruleset::XtEsp& match, XtPacket& packet);
bool xt_holds(const ruleset::XtAh& match, XtPacket& packet);

// xt_header.cc
bool xt_holds(const ruleset::XtIprange& match, XtPacket& packet);
bool xt_holds(const ruleset::XtTos& match, XtPacket& packet);
bool xt_holds(const ruleset::XtTtl& match, XtPacket& packet);
bool xt_holds(const ruleset::XtEcn& match, XtPacket& packet);
bool xt_holds(const ruleset::XtTcpmss& match, XtPacket& packet);
bool xt_holds(const ruleset::XtU32& match, XtPacket& packet);
bool xt_holds(const ruleset::XtString& match, XtPacket& packet);

// xt_ipv6.cc
bool xt_holds(const ruleset::XtFrag& match, XtPacket& packet);
bool xt_holds(const ruleset::XtOptions& match, XtPacket& packet);
bool xt_holds(const ruleset::XtRouting& match, XtPacket& packet);
bool xt_holds(const ruleset::XtMobility& match, XtPacket& packet);
bool xt_holds(const ruleset::XtIpv6header& match, XtPacket& packet);

// ipv6_find_hdr(): the first header of the type, or why there is none.
struct FoundHeader {
  enum class Is : std::uint8_t { There, Absent, CutOff } is = Is::Absent;
  std::size_t offset = 0;
};
FoundHeader find_header(XtPacket& packet, std::uint8_t type);

}  // namespace rolewall::eval
