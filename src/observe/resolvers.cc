#include "observe/resolvers.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <sstream>
#include <string>

#include "base/file.h"
#include "net/protocol.h"
#include "netlink/conntrack.h"
#include "netlink/machine.h"

namespace rolewall::observe {
namespace {

constexpr std::uint16_t kDns = 53;
constexpr std::uint16_t kDnsOverTls = 853;  // RFC 7858; by UDP RFC 9250's

std::vector<net::Address> named_in(const char* path) {
  constexpr std::size_t kLargest = 65536;
  std::vector<net::Address> found;
  const auto text = read_file(path, kLargest);
  if (!text) return found;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string key;
    std::string value;
    words >> key >> value;
    const auto address = net::parse_address(value.substr(0, value.find('%')));
    if (key == "nameserver" && address) found.push_back(*address);
  }
  return found;
}

}  // namespace

std::vector<net::Address> resolvers() {
  std::vector<net::Address> found;
  for (const char* path : {"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"}) {
    for (const net::Address& each : named_in(path)) {
      if (!net::is_loopback(each)) found.push_back(each);
    }
  }
  return found;
}

Result<std::vector<net::Address>> asked_by_own_resolver() {
  std::vector<net::Address> found;
  const auto own = netlink::own_addresses();
  if (!own) return std::unexpected(own.error());
  const auto is_own = [&](const net::Address& address) {
    return net::is_loopback(address) || own->contains(address);
  };
  if (std::ranges::none_of(named_in("/etc/resolv.conf"), is_own)) return found;
  const auto flows = netlink::read_flows_with([](const net::Address&) { return true; });
  if (!flows) return std::unexpected(flows.error());
  std::set<net::Address> openers;
  for (const netlink::TrackedFlow& flow : *flows) openers.insert(flow.from.address);
  for (const netlink::TrackedFlow& flow : *flows) {
    const bool asks =
        (flow.protocol == net::protocol::kTcp || flow.protocol == net::protocol::kUdp) &&
        (flow.to.port == kDns || flow.to.port == kDnsOverTls);
    if (!asks || !is_own(flow.from.address) || is_own(flow.to.address)) continue;
    if (!openers.contains(flow.to.address)) found.push_back(flow.to.address);
  }
  return found;
}

}  // namespace rolewall::observe
