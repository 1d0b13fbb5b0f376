#include "ruleset/xt_memory.h"

#include <fmt/format.h>

#include <algorithm>

namespace rolewall::ruleset {
namespace {

// "3/minute": of the units the largest that leaves a whole number.
std::string rate(std::uint64_t period, std::uint64_t scale) {
  struct Unit {
    std::string_view name;
    std::uint64_t seconds;
  };
  constexpr std::array kUnits{Unit{"sec", 1}, Unit{"min", 60}, Unit{"hour", 3600},
                              Unit{"day", 86400}};
  if (period == 0) return "0";
  for (const Unit& unit : kUnits) {
    const std::uint64_t in_unit = unit.seconds * scale;
    if (period <= in_unit) return fmt::format("{}/{}", in_unit / period, unit.name);
  }
  return fmt::format("1/{} sec", period / scale);
}

// struct xt_hashlimit_mtinfo2, _3, whose cfg begins behind a name of NAME_MAX bytes
std::optional<XtHashlimit> read_hashlimit(const XtBytes& bytes, std::size_t masks_at) {
  enum : std::uint32_t { kAbove = 1 << 4, kBytes = 1 << 5, kRate = 1 << 6, kKnown = 0x7f };
  constexpr std::size_t kName = 255;
  constexpr std::size_t kConfig = 256;
  const std::uint32_t mode = bytes.u32(kConfig + 16);
  if ((mode & ~kKnown) != 0 || (mode & kRate) != 0) return std::nullopt;
  // htable_create()
  constexpr std::uint32_t kLeastBuckets = 16;
  const std::uint32_t buckets = std::max(bytes.u32(kConfig + 20), kLeastBuckets);
  const std::uint32_t most = bytes.u32(kConfig + 24);
  return XtHashlimit{.name = bytes.text(0, kName),
                     .period = bytes.u64(kConfig),
                     .burst = bytes.u64(kConfig + 8),
                     .by = mode & 0xf,
                     .source_length = bytes.u8(masks_at),
                     .destination_length = bytes.u8(masks_at + 1),
                     .most = most == 0 ? 8 * buckets : std::max(most, buckets),
                     .above = (mode & kAbove) != 0,
                     .counts_bytes = (mode & kBytes) != 0};
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

std::optional<XtHashlimit> read_xt_hashlimit_2(const XtBytes& bytes) {
  return read_hashlimit(bytes, 292);
}
std::optional<XtHashlimit> read_xt_hashlimit_3(const XtBytes& bytes) {
  return read_hashlimit(bytes, 296);
}
std::string xt_words(const XtHashlimit& match, XtFamily /*family*/) {
  constexpr std::uint64_t kScale = 1'000'000;
  constexpr std::array<std::string_view, 4> kKeys{"dstip", "dstport", "srcip", "srcport"};
  std::string mode;
  for (std::size_t i = 0; i < kKeys.size(); ++i) {
    if ((match.by >> i & 1) != 0) mode += (mode.empty() ? "" : ",") + std::string(kKeys[i]);
  }
  std::string words = std::string("hashlimit --hashlimit-") + (match.above ? "above" : "upto");
  words += match.counts_bytes ? " (bytes)" : " " + rate(match.period, kScale);
  words += fmt::format(" --hashlimit-burst {}", match.burst);
  if (!mode.empty()) words += " --hashlimit-mode " + mode;
  return words + " --hashlimit-name " + xt_quoted(match.name);
}

// struct xt_recent_mtinfo_v1
std::optional<XtRecent> read_xt_recent(const XtBytes& bytes) {
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
                  .mask = bytes.address(212)};
}
std::string xt_words(const XtRecent& match, XtFamily /*family*/) {
  constexpr std::array<std::string_view, 4> kDoes{"rcheck", "set", "update", "remove"};
  std::string words =
      "recent" + xt_option(kDoes[static_cast<std::size_t>(match.does)], match.inverted);
  if (match.seconds != 0) words += fmt::format(" --seconds {}", match.seconds);
  if (match.reaps) words += " --reap";
  if (match.hits != 0) words += fmt::format(" --hitcount {}", match.hits);
  if (match.same_ttl) words += " --rttl";
  return words + " --name " + xt_quoted(match.name) +
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
                                               fmt::format("{:.4f}", match.probability / kWhole));
}

}  // namespace rolewall::ruleset
