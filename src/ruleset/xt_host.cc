#include "ruleset/xt_host.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

namespace rolewall::ruleset {
namespace {

bool is_set(std::uint32_t flags, std::uint32_t flag) {
  return (flags & flag) != 0;
}

std::string date_text(std::uint32_t seconds) {
  using namespace std::chrono;
  const sys_seconds at{std::chrono::seconds(seconds)};
  const auto day = floor<days>(at);
  const year_month_day date(day);
  const hh_mm_ss time(at - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     time.hours().count(), time.minutes().count(), time.seconds().count());
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
  constexpr std::array<std::string_view, 4> kNames{"unicast", "broadcast", "multicast",
                                                   "otherhost"};
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
                         : xt_option("path", match.inverted, xt_quoted(match.path)));
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
  if (match.date_start != 0) words += " --datestart " + date_text(match.date_start);
  if (match.date_stop != 0) words += " --datestop " + date_text(match.date_stop);
  if (match.local_zone) words += " --kerneltz";
  return match.contiguous ? words + " --contiguous" : words;
}

namespace {
// struct xt_policy_elem
std::string transform_words(const XtBytes& bytes, std::size_t at, XtFamily family) {
  enum : std::uint8_t {
    kSource = 1,
    kDestination = 2,
    kProtocol = 4,
    kMode = 8,
    kSpi = 16,
    kRequest = 32
  };
  const std::uint8_t asked = bytes.u8(at + 74);
  const std::uint8_t inverted = bytes.u8(at + 75);
  std::string words;
  const auto add = [&](std::uint8_t flag, std::string_view option, const std::string& value) {
    if (is_set(asked, flag)) words += xt_option(option, is_set(inverted, flag), value);
  };
  const std::uint8_t protocol = bytes.u8(at + 72);
  add(kRequest, "reqid", fmt::format("{}", bytes.u32(at + 68)));
  add(kSpi, "spi", fmt::format("{:#x}", bytes.u32(at + 64)));
  add(kProtocol, "proto",
      protocol == 50    ? "esp"
      : protocol == 51  ? "ah"
      : protocol == 108 ? "ipcomp"
                        : fmt::format("{}", protocol));
  add(kMode, "mode", bytes.u8(at + 73) == 0 ? "transport" : "tunnel");
  add(kDestination, "tunnel-dst",
      xt_network(bytes.address(at + 32), bytes.address(at + 48), family));
  add(kSource, "tunnel-src", xt_network(bytes.address(at), bytes.address(at + 16), family));
  return words;
}
}  // namespace

// struct xt_policy_info
std::optional<XtPolicy> read_xt_policy(const XtBytes& bytes) {
  constexpr std::size_t kFlags = 4 * 76;
  const std::uint16_t flags = bytes.u16(kFlags);
  if ((flags & ~15) != 0 || (flags & 3) == 0) return std::nullopt;
  constexpr std::uint16_t kMost = 4;  // XT_POLICY_MAX_ELEM
  const std::uint16_t count = bytes.u16(kFlags + 2);
  if (count > kMost) return std::nullopt;
  XtPolicy match{.in = is_set(flags, 1),
                 .none = is_set(flags, 4),
                 .strict = is_set(flags, 8),
                 .transforms_ipv4 = {},
                 .transforms_ipv6 = {}};
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view next = i == 0 ? "" : " --next";
    match.transforms_ipv4 += next;
    match.transforms_ipv4 += transform_words(bytes, i * 76, XtFamily::Ipv4);
    match.transforms_ipv6 += next;
    match.transforms_ipv6 += transform_words(bytes, i * 76, XtFamily::Ipv6);
  }
  return match;
}
std::string xt_words(const XtPolicy& match, XtFamily family) {
  std::string words = fmt::format("policy --dir {} --pol {}", match.in ? "in" : "out",
                                  match.none ? "none" : "ipsec");
  if (match.strict) words += " --strict";
  return words + (family == XtFamily::Ipv6 ? match.transforms_ipv6 : match.transforms_ipv4);
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

// ip_set_match_counter()
bool XtSet::Counter::holds(std::uint64_t counted) const {
  switch (is) {
    case Is::NotAsked:
      return true;
    case Is::Equal:
      return counted == value;
    case Is::NotEqual:
      return counted != value;
    case Is::Less:
      return counted < value;
    case Is::Greater:
      return counted > value;
  }
  return false;
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
// struct xt_set_info_v0: the kernel adds to its list of sides what the later ones have.
XtSetSides xt_set_sides_0(const XtBytes& bytes, std::size_t at) {
  enum : std::uint32_t { kSource = 1, kInverted = 4 };
  constexpr std::size_t kMost = 5;  // IPSET_DIM_MAX - 1
  XtSetSides sides;
  sides.inverted = (bytes.u32(at + 4) & kInverted) != 0;
  for (std::size_t i = 0; i < kMost; ++i) {
    const std::uint32_t side = bytes.u32(at + 4 + 4 * i);
    if (side == 0) break;
    ++sides.dimensions;
    if ((side & kSource) != 0) sides.sources |= static_cast<std::uint8_t>(1U << sides.dimensions);
  }
  return sides;
}
// struct xt_set_info_match_v0
std::optional<XtSet> read_xt_set_0(const XtBytes& bytes) {
  const XtSetSides sides = xt_set_sides_0(bytes, 0);
  return XtSet{.index = bytes.u16(0),
               .dimensions = sides.dimensions,
               .sources = sides.sources,
               .inverted = sides.inverted};
}
namespace {
// Of struct xt_set_info_match_v3 and _v4, which have number and comparison in another order.
XtSet::Counter counter_at(const XtBytes& bytes, std::size_t how, std::size_t value) {
  return {.is = static_cast<XtSet::Counter::Is>(bytes.u8(how)), .value = bytes.u64(value)};
}
std::optional<XtSet> read_set(const XtBytes& bytes, XtSet::Counter packets, XtSet::Counter sizes) {
  // IPSET_FLAG_*
  enum : std::uint32_t { kSkips = 8, kSkipsInLists = 16, kCounters = 32, kReturnsNomatch = 128 };
  std::optional<XtSet> match = read_xt_set_1(bytes);
  const std::uint32_t flags = bytes.u32(40);
  if ((flags & ~(kSkips | kSkipsInLists | kCounters | kReturnsNomatch)) != 0) return std::nullopt;
  if (packets.is > XtSet::Counter::Is::Greater || sizes.is > XtSet::Counter::Is::Greater) {
    return std::nullopt;
  }
  match->packets = packets;
  match->bytes = sizes;
  match->skips_counters = (flags & kSkips) != 0;
  match->skips_counters_in_lists = (flags & kSkipsInLists) != 0;
  match->takes_excluded = (flags & kReturnsNomatch) != 0;
  return match;
}
}  // namespace
std::optional<XtSet> read_xt_set_3(const XtBytes& bytes) {
  return read_set(bytes, counter_at(bytes, 8, 16), counter_at(bytes, 24, 32));
}
std::optional<XtSet> read_xt_set_4(const XtBytes& bytes) {
  return read_set(bytes, counter_at(bytes, 16, 8), counter_at(bytes, 32, 24));
}
std::string xt_sides(std::uint8_t dimensions, std::uint8_t sources) {
  constexpr unsigned kMost = 6;  // IPSET_DIM_MAX: the kernel takes no more
  std::string sides;
  for (unsigned i = 1; i <= std::min<unsigned>(dimensions, kMost); ++i) {
    sides += (sides.empty() ? "" : ",") + std::string((sources >> i & 1) != 0 ? "src" : "dst");
  }
  return sides;
}
std::string xt_set_name(std::uint16_t number, IpsetNumbers sets) {
  const auto at = std::ranges::find(sets, number, &IpsetNumber::number);
  return at == sets.end() ? fmt::format("(number {})", number) : at->name;
}
std::string xt_words(const XtSet& match, XtFamily /*family*/) {
  return xt_words(match, IpsetNumbers());
}
std::string xt_words(const XtSet& match, IpsetNumbers sets) {
  std::string words = "set" + xt_option("match-set", match.inverted,
                                        xt_set_name(match.index, sets) + " " +
                                            xt_sides(match.dimensions, match.sources));
  if (match.takes_excluded) words += " --return-nomatch";
  if (match.skips_counters) words += " ! --update-counters";
  if (match.skips_counters_in_lists) words += " ! --update-subcounters";
  constexpr std::array<std::string_view, 5> kEnds{"", "eq", "eq", "lt", "gt"};
  const auto add = [&](std::string_view what, const XtSet::Counter& counter) {
    if (!counter.is_asked()) return;
    words +=
        xt_option(fmt::format("{}-{}", what, kEnds[static_cast<std::size_t>(counter.is)]),
                  counter.is == XtSet::Counter::Is::NotEqual, fmt::format("{}", counter.value));
  };
  add("packets", match.packets);
  add("bytes", match.bytes);
  return words;
}

}  // namespace rolewall::ruleset
