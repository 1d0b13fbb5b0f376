#include "cli/live.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "apply/apply.h"
#include "ask/beside.h"
#include "cli/terminal.h"
#include "observe/live.h"

namespace rolewall::cli {

Result<ruleset::Snapshot> live_snapshot(const std::string& state_directory) {
  auto read = observe::live_snapshot();
  if (!read) return read;
  ruleset::Snapshot& snapshot = *read;
  auto recorded = apply::last_applied(state_directory);
  std::optional<ruleset::Snapshot> applied;
  if (recorded) applied = std::move(*recorded);
  if (applied) {
    snapshot.sources = std::move(applied->sources);
    snapshot.host.name = applied->host.name;
    for (ruleset::Interface& interface : snapshot.host.interfaces) {
      const auto& known = applied->host.interfaces;
      const auto same = std::ranges::find(known, interface.device, &ruleset::Interface::device);
      if (same == known.end()) continue;
      interface.name = same->name;
      interface.behind = same->behind;
    }
  }
  return read;
}

void say_beside(const ruleset::Beside& beside) {
  for (const std::string& remark : ask::remarks_on(beside)) err().line("note: " + remark);
}

}  // namespace rolewall::cli
