// The random rules that the judges load, as text for scripts: `iptables_rules SEED COUNT [FROM]`
// prints COUNT rulesets from SEED on, each behind a line "# ruleset SEED". FROM: `iptables`, where
// it is not told, whose rules of ip6tables stand behind "# ip6tables"; `text` or `shapes`, of nft;
// `sets` alone prints the sets of ip_set that rules of iptables ask. `older SEED` reads a snapshot
// and prints it in the payloads and forms of older iptables, for programs that read snapshots.
#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <iostream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "iptables_loader.h"
#include "iptables_text.h"
#include "print/print.h"
#include "random.h"
#include "ruleset_text.h"
#include "shapes_text.h"
#include "xt_revisions.h"

namespace {

using namespace rolewall::kernel_judge;  // NOLINT: the file is made of its names

std::optional<std::uint64_t> number_in(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<std::string> text_from(std::string_view from, std::uint64_t seed) {
  if (from == "iptables") return render(generate_iptables(seed, true));
  if (from == "text") return render(generate_ruleset(seed));
  if (from == "shapes") return render(generate_shapes(seed));
  return std::nullopt;
}

int print_older(std::uint64_t seed) {
  const std::string text(std::istreambuf_iterator<char>(std::cin), {});
  auto snapshot = rolewall::print::from_json(text);
  if (!snapshot) {
    fmt::print(stderr, "{}\n", snapshot.error().message);
    return 1;
  }
  Random random(seed);
  lower_revisions(snapshot->ruleset, random);
  fmt::print("{}", rolewall::print::to_json(*snapshot));
  return 0;
}

}  // namespace

int main(int count, char** words) {
  if (count == 2 && words[1] == std::string_view("sets")) {
    fmt::print("{}", ipset_lines());
    return 0;
  }
  if (count == 3 && words[1] == std::string_view("older")) {
    if (const auto seed = number_in(words[2])) return print_older(*seed);
  }
  const auto seed = count >= 3 ? number_in(words[1]) : std::nullopt;
  const auto rulesets = count >= 3 ? number_in(words[2]) : std::nullopt;
  const std::string_view from = count == 4 ? words[3] : "iptables";
  if (count > 4 || !seed || !rulesets || !text_from(from, 1)) {
    fmt::print(stderr,
               "usage: iptables_rules SEED COUNT [iptables|text|shapes]\n       "
               "iptables_rules sets\n       iptables_rules older SEED <SNAPSHOT\n");
    return 2;
  }
  for (std::uint64_t i = 0; i < *rulesets; ++i) {
    fmt::print("# ruleset {}\n{}", *seed + i, *text_from(from, *seed + i));
  }
}
