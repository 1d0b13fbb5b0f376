#include "machine_on_trial.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "netlink/machine.h"
#include "observe/groups.h"
#include "observe/stack_settings.h"
#include "sandbox/sandbox.h"

namespace rolewall::kernel_judge {
namespace {

constexpr const char* kBehindBridgeMac = "02:00:00:00:0b:07";

// A worker of the kernel's makes the routes to IPv6 addresses after these are there
// (addrconf_dad_work() of net/ipv6/addrconf.c).
bool has_routes_to(const netlink::Machine& machine) {
  return std::ranges::all_of(machine.addresses, [&](const net::Prefix& address) {
    return !machine.routes_by_hop ||
           std::ranges::any_of(*machine.routes_by_hop, [&](const ruleset::Route& route) {
             return route.to == address && route.type == ruleset::RouteType::Local;
           });
  });
}

Result<netlink::Machine> read_settled_machine() {
  constexpr int kTries = 200;
  constexpr int kTryUs = 10'000;
  for (int i = 0;; ++i) {
    auto machine = netlink::read_machine();
    if (!machine || has_routes_to(*machine)) return machine;
    if (i == kTries) return fail(ErrorKind::System, "the sandbox's addresses have no routes");
    ::usleep(kTryUs);
  }
}

}  // namespace

Result<void> add_networks(ruleset::Host& host) {
  const std::string& first = host.interfaces.front().device;
  const std::string& last = host.interfaces.back().device;
  struct Added {
    std::string device;
    const char* address;
    const char* words;  // what ip(8) gets behind it
  };
  const Added all[] = {
      {first, "203.0.113.65", "/26 brd +"},
      {first, "203.0.113.70", "/26 brd +"},
      {first, "192.0.2.8", "/31"},
      {last, "203.0.113.66", "/26 brd +"},  // a network on two devices
      {last, "10.9.7.1", "/24 brd +"},
      {last, "10.9.8.129", "/25 brd +"},
      {last, "10.9.6.1", " peer 10.9.6.2"},
      {last, "169.254.7.7", "/16 brd + scope link"},
      {"lo", "192.0.2.200", "/32"},
      {first, "2001:db8:9:5::5", "/64 nodad"},
      {first, "2001:db8:9:5::6", "/64 nodad"},
      {first, "2001:db8:9:6::2", "/127 nodad"},
      {last, "2001:db8:9:5::7", "/64 nodad"},
      {last, "2001:db8:9:7::1", "/64 nodad"},
      {last, "2001:db8:9:7:1::1", "/80 nodad"},
      {"lo", "2001:db8:9:99::1", "/128 nodad"},
      {first, "fe80::9:1", "/64 nodad"},
      {last, "fe80::9:2", "/64 nodad"},
  };
  for (const Added& one : all) {
    const std::string command =
        fmt::format("ip addr add {}{} dev {}", one.address, one.words, one.device);
    if (std::system(command.c_str()) != 0) {
      return fail(ErrorKind::System, "the sandbox does not take: " + command);
    }
    host.addresses.push_back(*net::parse_prefix(one.address));
  }
  // Ways that a packet may take elsewhere than by the default route, or not at all.
  std::vector<std::string> routes{
      fmt::format("add 198.18.0.0/15 nexthop dev {} nexthop dev {}", first, last),
      fmt::format("add 240.0.0.0/8 dev {} mtu 1400", last),
      "add prohibit 169.254.0.0/24",
      "add unreachable 0.0.0.0/8",
      fmt::format("add 100::/64 dev {} mtu lock 1400", last),
      fmt::format("add 2002::/16 dev {} mtu 1300", first),
      fmt::format(
          "add 64:ff9b::/96 nexthop via 2001:db8:9:5::9 dev {} nexthop via 2001:db8:9:7::9 dev {}",
          first, last),
      "add blackhole fec0::/10",
      "add 2001:0::/32 dev lo",  // refused, as if it were unreachable
  };
  // IPv6 routes of one prefix and metric: alike, and of another preference. By one device there is
  // one alone.
  if (first != last) {
    routes.push_back(fmt::format("append 100::/64 dev {}", first));
    routes.push_back(fmt::format("append 2002::/16 dev {} pref high", last));
  }
  for (const std::string& route : routes) {
    const std::string command = "ip route " + route;
    if (std::system(command.c_str()) != 0) {
      return fail(ErrorKind::System, "the sandbox does not take: " + command);
    }
  }
  return {};
}

Result<bool> add_bridge(ruleset::Host& host) {
  const std::size_t number = host.interfaces.size();
  const std::string far_end = sandbox::peer_device(number);
  const std::string beside = far_end + "b";  // behind the bridge's second port
  const auto mac = [&](int end) { return fmt::format("02:00:00:00:{:02x}:{:02x}", number, end); };
  if (std::system("ip link add br0 type bridge forward_delay 0 mcast_snooping 0 2>/dev/null") !=
      0) {
    return false;
  }
  const std::string commands[] = {
      fmt::format("ip link set br0 address {}", mac(1)),
      fmt::format("ip link add port0 type veth peer name {}", far_end),
      fmt::format("ip link set {} address {} mtu 65535", far_end, mac(2)),
      "ip link set port0 master br0 mtu 65535",
      // The kernel's own reports of groups are no packets of ours.
      fmt::format("echo 1 >/proc/sys/net/ipv6/conf/{}/disable_ipv6", far_end),
      "echo 1 >/proc/sys/net/ipv6/conf/port0/disable_ipv6",
      "ip link set port0 up",
      fmt::format("ip link set {} up", far_end),
      fmt::format("ip link add port1 type veth peer name {}", beside),
      fmt::format("ip link set {} mtu 65535 address {}", beside, kBehindBridgeMac),
      fmt::format("echo 1 >/proc/sys/net/ipv6/conf/{}/disable_ipv6", beside),
      "echo 1 >/proc/sys/net/ipv6/conf/port1/disable_ipv6",
      // What is for many comes to the host alone: one packet is followed, not its copies.
      "ip link set port1 master br0 mtu 65535",
      "ip link set port1 type bridge_slave bcast_flood off mcast_flood off",
      "ip link set port1 up",
      fmt::format("ip link set {} up", beside),
      "ip link set br0 up",
      "ip addr add 10.9.12.1/24 dev br0",
      "ip addr add 2001:db8:9:12::1/64 dev br0 nodad",
      fmt::format("ip neigh add 10.9.12.7 lladdr {} dev br0 nud permanent", kBehindBridgeMac),
      fmt::format("ip -6 neigh add 2001:db8:9:12::7 lladdr {} dev br0 nud permanent",
                  kBehindBridgeMac),
      // For sockets that are bound to it, as sandbox/host.cc has them.
      "ip route add default dev br0 metric 1100",
      "ip -6 route add default dev br0 metric 1100",
  };
  for (const std::string& command : commands) {
    if (std::system(command.c_str()) != 0) {
      return fail(ErrorKind::System, "the sandbox does not take: " + command);
    }
  }
  ruleset::Interface& bridge = host.interfaces.emplace_back();
  bridge.name = bridge.device = kBridge;
  for (const char* address : {"10.9.12.1", "2001:db8:9:12::1"}) {
    host.addresses.push_back(*net::parse_prefix(address));
  }
  bridge.behind = net::AddressSet::from(
      {*net::parse_prefix("10.9.12.0/24"), *net::parse_prefix("2001:db8:9:12::/64")});
  return true;
}

Result<void> learn_machine(ruleset::Host& host) {
  auto machine = read_settled_machine();
  if (!machine) return std::unexpected(machine.error());
  if (!machine->routes_by_hop) {
    return fail(ErrorKind::System, "the sandbox's routes are not plain");
  }
  for (ruleset::Interface& interface : host.interfaces) {
    for (const ruleset::Interface& live : machine->interfaces) {
      if (live.device != interface.device) continue;
      interface.index = live.index;
      interface.group = live.group;
      interface.hardware_type = live.hardware_type;
      interface.kind = live.kind;
      interface.mac = live.mac;
      interface.mtu = live.mtu;
      interface.master = live.master;
      interface.link = live.link;
      interface.shows_ipv4 = live.shows_ipv4;
      interface.shows_ipv6 = live.shows_ipv6;
    }
  }
  host.routes = std::move(machine->routes_by_hop);
  host.has_added_local_routes = machine->has_added_local_routes;
  observe::read_stack_settings(host);
  return {};
}

void choose_groups(ruleset::Host& host) {
  std::vector<ruleset::JoinedGroup>& joined = host.joined_groups.emplace(observe::joined_groups());
  const auto is_own = [&](const ruleset::JoinedGroup& group) {
    return group.device == "lo" ||
           std::ranges::count(host.interfaces, group.device, &ruleset::Interface::device) != 0;
  };
  std::erase_if(joined, [&](const auto& group) { return !is_own(group); });
  const auto join = [&](const ruleset::Interface& interface, const char* group) {
    const net::Address address = *net::parse_address(group);
    const bool known = std::ranges::any_of(joined, [&](const ruleset::JoinedGroup& other) {
      return other.device == interface.device && other.group == address;
    });
    if (!known) joined.push_back({.device = interface.device, .group = address});
  };
  for (const ruleset::Interface& interface : host.interfaces) {
    for (const char* group : {"224.0.0.18", "ff02::12"}) join(interface, group);
  }
  for (const char* group : {"224.0.0.251", "ff02::fb"}) join(host.interfaces.front(), group);
  for (const char* group : {"239.255.255.250", "ff0e::1"}) join(host.interfaces.back(), group);
}

}  // namespace rolewall::kernel_judge
