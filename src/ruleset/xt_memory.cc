#include "ruleset/xt_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace rolewall::ruleset {
namespace {

struct RateUnit {
  std::string_view name;
  std::uint64_t seconds;
};
constexpr std::array kRateUnits{RateUnit{"day", 86400}, RateUnit{"hour", 3600}, RateUnit{"min", 60},
                                RateUnit{"sec", 1}};

// print_rate() of iptables: the smallest unit that leaves a whole number and little beside it.
const RateUnit& unit_of(std::uint64_t period, std::uint64_t scale) {
  std::size_t at = 1;
  while (at < kRateUnits.size()) {
    const std::uint64_t whole = kRateUnits[at].seconds * scale;
    if (period > whole || whole / period < whole % period) break;
    ++at;
  }
  return kRateUnits[at - 1];
}
std::string rate(std::uint64_t period, std::uint64_t scale) {
  if (period == 0) return "inf";
  const RateUnit& unit = unit_of(period, scale);
  return fmt::format("{}/{}", unit.seconds * scale / period, unit.name);
}

// cost_to_bytes() and print_bytes() of iptables.
std::uint64_t bytes_of_cost(std::uint64_t cost) {
  constexpr std::uint64_t kMost = 0xffffffff;
  return ((cost == 0 ? kMost : kMost / cost) - 1) << 4;
}
std::string byte_words(const XtHashlimit& match) {
  struct Unit {
    std::string_view name;
    std::uint64_t size;
  };
  constexpr std::array kUnits{Unit{"m", 1024 * 1024}, Unit{"k", 1024}, Unit{"", 1}};
  const auto cost_of_bytes = [](std::uint64_t bytes) { return 0xffffffff / ((bytes >> 4) + 1); };
  const std::uint64_t each = bytes_of_cost(match.period);
  const auto* unit = std::ranges::find_if(kUnits, [&](const Unit& u) {
    return u.size == 1 || (each >= u.size && cost_of_bytes(each & ~(u.size - 1)) == match.period);
  });
  std::string words = fmt::format(" {}{}b/s", each / unit->size, unit->name);
  if (match.burst == 0) return words;
  const std::uint64_t all = each * (match.burst + 1);
  const auto* of_all =
      std::ranges::find_if(kUnits, [&](const Unit& u) { return u.size == 1 || all >= u.size; });
  return words + fmt::format(" --hashlimit-burst {}{}b", all / of_all->size, of_all->name);
}

// struct xt_hashlimit_mtinfo1 to 3: where each has what.
struct HashlimitShape {
  std::size_t name_size = 255;  // NAME_MAX
  std::size_t config = 256;     // where it begins
  std::size_t mode = 16;        // from there
  bool wide = true;             // average and burst
  std::uint64_t scale = 1;      // of millionths of a second in a unit of the average
  std::size_t interval = 0;     // from there; 0: none
  std::size_t masks = 36;       // from there
};

std::optional<XtHashlimit> read_hashlimit(const XtBytes& bytes, const HashlimitShape& shape) {
  enum : std::uint32_t { kAbove = 1 << 4, kBytes = 1 << 5, kRate = 1 << 6, kKnown = 0x7f };
  const std::size_t config = shape.config;
  const std::uint32_t mode = bytes.u32(config + shape.mode);
  const bool by_rate = (mode & kRate) != 0;
  if ((mode & ~kKnown) != 0 || (by_rate && shape.interval == 0)) return std::nullopt;
  const bool counts_bytes = (mode & kBytes) != 0;
  const std::size_t average = shape.wide ? config : config + 4;
  XtHashlimit match{
      .name = bytes.text(0, shape.name_size),
      .period = shape.wide ? bytes.u64(average) : bytes.u32(average),
      .burst = shape.wide ? bytes.u64(average + 8) : bytes.u32(average + 4),
      .by = mode & 0xf,
      .source_length = bytes.u8(config + shape.masks),
      .destination_length = bytes.u8(config + shape.masks + 1),
      .buckets = bytes.u32(config + (shape.wide ? 20 : 12)),
      .most = bytes.u32(config + (shape.wide ? 24 : 16)),
      .collects_after_ms = bytes.u32(config + (shape.wide ? 28 : 20)),
      .expires_after_ms = bytes.u32(config + (shape.wide ? 32 : 24)),
      .interval = by_rate ? bytes.u32(config + shape.interval) : 0,
      .above = (mode & kAbove) != 0,
      .counts_bytes = counts_bytes,
  };
  if (!counts_bytes) match.period *= shape.scale;
  return match;
}

}  // namespace

// struct xt_rateinfo
std::optional<XtLimit> read_xt_limit(const XtBytes& bytes) {
  // limit_mt_check() takes none whose tokens are too many for it.
  const std::uint64_t most = std::uint64_t{bytes.u32(0)} * bytes.u32(4);
  if (most == 0 || most > 0xffffffff) return std::nullopt;
  return XtLimit{.period = bytes.u32(0), .burst = bytes.u32(4)};
}
std::string xt_words(const XtLimit& match, XtFamily /*family*/) {
  return fmt::format("limit --limit {} --limit-burst {}", rate(match.period, XtLimit::kScale),
                     match.burst);
}

std::optional<XtHashlimit> read_xt_hashlimit_1(const XtBytes& bytes) {
  return read_hashlimit(bytes, {.name_size = 16,  // IFNAMSIZ
                                .config = 16,
                                .mode = 0,
                                .wide = false,
                                .scale = 100,
                                .masks = 28});
}
std::optional<XtHashlimit> read_xt_hashlimit_2(const XtBytes& bytes) {
  return read_hashlimit(bytes, {});
}
std::optional<XtHashlimit> read_xt_hashlimit_3(const XtBytes& bytes) {
  return read_hashlimit(bytes, {.interval = 36, .masks = 40});
}
bool XtHashlimit::makes_same_list(const XtHashlimit& other) const {
  XtHashlimit like = other;
  like.above = above;
  return *this == like;
}
XtHashlimit::Room XtHashlimit::room() const {
  constexpr std::uint32_t kLeastBuckets = 16;
  constexpr std::uint32_t kMostBuckets = 1 << 20;  // HASHLIMIT_MAX_SIZE
  constexpr std::uint32_t kOfEachBucket = 8;
  const std::uint32_t size = buckets == 0 ? kLeastBuckets : std::min(buckets, kMostBuckets);
  const std::uint32_t least =
      most == 0 ? kOfEachBucket * size : std::max(std::min(most, kMostBuckets), size);
  if (buckets == 0) return {.least = least, .most = {}};
  return {.least = least, .most = least};
}
std::string xt_words(const XtHashlimit& match, XtFamily family) {
  constexpr std::uint64_t kScale = 1'000'000;
  constexpr std::array<std::string_view, 4> kKeys{"dstip", "dstport", "srcip", "srcport"};
  constexpr std::uint32_t kCollectsAfterMs = 1000;
  constexpr std::uint64_t kByteExpireMs = 15'000;
  constexpr std::uint64_t kByteExpireBurstMs = 60'000;
  std::string mode;
  for (const std::size_t i : {2U, 3U, 0U, 1U}) {
    if ((match.by >> i & 1) != 0) mode += (mode.empty() ? "" : ",") + std::string(kKeys[i]);
  }
  std::string words = std::string("hashlimit --hashlimit-") + (match.above ? "above" : "upto");
  std::uint64_t expires_ms = match.burst == 0 ? kByteExpireMs : kByteExpireBurstMs;
  if (match.counts_bytes) {
    words += byte_words(match);
  } else {
    expires_ms = match.period == 0 ? 0 : unit_of(match.period, kScale).seconds * 1000;
    words += " " + rate(match.period, kScale) + fmt::format(" --hashlimit-burst {}", match.burst);
  }
  if (!mode.empty()) words += " --hashlimit-mode " + mode;
  words += " --hashlimit-name " + match.name;
  const auto add = [&](std::string_view option, std::uint64_t value, std::uint64_t usual) {
    if (value != usual) words += fmt::format(" --hashlimit-{} {}", option, value);
  };
  const std::uint64_t whole = family == XtFamily::Ipv6 ? 128 : 32;
  add("htable-size", match.buckets, 0);
  add("htable-max", match.most, 0);
  add("htable-gcinterval", match.collects_after_ms, kCollectsAfterMs);
  add("htable-expire", match.expires_after_ms, expires_ms);
  add("srcmask", match.source_length, whole);
  add("dstmask", match.destination_length, whole);
  if (match.interval != 0) words += " --hashlimit-rate-match";
  if (match.interval > 1) words += fmt::format(" --hashlimit-rate-interval {}", match.interval);
  return words;
}

namespace {
std::optional<XtRecent> read_recent(const XtBytes& bytes, const XtAddress& mask) {
  enum : std::uint8_t {
    kCheck = 1,
    kSet = 2,
    kUpdate = 4,
    kRemove = 8,
    kTtl = 16,
    kReap = 32,
    kKnown = 63
  };
  constexpr std::size_t kName = 10;
  constexpr std::size_t kSide = kName + 200;
  const std::uint8_t flags = bytes.u8(8);
  const unsigned does = flags & 15U;
  if ((flags & ~kKnown) != 0 || does == 0 || (does & (does - 1)) != 0) return std::nullopt;
  return XtRecent{.does = does == kCheck    ? XtRecent::Does::Checks
                          : does == kSet    ? XtRecent::Does::Sets
                          : does == kUpdate ? XtRecent::Does::Updates
                                            : XtRecent::Does::Removes,
                  .name = bytes.text(kName, 200),
                  .seconds = bytes.u32(0),
                  .hits = bytes.u32(4),
                  .by_destination = bytes.u8(kSide) != 0,
                  .same_ttl = (flags & kTtl) != 0,
                  .reaps = (flags & kReap) != 0,
                  .inverted = bytes.u8(9) != 0,
                  .mask = mask};
}
}  // namespace
// struct xt_recent_mtinfo, _v1
std::optional<XtRecent> read_xt_recent_0(const XtBytes& bytes) {
  XtAddress whole{};
  whole.fill(0xff);
  return read_recent(bytes, whole);
}
std::optional<XtRecent> read_xt_recent(const XtBytes& bytes) {
  return read_recent(bytes, bytes.address(212));
}
std::string xt_words(const XtRecent& match, XtFamily family) {
  constexpr std::array<std::string_view, 4> kDoes{"rcheck", "set", "update", "remove"};
  std::string words =
      "recent" + xt_option(kDoes[static_cast<std::size_t>(match.does)], match.inverted);
  if (match.seconds != 0) words += fmt::format(" --seconds {}", match.seconds);
  if (match.reaps) words += " --reap";
  if (match.hits != 0) words += fmt::format(" --hitcount {}", match.hits);
  if (match.same_ttl) words += " --rttl";
  return words + " --name " + match.name + " --mask " + xt_text(match.mask, family) +
         (match.by_destination ? " --rdest" : " --rsource");
}

// struct xt_quota_info
std::optional<XtQuota> read_xt_quota(const XtBytes& bytes) {
  if (bytes.u32(0) > 1) return std::nullopt;
  return XtQuota{.bytes = bytes.u64(8), .inverted = bytes.u32(0) != 0};
}
std::string xt_words(const XtQuota& match, XtFamily /*family*/) {
  return "quota" + xt_option("quota", match.inverted, fmt::format("{}", match.bytes));
}

// struct xt_statistic_info
std::optional<XtStatistic> read_xt_statistic(const XtBytes& bytes) {
  const std::uint16_t mode = bytes.u16(0);
  const std::uint16_t flags = bytes.u16(2);
  if (mode > 1 || flags > 1) return std::nullopt;
  if (mode == 0) return XtStatistic{.probability = bytes.u32(4), .inverted = flags != 0};
  return XtStatistic{.nth = true,
                     .probability = 0,
                     .every = bytes.u32(4),
                     .packet = bytes.u32(8),
                     .count = bytes.u32(12),
                     .inverted = flags != 0};
}
std::string xt_words(const XtStatistic& match, XtFamily /*family*/) {
  if (match.nth) {
    return "statistic --mode nth" +
           xt_option("every", match.inverted, fmt::format("{}", std::uint64_t{match.every} + 1)) +
           fmt::format(" --packet {}", match.packet);
  }
  constexpr double kWhole = 2147483648.0;
  return "statistic --mode random" + xt_option("probability", match.inverted,
                                               fmt::format("{:.11f}", match.probability / kWhole));
}

}  // namespace rolewall::ruleset
