#include "observe/source_counts.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <filesystem>

#include "base/calendar.h"
#include "base/file.h"
#include "observe/log_event.h"
#include "observe/proc_words.h"

namespace rolewall::observe {
namespace {

constexpr std::string_view kHead = "rolewall-sources 1";

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

std::optional<std::uint64_t> count_word(std::string_view word) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
  return number;
}

}  // namespace

void SourceCounts::take(const LogLine& line) {
  const auto prefix = parse_prefix(line.prefix);
  const auto packet = packet_head(line.packet);
  if (!prefix || !packet || prefix->fate == "accept") return;
  key_.assign(line.prefix);
  const std::vector<std::uint8_t> bytes = net::to_bytes(packet->from);
  key_.append(bytes.begin(), bytes.end());
  const auto at = counts_.find(key_);
  if (at != counts_.end()) {
    ++at->second.lines;
  } else if (counts_.size() < kMost) {
    counts_.emplace(key_, SourceCount{.rule = std::string(prefix->name),
                                      .fate = std::string(prefix->fate),
                                      .source = packet->from,
                                      .lines = 1});
  } else {
    ++beyond_;
  }
}

Result<void> SourceCounts::begin(const std::string& path) {
  constexpr mode_t kReadByAll = 0755;
  since_ns_ = now_ns();
  const std::string directory = std::filesystem::path(path).parent_path().string();
  if (!directory.empty() && ::mkdir(directory.c_str(), kReadByAll) != 0 && errno != EEXIST) {
    return io_error(directory, errno);
  }
  return write(path);
}

Result<void> SourceCounts::write(const std::string& path) const {
  std::vector<const SourceCount*> most;
  most.reserve(counts_.size());
  for (const auto& [key, count] : counts_) most.push_back(&count);
  const auto kept = most.begin() + static_cast<std::ptrdiff_t>(std::min(kMostKept, most.size()));
  std::ranges::partial_sort(
      most, kept, [](const SourceCount* a, const SourceCount* b) { return a->lines > b->lines; });
  std::uint64_t others = beyond_;
  for (auto each = kept; each != most.end(); ++each) others += (*each)->lines;
  std::string text = fmt::format("{} {} {}\n", kHead, since_ns_, others);
  for (auto each = most.begin(); each != kept; ++each) {
    text += fmt::format("{} {} {} {}\n", (*each)->lines, (*each)->rule, (*each)->fate,
                        net::format((*each)->source));
  }
  return write_file_atomically(path, text);
}

std::optional<KeptSourceCounts> read_source_counts(const std::string& path) {
  constexpr std::size_t kLargestFile = 1 << 20;
  const auto text = read_file(path, kLargestFile);
  if (!text) return std::nullopt;
  const std::vector<std::string> lines = lines_of(*text);
  if (lines.empty() || !lines.front().starts_with(kHead)) return std::nullopt;
  const std::vector<std::string> head = words_in(lines.front());
  if (head.size() != 4) return std::nullopt;
  const auto since = count_word(head[2]);
  const auto others = count_word(head[3]);
  if (!since || !others) return std::nullopt;
  KeptSourceCounts kept{.since_ns = *since, .others = *others, .counts = {}};
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string> words = words_in(lines[i]);
    if (words.size() != 4) continue;
    const auto number = count_word(words[0]);
    const auto source = net::parse_address(words[3]);
    if (!number || !source) continue;
    kept.counts.push_back(
        {.rule = words[1], .fate = words[2], .source = *source, .lines = *number});
  }
  return kept;
}

std::optional<std::uint16_t> log_group(const ruleset::Snapshot& snapshot) {
  for (const ruleset::Written& written : snapshot.written) {
    if (written.kind != "defaults") continue;
    const auto to = std::ranges::find(written.keys, "log to", &WrittenKey::key);
    if (to == written.keys.end() || to->values.empty()) return std::nullopt;
    const auto number = count_word(to->values.front());
    if (number && *number <= 0xffff) return static_cast<std::uint16_t>(*number);
  }
  return std::nullopt;
}

}  // namespace rolewall::observe
