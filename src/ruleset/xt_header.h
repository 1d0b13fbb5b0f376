// iptables' matches that look into the IP header, or through the whole packet: addrtype, iprange,
// length, tos, dscp, ttl, hl, ecn, tcpmss, u32, string (net/netfilter/xt_*.c).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ruleset/xt_bytes.h"

namespace rolewall::ruleset {

// Masks have a bit for each RTN_* of linux/rtnetlink.h; 0: not asked.
struct XtAddrtype {
  std::uint16_t source = 0;
  std::uint16_t destination = 0;
  bool source_inverted = false;
  bool destination_inverted = false;
  enum class On : std::uint8_t { Anywhere, In, Out } on = On::Anywhere;  // which device's addresses
};

struct XtIprange {
  struct Ends {
    XtAddress first{};
    XtAddress last{};
    bool inverted = false;
  };
  std::optional<Ends> source;
  std::optional<Ends> destination;
};

struct XtLength {
  XtRange<std::uint16_t> bytes;
};

// The byte of differentiated services: `mask` is all of it but ECN's bits for dscp.
struct XtTos {
  bool is_dscp = false;
  std::uint8_t value = 0;
  std::uint8_t mask = 0;
  bool inverted = false;
};

struct XtTtl {
  enum class Is : std::uint8_t { Equal, NotEqual, Less, Greater } is = Is::Equal;
  std::uint8_t value = 0;
  bool hop_limit = false;
};

struct XtEcn {
  bool asks_ip = false;
  std::uint8_t ip = 0;
  bool ip_inverted = false;
  std::optional<bool> congestion_echo;  // TCP's ECE
  std::optional<bool> window_reduced;   // CWR
};

struct XtTcpmss {
  XtRange<std::uint16_t> size;
};

struct XtU32 {
  enum class Op : std::uint8_t { And, ShiftLeft, ShiftRight, At };
  struct Step {
    Op op = Op::And;
    std::uint32_t number = 0;
  };
  struct Test {
    std::uint32_t from = 0;
    std::vector<Step> steps;
    std::vector<XtRange<std::uint32_t>> values;
  };
  std::vector<Test> tests;
  bool inverted = false;
};

struct XtString {
  std::uint16_t from = 0;
  std::uint16_t to = 0;
  std::string algorithm;
  std::string pattern;
  bool inverted = false;
  bool ignores_case = false;
};

std::optional<XtAddrtype> read_xt_addrtype_0(const XtBytes& bytes);
std::optional<XtAddrtype> read_xt_addrtype(const XtBytes& bytes);
std::optional<XtIprange> read_xt_iprange(const XtBytes& bytes);
std::optional<XtLength> read_xt_length(const XtBytes& bytes);
std::optional<XtTos> read_xt_tos(const XtBytes& bytes);
std::optional<XtTos> read_xt_dscp(const XtBytes& bytes);
std::optional<XtTtl> read_xt_ttl(const XtBytes& bytes);
std::optional<XtTtl> read_xt_hl(const XtBytes& bytes);
std::optional<XtEcn> read_xt_ecn(const XtBytes& bytes);
std::optional<XtTcpmss> read_xt_tcpmss(const XtBytes& bytes);
std::optional<XtU32> read_xt_u32(const XtBytes& bytes);
std::optional<XtString> read_xt_string(const XtBytes& bytes);

std::string xt_words(const XtAddrtype& match, XtFamily family);
std::string xt_words(const XtIprange& match, XtFamily family);
std::string xt_words(const XtLength& match, XtFamily family);
std::string xt_words(const XtTos& match, XtFamily family);
std::string xt_words(const XtTtl& match, XtFamily family);
std::string xt_words(const XtEcn& match, XtFamily family);
std::string xt_words(const XtTcpmss& match, XtFamily family);
std::string xt_words(const XtU32& match, XtFamily family);
std::string xt_words(const XtString& match, XtFamily family);

}  // namespace rolewall::ruleset
