// iptables' matches that look into a transport header: tcp, udp, udplite, sctp, dccp, multiport,
// icmp, icmp6, esp, ah (net/netfilter/xt_tcpudp.c, xt_multiport.c, xt_sctp.c, xt_dccp.c, xt_esp.c,
// net/ipv4/netfilter/ipt_ah.c, net/ipv6/netfilter/ip6t_ah.c). Most drop the packet where the header
// is cut off ("hotdrop"), and match no later fragment.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ruleset/xt_bytes.h"

namespace rolewall::ruleset {

using XtPorts = XtRange<std::uint16_t>;

struct XtTcp {
  XtPorts source;
  XtPorts destination;
  std::uint8_t option = 0;  // a TCP option that is there; 0: not asked
  bool option_inverted = false;
  std::uint8_t flag_mask = 0;
  std::uint8_t flag_value = 0;
  bool flags_inverted = false;
};

struct XtUdp {
  XtPorts source;
  XtPorts destination;
};

struct XtMultiport {
  enum class Which : std::uint8_t { Source, Destination, Either } which = Which::Source;
  std::vector<XtPorts> ports;
  bool inverted = false;
};

struct XtSctp {
  enum class Chunks : std::uint8_t { Any = 1, All = 2, Only = 4 };
  struct Flags {
    std::uint8_t chunk = 0;
    std::uint8_t value = 0;
    std::uint8_t mask = 0;
  };
  std::optional<XtPorts> source;
  std::optional<XtPorts> destination;
  bool asks_chunks = false;
  bool chunks_inverted = false;
  Chunks chunks = Chunks::Any;
  std::array<std::uint32_t, 8> types{};  // a bit for each
  std::vector<Flags> flags;
};

struct XtDccp {
  std::optional<XtPorts> source;
  std::optional<XtPorts> destination;
  std::optional<std::uint16_t> types;  // a bit for each
  bool types_inverted = false;
  std::optional<std::uint8_t> option;
  bool option_inverted = false;
};

struct XtIcmp {
  bool ipv6 = false;
  std::uint8_t type = 0xff;  // of ICMP, 0xff: any
  std::uint8_t code_first = 0;
  std::uint8_t code_last = 0xff;
  bool inverted = false;
};

struct XtEsp {
  XtRange<std::uint32_t> spi;
};

// The payloads of both families have one size: IPv6's has more in the padding of IPv4's.
struct XtAh {
  XtRange<std::uint32_t> spi;
  bool ipv6_spi_inverted = false;
  std::uint32_t ipv6_length = 0;  // 0: not asked
  bool ipv6_length_inverted = false;
  bool ipv6_reserved_is_zero = false;
};

// Absent: with flags that are not known.
std::optional<XtTcp> read_xt_tcp(const XtBytes& bytes);
std::optional<XtUdp> read_xt_udp(const XtBytes& bytes);
std::optional<XtMultiport> read_xt_multiport(const XtBytes& bytes);
std::optional<XtSctp> read_xt_sctp(const XtBytes& bytes);
std::optional<XtDccp> read_xt_dccp(const XtBytes& bytes);
std::optional<XtIcmp> read_xt_icmp(const XtBytes& bytes);
std::optional<XtIcmp> read_xt_icmp6(const XtBytes& bytes);
std::optional<XtEsp> read_xt_esp(const XtBytes& bytes);
std::optional<XtAh> read_xt_ah(const XtBytes& bytes);

std::string xt_words(const XtTcp& match, XtFamily family);
std::string xt_words(const XtUdp& match, XtFamily family);
std::string xt_words(const XtMultiport& match, XtFamily family);
std::string xt_words(const XtSctp& match, XtFamily family);
std::string xt_words(const XtDccp& match, XtFamily family);
std::string xt_words(const XtIcmp& match, XtFamily family);
std::string xt_words(const XtEsp& match, XtFamily family);
std::string xt_words(const XtAh& match, XtFamily family);

}  // namespace rolewall::ruleset
