#include "cli/ruleset_file.h"

#include <fmt/format.h>

#include <string_view>

#include "base/file.h"
#include "print/print.h"

namespace rolewall::cli {
namespace {

constexpr std::size_t kLargestRuleset = std::size_t{1} << 30;

// What nft itself prints is no snapshot: it leaves out what the kernel holds beside the text.
std::string advice_on(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  const std::string_view rest = begin == std::string_view::npos ? text : text.substr(begin);
  const bool of_nft = rest.starts_with("table ") || rest.starts_with("#!") ||
                      rest.starts_with("flush ruleset") || rest.starts_with("add ") ||
                      rest.starts_with("{\"nftables\"") || rest.starts_with("{ \"nftables\"");
  if (rest.empty()) return "the file is empty: did the command that was to write it fail?";
  if (!of_nft) return "";
  return "this is nft's own form: on the host, `rolewall dump -o ruleset.json` writes the one that "
         "is read here; elsewhere, load it in a namespace of your own, with an address and a "
         "device "
         "of the host's: `unshare -rn sh -c 'ip link add eth0 type dummy && ip address add "
         "192.0.2.10/24 dev eth0 && ip link set eth0 up && nft -f FILE && rolewall dump' > "
         "ruleset.json`";
}

}  // namespace

Result<ruleset::Snapshot> read_ruleset(const std::string& path) {
  const bool of_input = path == "-";
  const auto text = of_input ? read_input(kLargestRuleset) : read_file(path, kLargestRuleset);
  if (!text) return std::unexpected(text.error());
  auto snapshot = print::from_json(*text);
  if (!snapshot) {
    Error error = snapshot.error();
    const std::string advice = advice_on(*text);
    error.message = fmt::format("{}: {}", of_input ? "standard input" : path,
                                advice.empty() ? error.message : advice);
    return std::unexpected(error);
  }
  return snapshot;
}

}  // namespace rolewall::cli
