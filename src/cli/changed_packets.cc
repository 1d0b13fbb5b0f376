#include "cli/changed_packets.h"

#include <fmt/format.h>

#include <algorithm>

#include "apply/apply.h"
#include "cli/render.h"
#include "cli/render_diff.h"
#include "cli/site_options.h"

namespace rolewall::cli {
namespace {

constexpr std::size_t kMostOfMany = 3;
// Some seconds.
constexpr analyze::Budget kSmallBudget{.edges = 6'000'000, .steps = 90'000'000};

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
    return {fmt::format("packets: not compared here, for it takes long: `{}`", command)};
  }
  std::vector<std::string> lines{fmt::format("packets: {}", summary(diff))};
  for (const std::string& what : diff.not_compared) {
    lines.push_back(fmt::format("  not compared: {}", printable(what)));
  }
  // A screen is small. Of many what opens and what closes for certain is told, if that is little;
  // the first few of much would tell nothing.
  const bool are_many = diff.classes.size() > most;
  if (are_many) lines.front() += fmt::format(" (each: `{}`)", command);
  const std::size_t certain =
      diff.shown(ask::DiffKind::NewlyAccepted) + diff.shown(ask::DiffKind::NewlyDenied);
  if (are_many && certain > kMostOfMany) return lines;
  for (const ask::DiffClass& each : diff.classes) {
    const bool opens_or_closes =
        each.kind == ask::DiffKind::NewlyAccepted || each.kind == ask::DiffKind::NewlyDenied;
    if (!are_many || (opens_or_closes && each.shown)) lines.push_back("  " + line_of(to, each));
  }
  return lines;
}

}  // namespace rolewall::cli
