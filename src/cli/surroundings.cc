#include "cli/surroundings.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <ctime>
#include <sstream>
#include <string>
#include <string_view>

#include "base/file.h"
#include "cli/socket_owners.h"
#include "cli/this_host.h"
#include "net/address_set.h"
#include "netlink/sockets.h"

namespace rolewall::cli {
namespace {

constexpr std::size_t kLargestSetting = 4096;

std::string text_of(const std::string& path) {
  return read_file(path, kLargestSetting).value_or("");
}

// 0 where the kernel has no such setting.
unsigned setting(const std::string& path) {
  const std::string text = text_of("/proc/sys/net/" + path);
  unsigned number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

observe::DeviceSettings device_settings(const std::string& device) {
  const auto of = [&](const char* name) {
    return setting(fmt::format("ipv4/conf/{}/{}", device, name));
  };
  return {.device = device,
          .rp_filter = of("rp_filter"),
          .accept_source_route = of("accept_source_route") != 0,
          .accept_redirects = of("accept_redirects") != 0,
          .route_localnet = of("route_localnet") != 0};
}

observe::KernelSettings kernel_settings(const ruleset::Host& machine) {
  observe::KernelSettings settings;
  settings.all = device_settings("all");
  for (const ruleset::Interface& interface : machine.interfaces) {
    settings.devices.push_back(device_settings(interface.device));
  }
  settings.connections = setting("netfilter/nf_conntrack_count");
  if (!text_of("/proc/sys/net/bridge/bridge-nf-call-iptables").empty()) {
    settings.bridge_asks_ipv4 = setting("bridge/bridge-nf-call-iptables") != 0;
  }
  // The tables that iptables-legacy has made in this network namespace; iptables-nft's are not
  // among them.
  for (const auto& [file, family] :
       {std::pair("ip_tables_names", "ip"), std::pair("ip6_tables_names", "ip6")}) {
    std::istringstream names(text_of(fmt::format("/proc/net/{}", file)));
    for (std::string name; names >> name;) {
      settings.legacy_tables.push_back(fmt::format("{} {}", family, name));
    }
  }
  return settings;
}

bool is_local(const net::Address& address) {
  static const net::AddressSet kLoopback =
      net::AddressSet::from({*net::parse_prefix("127.0.0.0/8"), *net::parse_prefix("::1/128")});
  return kLoopback.contains(address);
}

// Without those of the loopback alone, and without UDP sockets on ports that the kernel hands out
// by itself: they cannot be told from a client's that waits for an answer.
Result<std::vector<observe::Listening>> listening() {
  const auto sockets = netlink::read_listeners();
  if (!sockets) return std::unexpected(sockets.error());
  const SocketOwners owners = socket_owners();
  unsigned first_drawn = 0;
  unsigned last_drawn = 0;
  std::istringstream(text_of("/proc/sys/net/ipv4/ip_local_port_range")) >> first_drawn >>
      last_drawn;
  std::vector<observe::Listening> found;
  for (const netlink::Listener& socket : *sockets) {
    const bool drawn = socket.port >= first_drawn && socket.port <= last_drawn;
    if (is_local(socket.address) || (socket.protocol == IPPROTO_UDP && drawn)) continue;
    const auto owner = owners.find(socket.inode);
    found.push_back({.protocol = socket.protocol,
                     .address = socket.address,
                     .port = socket.port,
                     .both_families = socket.both_families,
                     .program = owner == owners.end() ? "" : owner->second});
  }
  return found;
}

std::chrono::sys_days today() {
  using namespace std::chrono;
  const std::time_t now = system_clock::to_time_t(system_clock::now());
  std::tm local{};
  ::localtime_r(&now, &local);
  return year{local.tm_year + 1900} / (local.tm_mon + 1) / local.tm_mday;
}

}  // namespace

Result<observe::Surroundings> surroundings() {
  auto machine = this_host();
  if (!machine) return std::unexpected(std::move(machine).error());
  auto sockets = listening();
  if (!sockets) return std::unexpected(std::move(sockets).error());
  observe::Surroundings around;
  around.kernel = kernel_settings(*machine);
  around.machine = std::move(*machine);
  around.listening = std::move(*sockets);
  around.today = today();
  return around;
}

}  // namespace rolewall::cli
