#include "observe/lease_servers.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "net/address_set.h"
#include "netlink/conntrack.h"
#include "netlink/sockets.h"
#include "observe/proc_words.h"

namespace rolewall::observe {
namespace {

struct DhcpPorts {
  std::uint16_t client;
  std::uint16_t server;
};
constexpr DhcpPorts kDhcp{68, 67};     // RFC 2131, 4.1
constexpr DhcpPorts kDhcp6{546, 547};  // RFC 8415, 7.2

bool is_of_link(const net::Address& address) {
  return net::AddressSet::from({*net::parse_prefix("fe80::/10")}).contains(address);
}

void add_seen(const DhcpPorts& ports, std::set<net::Address>& found) {
  const auto put = [&](const net::Address& address, std::uint16_t port) {
    const bool is_one = port == ports.server && !net::is_multicast(address) &&
                        address != *net::parse_address("255.255.255.255");
    if (is_one) found.insert(address);
  };
  const auto sockets = netlink::read_udp_sockets();
  for (const netlink::UdpSocket& each : sockets.value_or(std::vector<netlink::UdpSocket>())) {
    if (each.local_port == ports.client) put(each.remote, each.remote_port);
  }
  const auto peers = netlink::read_udp_peers(ports.client);
  for (const netlink::UdpPeer& each : peers.value_or(std::vector<netlink::UdpPeer>())) {
    // Whoever is far away can send the like, unasked; an answer to a group looks so, too.
    const bool is_asked = !each.began || each.answered || is_of_link(each.peer.address);
    if (!each.is_here && is_asked) put(each.peer.address, each.peer.port);
  }
}

using Reader = std::set<net::Address> (*)(std::string_view, const std::set<net::Address>&);

void add_kept(const char* folder, std::string_view end, Reader read,
              const std::set<net::Address>& lent, std::set<net::Address>& found) {
  constexpr std::size_t kLargest = std::size_t{1} << 20;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (!entry.path().filename().string().ends_with(end)) continue;
    if (const auto text = read_file(entry.path().string(), kLargest))
      found.merge(read(*text, lent));
  }
}

// What a server has lent, and who it says that it is.
struct Lent {
  std::optional<net::Address> address;
  std::optional<net::Address> server;
};

void take(Lent& lent, const std::set<net::Address>& ours, std::set<net::Address>& found) {
  if (lent.address && lent.server && ours.contains(*lent.address)) found.insert(*lent.server);
  lent = {};
}

}  // namespace

std::set<net::Address> servers_in_fields(std::string_view text,
                                         const std::set<net::Address>& lent) {
  std::set<net::Address> found;
  Lent lease;
  for (const std::string& line : lines_of(text)) {
    const std::size_t equals = std::min(line.find('='), line.size());
    const std::string key = line.substr(0, equals);
    const auto value =
        net::parse_address(std::string_view(line).substr(std::min(equals + 1, line.size())));
    if (key == "ADDRESS") lease.address = value;
    if (key == "SERVER_ADDRESS") lease.server = value;
  }
  take(lease, lent, found);
  return found;
}

std::set<net::Address> servers_in_blocks(std::string_view text,
                                         const std::set<net::Address>& lent) {
  std::set<net::Address> found;
  Lent lease;
  for (const std::string& line : lines_of(text)) {
    std::vector<std::string> words = words_in(line);
    if (words.empty()) continue;
    if (words.front() == "}") take(lease, lent, found);
    std::string last = std::move(words.back());
    if (last.ends_with(';')) last.pop_back();
    if (words.front() == "fixed-address") lease.address = net::parse_address(last);
    if (words.size() == 3 && words[1] == "dhcp-server-identifier") {
      lease.server = net::parse_address(last);
    }
  }
  return found;
}

std::set<net::Address> lease_servers(const std::vector<netlink::Lease>& leases) {
  std::set<net::Address> lent;
  for (const netlink::Lease& lease : leases) lent.insert(lease.address.address);
  std::set<net::Address> found;
  if (lent.empty()) return found;
  if (std::ranges::any_of(lent, net::is_ipv4)) add_seen(kDhcp, found);
  if (!std::ranges::all_of(lent, net::is_ipv4)) add_seen(kDhcp6, found);
  add_kept("/run/systemd/netif/leases", "", servers_in_fields, lent, found);
  add_kept("/var/lib/NetworkManager", ".lease", servers_in_fields, lent, found);
  for (const char* folder : {"/var/lib/dhcp", "/var/lib/dhclient", "/var/lib/NetworkManager"}) {
    add_kept(folder, ".leases", servers_in_blocks, lent, found);
  }
  return found;
}

}  // namespace rolewall::observe
