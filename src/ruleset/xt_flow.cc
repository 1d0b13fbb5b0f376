#include "ruleset/xt_flow.h"

#include <fmt/format.h>

#include <algorithm>

namespace rolewall::ruleset {
namespace {

struct BitWord {
  std::uint32_t bit;
  std::string_view word;
};
constexpr std::array kStateWords{BitWord{1, "INVALID"},     BitWord{8, "NEW"},
                                 BitWord{4, "RELATED"},     BitWord{2, "ESTABLISHED"},
                                 BitWord{256, "UNTRACKED"}, BitWord{64, "SNAT"},
                                 BitWord{128, "DNAT"}};
constexpr std::array kStatusWords{BitWord{1, "EXPECTED"}, BitWord{2, "SEEN_REPLY"},
                                  BitWord{4, "ASSURED"}, BitWord{8, "CONFIRMED"}};

template <std::size_t Count>
std::string bit_words(std::uint32_t bits, const std::array<BitWord, Count>& words) {
  std::string list;
  for (const BitWord& each : words) {
    if ((bits & each.bit) == 0) continue;
    list += (list.empty() ? "" : ",") + std::string(each.word);
    bits &= ~each.bit;
  }
  if (bits != 0) list += fmt::format("{}{:#x}", list.empty() ? "" : ",", bits);
  return list.empty() ? "NONE" : list;
}

// XT_CONNTRACK_*
namespace asked {
enum ConntrackFlag : std::uint16_t {
  kState = 1 << 0,
  kProtocol = 1 << 1,
  kSource = 1 << 2,
  kDestination = 1 << 3,
  kReplySource = 1 << 4,
  kReplyDestination = 1 << 5,
  kStatus = 1 << 6,
  kExpires = 1 << 7,
  kSourcePort = 1 << 8,
  kDestinationPort = 1 << 9,
  kReplySourcePort = 1 << 10,
  kReplyDestinationPort = 1 << 11,
  kDirection = 1 << 12,
  kStateAlias = 1 << 13,
};
}  // namespace asked

std::optional<XtMark> read_mark_of(const XtBytes& bytes, bool of_connection) {
  return XtMark{.value = bytes.u32(0),
                .mask = bytes.u32(4),
                .inverted = bytes.u8(8) != 0,
                .of_connection = of_connection};
}

}  // namespace

// struct xt_mark_mtinfo1, xt_connmark_mtinfo1
std::optional<XtMark> read_xt_mark(const XtBytes& bytes) {
  return read_mark_of(bytes, false);
}
std::optional<XtMark> read_xt_connmark(const XtBytes& bytes) {
  return read_mark_of(bytes, true);
}
std::string xt_words(const XtMark& match, XtFamily /*family*/) {
  return (match.of_connection ? "connmark" : "mark") +
         xt_option("mark", match.inverted, xt_masked(match.value, match.mask));
}

// struct xt_state_info
std::optional<XtState> read_xt_state(const XtBytes& bytes) {
  return XtState{.states = bytes.u32(0)};
}
std::string xt_words(const XtState& match, XtFamily /*family*/) {
  constexpr std::uint32_t kUntrackedState = 64;
  const std::uint32_t untracked = match.states & kUntrackedState;
  return "state --state " +
         bit_words((match.states & ~kUntrackedState) | untracked << 2, kStateWords);
}

namespace {

// How the revisions of struct xt_conntrack_mtinfo differ behind their flags.
struct ConntrackShape {
  bool has_ranges = false;  // of ports, in the host's order; before it was one, in the network's
  bool wide_bits = false;
};

std::optional<XtConntrack> read_conntrack(const XtBytes& bytes, ConntrackShape shape) {
  const std::uint16_t flags = bytes.u16(146);
  const std::uint16_t inverted = bytes.u16(148);
  constexpr std::uint16_t kKnown = (asked::kStateAlias << 1) - 1;
  if (((flags | inverted) & ~kKnown) != 0) return std::nullopt;
  const auto network = [&](std::uint16_t flag, std::size_t at) {
    std::optional<XtConntrack::Network> found;
    if ((flags & flag) != 0) {
      found = {bytes.address(at), bytes.address(at + 16), (inverted & flag) != 0};
    }
    return found;
  };
  const auto port = [&](std::uint16_t flag, std::size_t first, std::size_t last) {
    std::optional<XtRange<std::uint16_t>> found;
    if ((flags & flag) == 0) return found;
    found = shape.has_ranges ? XtRange<std::uint16_t>{bytes.u16(first), bytes.u16(last)}
                             : XtRange<std::uint16_t>{bytes.be16(first), bytes.be16(first)};
    found->inverted = (inverted & flag) != 0;
    return found;
  };
  const std::uint16_t states = shape.wide_bits ? bytes.u16(150) : bytes.u8(150);
  const std::uint16_t status = shape.wide_bits ? bytes.u16(152) : bytes.u8(151);
  XtConntrack match;
  if ((flags & asked::kState) != 0) match.states = {states, (inverted & asked::kState) != 0};
  if ((flags & asked::kStatus) != 0) match.status = {status, (inverted & asked::kStatus) != 0};
  if ((flags & asked::kProtocol) != 0) {
    match.protocol = {bytes.u16(136), bytes.u16(136), (inverted & asked::kProtocol) != 0};
  }
  match.source = network(asked::kSource, 0);
  match.destination = network(asked::kDestination, 32);
  match.reply_source = network(asked::kReplySource, 64);
  match.reply_destination = network(asked::kReplyDestination, 96);
  match.source_port = port(asked::kSourcePort, 138, 154);
  match.destination_port = port(asked::kDestinationPort, 140, 156);
  match.reply_source_port = port(asked::kReplySourcePort, 142, 158);
  match.reply_destination_port = port(asked::kReplyDestinationPort, 144, 160);
  if ((flags & asked::kExpires) != 0) {
    match.expires = {bytes.u32(128), bytes.u32(132), (inverted & asked::kExpires) != 0};
  }
  if ((flags & asked::kDirection) != 0) match.original = (inverted & asked::kDirection) == 0;
  match.is_state = (flags & asked::kStateAlias) != 0;
  return match;
}

}  // namespace

// struct xt_conntrack_mtinfo1 to 3
std::optional<XtConntrack> read_xt_conntrack_1(const XtBytes& bytes) {
  return read_conntrack(bytes, {.has_ranges = false, .wide_bits = false});
}
std::optional<XtConntrack> read_xt_conntrack_2(const XtBytes& bytes) {
  return read_conntrack(bytes, {.has_ranges = false, .wide_bits = true});
}
std::optional<XtConntrack> read_xt_conntrack(const XtBytes& bytes) {
  return read_conntrack(bytes, {.has_ranges = true, .wide_bits = true});
}

std::string xt_words(const XtConntrack& match, XtFamily family) {
  if (match.is_state && match.states) {
    return "state" +
           xt_option("state", match.states->inverted, bit_words(match.states->mask, kStateWords));
  }
  std::string words = "conntrack";
  const auto add_network = [&](std::string_view option,
                               const std::optional<XtConntrack::Network>& network) {
    if (!network) return;
    words +=
        xt_option(option, network->inverted, xt_network(network->address, network->mask, family));
  };
  const auto add_range = [&](std::string_view option, const auto& range) {
    if (range) words += xt_range(option, range->first, range->last, range->inverted);
  };
  if (match.states) {
    words +=
        xt_option("ctstate", match.states->inverted, bit_words(match.states->mask, kStateWords));
  }
  add_range("ctproto", match.protocol);
  add_network("ctorigsrc", match.source);
  add_network("ctorigdst", match.destination);
  add_network("ctreplsrc", match.reply_source);
  add_network("ctrepldst", match.reply_destination);
  add_range("ctorigsrcport", match.source_port);
  add_range("ctorigdstport", match.destination_port);
  add_range("ctreplsrcport", match.reply_source_port);
  add_range("ctrepldstport", match.reply_destination_port);
  if (match.status) {
    words +=
        xt_option("ctstatus", match.status->inverted, bit_words(match.status->mask, kStatusWords));
  }
  add_range("ctexpire", match.expires);
  if (match.original) words += *match.original ? " --ctdir ORIGINAL" : " --ctdir REPLY";
  return words;
}

// struct xt_connbytes_info
std::optional<XtConnbytes> read_xt_connbytes(const XtBytes& bytes) {
  if (bytes.u8(16) > 2 || bytes.u8(17) > 2) return std::nullopt;
  return XtConnbytes{.what = static_cast<XtConnbytes::What>(bytes.u8(16)),
                     .direction = static_cast<XtConnbytes::Direction>(bytes.u8(17)),
                     .from = bytes.u64(0),
                     .to = bytes.u64(8)};
}
std::string xt_words(const XtConnbytes& match, XtFamily /*family*/) {
  constexpr std::array<std::string_view, 3> kWhat{"packets", "bytes", "avgpkt"};
  constexpr std::array<std::string_view, 3> kDirections{"original", "reply", "both"};
  const bool inverted = match.to < match.from;
  const std::uint64_t first = std::min(match.from, match.to);
  const std::uint64_t last = std::max(match.from, match.to);
  const std::string range =
      last == UINT64_MAX ? fmt::format("{}", first) : fmt::format("{}:{}", first, last);
  return "connbytes" + xt_option("connbytes", inverted, range) +
         fmt::format(" --connbytes-mode {} --connbytes-dir {}",
                     kWhat[static_cast<std::size_t>(match.what)],
                     kDirections[static_cast<std::size_t>(match.direction)]);
}

// struct xt_connlabel_mtinfo
std::optional<XtConnlabel> read_xt_connlabel(const XtBytes& bytes) {
  const std::uint16_t options = bytes.u16(2);
  if ((options & ~3) != 0 || bytes.u16(0) > 127) return std::nullopt;
  return XtConnlabel{
      .bit = bytes.u16(0), .inverted = (options & 1) != 0, .sets = (options & 2) != 0};
}
std::string xt_words(const XtConnlabel& match, XtFamily /*family*/) {
  return "connlabel" + xt_option("label", match.inverted, fmt::format("\"{}\"", match.bit)) +
         (match.sets ? " --set" : "");
}

// struct xt_connlimit_info
std::optional<XtConnlimit> read_xt_connlimit(const XtBytes& bytes) {
  const std::uint32_t flags = bytes.u32(20);
  if ((flags & ~3U) != 0) return std::nullopt;
  return XtConnlimit{.mask = bytes.address(0),
                     .limit = bytes.u32(16),
                     .up_to = (flags & 1) != 0,
                     .by_destination = (flags & 2) != 0};
}
std::string xt_words(const XtConnlimit& match, XtFamily family) {
  const std::string network = xt_network(match.mask, match.mask, family);
  const std::size_t slash = network.rfind('/');
  const std::string length = slash != std::string::npos ? network.substr(slash + 1)
                             : family == XtFamily::Ipv6 ? "128"
                                                        : "32";
  return fmt::format("connlimit --connlimit-{} {} --connlimit-mask {} --connlimit-{}",
                     match.up_to ? "upto" : "above", match.limit, length,
                     match.by_destination ? "daddr" : "saddr");
}

// struct xt_helper_info
std::optional<XtHelper> read_xt_helper(const XtBytes& bytes) {
  return XtHelper{.name = bytes.text(4, 30), .inverted = bytes.u32(0) != 0};
}
std::string xt_words(const XtHelper& match, XtFamily /*family*/) {
  return "helper" + xt_option("helper", match.inverted, xt_quoted(match.name));
}

}  // namespace rolewall::ruleset
