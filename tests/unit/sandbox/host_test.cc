// The namespace and the host in it, as the kernel shows them.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "expectations.h"
#include "sandbox/sandbox.h"

namespace rolewall::sandbox {
namespace {

net::Prefix prefix(const char* text) {
  return *net::parse_prefix(text);
}

ruleset::Host load_balancer() {
  ruleset::Host host;
  host.name = "lb-01";
  host.addresses = {prefix("203.0.113.10"), prefix("2001:db8:1::10"), prefix("10.0.1.10"),
                    prefix("fd00:db8:0:1::10"), prefix("192.0.2.64/26")};
  host.virtual_addresses = {prefix("203.0.113.9"), prefix("2001:db8:1::9")};
  host.interfaces = {
      {"public", "eth0", {}},
      {"private", "eth1", net::AddressSet::from({prefix("10.0.0.0/16"), prefix("fd00:db8::/48")})},
      {"bridges", "br-*", net::AddressSet::from({prefix("172.16.0.0/12")})}};
  return host;
}

std::string content(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The source address that the kernel gives a datagram; "" where it has no route.
std::string routed(const char* to) {
  const auto target = net::parse_address(to);
  sockaddr_storage address{};
  socklen_t size = 0;
  if (net::is_ipv4(*target)) {
    auto* in = reinterpret_cast<sockaddr_in*>(&address);
    in->sin_family = AF_INET;
    in->sin_port = htons(53);
    inet_pton(AF_INET, to, &in->sin_addr);
    size = sizeof *in;
  } else {
    auto* in6 = reinterpret_cast<sockaddr_in6*>(&address);
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(53);
    inet_pton(AF_INET6, to, &in6->sin6_addr);
    size = sizeof *in6;
  }
  const int fd = ::socket(address.ss_family, SOCK_DGRAM, 0);
  std::string source;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), size) == 0) {
    size = sizeof address;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    char text[INET6_ADDRSTRLEN] = {};
    if (address.ss_family == AF_INET) {
      inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(&address)->sin_addr, text, sizeof text);
    } else {
      inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6*>(&address)->sin6_addr, text, sizeof text);
    }
    source = text;
  }
  ::close(fd);
  return source;
}

bool can_bind(const char* address) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  inet_pton(AF_INET, address, &in.sin_addr);
  const int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
  const bool bound = ::bind(fd, reinterpret_cast<sockaddr*>(&in), sizeof in) == 0;
  ::close(fd);
  return bound;
}

// doctest's counts do not cross the fork: each expectation that fails is printed, and counted in
// the exit status.
TEST_CASE("the body's exit status comes back, and so does a signal") {
  if (const auto why = unavailable(); !why.empty()) {
    MESSAGE("skipped: " << why);
    return;
  }
  CHECK_EQ(run([] { return 7; }), 7);
  CHECK_EQ(run([] {
             ::raise(SIGKILL);
             return 0;
           }),
           128 + SIGKILL);
}

TEST_CASE("the body is root of its own namespace, with the loopback up and nothing else") {
  if (!unavailable().empty()) return;
  const auto outside = std::filesystem::read_symlink("/proc/self/ns/net");
  const auto status = run([&] {
    Expectations expect;
    expect(std::filesystem::read_symlink("/proc/self/ns/net") != outside, "a namespace of its own");
    expect(::geteuid() == 0, "the user is root");
    const struct if_nameindex* all = ::if_nameindex();
    int devices = 0;
    for (const auto* one = all; one->if_index != 0; ++one) ++devices;
    expect(devices == 1, "lo is the only device");
    expect(routed("127.0.0.1") == "127.0.0.1", "lo is up");
    return expect.failed;
  });
  CHECK_EQ(status, 0);
}

TEST_CASE("a sandbox in a sandbox") {
  if (!unavailable().empty()) return;
  CHECK_EQ(run([] { return *run([] { return 5; }) + 1; }), 6);
}

TEST_CASE("the host that is made") {
  const ruleset::Host host = realise(load_balancer());
  REQUIRE_EQ(host.interfaces.size(), 3);
  CHECK_EQ(host.interfaces[2].device, "br-0");
  CHECK_EQ(net::format(host.addresses[4]), "192.0.2.65");

  ruleset::Host bare;
  bare.addresses = {prefix("10.0.2.10")};
  REQUIRE_EQ(realise(bare).interfaces.size(), 1);
  CHECK_EQ(realise(bare).interfaces[0].device, "eth0");

  ruleset::Host clash;
  clash.interfaces = {{"all", "eth*", {}}, {"one", "eth0", {}}};
  CHECK_EQ(realise(clash).interfaces[0].device, "eth1");
  CHECK_EQ(realise(clash).interfaces[1].device, "eth0");
}

TEST_CASE("devices, addresses, routes and settings") {
  if (!unavailable().empty()) return;
  const auto status = run([] {
    Expectations expect;
    const auto made = set_up_host(load_balancer());
    expect(made.has_value(), made ? "" : made.error().message.c_str());
    for (const char* device : {"eth0", "eth1", "br-0"}) {
      expect(::if_nametoindex(device) != 0, device);
    }
    for (const char* own : {"203.0.113.10", "10.0.1.10", "192.0.2.65", "203.0.113.9"}) {
      expect(can_bind(own), own);
    }
    expect(!can_bind("192.0.2.66"), "a pool is one host");
    expect(routed("8.8.8.8") == "203.0.113.10", "the default route is by eth0");
    expect(routed("10.0.9.9") == "10.0.1.10", "what is behind eth1 goes there");
    expect(routed("fd00:db8:0:7::1") == "fd00:db8:0:1::10", "likewise for IPv6");
    expect(routed("2001:db8:ffff::1").starts_with("2001:db8:1::"), "IPv6's default route");
    expect(content("/proc/sys/net/ipv4/conf/eth0/rp_filter") == "0\n", "no rp_filter");
    expect(content("/proc/sys/net/ipv6/conf/eth1/accept_ra") == "0\n", "no accept_ra");
    expect(content("/proc/sys/net/ipv6/conf/far-end-0/disable_ipv6") == "1\n", "a silent far end");
    const std::string addresses = content("/proc/net/if_inet6");
    const auto line = addresses.find("fe80");
    expect(addresses.substr(line, addresses.find('\n', line) - line).ends_with("br-0"),
           "a link-local address where there is no other");
    expect(addresses.find("fe80", line + 1) == std::string::npos, "and nowhere else");
    return expect.failed;
  });
  CHECK_EQ(status, 0);
}

TEST_CASE("a second host in one namespace is refused, and says what") {
  if (!unavailable().empty()) return;
  const auto status = run([] {
    const auto first = set_up_host(load_balancer());
    const auto second = set_up_host(load_balancer());
    const bool right = first && !second && second.error().os_errno == EEXIST &&
                       second.error().message.find("eth0") != std::string::npos;
    return right ? 0 : 1;
  });
  CHECK_EQ(status, 0);
}

}  // namespace
}  // namespace rolewall::sandbox
