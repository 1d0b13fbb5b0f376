// A host's rules as iptables-save writes them, and behind the line "# ip6tables" as ip6tables-save
// does.
#include <string_view>

#include "base/file.h"
#include "iptables_text.h"

namespace rolewall::kernel_judge {

Result<IptablesText> read_iptables(const std::string& path) {
  constexpr std::size_t kLargest = std::size_t{16} << 20;
  const auto text = read_file(path, kLargest);
  if (!text) return std::unexpected(text.error());
  IptablesText read;
  bool ipv6 = false;
  const auto chain_named = [&](std::string_view name) -> IptablesText::Chain* {
    for (IptablesText::Chain& chain : read.tables.back().chains) {
      if (chain.name == name) return &chain;
    }
    return nullptr;
  };
  for (const std::string& line : lines_of(*text)) {
    const auto wrong = [&] { return fail(ErrorKind::Usage, path + ": what is this? " + line); };
    if (line == "# ip6tables") ipv6 = true;
    if (line.empty() || line.starts_with('#') || line == "COMMIT") continue;
    if (line.starts_with('*')) {
      read.tables.push_back({.ipv6 = ipv6, .name = line.substr(1), .chains = {}});
      continue;
    }
    if (read.tables.empty()) return wrong();
    if (line.starts_with(':')) {
      const std::size_t space = line.find(' ');
      const std::size_t end = line.find(' ', space + 1);
      if (end == std::string::npos) return wrong();
      read.tables.back().chains.push_back(
          {line.substr(1, space - 1), line.substr(space + 1, end - space - 1), {}});
      continue;
    }
    constexpr std::string_view kAppend = "-A ";
    if (!line.starts_with(kAppend)) return wrong();
    const std::string name =
        line.substr(kAppend.size(), line.find(' ', kAppend.size()) - kAppend.size());
    IptablesText::Chain* chain = chain_named(name);
    if (chain == nullptr) return wrong();
    chain->rules.push_back(line);
  }
  return read;
}

}  // namespace rolewall::kernel_judge
