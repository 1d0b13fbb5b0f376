#include "ruleset/xt_host.h"

#include <fmt/format.h>

namespace rolewall::ruleset {
namespace {

bool is_set(std::uint32_t flags, std::uint32_t flag) {
  return (flags & flag) != 0;
}

std::string clock_text(std::uint32_t seconds) {
  return fmt::format("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

}  // namespace

// struct xt_comment_info
std::optional<XtComment> read_xt_comment(const XtBytes& bytes) {
  return XtComment{.text = bytes.text(0, bytes.size())};
}
std::string xt_words(const XtComment& match, XtFamily /*family*/) {
  return "comment --comment " + xt_quoted(match.text);
}

// struct xt_mac_info
std::optional<XtMac> read_xt_mac(const XtBytes& bytes) {
  XtMac match;
  for (std::size_t i = 0; i < match.source.size(); ++i) match.source[i] = bytes.u8(i);
  match.inverted = bytes.u32(8) != 0;
  return match;
}
std::string xt_words(const XtMac& match, XtFamily /*family*/) {
  std::string text;
  for (const std::uint8_t byte : match.source) {
    text += fmt::format("{}{:02x}", text.empty() ? "" : ":", byte);
  }
  return "mac" + xt_option("mac-source", match.inverted, text);
}

// struct xt_pkttype_info
std::optional<XtPkttype> read_xt_pkttype(const XtBytes& bytes) {
  return XtPkttype{.type = bytes.u32(0), .inverted = bytes.u32(4) != 0};
}
std::string xt_words(const XtPkttype& match, XtFamily /*family*/) {
  constexpr std::array<std::string_view, 3> kNames{"unicast", "broadcast", "multicast"};
  return "pkttype" + xt_option("pkt-type", match.inverted,
                               match.type < kNames.size() ? std::string(kNames[match.type])
                                                          : fmt::format("{}", match.type));
}

// struct xt_owner_match_info
std::optional<XtOwner> read_xt_owner(const XtBytes& bytes) {
  enum : std::uint8_t { kUser = 1, kGroup = 2, kSocket = 4, kSupplementary = 8 };
  const std::uint8_t asked = bytes.u8(16);
  const std::uint8_t inverted = bytes.u8(17);
  if (((asked | inverted) & 0xf0) != 0) return std::nullopt;
  XtOwner match;
  if (is_set(asked, kUser)) match.user = {bytes.u32(0), bytes.u32(4), is_set(inverted, kUser)};
  if (is_set(asked, kGroup)) {
    match.group = {bytes.u32(8), bytes.u32(12), is_set(inverted, kGroup)};
  }
  if (is_set(asked, kSocket)) match.has_socket = !is_set(inverted, kSocket);
  match.supplementary = is_set(asked, kSupplementary);
  return match;
}
std::string xt_words(const XtOwner& match, XtFamily /*family*/) {
  std::string words = "owner";
  if (match.has_socket) words += xt_option("socket-exists", !*match.has_socket);
  if (match.user) {
    words += xt_range("uid-owner", match.user->first, match.user->last, match.user->inverted, '-');
  }
  if (match.group) {
    words +=
        xt_range("gid-owner", match.group->first, match.group->last, match.group->inverted, '-');
  }
  return match.supplementary ? words + " --suppl-groups" : words;
}

// struct xt_cgroup_info_v0
std::optional<XtCgroup> read_xt_cgroup_0(const XtBytes& bytes) {
  return XtCgroup{.path = "", .id = bytes.u32(0), .inverted = bytes.u32(4) != 0};
}
namespace {
// struct xt_cgroup_info_v1, _v2
std::optional<XtCgroup> read_cgroup(const XtBytes& bytes, std::size_t id_at,
                                    std::size_t path_size) {
  if (bytes.u8(0) > 1 || bytes.u8(1) > 1 || bytes.u8(0) == bytes.u8(1)) return std::nullopt;
  const bool by_path = bytes.u8(0) != 0;
  return XtCgroup{.path = by_path ? bytes.text(4, path_size) : "",
                  .id = by_path ? 0 : bytes.u32(id_at),
                  .inverted = bytes.u8(by_path ? 2 : 3) != 0};
}
}  // namespace
std::optional<XtCgroup> read_xt_cgroup_1(const XtBytes& bytes) {
  return read_cgroup(bytes, 4100, 4096);
}
std::optional<XtCgroup> read_xt_cgroup_2(const XtBytes& bytes) {
  return read_cgroup(bytes, 4, 512);
}
std::string xt_words(const XtCgroup& match, XtFamily /*family*/) {
  return "cgroup" + (match.path.empty()
                         ? xt_option("cgroup", match.inverted, fmt::format("{}", match.id))
                         : xt_option("path", match.inverted, match.path));
}

// struct xt_devgroup_info
std::optional<XtDevgroup> read_xt_devgroup(const XtBytes& bytes) {
  enum : std::uint32_t { kIn = 1, kNotIn = 2, kOut = 4, kNotOut = 8, kKnown = 15 };
  const std::uint32_t flags = bytes.u32(0);
  if ((flags & ~kKnown) != 0) return std::nullopt;
  XtDevgroup match;
  if (is_set(flags, kIn)) match.in = {bytes.u32(4), bytes.u32(8), is_set(flags, kNotIn)};
  if (is_set(flags, kOut)) match.out = {bytes.u32(12), bytes.u32(16), is_set(flags, kNotOut)};
  return match;
}
std::string xt_words(const XtDevgroup& match, XtFamily /*family*/) {
  std::string words = "devgroup";
  if (match.in) {
    words += xt_option("src-group", match.in->inverted, xt_masked(match.in->value, match.in->mask));
  }
  if (match.out) {
    words +=
        xt_option("dst-group", match.out->inverted, xt_masked(match.out->value, match.out->mask));
  }
  return words;
}

// struct xt_physdev_info
std::optional<XtPhysdev> read_xt_physdev(const XtBytes& bytes) {
  const std::uint8_t inverted = bytes.u8(64);
  const std::uint8_t asked = bytes.u8(65);
  if (asked == 0 || (asked & ~0x1f) != 0) return std::nullopt;
  return XtPhysdev{
      .in = bytes.text(0, 16), .out = bytes.text(32, 16), .asked = asked, .inverted = inverted};
}
std::string xt_words(const XtPhysdev& match, XtFamily /*family*/) {
  enum : std::uint8_t { kIn = 1, kOut = 2, kBridged = 4, kIsIn = 8, kIsOut = 16 };
  std::string words = "physdev";
  const auto add = [&](std::uint8_t flag, std::string_view option, std::string_view value) {
    if (is_set(match.asked, flag)) words += xt_option(option, is_set(match.inverted, flag), value);
  };
  add(kIsIn, "physdev-is-in", "");
  add(kIn, "physdev-in", match.in);
  add(kIsOut, "physdev-is-out", "");
  add(kOut, "physdev-out", match.out);
  add(kBridged, "physdev-is-bridged", "");
  return words;
}

// struct xt_realm_info
std::optional<XtRealm> read_xt_realm(const XtBytes& bytes) {
  return XtRealm{.id = bytes.u32(0), .mask = bytes.u32(4), .inverted = bytes.u8(8) != 0};
}
std::string xt_words(const XtRealm& match, XtFamily /*family*/) {
  return "realm" + xt_option("realm", match.inverted, xt_masked(match.id, match.mask));
}

// struct xt_cpu_info
std::optional<XtCpu> read_xt_cpu(const XtBytes& bytes) {
  return XtCpu{.cpu = bytes.u32(0), .inverted = bytes.u32(4) != 0};
}
std::string xt_words(const XtCpu& match, XtFamily /*family*/) {
  return "cpu" + xt_option("cpu", match.inverted, fmt::format("{}", match.cpu));
}

// struct xt_time_info
std::optional<XtTime> read_xt_time(const XtBytes& bytes) {
  const std::uint8_t flags = bytes.u8(21);
  if ((flags & ~3) != 0) return std::nullopt;
  return XtTime{.date_start = bytes.u32(0),
                .date_stop = bytes.u32(4),
                .day_start = bytes.u32(8),
                .day_stop = bytes.u32(12),
                .month_days = bytes.u32(16),
                .week_days = bytes.u8(20),
                .local_zone = (flags & 1) != 0,
                .contiguous = (flags & 2) != 0};
}
std::string xt_words(const XtTime& match, XtFamily /*family*/) {
  constexpr std::uint32_t kLastOfDay = 24 * 60 * 60 - 1;
  constexpr std::array<std::string_view, 7> kDays{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
  std::string words = "time";
  if (match.day_start != 0 || match.day_stop != kLastOfDay) {
    words += fmt::format(" --timestart {} --timestop {}", clock_text(match.day_start),
                         clock_text(match.day_stop));
  }
  if (match.month_days != 0xfffffffe) {
    std::string list;
    for (unsigned day = 1; day < 32; ++day) {
      if ((match.month_days >> day & 1) != 0) {
        list += fmt::format("{}{}", list.empty() ? "" : ",", day);
      }
    }
    words += " --monthdays " + list;
  }
  if (match.week_days != 0xfe) {
    std::string list;
    for (std::size_t day = 0; day < kDays.size(); ++day) {
      if ((match.week_days >> (day + 1) & 1) != 0) {
        list += (list.empty() ? "" : ",") + std::string(kDays[day]);
      }
    }
    words += " --weekdays " + list;
  }
  if (match.date_start != 0) words += fmt::format(" --datestart @{}", match.date_start);
  if (match.date_stop != 0x7fffffff && match.date_stop != 0xffffffff) {
    words += fmt::format(" --datestop @{}", match.date_stop);
  }
  if (match.local_zone) words += " --kerneltz";
  return match.contiguous ? words + " --contiguous" : words;
}

// struct xt_policy_info
std::optional<XtPolicy> read_xt_policy(const XtBytes& bytes) {
  constexpr std::size_t kFlags = 4 * 76;
  const std::uint16_t flags = bytes.u16(kFlags);
  if ((flags & ~15) != 0 || (flags & 3) == 0) return std::nullopt;
  return XtPolicy{.in = is_set(flags, 1),
                  .none = is_set(flags, 4),
                  .strict = is_set(flags, 8),
                  .count = bytes.u16(kFlags + 2)};
}
std::string xt_words(const XtPolicy& match, XtFamily /*family*/) {
  std::string words = fmt::format("policy --dir {} --pol {}", match.in ? "in" : "out",
                                  match.none ? "none" : "ipsec");
  if (match.strict) words += " --strict";
  return match.count == 0 ? words : words + fmt::format(" ({} elements)", match.count);
}

// struct xt_rpfilter_info
std::optional<XtRpfilter> read_xt_rpfilter(const XtBytes& bytes) {
  const std::uint8_t flags = bytes.u8(0);
  if ((flags & ~15) != 0) return std::nullopt;
  return XtRpfilter{.loose = is_set(flags, 1),
                    .valid_mark = is_set(flags, 2),
                    .accepts_local = is_set(flags, 4),
                    .inverted = is_set(flags, 8)};
}
std::string xt_words(const XtRpfilter& match, XtFamily /*family*/) {
  return std::string("rpfilter") + (match.loose ? " --loose" : "") +
         (match.valid_mark ? " --validmark" : "") + (match.accepts_local ? " --accept-local" : "") +
         (match.inverted ? " --invert" : "");
}

// struct xt_socket_mtinfo1 to 3
std::optional<XtSocket> read_xt_socket(const XtBytes& bytes) {
  const std::uint8_t flags = bytes.u8(0);
  if ((flags & ~7) != 0) return std::nullopt;
  return XtSocket{.transparent = is_set(flags, 1),
                  .any_address = is_set(flags, 2),
                  .restores_mark = is_set(flags, 4)};
}
std::string xt_words(const XtSocket& match, XtFamily /*family*/) {
  return std::string("socket") + (match.transparent ? " --transparent" : "") +
         (match.any_address ? " --nowildcard" : "") +
         (match.restores_mark ? " --restore-skmark" : "");
}

// struct xt_set_info, the first member of xt_set_info_match_v1 to _v4
std::optional<XtSet> read_xt_set_1(const XtBytes& bytes) {
  const std::uint8_t flags = bytes.u8(3);
  return XtSet{.index = bytes.u16(0),
               .dimensions = bytes.u8(2),
               .sources = static_cast<std::uint8_t>(flags & 0x7e),
               .inverted = (flags & 1) != 0,
               .takes_excluded = (flags & 0x80) != 0};
}
std::optional<XtSet> read_xt_set_4(const XtBytes& bytes) {
  // IPSET_FLAG_*: what of the counters is left as it is changes no answer.
  enum : std::uint32_t { kSkipsCounters = 8 | 16, kCounters = 32, kReturnsNomatch = 128 };
  std::optional<XtSet> match = read_xt_set_1(bytes);
  // ip_set_counter_match: a value and how it is compared, and the flags of the command
  const std::uint32_t flags = bytes.u32(40);
  if ((flags & ~(kSkipsCounters | kCounters | kReturnsNomatch)) != 0) return std::nullopt;
  match->looks_at_counters = bytes.u8(16) != 0 || bytes.u8(32) != 0 || (flags & kCounters) != 0;
  match->takes_excluded = (flags & kReturnsNomatch) != 0;
  return match;
}
std::string xt_sides(std::uint8_t dimensions, std::uint8_t sources) {
  std::string sides;
  for (unsigned i = 1; i <= dimensions; ++i) {
    sides += (sides.empty() ? "" : ",") + std::string((sources >> i & 1) != 0 ? "src" : "dst");
  }
  return sides;
}
std::string xt_words(const XtSet& match, XtFamily /*family*/) {
  const std::string of =
      fmt::format("(number {}) {}", match.index, xt_sides(match.dimensions, match.sources));
  return "set" + xt_option("match-set", match.inverted, of) +
         (match.takes_excluded ? " --return-nomatch" : "");
}

}  // namespace rolewall::ruleset
