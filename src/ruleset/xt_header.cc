#include "ruleset/xt_header.h"

#include <fmt/format.h>

namespace rolewall::ruleset {
namespace {

// RTN_* in order.
std::string type_names(std::uint16_t types) {
  constexpr std::array<std::string_view, 12> kNames{
      "UNSPEC",    "UNICAST",     "LOCAL",    "BROADCAST", "ANYCAST", "MULTICAST",
      "BLACKHOLE", "UNREACHABLE", "PROHIBIT", "THROW",     "NAT",     "XRESOLVE"};
  std::string names;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if ((types >> i & 1) != 0) names += (names.empty() ? "" : ",") + std::string(kNames[i]);
  }
  return names;
}

XtIprange::Ends ends_at(const XtBytes& bytes, std::size_t at, bool inverted) {
  return {.first = bytes.address(at), .last = bytes.address(at + 16), .inverted = inverted};
}

}  // namespace

// struct xt_addrtype_info
std::optional<XtAddrtype> read_xt_addrtype_0(const XtBytes& bytes) {
  return XtAddrtype{.source = bytes.u16(0),
                    .destination = bytes.u16(2),
                    .source_inverted = bytes.u32(4) != 0,
                    .destination_inverted = bytes.u32(8) != 0};
}

// struct xt_addrtype_info_v1
std::optional<XtAddrtype> read_xt_addrtype(const XtBytes& bytes) {
  const std::uint32_t flags = bytes.u32(4);
  if ((flags & ~0xfU) != 0) return std::nullopt;
  XtAddrtype match{.source = bytes.u16(0),
                   .destination = bytes.u16(2),
                   .source_inverted = (flags & 1) != 0,
                   .destination_inverted = (flags & 2) != 0};
  if ((flags & 4) != 0) {
    match.on = XtAddrtype::On::In;
  } else if ((flags & 8) != 0) {
    match.on = XtAddrtype::On::Out;
  }
  return match;
}

std::string xt_words(const XtAddrtype& match, XtFamily /*family*/) {
  std::string words = "addrtype";
  if (match.source != 0) {
    words += xt_option("src-type", match.source_inverted, type_names(match.source));
  }
  if (match.destination != 0) {
    words += xt_option("dst-type", match.destination_inverted, type_names(match.destination));
  }
  if (match.on == XtAddrtype::On::In) words += " --limit-iface-in";
  if (match.on == XtAddrtype::On::Out) words += " --limit-iface-out";
  return words;
}

// struct xt_iprange_mtinfo
std::optional<XtIprange> read_xt_iprange(const XtBytes& bytes) {
  enum : std::uint8_t { kSource = 1, kDestination = 2, kNotSource = 16, kNotDestination = 32 };
  const std::uint8_t flags = bytes.u8(64);
  if ((flags & ~(kSource | kDestination | kNotSource | kNotDestination)) != 0) return std::nullopt;
  XtIprange match;
  if ((flags & kSource) != 0) match.source = ends_at(bytes, 0, (flags & kNotSource) != 0);
  if ((flags & kDestination) != 0) {
    match.destination = ends_at(bytes, 32, (flags & kNotDestination) != 0);
  }
  return match;
}

std::string xt_words(const XtIprange& match, XtFamily family) {
  const auto range = [&](const XtIprange::Ends& ends) {
    return xt_text(ends.first, family) + "-" + xt_text(ends.last, family);
  };
  std::string words = "iprange";
  if (match.source) {
    words += xt_option("src-range", match.source->inverted, range(*match.source));
  }
  if (match.destination) {
    words += xt_option("dst-range", match.destination->inverted, range(*match.destination));
  }
  return words;
}

// struct xt_length_info
std::optional<XtLength> read_xt_length(const XtBytes& bytes) {
  if (bytes.u8(4) > 1) return std::nullopt;
  return XtLength{
      .bytes = {.first = bytes.u16(0), .last = bytes.u16(2), .inverted = bytes.u8(4) != 0}};
}
std::string xt_words(const XtLength& match, XtFamily /*family*/) {
  return "length" + xt_range("length", match.bytes.first, match.bytes.last, match.bytes.inverted);
}

// struct xt_tos_match_info, struct xt_dscp_info
std::optional<XtTos> read_xt_tos(const XtBytes& bytes) {
  return XtTos{
      .is_dscp = false, .value = bytes.u8(1), .mask = bytes.u8(0), .inverted = bytes.u8(2) != 0};
}
std::optional<XtTos> read_xt_dscp(const XtBytes& bytes) {
  constexpr std::uint8_t kMost = 0x3f;
  constexpr std::uint8_t kMask = 0xfc;
  if (bytes.u8(0) > kMost) return std::nullopt;
  return XtTos{.is_dscp = true,
               .value = static_cast<std::uint8_t>(bytes.u8(0) << 2),
               .mask = kMask,
               .inverted = bytes.u8(1) != 0};
}
std::string xt_words(const XtTos& match, XtFamily /*family*/) {
  if (match.is_dscp) {
    return "dscp" + xt_option("dscp", match.inverted, fmt::format("{:#04x}", match.value >> 2));
  }
  return "tos" +
         xt_option("tos", match.inverted, fmt::format("{:#04x}/{:#04x}", match.value, match.mask));
}

// struct ipt_ttl_info, struct ip6t_hl_info
std::optional<XtTtl> read_xt_ttl(const XtBytes& bytes) {
  if (bytes.u8(0) > 3) return std::nullopt;
  return XtTtl{.is = static_cast<XtTtl::Is>(bytes.u8(0)), .value = bytes.u8(1)};
}
std::optional<XtTtl> read_xt_hl(const XtBytes& bytes) {
  std::optional<XtTtl> match = read_xt_ttl(bytes);
  if (match) match->hop_limit = true;
  return match;
}
std::string xt_words(const XtTtl& match, XtFamily /*family*/) {
  constexpr std::array<std::string_view, 4> kEnds{"eq", "eq", "lt", "gt"};
  const std::string_view name = match.hop_limit ? "hl" : "ttl";
  return std::string(name) +
         xt_option(fmt::format("{}-{}", name, kEnds[static_cast<std::size_t>(match.is)]),
                   match.is == XtTtl::Is::NotEqual, fmt::format("{}", match.value));
}

// struct xt_ecn_info
std::optional<XtEcn> read_xt_ecn(const XtBytes& bytes) {
  enum : std::uint8_t { kIp = 1, kEcho = 0x10, kReduced = 0x20 };
  const std::uint8_t asked = bytes.u8(0);
  const std::uint8_t inverted = bytes.u8(1);
  if (((asked | inverted) & ~(kIp | kEcho | kReduced)) != 0) return std::nullopt;
  XtEcn match{.asks_ip = (asked & kIp) != 0,
              .ip = bytes.u8(2),
              .ip_inverted = (inverted & kIp) != 0,
              .congestion_echo = {},
              .window_reduced = {}};
  if ((asked & kEcho) != 0) match.congestion_echo = (inverted & kEcho) == 0;
  if ((asked & kReduced) != 0) match.window_reduced = (inverted & kReduced) == 0;
  return match;
}
std::string xt_words(const XtEcn& match, XtFamily /*family*/) {
  std::string words = "ecn";
  if (match.congestion_echo) words += xt_option("ecn-tcp-ece", !*match.congestion_echo);
  if (match.window_reduced) words += xt_option("ecn-tcp-cwr", !*match.window_reduced);
  if (match.asks_ip) {
    words += xt_option("ecn-ip-ect", match.ip_inverted, fmt::format("{}", match.ip));
  }
  return words;
}

// struct xt_tcpmss_match_info
std::optional<XtTcpmss> read_xt_tcpmss(const XtBytes& bytes) {
  return XtTcpmss{
      .size = {.first = bytes.u16(0), .last = bytes.u16(2), .inverted = bytes.u8(4) != 0}};
}
std::string xt_words(const XtTcpmss& match, XtFamily /*family*/) {
  return "tcpmss" + xt_range("mss", match.size.first, match.size.last, match.size.inverted);
}

// struct xt_u32
std::optional<XtU32> read_xt_u32(const XtBytes& bytes) {
  constexpr std::size_t kMost = 11;
  constexpr std::size_t kElement = 8;
  constexpr std::size_t kTest = 2 * kMost * kElement + 4;
  const std::uint8_t count = bytes.u8(kMost * kTest);
  if (count > kMost) return std::nullopt;
  XtU32 match;
  match.inverted = bytes.u8(kMost * kTest + 1) != 0;
  for (std::size_t t = 0; t < count; ++t) {
    const std::size_t begin = t * kTest;
    const std::size_t values = begin + kMost * kElement;
    const std::uint8_t steps = bytes.u8(begin + 2 * kMost * kElement);
    const std::uint8_t ranges = bytes.u8(begin + 2 * kMost * kElement + 1);
    if (steps > kMost || ranges > kMost) return std::nullopt;
    XtU32::Test& test = match.tests.emplace_back();
    test.from = bytes.u32(begin);
    for (std::size_t i = 1; i < steps; ++i) {
      const std::uint8_t op = bytes.u8(begin + i * kElement + 4);
      if (op > 3) return std::nullopt;
      test.steps.push_back({static_cast<XtU32::Op>(op), bytes.u32(begin + i * kElement)});
    }
    for (std::size_t i = 0; i < ranges; ++i) {
      test.values.push_back({.first = bytes.u32(values + i * kElement),
                             .last = bytes.u32(values + i * kElement + 4)});
    }
  }
  return match;
}

std::string xt_words(const XtU32& match, XtFamily /*family*/) {
  constexpr std::array<std::string_view, 4> kOps{"&", "<<", ">>", "@"};
  std::string text;
  for (const XtU32::Test& test : match.tests) {
    if (!text.empty()) text += "&&";
    text += fmt::format("{:#x}", test.from);
    for (const XtU32::Step& step : test.steps) {
      text += fmt::format("{}{:#x}", kOps[static_cast<std::size_t>(step.op)], step.number);
    }
    std::string values;
    for (const auto& range : test.values) {
      if (!values.empty()) values += ",";
      values += range.first == range.last ? fmt::format("{:#x}", range.first)
                                          : fmt::format("{:#x}:{:#x}", range.first, range.last);
    }
    text += "=" + values;
  }
  return "u32" + xt_option("u32", match.inverted, "\"" + text + "\"");
}

// struct xt_string_info
std::optional<XtString> read_xt_string(const XtBytes& bytes) {
  constexpr std::size_t kPattern = 20;
  constexpr std::uint8_t kMost = 128;
  const std::uint8_t size = bytes.u8(kPattern + kMost);
  const std::uint8_t flags = bytes.u8(kPattern + kMost + 1);
  if (size > kMost || (flags & ~3) != 0) return std::nullopt;
  XtString match{.from = bytes.u16(0),
                 .to = bytes.u16(2),
                 .algorithm = bytes.text(4, 16),
                 .pattern = {},
                 .inverted = (flags & 1) != 0,
                 .ignores_case = (flags & 2) != 0};
  for (std::size_t i = 0; i < size; ++i) {
    match.pattern += static_cast<char>(bytes.u8(kPattern + i));
  }
  return match;
}
std::string xt_words(const XtString& match, XtFamily /*family*/) {
  std::string hex;
  bool printable = true;
  for (const char c : match.pattern) {
    hex += fmt::format("{:02x}", static_cast<std::uint8_t>(c));
    printable &= c >= ' ' && c <= '~';
  }
  std::string words =
      "string" + (printable ? xt_option("string", match.inverted, "\"" + match.pattern + "\"")
                            : xt_option("hex-string", match.inverted, "\"|" + hex + "|\""));
  words += " --algo " + match.algorithm;
  if (match.from != 0) words += fmt::format(" --from {}", match.from);
  if (match.to != 0xffff) words += fmt::format(" --to {}", match.to);
  return match.ignores_case ? words + " --icase" : words;
}

}  // namespace rolewall::ruleset
