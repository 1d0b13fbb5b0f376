#include "observe/surroundings.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <chrono>
#include <sstream>
#include <string>
#include <string_view>

#include "base/calendar.h"
#include "base/file.h"
#include "net/address.h"
#include "netlink/sockets.h"
#include "observe/legacy_tables.h"
#include "observe/nat_helpers.h"
#include "observe/net_setting.h"
#include "observe/socket_owners.h"
#include "observe/this_host.h"

namespace rolewall::observe {
namespace {

constexpr std::size_t kLargestSetting = 4096;

std::string text_of(const std::string& path) {
  return read_file(path, kLargestSetting).value_or("");
}

// 0 where the kernel has no such setting.
unsigned setting(const std::string& path) {
  return static_cast<unsigned>(net_setting(path).value_or(0));
}

DeviceSettings device_settings(const std::string& device) {
  const auto of = [&](const char* name) {
    return setting(fmt::format("ipv4/conf/{}/{}", device, name));
  };
  return {.device = device,
          .rp_filter = of("rp_filter"),
          .accept_source_route = of("accept_source_route") != 0,
          .accept_redirects = of("accept_redirects") != 0,
          .route_localnet = of("route_localnet") != 0};
}

// Without those of the loopback alone. UDP sockets on ports that the kernel hands out by itself
// cannot be told from a client's that waits for an answer.
Result<std::vector<Listening>> read_listening() {
  const auto sockets = netlink::read_listeners();
  if (!sockets) return std::unexpected(sockets.error());
  const SocketOwners owners = socket_owners();
  unsigned first_drawn = 0;
  unsigned last_drawn = 0;
  std::istringstream(text_of("/proc/sys/net/ipv4/ip_local_port_range")) >> first_drawn >>
      last_drawn;
  std::vector<Listening> found;
  for (const netlink::Listener& socket : *sockets) {
    if (net::is_loopback(socket.address)) continue;
    const bool drawn = socket.port >= first_drawn && socket.port <= last_drawn;
    const auto owner = owners.find(socket.inode);
    found.push_back({.protocol = socket.protocol,
                     .address = socket.address,
                     .port = socket.port,
                     .both_families = socket.both_families,
                     .may_be_client = socket.protocol == IPPROTO_UDP && drawn,
                     .program = owner == owners.end() ? "" : owner->second});
  }
  return found;
}

}  // namespace

bool asks_about_bridged() {
  return setting("bridge/bridge-nf-call-iptables") != 0 ||
         setting("bridge/bridge-nf-call-ip6tables") != 0;
}

KernelSettings read_kernel_settings(const ruleset::Host& machine) {
  KernelSettings settings;
  settings.all = device_settings("all");
  for (const ruleset::Interface& interface : machine.interfaces) {
    settings.devices.push_back(device_settings(interface.device));
  }
  settings.connections = setting("netfilter/nf_conntrack_count");
  if (!text_of("/proc/sys/net/bridge/bridge-nf-call-iptables").empty()) {
    settings.bridge_asks_ipv4 = setting("bridge/bridge-nf-call-iptables") != 0;
  }
  settings.legacy_tables = legacy_tables();
  return settings;
}

Result<Surroundings> surroundings() {
  auto machine = this_host();
  if (!machine) return std::unexpected(std::move(machine).error());
  auto sockets = read_listening();
  if (!sockets) return std::unexpected(std::move(sockets).error());
  Surroundings around;
  around.kernel = read_kernel_settings(*machine);
  around.machine = std::move(*machine);
  around.modules = kernel_modules();
  around.listening = std::move(*sockets);
  around.today = today();
  return around;
}

}  // namespace rolewall::observe
