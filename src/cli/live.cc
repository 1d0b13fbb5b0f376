#include "cli/live.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "apply/apply.h"
#include "cli/terminal.h"
#include "netlink/ipsec.h"
#include "observe/legacy_tables.h"
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

Result<ask::Beside> beside_live() {
  const auto ipsec = netlink::read_ipsec();
  if (!ipsec) return std::unexpected(ipsec.error());
  ask::Beside beside;
  beside.legacy_tables = observe::legacy_tables();
  for (const netlink::IpsecSelector& selector : ipsec->selectors) {
    beside.ipsec.push_back({selector.direction, selector.from, selector.to});
  }
  return beside;
}

void say_beside(const ask::Beside& beside) {
  for (const std::string& remark : ask::remarks_on(beside)) err().line("note: " + remark);
}

}  // namespace rolewall::cli
