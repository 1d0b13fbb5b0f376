// The machine that a ruleset runs on, as far as a dry run must know it: its addresses, interfaces
// and routes, and the kernel's settings. It is kept with a ruleset in a file (Snapshot). A policy's
// host says addresses and interfaces alone; `dump` fills in what the running machine knows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/address.h"
#include "net/address_set.h"

namespace rolewall::ruleset {

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

struct Route {
  net::Prefix to;
  RouteType type = RouteType::Unicast;
  std::string device;  // "" for those that lead nowhere
  std::optional<net::Address> gateway;
  std::uint32_t table = 254;  // RT_TABLE_MAIN; 255: local
  std::uint32_t metric = 0;
  bool operator==(const Route&) const = default;
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

// What iptables' recent or hashlimit match remembers, as the kernel shows it. Kept to be looked at:
// rules of iptables' own matches are undecided.
struct XtTable {
  std::string name;  // its file below /proc/net: "xt_recent/ssh", "ipt_hashlimit/web"
  std::vector<std::string> lines;
  bool operator==(const XtTable&) const = default;
};

struct Host {
  std::string name;
  std::vector<net::Prefix> addresses;  // its own; a prefix is a pool of like hosts
  std::vector<net::Prefix> virtual_addresses;
  std::vector<Interface> interfaces;  // without the loopback

  // Of a running machine.
  std::optional<std::vector<Route>> routes{};  // absent: not known
  bool forwards_ipv4 = false;
  bool forwards_ipv6 = false;
  // Those that the kernel joins by itself among them. Absent: not known.
  std::optional<std::vector<JoinedGroup>> joined_groups{};
  // Whether a program routes multicast (mc_forwarding): groups go to other links, too.
  bool routes_groups_ipv4 = false;
  bool routes_groups_ipv6 = false;
  ConntrackSettings conntrack{};
  std::string kernel{};  // uname's release; "": not known
  std::vector<XtTable> xt_tables{};
  std::vector<std::string> ipsets{};  // as `ipset save` lists them: what restores them
  bool operator==(const Host&) const = default;
};

}  // namespace rolewall::ruleset
