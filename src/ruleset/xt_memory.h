// iptables' matches that remember: limit, hashlimit, recent, quota, statistic (net/netfilter/
// xt_*.c). What they hold now lies in the kernel and not in the payload.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ruleset/xt_bytes.h"

namespace rolewall::ruleset {

struct XtLimit {
  static constexpr std::uint32_t kScale = 10'000;  // XT_LIMIT_SCALE: of a second
  std::uint32_t period = 0;                        // between two packets, in these
  std::uint32_t burst = 0;
};

struct XtHashlimit {
  std::string name;
  std::uint64_t period = 0;  // in millionths of a second; of bytes as the kernel has it
  std::uint64_t burst = 0;
  std::uint32_t by = 0;            // XT_HASHLIMIT_HASH_*
  std::uint8_t source_length = 0;  // of the network that is counted as one
  std::uint8_t destination_length = 0;
  std::uint32_t buckets = 0;  // 0: by the machine's memory
  std::uint32_t most = 0;     // entries; 0: by the buckets
  std::uint32_t collects_after_ms = 0;
  std::uint32_t expires_after_ms = 0;
  std::uint32_t interval = 0;  // in seconds, of `--hashlimit-rate-match`; 0: it is not that
  bool above = false;
  bool counts_bytes = false;

  // How many entries its table takes at least, and at most (htable_create()).
  struct Room {
    std::uint32_t least = 0;
    std::optional<std::uint32_t> most;  // absent: by the machine's memory
  };
  Room room() const;
  // All but what is the rule's own: whether it wants more or less.
  bool makes_same_list(const XtHashlimit& other) const;
  bool operator==(const XtHashlimit&) const = default;
};

struct XtRecent {
  enum class Does : std::uint8_t { Checks, Sets, Updates, Removes } does = Does::Checks;
  std::string name;
  std::uint32_t seconds = 0;
  std::uint32_t hits = 0;
  bool by_destination = false;
  bool same_ttl = false;
  bool reaps = false;
  bool inverted = false;
  XtAddress mask{};
};

struct XtQuota {
  std::uint64_t bytes = 0;
  bool inverted = false;
};

struct XtStatistic {
  bool nth = false;
  std::uint32_t probability = 0;  // of 2^31
  std::uint32_t every = 0;        // one less than the number
  std::uint32_t packet = 0;
  std::uint32_t count = 0;  // where it begins
  bool inverted = false;
};

std::optional<XtLimit> read_xt_limit(const XtBytes& bytes);
std::optional<XtHashlimit> read_xt_hashlimit_1(const XtBytes& bytes);
std::optional<XtHashlimit> read_xt_hashlimit_2(const XtBytes& bytes);
std::optional<XtHashlimit> read_xt_hashlimit_3(const XtBytes& bytes);
std::optional<XtRecent> read_xt_recent_0(const XtBytes& bytes);
std::optional<XtRecent> read_xt_recent(const XtBytes& bytes);
std::optional<XtQuota> read_xt_quota(const XtBytes& bytes);
std::optional<XtStatistic> read_xt_statistic(const XtBytes& bytes);

std::string xt_words(const XtLimit& match, XtFamily family);
std::string xt_words(const XtHashlimit& match, XtFamily family);
std::string xt_words(const XtRecent& match, XtFamily family);
std::string xt_words(const XtQuota& match, XtFamily family);
std::string xt_words(const XtStatistic& match, XtFamily family);

}  // namespace rolewall::ruleset
