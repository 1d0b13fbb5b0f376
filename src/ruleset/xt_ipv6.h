// iptables' matches of IPv6's own headers: frag, hbh, dst, rt, mh, ipv6header, eui64
// (net/ipv6/netfilter/ip6t_*.c). They look for their header from the packet's beginning, and most
// drop a packet whose headers are cut off.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ruleset/xt_bytes.h"

namespace rolewall::ruleset {

struct XtFrag {
  XtRange<std::uint32_t> id;
  std::optional<std::uint32_t> length;  // at which the kernel does not look
  bool length_inverted = false;
  bool reserved_is_zero = false;
  bool is_first = false;
  std::optional<bool> more;  // whether further fragments follow
};

// hbh, and dst for destination options.
struct XtOptions {
  bool destination = false;
  std::optional<std::uint32_t> length;  // of the header, in bytes
  bool length_inverted = false;
  bool asks_options = false;
  struct Option {
    std::uint8_t type = 0;
    std::uint8_t length = 0xff;  // 0xff: any
  };
  std::vector<Option> options;  // in this order, from the first on
};

struct XtRouting {
  std::optional<std::uint32_t> type;
  bool type_inverted = false;
  XtRange<std::uint32_t> segments_left;
  std::optional<std::uint32_t> length;
  bool length_inverted = false;
  bool reserved_is_zero = false;
  enum class Addresses : std::uint8_t { NotAsked, All, Among } asks = Addresses::NotAsked;
  std::vector<XtAddress> addresses;
};

struct XtMobility {
  XtRange<std::uint8_t> type;
};

struct XtIpv6header {
  std::uint8_t headers = 0;   // MASK_* of ip6t_ipv6header.h
  std::uint8_t inverted = 0;  // hard: 0, or all
  bool soft = false;          // others may be there too
};

struct XtEui64 {};

std::optional<XtFrag> read_xt_frag(const XtBytes& bytes);
std::optional<XtOptions> read_xt_hbh(const XtBytes& bytes);
std::optional<XtOptions> read_xt_dst(const XtBytes& bytes);
std::optional<XtRouting> read_xt_rt(const XtBytes& bytes);
std::optional<XtMobility> read_xt_mh(const XtBytes& bytes);
std::optional<XtIpv6header> read_xt_ipv6header(const XtBytes& bytes);
std::optional<XtEui64> read_xt_eui64(const XtBytes& bytes);

std::string xt_words(const XtFrag& match, XtFamily family);
std::string xt_words(const XtOptions& match, XtFamily family);
std::string xt_words(const XtRouting& match, XtFamily family);
std::string xt_words(const XtMobility& match, XtFamily family);
std::string xt_words(const XtIpv6header& match, XtFamily family);
std::string xt_words(const XtEui64& match, XtFamily family);

}  // namespace rolewall::ruleset
