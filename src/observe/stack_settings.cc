#include "observe/stack_settings.h"

#include <fmt/format.h>

#include <algorithm>

#include "observe/net_setting.h"

namespace rolewall::observe {
namespace {

// A device and conf/all, as one of the two families has them.
class Configured {
 public:
  Configured(const char* family, const std::string& device, const SettingReader& read)
      : family_(family), device_(device), read_(read) {}

  std::optional<std::uint64_t> of_device(const char* name) const { return of(device_, name); }
  bool is_on(const char* name) const { return of_device(name).value_or(0) != 0; }
  bool both(const char* name) const { return is_on(name) && of("all", name).value_or(0) != 0; }
  bool either(const char* name) const { return is_on(name) || of("all", name).value_or(0) != 0; }
  std::uint64_t larger(const char* name) const {
    return std::max(of_device(name).value_or(0), of("all", name).value_or(0));
  }

 private:
  std::optional<std::uint64_t> of(const std::string& device, const char* name) const {
    return read_(fmt::format("{}/conf/{}/{}", family_, device, name));
  }

  const char* family_;
  const std::string& device_;
  const SettingReader& read_;
};

constexpr std::uint64_t kStrict = 1;
constexpr std::uint64_t kLoose = 2;

}  // namespace

// How `all` counts: IN_DEV_MAXCONF, _ANDCONF, _ORCONF and _CONF_GET of include/linux/inetdevice.h.
// Of IPv6 the device's alone counts; what a device has that the link is too small for (1,280) is
// not even there. The kernel takes rp_filter above 2 as 2.
std::optional<ruleset::StackSettings> stack_settings(const std::string& device,
                                                     const SettingReader& read) {
  const Configured ipv4("ipv4", device, read);
  const Configured ipv6("ipv6", device, read);
  if (!ipv4.of_device("rp_filter")) return std::nullopt;
  ruleset::StackSettings found;
  const std::uint64_t rp_filter = ipv4.larger("rp_filter");
  found.rp_filter = static_cast<std::uint8_t>(rp_filter > kStrict ? kLoose : rp_filter);
  found.accept_local = ipv4.either("accept_local");
  found.route_localnet = ipv4.either("route_localnet");
  found.accept_source_route = ipv4.both("accept_source_route");
  found.send_redirects = ipv4.either("send_redirects");
  found.forwards_ipv4 = read(fmt::format("ipv4/conf/{}/forwarding", device)).value_or(0) != 0;
  found.forwards_broadcasts = ipv4.both("bc_forwarding");
  found.drops_unicast_in_multicast = ipv4.either("drop_unicast_in_l2_multicast");
  found.drops_ipv6_unicast_in_multicast = ipv6.is_on("drop_unicast_in_l2_multicast");
  found.forwards_ipv6 = ipv6.is_on("force_forwarding");
  found.ipv6 = ipv6.of_device("disable_ipv6").value_or(1) == 0;
  return found;
}

// br_nf_pre_routing(): the machine's setting, or the bridge's own. Without br_netfilter there is
// neither.
void settle_bridge(ruleset::Interface& bridge, const SettingReader& read) {
  const auto settle = [&](std::optional<bool>& shows, const char* name) {
    const auto setting = read(fmt::format("bridge/bridge-nf-call-{}", name));
    if (!setting) shows = false;
    if (setting && *setting != 0) shows = true;
  };
  settle(bridge.shows_ipv4, "iptables");
  settle(bridge.shows_ipv6, "ip6tables");
}

void read_stack_settings(ruleset::Host& host) {
  for (ruleset::Interface& interface : host.interfaces) {
    interface.settings = stack_settings(interface.device, net_setting);
    if (interface.kind == "bridge") settle_bridge(interface, net_setting);
    const auto mtu = net_setting(fmt::format("ipv6/conf/{}/mtu", interface.device)).value_or(0);
    interface.ipv6_mtu = mtu == interface.mtu ? 0 : static_cast<std::uint32_t>(mtu);
  }
}

}  // namespace rolewall::observe
