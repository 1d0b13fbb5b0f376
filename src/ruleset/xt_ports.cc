#include "ruleset/xt_ports.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

namespace rolewall::ruleset {
namespace {

constexpr std::uint16_t kLastPort = 0xffff;

XtPorts ports_at(const XtBytes& bytes, std::size_t at, bool inverted) {
  return {.first = bytes.u16(at), .last = bytes.u16(at + 2), .inverted = inverted};
}

std::string port_words(std::string_view option, const XtPorts& ports) {
  if (ports.first == 0 && ports.last == kLastPort && !ports.inverted) return "";
  return xt_range(option, ports.first, ports.last, ports.inverted);
}
std::string port_words(std::string_view option, const std::optional<XtPorts>& ports) {
  return ports ? xt_range(option, ports->first, ports->last, ports->inverted) : "";
}

std::string flag_names(std::uint8_t flags) {
  constexpr std::array<std::string_view, 6> kNames{"FIN", "SYN", "RST", "PSH", "ACK", "URG"};
  std::string names;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if ((flags >> i & 1) != 0) names += (names.empty() ? "" : ",") + std::string(kNames[i]);
  }
  if (flags >> kNames.size() != 0) return fmt::format("{:#x}", flags);
  return names.empty() ? "NONE" : names;
}

std::string chunk_name(std::size_t type) {
  struct Chunk {
    std::size_t type;
    std::string_view name;
  };
  constexpr std::array kChunks{
      Chunk{0, "DATA"},           Chunk{1, "INIT"},          Chunk{2, "INIT_ACK"},
      Chunk{3, "SACK"},           Chunk{4, "HEARTBEAT"},     Chunk{5, "HEARTBEAT_ACK"},
      Chunk{6, "ABORT"},          Chunk{7, "SHUTDOWN"},      Chunk{8, "SHUTDOWN_ACK"},
      Chunk{9, "ERROR"},          Chunk{10, "COOKIE_ECHO"},  Chunk{11, "COOKIE_ACK"},
      Chunk{12, "ECN_ECNE"},      Chunk{13, "ECN_CWR"},      Chunk{14, "SHUTDOWN_COMPLETE"},
      Chunk{64, "I_DATA"},        Chunk{128, "ASCONF_ACK"},  Chunk{130, "RE_CONFIG"},
      Chunk{132, "PAD"},          Chunk{192, "FORWARD_TSN"}, Chunk{193, "ASCONF"},
      Chunk{194, "I_FORWARD_TSN"}};
  const auto at = std::ranges::find(kChunks, type, &Chunk::type);
  return at == kChunks.end() ? fmt::format("{}", type) : std::string(at->name);
}

// A chunk's flags by letters, of each the lower bit last; those that are to be clear are small.
std::string chunk_flags(std::size_t type, const std::vector<XtSctp::Flags>& flags) {
  constexpr std::string_view kData = "----IUBE";
  constexpr std::string_view kTcb = "-------T";
  std::string letters;
  for (const XtSctp::Flags& each : flags) {
    if (each.chunk != type) continue;
    for (unsigned bit = 8; bit-- > 0;) {
      if ((each.mask >> bit & 1) == 0) continue;
      const char letter = (type == 0 ? kData : kTcb)[7 - bit];
      const bool is_set = (each.value >> bit & 1) != 0;
      letters += is_set ? letter : static_cast<char>(std::tolower(letter));
    }
  }
  return letters.empty() ? "" : ":" + letters;
}

std::string chunk_names(const XtSctp& match) {
  std::string types;
  bool has_all = true;
  for (std::size_t type = 0; type < 256; ++type) {
    if ((match.types[type / 32] >> type % 32 & 1) == 0) {
      has_all = false;
      continue;
    }
    types += (types.empty() ? "" : ",") + chunk_name(type) + chunk_flags(type, match.flags);
  }
  return has_all ? "ALL" : types.empty() ? "NONE" : types;
}

std::string spi_words(const XtRange<std::uint32_t>& spi, std::string_view option, bool inverted) {
  if (spi.first == 0 && spi.last == 0xffffffff && !inverted) return "";
  return xt_range(option, spi.first, spi.last, inverted);
}

}  // namespace

// struct xt_tcp
std::optional<XtTcp> read_xt_tcp(const XtBytes& bytes) {
  enum : std::uint8_t { kSource = 1, kDestination = 2, kFlags = 4, kOption = 8, kKnown = 15 };
  const std::uint8_t inverted = bytes.u8(11);
  if ((inverted & ~kKnown) != 0) return std::nullopt;
  return XtTcp{.source = ports_at(bytes, 0, (inverted & kSource) != 0),
               .destination = ports_at(bytes, 4, (inverted & kDestination) != 0),
               .option = bytes.u8(8),
               .option_inverted = (inverted & kOption) != 0,
               .flag_mask = bytes.u8(9),
               .flag_value = bytes.u8(10),
               .flags_inverted = (inverted & kFlags) != 0};
}

std::string xt_words(const XtTcp& match, XtFamily /*family*/) {
  std::string words =
      "tcp" + port_words("sport", match.source) + port_words("dport", match.destination);
  if (match.option != 0) {
    words += xt_option("tcp-option", match.option_inverted, fmt::format("{}", match.option));
  }
  if (match.flag_mask != 0 || match.flags_inverted) {
    words += xt_option("tcp-flags", match.flags_inverted,
                       flag_names(match.flag_mask) + " " + flag_names(match.flag_value));
  }
  return words;
}

// struct xt_udp
std::optional<XtUdp> read_xt_udp(const XtBytes& bytes) {
  const std::uint8_t inverted = bytes.u8(8);
  if ((inverted & ~3) != 0) return std::nullopt;
  return XtUdp{.source = ports_at(bytes, 0, (inverted & 1) != 0),
               .destination = ports_at(bytes, 4, (inverted & 2) != 0)};
}

std::string xt_words(const XtUdp& match, XtFamily /*family*/) {
  return "udp" + port_words("sport", match.source) + port_words("dport", match.destination);
}

// struct xt_multiport_v1: of a range, pflags marks the first.
std::optional<XtMultiport> read_xt_multiport(const XtBytes& bytes) {
  constexpr std::uint8_t kMost = 15;
  constexpr std::size_t kPorts = 2;
  constexpr std::size_t kRanges = kPorts + 2 * kMost;
  const std::uint8_t which = bytes.u8(0);
  const std::uint8_t count = bytes.u8(1);
  if (which > 2 || count > kMost) return std::nullopt;
  XtMultiport match{.which = static_cast<XtMultiport::Which>(which),
                    .ports = {},
                    .inverted = bytes.u8(kRanges + kMost) != 0};
  for (std::uint8_t i = 0; i < count; ++i) {
    XtPorts ports{.first = bytes.u16(kPorts + 2U * i), .last = bytes.u16(kPorts + 2U * i)};
    if (bytes.u8(kRanges + i) != 0) {
      if (++i == count) return std::nullopt;
      ports.last = bytes.u16(kPorts + 2U * i);
    }
    match.ports.push_back(ports);
  }
  return match;
}

std::string xt_words(const XtMultiport& match, XtFamily /*family*/) {
  constexpr std::array<std::string_view, 3> kOptions{"sports", "dports", "ports"};
  std::string list;
  for (const XtPorts& ports : match.ports) {
    if (!list.empty()) list += ",";
    list += ports.first == ports.last ? fmt::format("{}", ports.first)
                                      : fmt::format("{}:{}", ports.first, ports.last);
  }
  return "multiport" +
         xt_option(kOptions[static_cast<std::size_t>(match.which)], match.inverted, list);
}

// struct xt_sctp_info: of the 64 words of its map 8 are used.
std::optional<XtSctp> read_xt_sctp(const XtBytes& bytes) {
  enum : std::uint32_t { kSource = 1, kDestination = 2, kChunks = 4, kKnown = 7 };
  constexpr std::uint32_t kMostFlags = 4;
  const std::uint32_t flags = bytes.u32(284);
  const std::uint32_t inverted = bytes.u32(288);
  const std::uint32_t how = bytes.u32(264);
  const std::uint32_t count = bytes.u32(280);
  const bool asks = (flags & kChunks) != 0;
  if (((flags | inverted) & ~kKnown) != 0 || count > kMostFlags) return std::nullopt;
  if (asks && how != 1 && how != 2 && how != 4) return std::nullopt;
  XtSctp match;
  if ((flags & kDestination) != 0) {
    match.destination = ports_at(bytes, 0, (inverted & kDestination) != 0);
  }
  if ((flags & kSource) != 0) match.source = ports_at(bytes, 4, (inverted & kSource) != 0);
  match.asks_chunks = asks;
  match.chunks_inverted = (inverted & kChunks) != 0;
  if (asks) match.chunks = static_cast<XtSctp::Chunks>(how);
  for (std::size_t i = 0; i < match.types.size(); ++i) match.types[i] = bytes.u32(8 + 4 * i);
  for (std::size_t i = 0; i < count; ++i) {
    match.flags.push_back({.chunk = bytes.u8(268 + 3 * i),
                           .value = bytes.u8(269 + 3 * i),
                           .mask = bytes.u8(270 + 3 * i)});
  }
  return match;
}

std::string xt_words(const XtSctp& match, XtFamily /*family*/) {
  std::string words =
      "sctp" + port_words("sport", match.source) + port_words("dport", match.destination);
  if (!match.asks_chunks) return words;
  const std::string types = chunk_names(match);
  const std::string_view how = match.chunks == XtSctp::Chunks::Any   ? "any"
                               : match.chunks == XtSctp::Chunks::All ? "all"
                                                                     : "only";
  return words + xt_option("chunk-types", match.chunks_inverted, fmt::format("{} {}", how, types));
}

// struct xt_dccp_info
std::optional<XtDccp> read_xt_dccp(const XtBytes& bytes) {
  enum : std::uint16_t { kSource = 1, kDestination = 2, kTypes = 4, kOption = 8, kKnown = 15 };
  const std::uint16_t flags = bytes.u16(8);
  const std::uint16_t inverted = bytes.u16(10);
  if (((flags | inverted) & ~kKnown) != 0) return std::nullopt;
  XtDccp match;
  if ((flags & kDestination) != 0) {
    match.destination = ports_at(bytes, 0, (inverted & kDestination) != 0);
  }
  if ((flags & kSource) != 0) match.source = ports_at(bytes, 4, (inverted & kSource) != 0);
  if ((flags & kTypes) != 0) match.types = bytes.u16(12);
  match.types_inverted = (inverted & kTypes) != 0;
  if ((flags & kOption) != 0) match.option = bytes.u8(14);
  match.option_inverted = (inverted & kOption) != 0;
  return match;
}

std::string xt_words(const XtDccp& match, XtFamily /*family*/) {
  constexpr std::array<std::string_view, 10> kTypes{"REQUEST", "RESPONSE", "DATA",  "ACK",
                                                    "DATAACK", "CLOSEREQ", "CLOSE", "RESET",
                                                    "SYNC",    "SYNCACK"};
  std::string words =
      "dccp" + port_words("sport", match.source) + port_words("dport", match.destination);
  if (match.types) {
    std::string types;
    for (std::size_t i = 0; i < 16; ++i) {
      if ((*match.types >> i & 1) == 0) continue;
      types += fmt::format("{}{}", types.empty() ? "" : ",",
                           i < kTypes.size() ? std::string(kTypes[i]) : fmt::format("{}", i));
    }
    words += xt_option("dccp-types", match.types_inverted, types);
  }
  if (match.option) {
    words += xt_option("dccp-option", match.option_inverted, fmt::format("{}", *match.option));
  }
  return words;
}

// struct ipt_icmp, struct ip6t_icmp
std::optional<XtIcmp> read_xt_icmp(const XtBytes& bytes) {
  if (bytes.u8(3) > 1) return std::nullopt;
  return XtIcmp{.ipv6 = false,
                .type = bytes.u8(0),
                .code_first = bytes.u8(1),
                .code_last = bytes.u8(2),
                .inverted = bytes.u8(3) != 0};
}
std::optional<XtIcmp> read_xt_icmp6(const XtBytes& bytes) {
  std::optional<XtIcmp> match = read_xt_icmp(bytes);
  if (match) match->ipv6 = true;
  return match;
}

std::string xt_words(const XtIcmp& match, XtFamily /*family*/) {
  const bool any = !match.ipv6 && match.type == 0xff;
  std::string value = any ? "any" : fmt::format("{}", match.type);
  if (!any && match.code_first == match.code_last) {
    value += fmt::format("/{}", match.code_first);
  } else if (!any && (match.code_first != 0 || match.code_last != 0xff)) {
    value += fmt::format("/{}-{}", match.code_first, match.code_last);
  }
  return match.ipv6 ? "icmp6" + xt_option("icmpv6-type", match.inverted, value)
                    : "icmp" + xt_option("icmp-type", match.inverted, value);
}

// struct xt_esp
std::optional<XtEsp> read_xt_esp(const XtBytes& bytes) {
  if (bytes.u8(8) > 1) return std::nullopt;
  return XtEsp{.spi = {.first = bytes.u32(0), .last = bytes.u32(4), .inverted = bytes.u8(8) != 0}};
}

std::string xt_words(const XtEsp& match, XtFamily /*family*/) {
  return "esp" + spi_words(match.spi, "espspi", match.spi.inverted);
}

// struct ipt_ah, struct ip6t_ah
std::optional<XtAh> read_xt_ah(const XtBytes& bytes) {
  const std::uint8_t inverted = bytes.u8(13);
  if ((inverted & ~3) != 0) return std::nullopt;
  return XtAh{.spi = {.first = bytes.u32(0), .last = bytes.u32(4), .inverted = bytes.u8(8) != 0},
              .ipv6_spi_inverted = (inverted & 1) != 0,
              .ipv6_length = bytes.u32(8),
              .ipv6_length_inverted = (inverted & 2) != 0,
              .ipv6_reserved_is_zero = bytes.u8(12) != 0};
}

std::string xt_words(const XtAh& match, XtFamily family) {
  if (family == XtFamily::Ipv4) return "ah" + spi_words(match.spi, "ahspi", match.spi.inverted);
  std::string words = "ah" + spi_words(match.spi, "ahspi", match.ipv6_spi_inverted);
  if (match.ipv6_length != 0) {
    words += xt_option("ahlen", match.ipv6_length_inverted, fmt::format("{}", match.ipv6_length));
  }
  if (match.ipv6_reserved_is_zero) words += " --ahres";
  return words;
}

}  // namespace rolewall::ruleset
