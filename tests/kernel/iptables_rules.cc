// The random rules of iptables that the judges load, as text: `iptables_rules SEED COUNT` prints
// COUNT rulesets from SEED on, each behind a line "# ruleset SEED", those of ip6tables behind
// "# ip6tables". Scripts compare with it what iptables prints, and which options it has.
#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

#include "iptables_text.h"

namespace {

std::optional<std::uint64_t> number_in(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

int main(int count, char** words) {
  const auto seed = count == 3 ? number_in(words[1]) : std::nullopt;
  const auto rulesets = count == 3 ? number_in(words[2]) : std::nullopt;
  if (!seed || !rulesets) {
    fmt::print(stderr, "usage: iptables_rules SEED COUNT\n");
    return 2;
  }
  for (std::uint64_t i = 0; i < *rulesets; ++i) {
    const auto text = rolewall::kernel_judge::generate_iptables(*seed + i, true);
    fmt::print("# ruleset {}\n{}", *seed + i, render(text));
  }
}
