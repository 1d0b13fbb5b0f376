#include "cli/this_host.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

namespace rolewall::cli {
namespace {

std::optional<net::Address> address_of(const sockaddr* address) {
  if (address == nullptr) return std::nullopt;
  if (address->sa_family == AF_INET) {
    sockaddr_in ipv4{};
    std::memcpy(&ipv4, address, sizeof ipv4);
    return net::Ipv4{ntohl(ipv4.sin_addr.s_addr)};
  }
  if (address->sa_family == AF_INET6) {
    sockaddr_in6 ipv6{};
    std::memcpy(&ipv6, address, sizeof ipv6);
    return net::ipv6_from_bytes(ipv6.sin6_addr.s6_addr);
  }
  return std::nullopt;
}

}  // namespace

Result<ruleset::Host> this_host() {
  ruleset::Host host;
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) == 0) host.name = name.data();

  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) {
    return fail(ErrorKind::System,
                fmt::format("cannot read this machine's addresses: {}", std::strerror(errno)),
                errno);
  }
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if ((entry->ifa_flags & IFF_LOOPBACK) != 0) continue;
    const std::string device = entry->ifa_name;
    const bool known =
        std::any_of(host.interfaces.begin(), host.interfaces.end(),
                    [&](const auto& interface) { return interface.device == device; });
    if (!known) host.interfaces.push_back({device, device, {}});
    if (const auto address = address_of(entry->ifa_addr)) {
      host.addresses.push_back({*address, net::address_bits(*address)});
    }
  }
  return host;
}

}  // namespace rolewall::cli
