#include "cli/changed_packets.h"

#include <fmt/format.h>

#include <algorithm>

#include "apply/apply.h"
#include "cli/render.h"
#include "cli/render_diff.h"
#include "cli/site_options.h"

namespace rolewall::cli {
namespace {

constexpr analyze::Budget kSmallBudget{.edges = 2'000'000, .steps = 30'000'000};

}  // namespace

ask::Diff changed_packets(const ruleset::Snapshot& before, const ruleset::Snapshot& after,
                          const policy::Policy* policy) {
  policy::Policy alone;
  if (policy == nullptr) {
    alone = policy_without_site(after.host);
    policy = &alone;
  }
  ask::Differ differ(*policy, kSmallBudget);
  ruleset::Snapshot was = before;
  was.host = after.host;
  differ.compare(was, after);
  return differ.take();
}

std::optional<ask::Diff> changed_packets(const std::string& state_directory,
                                         const ruleset::Snapshot& after,
                                         const policy::Policy* policy) {
  const auto last = apply::last_applied(state_directory);
  if (!last || !*last) return std::nullopt;
  return changed_packets(**last, after, policy);
}

std::vector<std::string> short_lines(const Terminal& to, const ask::Diff& diff, std::size_t most,
                                     std::string_view command) {
  if (diff.classes.empty() && !diff.not_proven.empty()) {
    return {fmt::format("packets: not compared here, for it takes long ({}): `{}`",
                        diff.not_proven.front(), command)};
  }
  std::vector<std::string> lines{fmt::format("packets: {}", summary(diff))};
  for (const std::string& what : diff.not_compared) {
    lines.push_back(fmt::format("  not compared: {}", printable(what)));
  }
  // Of many the first few tell nothing, and a screen is small.
  if (diff.classes.size() > most) {
    lines.front() += fmt::format(" (each: `{}`)", command);
    return lines;
  }
  for (std::size_t i = 0; i < diff.classes.size(); ++i) {
    lines.push_back("  " + line_of(to, diff.classes[i]));
  }
  return lines;
}

}  // namespace rolewall::cli
