// The machine that a ruleset runs on, as far as a dry run must know it: its addresses, interfaces
// and routes, and the kernel's settings. It is kept with a ruleset in a file (Snapshot). A policy's
// host says addresses and interfaces alone; `dump` fills in what the running machine knows.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "net/address.h"
#include "net/address_set.h"

namespace rolewall::ruleset {

// net.ipv4.conf and net.ipv6.conf of one device, as they count there: with what conf/all makes of
// them (include/linux/inetdevice.h: IN_DEV_MAXCONF and its like). The values here are those that a
// kernel begins with.
struct StackSettings {
  std::uint8_t rp_filter = 0;  // what a source must be reached by: 1 this device, 2 any
  bool accept_local = false;   // packets from this host's own addresses
  bool route_localnet = false;
  bool accept_source_route = false;  // of IPv4
  bool send_redirects = true;
  bool forwards_ipv4 = false;  // what arrives here
  bool forwards_broadcasts = false;
  bool drops_unicast_in_multicast = false;       // IPv4 to one host in a frame to many
  bool drops_ipv6_unicast_in_multicast = false;  // the same of IPv6
  bool forwards_ipv6 = false;  // what arrives here, though conf/all does not forward
  bool ipv6 = true;            // false: disable_ipv6, or a link that is too small for it
  bool operator==(const StackSettings&) const = default;
};

struct Interface {
  std::string name;        // the policy's name ("public"); the device's where there is no policy
  std::string device;      // "eth0"; may end in '*'
  net::AddressSet behind;  // what arrives here and nowhere else; empty: not said

  // Of a running machine; 0 and "" where not known.
  std::uint32_t index = 0;
  std::uint32_t group = 0;
  std::uint16_t hardware_type = 0;  // ARPHRD_*
  std::string kind{};               // rtnetlink's: "veth", "bridge"
  std::string mac{};                // "02:00:00:00:00:01"
  std::uint32_t mtu = 0;
  std::uint32_t ipv6_mtu = 0;  // where a router has told a smaller one; 0: as `mtu`
  std::string master{};        // the bridge, bond or VRF that it is a port of
  std::string link{};          // the device that it stands on, as a VLAN's
  // Of a bridge: br_netfilter shows what comes by it to prerouting before the bridge looks where it
  // goes (bridge-nf-call-iptables, -ip6tables). Absent: not known.
  std::optional<bool> shows_ipv4{};
  std::optional<bool> shows_ipv6{};
  std::optional<StackSettings> settings{};  // absent: not known
  bool operator==(const Interface&) const = default;
};

// RTN_* of linux/rtnetlink.h, those that a lookup can end in.
enum class RouteType : std::uint8_t {
  Unicast = 1,
  Local = 2,
  Broadcast = 3,
  Anycast = 4,
  Multicast = 5,
  Blackhole = 6,
  Unreachable = 7,
  Prohibit = 8,
  Throw = 9,
};

// RFC 4191, section 2.1: which of IPv6 routes with one prefix and metric is taken.
enum class RouterPreference : std::uint8_t { Low, Medium, High };

struct Route {
  net::Prefix to;
  RouteType type = RouteType::Unicast;
  std::string device;  // "" for those that lead nowhere
  std::optional<net::Address> gateway;
  std::uint32_t table = 254;  // RT_TABLE_MAIN; 255: local
  std::uint32_t metric = 0;
  // One of several next hops of a route: the others have the same `to`, `table` and `metric`.
  bool one_of_several = false;
  RouterPreference preference = RouterPreference::Medium;
  std::uint32_t mtu = 0;  // 0: the device's
  bool mtu_locked = false;
  bool operator==(const Route&) const = default;
};

// A rule of `ip rule`: the packets that it is for are looked up in its table, and by the next rule
// where that has no route for them.
struct RoutingRule {
  net::Prefix from;
  net::Prefix to;
  std::string in_device{};  // "": any
  std::uint32_t mark = 0;   // of the bits in `mask`
  std::uint32_t mask = 0;
  bool inverted = false;  // it is for all the others
  std::uint32_t table = 0;
  std::uint32_t at_least = 0;  // suppress_prefixlength and one: shorter prefixes do not count
  bool asks_more = false;      // or does something else: not modelled
  bool operator==(const RoutingRule&) const = default;
};

// net.netfilter.nf_conntrack_*, with the kernel's defaults. Timeouts in seconds.
struct ConntrackSettings {
  bool tcp_loose = true;
  bool tcp_be_liberal = false;
  bool tcp_ignore_invalid_rst = false;
  std::uint8_t tcp_max_retrans = 3;
  bool checksum = true;
  std::uint32_t tcp_timeout_syn_sent = 120;
  std::uint32_t tcp_timeout_syn_recv = 60;
  std::uint32_t tcp_timeout_established = 432000;
  std::uint32_t tcp_timeout_fin_wait = 120;
  std::uint32_t tcp_timeout_close_wait = 60;
  std::uint32_t tcp_timeout_last_ack = 30;
  std::uint32_t tcp_timeout_time_wait = 120;
  std::uint32_t tcp_timeout_close = 10;
  std::uint32_t tcp_timeout_max_retrans = 300;
  std::uint32_t tcp_timeout_unacknowledged = 300;
  std::uint32_t udp_timeout = 30;
  std::uint32_t udp_timeout_stream = 120;
  std::uint32_t icmp_timeout = 30;
  std::uint32_t icmpv6_timeout = 30;
  std::uint32_t generic_timeout = 600;
  std::uint32_t max = 0;  // most entries; 0: not known
  bool operator==(const ConntrackSettings&) const = default;
};

// A multicast group whose packets the host takes from a device.
struct JoinedGroup {
  std::string device;
  net::Address group;
  bool filtered = false;  // from some senders alone
  bool operator==(const JoinedGroup&) const = default;
};

// What iptables' recent or hashlimit match remembers, as the kernel shows it.
struct XtTable {
  std::string name;  // its file below /proc/net: "xt_recent/ssh", "ipt_hashlimit/web"
  std::vector<std::string> lines;
  bool operator==(const XtTable&) const = default;
};

// The kernel's own clock when the machine was read, by which those lists count.
struct Ticks {
  std::uint64_t now = 0;  // jiffies
  std::uint32_t per_second = 0;
  bool operator==(const Ticks&) const = default;
};

// By which number rules of iptables name a set of ip_set.
struct IpsetNumber {
  std::string name;
  std::uint16_t number = 0;
  bool operator==(const IpsetNumber&) const = default;
};
using IpsetNumbers = std::span<const IpsetNumber>;

struct Host {
  std::string name;
  std::vector<net::Prefix> addresses;  // its own; a prefix is a pool of like hosts
  std::vector<net::Prefix> virtual_addresses;
  std::vector<Interface> interfaces;  // without the loopback

  // Of a running machine.
  std::optional<std::vector<Route>> routes{};  // absent: not known
  // Routes that only some of the packets to `to` take, beside `routes`: by their type of service,
  // or (IPv6) their source.
  std::vector<Route> routes_for_some{};
  // Where `routes` are absent: those of the table local, if that is asked first all the same.
  std::vector<Route> local_routes{};
  // Routes are absent because rules (`ip rule`) say by which tables a packet is routed, if at all.
  bool has_routing_rules = false;
  // These, of both families in their order; and the routes of all tables, among which they choose,
  // if these are plain. Empty: not known.
  std::vector<RoutingRule> routing_rules{};
  std::vector<Route> ruled_routes{};
  // A program has added a route of type local: the kernel then looks up every IPv4 source.
  bool has_added_local_routes = false;
  bool forwards_ipv4 = false;
  bool forwards_ipv6 = false;
  // Those that the kernel joins by itself among them. Absent: not known.
  std::optional<std::vector<JoinedGroup>> joined_groups{};
  // Whether a program routes multicast (mc_forwarding): groups go to other links, too.
  bool routes_groups_ipv4 = false;
  bool routes_groups_ipv6 = false;
  ConntrackSettings conntrack{};
  std::optional<bool> has_transparent_sockets{};  // of TCP or UDP; absent: not known
  std::string kernel{};                           // uname's release; "": not known
  std::vector<XtTable> xt_tables{};
  std::optional<Ticks> ticks{};       // absent: not known
  std::vector<std::string> ipsets{};  // as `ipset save` lists them: what restores them
  std::vector<IpsetNumber> ipset_numbers{};
  bool operator==(const Host&) const = default;
};

}  // namespace rolewall::ruleset
