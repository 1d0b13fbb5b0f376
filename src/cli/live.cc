#include "cli/live.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "apply/apply.h"
#include "cli/this_host.h"
#include "netlink/netlink.h"

namespace rolewall::cli {

Result<ruleset::Snapshot> live_snapshot(const std::string& state_directory) {
  auto connection = netlink::Connection::open();
  if (!connection) return std::unexpected(connection.error());
  auto live = connection->dump();
  if (!live) {
    Error error = live.error();
    if (error.os_errno == EPERM) {
      error.message = "reading the live ruleset needs root (CAP_NET_ADMIN)";
    }
    return std::unexpected(error);
  }
  auto host = this_host();
  if (!host) return std::unexpected(host.error());
  ruleset::Snapshot snapshot{std::move(*host), std::move(*live), {}};
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
  return snapshot;
}

}  // namespace rolewall::cli
