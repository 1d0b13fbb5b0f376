#include "ruleset/xt_ipv6.h"

#include <fmt/format.h>

namespace rolewall::ruleset {
namespace {

bool has(std::uint8_t flags, std::uint8_t flag) {
  return (flags & flag) != 0;
}

// struct ip6t_opts
std::optional<XtOptions> read_options(const XtBytes& bytes, bool destination) {
  constexpr std::uint8_t kMost = 16;
  const std::uint8_t flags = bytes.u8(4);
  const std::uint8_t inverted = bytes.u8(5);
  const std::uint8_t count = bytes.u8(6 + 2 * kMost);
  if ((flags & ~3) != 0 || inverted > 1 || count > kMost) return std::nullopt;
  XtOptions match;
  match.destination = destination;
  if (has(flags, 1)) match.length = bytes.u32(0);
  match.length_inverted = inverted != 0;
  match.asks_options = has(flags, 2);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint16_t option = bytes.u16(6 + 2 * i);
    match.options.push_back({.type = static_cast<std::uint8_t>(option >> 8),
                             .length = static_cast<std::uint8_t>(option)});
  }
  return match;
}

}  // namespace

// struct ip6t_frag; the kernel does not look at its length.
std::optional<XtFrag> read_xt_frag(const XtBytes& bytes) {
  enum : std::uint8_t { kLength = 2, kReserved = 4, kFirst = 8, kMore = 16, kLast = 32 };
  const std::uint8_t flags = bytes.u8(12);
  const std::uint8_t inverted = bytes.u8(13);
  if ((inverted & ~3) != 0 || (has(flags, kMore) && has(flags, kLast))) return std::nullopt;
  XtFrag match{.id = {.first = bytes.u32(0), .last = bytes.u32(4), .inverted = has(inverted, 1)},
               .length = {},
               .length_inverted = has(inverted, 2),
               .reserved_is_zero = has(flags, kReserved),
               .is_first = has(flags, kFirst),
               .more = {}};
  if (has(flags, kLength)) match.length = bytes.u32(8);
  if (has(flags, kMore)) match.more = true;
  if (has(flags, kLast)) match.more = false;
  return match;
}
std::string xt_words(const XtFrag& match, XtFamily /*family*/) {
  std::string words = "frag";
  if (match.id.first != 0 || match.id.last != 0xffffffff || match.id.inverted) {
    words += xt_range("fragid", match.id.first, match.id.last, match.id.inverted);
  }
  if (match.length) {
    words += xt_option("fraglen", match.length_inverted, fmt::format("{}", *match.length));
  }
  if (match.reserved_is_zero) words += " --fragres";
  if (match.is_first) words += " --fragfirst";
  if (match.more) words += *match.more ? " --fragmore" : " --fraglast";
  return words;
}

std::optional<XtOptions> read_xt_hbh(const XtBytes& bytes) {
  return read_options(bytes, false);
}
std::optional<XtOptions> read_xt_dst(const XtBytes& bytes) {
  return read_options(bytes, true);
}
std::string xt_words(const XtOptions& match, XtFamily /*family*/) {
  const std::string name = match.destination ? "dst" : "hbh";
  std::string words = name;
  if (match.length) {
    words += xt_option(name + "-len", match.length_inverted, fmt::format("{}", *match.length));
  }
  if (!match.asks_options) return words;
  std::string list;
  for (const XtOptions::Option& option : match.options) {
    list += fmt::format("{}{}", list.empty() ? "" : ",", option.type);
    if (option.length != 0xff) list += fmt::format(":{}", option.length);
  }
  return words + " --" + name + "-opts " + list;
}

// struct ip6t_rt
std::optional<XtRouting> read_xt_rt(const XtBytes& bytes) {
  enum : std::uint8_t { kType = 1, kLength = 4, kReserved = 8, kAddresses = 16, kAmong = 32 };
  constexpr std::uint8_t kMost = 16;
  constexpr std::size_t kFirst = 20;
  const std::uint8_t flags = bytes.u8(16);
  const std::uint8_t inverted = bytes.u8(17);
  const std::uint8_t count = bytes.u8(kFirst + std::size_t{kMost} * 16);
  if ((inverted & ~7) != 0 || count > kMost) return std::nullopt;
  XtRouting match;
  if (has(flags, kType)) match.type = bytes.u32(0);
  match.type_inverted = has(inverted, 1);
  match.segments_left = {.first = bytes.u32(4), .last = bytes.u32(8), .inverted = has(inverted, 2)};
  if (has(flags, kLength)) match.length = bytes.u32(12);
  match.length_inverted = has(inverted, 4);
  match.reserved_is_zero = has(flags, kReserved);
  if (has(flags, kAddresses)) {
    match.asks = has(flags, kAmong) ? XtRouting::Addresses::Among : XtRouting::Addresses::All;
  }
  for (std::size_t i = 0; i < count; ++i) match.addresses.push_back(bytes.address(kFirst + 16 * i));
  return match;
}
std::string xt_words(const XtRouting& match, XtFamily /*family*/) {
  std::string words = "rt";
  if (match.type) {
    words += xt_option("rt-type", match.type_inverted, fmt::format("{}", *match.type));
  }
  const auto& left = match.segments_left;
  if (left.first != 0 || left.last != 0xffffffff || left.inverted) {
    words += xt_range("rt-segsleft", left.first, left.last, left.inverted);
  }
  if (match.length) {
    words += xt_option("rt-len", match.length_inverted, fmt::format("{}", *match.length));
  }
  if (match.reserved_is_zero) words += " --rt-0-res";
  if (match.asks == XtRouting::Addresses::NotAsked) return words;
  std::string list;
  for (const XtAddress& address : match.addresses) {
    list += (list.empty() ? "" : ",") + xt_text(address, XtFamily::Ipv6);
  }
  words += " --rt-0-addrs " + list;
  return match.asks == XtRouting::Addresses::Among ? words + " --rt-0-not-strict" : words;
}

// struct ip6t_mh
std::optional<XtMobility> read_xt_mh(const XtBytes& bytes) {
  if (bytes.u8(2) > 1) return std::nullopt;
  return XtMobility{
      .type = {.first = bytes.u8(0), .last = bytes.u8(1), .inverted = bytes.u8(2) != 0}};
}
std::string xt_words(const XtMobility& match, XtFamily /*family*/) {
  if (match.type.first == 0 && match.type.last == 0xff && !match.type.inverted) return "mh";
  return "mh" + xt_range("mh-type", match.type.first, match.type.last, match.type.inverted);
}

// struct ip6t_ipv6header_info
std::optional<XtIpv6header> read_xt_ipv6header(const XtBytes& bytes) {
  return XtIpv6header{.headers = bytes.u8(0), .inverted = bytes.u8(1), .soft = bytes.u8(2) != 0};
}
std::string xt_words(const XtIpv6header& match, XtFamily /*family*/) {
  // iptables' own, and those of /etc/protocols.
  constexpr std::array<std::string_view, 8> kNames{
      "protocol", "ipv6-nonxt", "esp", "ah", "ipv6-frag", "ipv6-route", "ipv6-opts", "hop-by-hop"};
  std::string list;
  for (std::size_t i = kNames.size(); i-- > 0;) {
    if ((match.headers >> i & 1) != 0) list += (list.empty() ? "" : ",") + std::string(kNames[i]);
  }
  return "ipv6header" + xt_option("header", match.inverted != 0, list) +
         (match.soft ? " --soft" : "");
}

std::optional<XtEui64> read_xt_eui64(const XtBytes& /*bytes*/) {
  return XtEui64{};
}
std::string xt_words(const XtEui64& /*match*/, XtFamily /*family*/) {
  return "eui64";
}

}  // namespace rolewall::ruleset
