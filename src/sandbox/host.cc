// set_up_host(): the policy's host, made of veth pairs.
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <set>
#include <string_view>

#include "base/file.h"
#include "base/visit.h"
#include "net/address_set.h"
#include "sandbox/descriptor.h"
#include "sandbox/rtnetlink.h"
#include "sandbox/sandbox.h"

namespace rolewall::sandbox {
namespace {

constexpr std::uint32_t kMetric = 100;  // of the default route
constexpr std::uint32_t kSecondMetric =
    1000;  // of the default routes for sockets bound to a device
constexpr std::uint32_t kFurtherMetric = 2000;  // of networks behind a second device

struct Setting {
  std::string_view path;  // below /proc/sys/net
  std::string_view value;
  bool optional = false;  // not in every supported kernel, or not namespaced there
};

// Set before there are devices, so that these inherit them; a device's own value and `all`'s are
// combined, differently for each, so both are set. addr_gen_mode 1: no link-local address. The
// loopback takes frames with this host's addresses as source, as what it sends itself there has:
// that has its route from the sender and is not checked. Fragments whose datagram is never whole
// take up memory for as long as a minute; there is enough of it.
constexpr Setting kSettings[] = {
    {"ipv4/conf/all/rp_filter", "0"},
    {"ipv4/conf/default/rp_filter", "0"},
    {"ipv4/conf/lo/rp_filter", "0"},
    {"ipv4/conf/all/accept_local", "0"},
    {"ipv4/conf/default/accept_local", "0"},
    {"ipv4/conf/lo/accept_local", "1"},
    {"ipv4/conf/all/route_localnet", "0"},
    {"ipv4/conf/default/route_localnet", "0"},
    {"ipv4/conf/lo/route_localnet", "1"},
    {"ipv4/conf/all/log_martians", "0"},
    {"ipv4/conf/default/log_martians", "0"},
    {"ipv4/conf/all/drop_unicast_in_l2_multicast", "0"},
    {"ipv4/conf/default/drop_unicast_in_l2_multicast", "0"},
    {"ipv4/conf/all/accept_source_route", "0"},
    {"ipv4/conf/default/accept_source_route", "0"},
    {"ipv4/icmp_ratelimit", "0"},
    {"ipv4/icmp_echo_ignore_broadcasts", "1", true},
    {"ipv4/igmp_max_memberships", "1000", true},
    {"ipv4/ipfrag_high_thresh", "134217728", true},
    {"netfilter/nf_conntrack_frag6_high_thresh", "134217728", true},
    {"ipv6/conf/all/disable_ipv6", "0"},
    {"ipv6/conf/default/disable_ipv6", "0"},
    {"ipv6/conf/lo/disable_ipv6", "0"},
    {"ipv6/conf/default/accept_ra", "0"},
    {"ipv6/conf/default/autoconf", "0"},
    {"ipv6/conf/default/accept_dad", "0"},
    {"ipv6/conf/default/dad_transmits", "0"},
    {"ipv6/conf/default/router_solicitations", "0"},
    {"ipv6/conf/default/addr_gen_mode", "1"},
    {"ipv6/icmp/ratelimit", "0"},
};

Result<void> set(const Setting& setting) {
  const std::string path = fmt::format("/proc/sys/net/{}", setting.path);
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (file.valid() && ::write(file.get(), setting.value.data(), setting.value.size()) ==
                          static_cast<ssize_t>(setting.value.size())) {
    return {};
  }
  if (setting.optional) return {};
  return fail(ErrorKind::System, fmt::format("{}: {}", path, std::strerror(errno)), errno);
}

// The far ends speak no IPv6: the kernel's own reports of group membership would come back in.
Result<void> silence(const std::string& device) {
  return set({fmt::format("ipv6/conf/{}/disable_ipv6", device), "1"});
}

// "br-*" becomes "br-0", or the first number that is not taken.
std::string concrete(const std::string& device, const std::set<std::string>& taken) {
  if (!device.ends_with('*')) return device;
  const std::string stem = device.substr(0, device.size() - 1);
  for (unsigned n = 0;; ++n) {
    if (std::string name = stem + std::to_string(n); !taken.contains(name)) return name;
  }
}

// A pool is many hosts; the sandbox is its first one. The first address of an IPv4 prefix, and of
// an IPv6 one (the routers' anycast address), is no host's unless the prefix is a single address.
net::Prefix one_host(const net::Prefix& prefix) {
  const unsigned bits = net::address_bits(prefix.address);
  net::Prefix host{prefix.address, bits};
  if (prefix.length + 1 >= bits) return host;
  visit_closed([](auto& address) { ++address.value; }, host.address);
  return host;
}

std::vector<net::Prefix> one_host(const std::vector<net::Prefix>& prefixes) {
  std::vector<net::Prefix> hosts;
  for (const auto& prefix : prefixes) {
    if (const net::Prefix host = one_host(prefix); std::ranges::find(hosts, host) == hosts.end()) {
      hosts.push_back(host);
    }
  }
  return hosts;
}

// The device that what is not `behind` any other comes and goes by.
const ruleset::Interface& default_interface(const ruleset::Host& host) {
  const auto open =
      std::ranges::find_if(host.interfaces, [](const auto& i) { return i.behind.empty(); });
  return open != host.interfaces.end() ? *open : host.interfaces.front();
}

const ruleset::Interface& interface_of(const ruleset::Host& host, const net::Address& address) {
  const auto behind = std::ranges::find_if(
      host.interfaces, [&](const auto& i) { return i.behind.contains(address); });
  return behind != host.interfaces.end() ? *behind : default_interface(host);
}

Result<void> add_links(Rtnetlink& links, const ruleset::Host& host) {
  for (std::size_t n = 0; n < host.interfaces.size(); ++n) {
    const std::string& device = host.interfaces[n].device;
    const std::string peer = peer_device(n);
    const auto number = static_cast<std::uint8_t>(n);
    TRY(links.add_veth({device, {2, 0, 0, 0, number, 1}}, {peer, {2, 0, 0, 0, number, 2}}));
    TRY(silence(peer));
    TRY(links.bring_up(peer));
    TRY(links.bring_up(device));
  }
  return {};
}

// A device without any IPv6 address sends no IPv6, multicast least of all: one that bears none of
// the host's has a link-local address, as it would on a real machine.
Result<void> add_link_locals(Rtnetlink& links, const ruleset::Host& host,
                             const std::set<std::string>& with_ipv6) {
  constexpr net::Uint128 kNetwork = net::Uint128{0xfe80000000000000} << 64;
  for (std::size_t n = 0; n < host.interfaces.size(); ++n) {
    const std::string& device = host.interfaces[n].device;
    if (with_ipv6.contains(device)) continue;
    TRY(links.add_address(device, net::Ipv6{kNetwork | (net::Uint128{n + 1} << 16) | 1}));
  }
  return {};
}

Result<void> add_addresses(Rtnetlink& links, const ruleset::Host& host) {
  std::set<net::Address> added;
  std::set<std::string> with_ipv6;
  for (const auto* list : {&host.addresses, &host.virtual_addresses}) {
    for (const auto& prefix : *list) {
      if (!added.insert(prefix.address).second) continue;
      const std::string& device = interface_of(host, prefix.address).device;
      TRY(links.add_address(device, prefix.address));
      if (!net::is_ipv4(prefix.address)) with_ipv6.insert(device);
    }
  }
  // A host without any IPv6 address is one without IPv6.
  return with_ipv6.empty() ? Result<void>() : add_link_locals(links, host, with_ipv6);
}

std::vector<Route> main_routes(const ruleset::Host& host) {
  std::vector<Route> routes;
  const net::Prefix everywhere[] = {{net::Ipv4{}, 0}, {net::Ipv6{}, 0}};
  const ruleset::Interface& by_default = default_interface(host);
  // A network that is behind several devices has a route by each, the first of which counts.
  std::map<net::Prefix, std::uint32_t> further;
  const auto add = [&](const net::Prefix& network, const std::string& device) {
    const auto [at, first] = further.emplace(network, kFurtherMetric);
    routes.push_back({network, device, first ? kMetric : at->second++});
  };
  for (const auto& interface : host.interfaces) {
    for (const auto& network : net::to_prefixes(interface.behind.ipv4)) {
      add(network, interface.device);
    }
    for (const auto& network : net::to_prefixes(interface.behind.ipv6)) {
      add(network, interface.device);
    }
  }
  auto metric = kSecondMetric;
  for (const auto& interface : host.interfaces) {
    const bool first = &interface == &by_default;
    for (const auto& prefix : everywhere) {
      routes.push_back({prefix, interface.device, first ? kMetric + 1 : metric});
    }
    ++metric;
  }
  return routes;
}

// A carrier is told to a device by a worker of the kernel's (net/core/link_watch.c), after the link
// is up; until it has run, what the device is to send is dropped without a word.
bool is_running(int socket, const std::string& device) {
  ifreq request{};
  device.copy(request.ifr_name, IFNAMSIZ - 1);
  return ::ioctl(socket, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_RUNNING) != 0;
}

constexpr int kTries = 5000;  // a millisecond each

// The route to an address of IPv6 is made by a worker, too (addrconf_dad_work()); until then what
// is for it is for nobody.
Result<void> wait_for_local_routes(const ruleset::Host& host) {
  constexpr std::size_t kMostBytes = std::size_t{1} << 26;
  std::vector<std::string> lines;  // how they begin
  for (const auto* list : {&host.addresses, &host.virtual_addresses}) {
    for (const auto& prefix : *list) {
      const std::vector<std::uint8_t> bytes = net::to_bytes(prefix.address);
      if (!net::is_ipv4(prefix.address)) {
        lines.push_back(fmt::format("{:02x} 80 ", fmt::join(bytes, "")));
      }
    }
  }
  for (int i = 0; i < kTries; ++i) {
    if (lines.empty()) return {};
    const Result<std::string> routes = read_file("/proc/thread-self/net/ipv6_route", kMostBytes);
    if (!routes) return std::unexpected(routes.error());
    std::erase_if(lines, [&](const std::string& line) { return routes->contains(line); });
    if (!lines.empty()) ::usleep(1000);
  }
  return fail(ErrorKind::System, "the kernel makes no route to this host's own addresses");
}

Result<void> wait_for_carriers(Rtnetlink& links, const ruleset::Host& host) {
  const Descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return fail(ErrorKind::System, "cannot open a socket", errno);
  const auto wait = [&](const std::string& device) {
    for (int i = 0; i < kTries; ++i) {
      if (is_running(socket.get(), device)) return true;
      ::usleep(1000);
    }
    return false;
  };
  Result<void> result;
  for (std::size_t n = 0; result && n < host.interfaces.size(); ++n) {
    for (const std::string& device : {host.interfaces[n].device, peer_device(n)}) {
      if (!wait(device)) result = fail(ErrorKind::System, device + " does not come up");
    }
  }
  // The worker sets the flag first and the queue after it, both under the lock that this takes.
  if (result) result = links.bring_up(peer_device(0));
  return result;
}

}  // namespace

std::string peer_device(std::size_t n) {
  return fmt::format("far-end-{}", n);
}

ruleset::Host realise(const ruleset::Host& host) {
  ruleset::Host real = host;
  real.addresses = one_host(host.addresses);
  real.virtual_addresses = one_host(host.virtual_addresses);
  std::set<std::string> taken;
  for (const auto& interface : real.interfaces) taken.insert(interface.device);
  for (auto& interface : real.interfaces) {
    interface.device = concrete(interface.device, taken);
    taken.insert(interface.device);
  }
  std::erase_if(real.interfaces, [](const auto& interface) { return interface.device == "lo"; });
  if (real.interfaces.empty()) real.interfaces.push_back({"eth0", "eth0", {}});
  return real;
}

ruleset::Host with_routes(const ruleset::Host& host) {
  constexpr std::uint32_t kLocalTable = 255;
  ruleset::Host real = realise(host);
  std::vector<ruleset::Route>& routes = real.routes.emplace();
  for (const Route& route : main_routes(real)) {
    ruleset::Route& added = routes.emplace_back();
    added.to = route.destination;
    added.device = route.device;
    added.metric = route.metric;
  }
  const auto add_local = [&](const net::Prefix& to, const std::string& device) {
    ruleset::Route& added = routes.emplace_back();
    added.to = to;
    added.type = ruleset::RouteType::Local;
    added.device = device;
    added.table = kLocalTable;
  };
  add_local({net::Ipv4{0x7f000000}, 8}, "lo");
  add_local({net::Ipv4{0x7f000001}, 32}, "lo");
  add_local({net::Ipv6{1}, 128}, "lo");
  for (const auto* list : {&real.addresses, &real.virtual_addresses}) {
    for (const auto& prefix : *list) {
      const std::string& device = interface_of(real, prefix.address).device;
      add_local({prefix.address, net::address_bits(prefix.address)}, device);
    }
  }
  return real;
}

Result<void> set_up_host(const ruleset::Host& host) {
  const ruleset::Host real = realise(host);
  // First, since it gives some of the others other defaults.
  TRY(set({"ipv4/ip_forward", real.forwards_ipv4 ? "1" : "0"}));
  TRY(set({"ipv6/conf/all/forwarding", real.forwards_ipv6 ? "1" : "0"}));
  for (const auto& setting : kSettings) TRY(set(setting));
  auto links = Rtnetlink::open();
  if (!links) return std::unexpected(links.error());
  TRY(add_links(*links, real));
  TRY(add_addresses(*links, real));
  for (const Route& route : main_routes(real)) TRY(links->add_route(route));
  TRY(wait_for_carriers(*links, real));
  return wait_for_local_routes(real);
}

}  // namespace rolewall::sandbox
