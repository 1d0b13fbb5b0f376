// Who has lent this host its addresses (DHCP, DHCPv6), and is asked when they are renewed.
#pragma once

#include <set>
#include <string_view>
#include <vector>

#include "net/address.h"
#include "netlink/machine.h"

namespace rolewall::observe {

// By the sockets of who renews them, by connection tracking, and by the files in which clients keep
// what they were lent.
std::set<net::Address> lease_servers(const std::vector<netlink::Lease>& leases);

// Of a file of systemd-networkd's or NetworkManager's: lines such as SERVER_ADDRESS=192.0.2.1. Who
// has lent one of these addresses.
std::set<net::Address> servers_in_fields(std::string_view text, const std::set<net::Address>& lent);
// Of dhclient's: blocks with "fixed-address 192.0.2.7;" and "option dhcp-server-identifier ...;".
std::set<net::Address> servers_in_blocks(std::string_view text, const std::set<net::Address>& lent);

}  // namespace rolewall::observe
