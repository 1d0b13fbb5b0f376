#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "apply/applied.h"
#include "apply/events.h"
#include "apply/generations.h"
#include "apply/state_links.h"

namespace rolewall::apply {

std::string own_name() {
  const uid_t uid = ::geteuid();
  std::vector<char> buffer(16UL * 1024);
  passwd entry{};
  passwd* found = nullptr;
  std::string name = fmt::format("{}", uid);
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
    name = found->pw_name;
  }
  const char* sudo = std::getenv("SUDO_USER");
  if (sudo != nullptr && *sudo != '\0') name += fmt::format(" (sudo {})", sudo);
  return name;
}

Result<std::optional<Applied>> last_known_applied(const std::string& directory) {
  auto current = current_applied(directory);
  if (current && *current) return current;
  auto kept = list_kept(directory);
  if (!kept) return std::unexpected(std::move(kept).error());
  if (kept->applied.empty()) return std::nullopt;
  std::optional<std::uint32_t> before;
  const auto number = current_number(directory);
  if (const auto events = read_events(directory); events && number) {
    before = in_force_before(events->all, *number);
  }
  const auto there = before ? std::ranges::find(kept->applied, *before, &Applied::generation)
                            : kept->applied.end();
  return there == kept->applied.end() ? kept->applied.back() : *there;
}

bool is_of(const Applied& applied, const World& world) {
  // Without /proc no boot can be told from another.
  return !applied.boot_id.empty() && applied.boot_id == world.boot_id() &&
         applied.network_namespace == world.network_namespace();
}

Applied applied_now(const World& world, const std::string& host) {
  return {.generation = 0,
          .at = clock_time(world),
          .by = own_name(),
          .host = host,
          .policies = "",
          .boot_id = world.boot_id(),
          .network_namespace = world.network_namespace(),
          .mark = {},
          .changes = "",
          .management = {},
          .site = {},
          .machine = ""};
}

}  // namespace rolewall::apply
