// Any lines as `ipset save` writes them, in a snapshot that somebody hands in: they must not crash,
// and a set has at most one element more than its lines.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "ruleset/ipset.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  const auto sets = rolewall::ruleset::read_ipsets(lines);
  if (sets.size() > lines.size()) std::abort();
  return 0;
}
