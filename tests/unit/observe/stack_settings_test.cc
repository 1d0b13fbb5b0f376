// What a device is set to do with what arrives, from the kernel's settings of it and of all.
#include "observe/stack_settings.h"

#include <doctest/doctest.h>

#include <map>
#include <string>

namespace rolewall::observe {
namespace {

using Recorded = std::map<std::string, std::uint64_t, std::less<>>;

std::optional<ruleset::StackSettings> of(const std::string& device, const Recorded& recorded) {
  return stack_settings(device, [&](std::string_view path) -> std::optional<std::uint64_t> {
    const auto found = recorded.find(path);
    if (found == recorded.end()) return std::nullopt;
    return found->second;
  });
}

// As Linux 6.18 shows them of a new device.
Recorded usual() {
  return {
      {"ipv4/conf/all/accept_local", 0},      {"ipv4/conf/all/accept_source_route", 0},
      {"ipv4/conf/all/rp_filter", 0},         {"ipv4/conf/all/send_redirects", 1},
      {"ipv4/conf/eth0/accept_local", 0},     {"ipv4/conf/eth0/accept_source_route", 1},
      {"ipv4/conf/eth0/forwarding", 0},       {"ipv4/conf/eth0/rp_filter", 0},
      {"ipv4/conf/eth0/send_redirects", 1},   {"ipv6/conf/eth0/disable_ipv6", 0},
      {"ipv6/conf/eth0/force_forwarding", 0},
  };
}

TEST_CASE("a device that nobody has set up has the kernel's settings") {
  CHECK(of("eth0", usual()) == ruleset::StackSettings{});
  CHECK_FALSE(of("eth1", usual()).has_value());
}

TEST_CASE("a bridge shows its frames where the machine or the bridge itself is set to") {
  const auto settled = [](std::optional<bool> own, std::optional<std::uint64_t> all) {
    ruleset::Interface bridge;
    bridge.shows_ipv4 = own;
    settle_bridge(bridge, [&](std::string_view path) {
      return path == "bridge/bridge-nf-call-iptables" ? all : std::nullopt;
    });
    CHECK_EQ(bridge.shows_ipv6, false);  // without br_netfilter
    return bridge.shows_ipv4;
  };
  CHECK_EQ(settled(true, std::nullopt), false);
  CHECK_EQ(settled(true, 0), true);
  CHECK_EQ(settled(false, 0), false);
  CHECK_EQ(settled(std::nullopt, 0), std::nullopt);
  CHECK_EQ(settled(false, 1), true);
}

TEST_CASE("each setting of all counts in its own way") {
  const auto with = [](const char* path, std::uint64_t value) {
    Recorded recorded = usual();
    recorded[path] = value;
    return *of("eth0", recorded);
  };
  CHECK_EQ(with("ipv4/conf/all/rp_filter", 1).rp_filter, 1);
  CHECK_EQ(with("ipv4/conf/eth0/rp_filter", 2).rp_filter, 2);
  CHECK_EQ(with("ipv4/conf/eth0/rp_filter", 7).rp_filter, 2);
  Recorded both = usual();
  both["ipv4/conf/all/rp_filter"] = 2;
  both["ipv4/conf/eth0/rp_filter"] = 1;
  CHECK_EQ(of("eth0", both)->rp_filter, 2);
  CHECK(with("ipv4/conf/all/accept_local", 1).accept_local);
  CHECK(with("ipv4/conf/eth0/accept_local", 1).accept_local);
  CHECK(with("ipv4/conf/all/accept_source_route", 1).accept_source_route);
  CHECK_FALSE(with("ipv4/conf/eth0/accept_source_route", 1).accept_source_route);
  CHECK(with("ipv4/conf/all/send_redirects", 0).send_redirects);
  CHECK(with("ipv4/conf/all/route_localnet", 1).route_localnet);
  CHECK(with("ipv4/conf/eth0/forwarding", 1).forwards_ipv4);
  CHECK_FALSE(with("ipv4/conf/all/forwarding", 1).forwards_ipv4);
  CHECK(with("ipv6/conf/eth0/force_forwarding", 1).forwards_ipv6);
}

TEST_CASE("a device without IPv6, or too small for it, takes none") {
  Recorded recorded = usual();
  recorded["ipv6/conf/eth0/disable_ipv6"] = 1;
  CHECK_FALSE(of("eth0", recorded)->ipv6);
  recorded.erase("ipv6/conf/eth0/disable_ipv6");
  CHECK_FALSE(of("eth0", recorded)->ipv6);
}

}  // namespace
}  // namespace rolewall::observe
