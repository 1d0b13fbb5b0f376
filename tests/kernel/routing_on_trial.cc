#include "routing_on_trial.h"

#include <fmt/format.h>

#include <cstdlib>
#include <string>

#include "netlink/machine.h"
#include "random.h"

namespace rolewall::kernel_judge {
namespace {

constexpr unsigned kFirst = 100;  // preference
constexpr unsigned kMost = 4;

// What is there already, or is not, is no mistake.
void ip(const std::string& words) {
  const int status = std::system(("ip " + words + " 2>/dev/null").c_str());
  static_cast<void>(status);
}

void add_tables() {
  for (const char* route :
       {"10.9.0.0/16 dev eth2 table 100", "blackhole 198.51.100.128/25 table 100",
        "unreachable 192.0.2.0/28 table 100", "203.0.113.0/24 dev eth1 table 100",
        "default dev eth1 table 101", "throw 10.9.1.0/24 table 101",
        "192.0.2.128/25 dev eth2 table 101", "prohibit 10.9.2.0/24 table 101"}) {
    ip(std::string("route add ") + route);
  }
  for (const char* route :
       {"2001:db8:9::/48 dev eth2 table 100", "blackhole 2001:db8:ffff::/48 table 100",
        "2001:db8::/32 dev eth1 table 100", "default dev eth1 table 101",
        "unreachable 2001:db8:9:2::/64 table 101"}) {
    ip(std::string("-6 route add ") + route);
  }
  ip("rule add pref 30000 to 192.0.2.255 lookup 100");
}

std::string random_rule(Random& random, bool ipv6) {
  const auto network = [&] {
    return ipv6 ? random.of<const char*>({"2001:db8::/32", "2001:db8:9::/48", "2001:db8:9:1::/64",
                                          "2001:db8:9::1", "::/1"})
                : random.of<const char*>({"192.0.2.0/24", "198.51.100.0/24", "10.9.0.0/16",
                                          "10.9.1.0/24", "203.0.113.0/24", "0.0.0.0/1"});
  };
  std::string rule = random.percent(20) ? "not " : "";
  if (random.percent(50)) rule += fmt::format("from {} ", network());
  if (random.percent(50)) rule += fmt::format("to {} ", network());
  if (random.percent(30)) rule += random.of<const char*>({"fwmark 1 ", "fwmark 0 ", "fwmark 2/3 "});
  if (random.percent(30)) rule += random.of<const char*>({"iif eth0 ", "iif eth1 ", "iif lo "});
  if (random.percent(6)) rule += "tos 0x10 ";
  if (rule.empty() || rule == "not ") rule += "from all ";
  switch (random.weighted({45, 35, 15, 5})) {
    case 0:
      return rule + "lookup 100";
    case 1:
      return rule + "lookup 101";
    case 2:
      return rule + fmt::format("lookup main suppress_prefixlength {}",
                                random.of<unsigned>({0, 16, 24, 48}));
    default:
      return rule + random.of<const char*>({"prohibit", "unreachable", "blackhole"});
  }
}

}  // namespace

Result<void> choose_routing_rules(ruleset::Host& host, std::uint64_t seed) {
  Random random(Random(seed + 32).next());
  add_tables();
  for (const bool ipv6 : {false, true}) {
    const char* family = ipv6 ? "-6 " : "";
    for (unsigned i = 0; i < kMost; ++i) ip(fmt::format("{}rule del pref {}", family, kFirst + i));
    const unsigned count = random.below(kMost + 1);
    for (unsigned i = 0; i < count; ++i) {
      ip(fmt::format("{}rule add pref {} {}", family, kFirst + i, random_rule(random, ipv6)));
    }
  }
  auto machine = netlink::read_machine();
  if (!machine) return std::unexpected(machine.error());
  host.routes.reset();
  host.has_routing_rules = machine->has_routing_rules;
  host.has_added_local_routes = machine->has_added_local_routes;
  host.local_routes = std::move(machine->local_routes);
  host.routing_rules = std::move(machine->routing_rules);
  host.ruled_routes = std::move(machine->ruled_routes);
  return {};
}

}  // namespace rolewall::kernel_judge
