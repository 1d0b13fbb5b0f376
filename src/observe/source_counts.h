// How often each source was logged as denied, by rule: what the kernel's counters do not tell. Kept
// in a file by whoever follows the log, for whoever shows statistics.
//
// It is of what was logged: less than what was denied where the log has a limit, as it should.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "net/address.h"
#include "observe/log_reader.h"
#include "ruleset/snapshot.h"

namespace rolewall::observe {

inline constexpr std::string_view kSourceCountsFile = "/run/rolewall/sources";

struct SourceCount {
  std::string rule;
  std::string fate;
  net::Address source;
  std::uint64_t lines = 0;
};

class SourceCounts {
 public:
  static constexpr std::size_t kMost = 65536;    // sources that are counted
  static constexpr std::size_t kMostKept = 256;  // in the file, the most frequent

  void take(const LogLine& line);

  // Writes that nothing is counted yet, and makes the file's own directory where it is missing (of
  // /run nothing outlives a boot), for all to read and its owner to write. So what cannot be
  // written is known before anything is followed.
  Result<void> begin(const std::string& path);
  // A line each, "LINES RULE FATE SOURCE", below one that says since when and how many lines there
  // were of sources that are not among them. All or nothing.
  Result<void> write(const std::string& path) const;

 private:
  std::unordered_map<std::string, SourceCount> counts_;
  std::string key_;
  std::uint64_t beyond_ = 0;  // lines of sources that were too many to be counted
  std::uint64_t since_ns_ = 0;
};

struct KeptSourceCounts {
  std::uint64_t since_ns = 0;
  std::uint64_t others = 0;  // lines of other sources
  std::vector<SourceCount> counts;
};
// What write() has written; std::nullopt where there is no such file, or it is not one of ours.
std::optional<KeptSourceCounts> read_source_counts(const std::string& path);

// The group that a ruleset of ours logs to; std::nullopt: the kernel's log, or none.
std::optional<std::uint16_t> log_group(const ruleset::Snapshot& snapshot);

}  // namespace rolewall::observe
