#include "apply/open_sessions.h"

#include <algorithm>

namespace rolewall::apply {

Result<void> track_open_sessions(Kernel& kernel) {
  const Result<netlink::TcpSockets> sockets = kernel.tcp_sockets();
  if (!sockets) return std::unexpected(sockets.error());
  for (const netlink::TcpSocket& session : sockets->established) {
    const bool opened_by_remote = std::ranges::any_of(
        sockets->listening,
        [&](const netlink::TcpSocket& other) { return other.local_port == session.local_port; });
    [[maybe_unused]] const auto done = kernel.ensure_conntrack_entry(session, opened_by_remote);
  }
  return {};
}

std::string cut_banned_sessions(Kernel& kernel, const net::AddressSet& banned) {
  if (banned.empty()) return "";
  const Result<netlink::Ended> cut = kernel.cut_connections(banned);
  if (cut) return "";
  return "open connections of banned addresses may go on (`conntrack -F` ends all): " +
         cut.error().message;
}

}  // namespace rolewall::apply
