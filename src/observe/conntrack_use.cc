#include "observe/conntrack_use.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "observe/net_setting.h"
#include "observe/proc_words.h"

namespace rolewall::observe {
namespace {

// A line for each processor, in hexadecimal, below a line of names. The sum of a column; absent
// where there is no such column.
std::optional<std::uint64_t> column_sum(const std::vector<std::string>& lines,
                                        std::string_view name) {
  if (lines.empty()) return std::nullopt;
  const std::vector<std::string> names = words_in(lines.front());
  const auto at = std::ranges::find(names, name);
  if (at == names.end()) return std::nullopt;
  const auto column = static_cast<std::size_t>(at - names.begin());
  std::uint64_t sum = 0;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string> words = words_in(lines[i]);
    if (words.size() <= column) continue;
    const std::string& word = words[column];
    std::uint64_t number = 0;
    std::from_chars(word.data(), word.data() + word.size(), number, 16);
    sum += number;
  }
  return sum;
}

}  // namespace

ConntrackUse conntrack_use() {
  ConntrackUse use;
  use.entries = net_setting("netfilter/nf_conntrack_count");
  use.limit = net_setting("netfilter/nf_conntrack_max");
  if (const auto accounting = net_setting("netfilter/nf_conntrack_acct")) {
    use.accounting = *accounting != 0;
  }
  constexpr std::size_t kLargest = 1 << 20;
  if (const auto text = read_file("/proc/net/stat/nf_conntrack", kLargest)) {
    const std::vector<std::string> lines = lines_of(*text);
    use.dropped = column_sum(lines, "drop");
    use.early_dropped = column_sum(lines, "early_drop");
    use.insert_failed = column_sum(lines, "insert_failed");
  }
  return use;
}

}  // namespace rolewall::observe
