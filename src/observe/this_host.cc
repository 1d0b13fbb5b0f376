#include "observe/this_host.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "netlink/ipsets.h"
#include "netlink/machine.h"
#include "observe/net_setting.h"

namespace rolewall::observe {
namespace {

constexpr std::size_t kLargestXtTable = std::size_t{64} << 20;

// `value` stays where the kernel has no such setting: its defaults are then what it will have.
template <class Number>
void read_setting(std::string_view path, Number& value) {
  const auto number = net_setting(path);
  if (!number) return;
  if constexpr (std::is_same_v<Number, bool>) {
    value = *number != 0;
  } else {
    value =
        static_cast<Number>(std::min<std::uint64_t>(*number, std::numeric_limits<Number>::max()));
  }
}

ruleset::ConntrackSettings conntrack_settings() {
  ruleset::ConntrackSettings settings;
  const auto read = [](std::string_view name, auto& value) {
    read_setting(fmt::format("netfilter/nf_conntrack_{}", name), value);
  };
  read("tcp_loose", settings.tcp_loose);
  read("tcp_be_liberal", settings.tcp_be_liberal);
  read("tcp_ignore_invalid_rst", settings.tcp_ignore_invalid_rst);
  read("tcp_max_retrans", settings.tcp_max_retrans);
  read("checksum", settings.checksum);
  read("tcp_timeout_syn_sent", settings.tcp_timeout_syn_sent);
  read("tcp_timeout_syn_recv", settings.tcp_timeout_syn_recv);
  read("tcp_timeout_established", settings.tcp_timeout_established);
  read("tcp_timeout_fin_wait", settings.tcp_timeout_fin_wait);
  read("tcp_timeout_close_wait", settings.tcp_timeout_close_wait);
  read("tcp_timeout_last_ack", settings.tcp_timeout_last_ack);
  read("tcp_timeout_time_wait", settings.tcp_timeout_time_wait);
  read("tcp_timeout_close", settings.tcp_timeout_close);
  read("tcp_timeout_max_retrans", settings.tcp_timeout_max_retrans);
  read("tcp_timeout_unacknowledged", settings.tcp_timeout_unacknowledged);
  read("udp_timeout", settings.udp_timeout);
  read("udp_timeout_stream", settings.udp_timeout_stream);
  read("icmp_timeout", settings.icmp_timeout);
  read("icmpv6_timeout", settings.icmpv6_timeout);
  read("generic_timeout", settings.generic_timeout);
  read("max", settings.max);
  return settings;
}

// None where the kernel has no such match, or no rule uses it.
std::vector<ruleset::XtTable> xt_tables() {
  std::vector<ruleset::XtTable> tables;
  for (const std::string folder : {"xt_recent", "ipt_hashlimit", "ip6t_hashlimit"}) {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(
        ::opendir(fmt::format("/proc/net/{}", folder).c_str()), ::closedir);
    if (!directory) continue;
    while (const dirent* entry = ::readdir(directory.get())) {
      const std::string name = fmt::format("{}/{}", folder, entry->d_name);
      const auto text = read_file("/proc/net/" + name, kLargestXtTable);  // fails for "." and ".."
      if (text) tables.push_back({name, lines_of(*text)});
    }
  }
  std::ranges::sort(tables, {}, &ruleset::XtTable::name);
  return tables;
}

// From /proc/timer_list, which root alone may read: "now at 13142010730717 nsecs" since the boot,
// and "jiffies: 4298185071", which began five minutes below 2^32 (INITIAL_JIFFIES).
std::optional<ruleset::Ticks> kernel_ticks() {
  constexpr std::size_t kLargest = std::size_t{16} << 20;
  const auto text = read_file("/proc/timer_list", kLargest);
  if (!text) return std::nullopt;
  std::optional<std::uint64_t> now;
  std::optional<double> seconds;
  for (const std::string& line : lines_of(*text)) {
    unsigned long long number = 0;
    if (!seconds && std::sscanf(line.c_str(), "now at %llu nsecs", &number) == 1) {
      seconds = static_cast<double>(number) / 1e9;
    } else if (std::sscanf(line.c_str(), "jiffies: %llu", &number) == 1) {
      now = number;
      break;
    }
  }
  if (!now || !seconds) return std::nullopt;
  constexpr std::array<std::uint32_t, 5> kRates{100, 250, 300, 1000, 1024};
  for (const std::uint32_t rate : kRates) {
    constexpr std::uint64_t kFiveMinutes = 300;
    const double since = static_cast<double>(*now) -
                         static_cast<double>((std::uint64_t{1} << 32) - kFiveMinutes * rate);
    const double off = since / rate - *seconds;
    if (off > -1 && off < 1) return ruleset::Ticks{*now, rate};
  }
  return std::nullopt;
}

// Sets of ip_set, where the kernel has any: to ask would load the module. Without the right to ask
// they are not known.
Result<void> read_ipsets(ruleset::Host& host) {
  if (::access("/sys/module/ip_set", F_OK) != 0) return {};
  auto saved = netlink::read_ipsets();
  if (!saved && saved.error().os_errno == EPERM) return {};
  if (!saved) return std::unexpected(std::move(saved).error());
  auto numbers = netlink::read_ipset_numbers(*saved);
  if (!numbers) return std::unexpected(std::move(numbers).error());
  host.ipsets = std::move(*saved);
  host.ipset_numbers = std::move(*numbers);
  return {};
}

}  // namespace

Result<ruleset::Host> this_host(NextHops hops) {
  auto machine = netlink::read_machine();
  if (!machine) return std::unexpected(std::move(machine).error());
  ruleset::Host host;
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) == 0) host.name = name.data();
  host.interfaces = std::move(machine->interfaces);
  host.addresses = std::move(machine->addresses);
  host.routes = std::move(hops == NextHops::Several ? machine->routes_by_hop : machine->routes);
  if (hops == NextHops::Several) {
    host.routes_for_some = std::move(machine->routes_for_some);
    host.local_routes = std::move(machine->local_routes);
    host.routing_rules = std::move(machine->routing_rules);
    host.ruled_routes = std::move(machine->ruled_routes);
  }
  host.has_routing_rules = machine->has_routing_rules;
  host.has_added_local_routes = machine->has_added_local_routes;
  read_setting("ipv4/ip_forward", host.forwards_ipv4);
  read_setting("ipv6/conf/all/forwarding", host.forwards_ipv6);
  host.conntrack = conntrack_settings();
  utsname system{};
  if (::uname(&system) == 0) host.kernel = system.release;
  host.xt_tables = xt_tables();
  if (!host.xt_tables.empty()) host.ticks = kernel_ticks();
  if (auto read = read_ipsets(host); !read) return std::unexpected(std::move(read).error());
  return host;
}

Result<net::AddressSet> delivered_addresses() {
  const auto machine = netlink::read_machine();
  if (!machine) return std::unexpected(machine.error());
  std::vector<net::Prefix> all = machine->addresses;
  for (const ruleset::Route& route : machine->possible_routes) {
    if (route.type == ruleset::RouteType::Broadcast) all.push_back(route.to);
  }
  return net::AddressSet::from(all);
}

}  // namespace rolewall::observe
