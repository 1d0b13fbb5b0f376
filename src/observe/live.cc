#include "observe/live.h"

#include <cerrno>
#include <utility>

#include "netlink/ipsec.h"
#include "netlink/netlink.h"
#include "netlink/sockets.h"
#include "observe/groups.h"
#include "observe/legacy_tables.h"
#include "observe/net_setting.h"
#include "observe/stack_settings.h"
#include "observe/this_host.h"

namespace rolewall::observe {

Result<ruleset::Snapshot> live_snapshot() {
  auto connection = netlink::Connection::open();
  if (!connection) return std::unexpected(std::move(connection).error());
  auto live = connection->dump();
  if (!live) {
    Error error = std::move(live).error();
    if (error.os_errno == EPERM) {
      error.message = "reading the live ruleset needs root (CAP_NET_ADMIN)";
    }
    return std::unexpected(std::move(error));
  }
  auto host = this_host(NextHops::Several);
  if (!host) return std::unexpected(std::move(host).error());
  read_stack_settings(*host);
  host->joined_groups = joined_groups();
  host->routes_groups_ipv4 = net_setting("ipv4/conf/all/mc_forwarding").value_or(0) != 0;
  host->routes_groups_ipv6 = net_setting("ipv6/conf/all/mc_forwarding").value_or(0) != 0;
  const auto transparent = netlink::has_transparent_sockets();
  if (transparent) host->has_transparent_sockets = *transparent;
  ruleset::Snapshot snapshot{std::move(*host), std::move(*live), {}};
  snapshot.beside.legacy_tables = legacy_tables();
  const auto ipsec = netlink::read_ipsec();
  if (!ipsec) return std::unexpected(ipsec.error());
  for (const netlink::IpsecSelector& selector : ipsec->selectors) {
    snapshot.beside.ipsec.push_back({selector.direction, selector.from, selector.to});
  }
  return snapshot;
}

}  // namespace rolewall::observe
