#include "machine_on_trial.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>

#include "netlink/machine.h"
#include "observe/groups.h"

namespace rolewall::kernel_judge {
namespace {

// A worker of the kernel's makes the routes to IPv6 addresses after these are there
// (addrconf_dad_work() of net/ipv6/addrconf.c).
bool has_routes_to(const netlink::Machine& machine) {
  return std::ranges::all_of(machine.addresses, [&](const net::Prefix& address) {
    return !machine.routes ||
           std::ranges::any_of(*machine.routes, [&](const ruleset::Route& route) {
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

Result<void> add_network(ruleset::Host& host) {
  const std::string& device = host.interfaces.back().device;
  const std::string commands = fmt::format(
      "ip addr add 10.9.7.1/24 brd + dev {0} && ip -6 addr add 2001:db8:9:7::1/64 dev {0} nodad",
      device);
  if (std::system(commands.c_str()) != 0) {
    return fail(ErrorKind::System, "the sandbox takes no network");
  }
  for (const char* own : {"10.9.7.1", "2001:db8:9:7::1"}) {
    host.addresses.push_back(*net::parse_prefix(own));
  }
  return {};
}

Result<void> learn_machine(ruleset::Host& host) {
  auto machine = read_settled_machine();
  if (!machine) return std::unexpected(machine.error());
  if (!machine->routes) return fail(ErrorKind::System, "the sandbox's routes are not plain");
  for (ruleset::Interface& interface : host.interfaces) {
    for (const ruleset::Interface& live : machine->interfaces) {
      if (live.device != interface.device) continue;
      interface.index = live.index;
      interface.group = live.group;
      interface.hardware_type = live.hardware_type;
      interface.kind = live.kind;
      interface.mac = live.mac;
    }
  }
  host.routes = std::move(machine->routes);
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
