// iptables' matches that ask what travels beside the packet, or the host: mac, pkttype, owner,
// cgroup, devgroup, physdev, realm, cpu, time, policy, rpfilter, socket, set, comment
// (net/netfilter/xt_*.c, net/ipv4/netfilter/ipt_rpfilter.c, net/ipv6/netfilter/ip6t_rpfilter.c).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ruleset/host.h"
#include "ruleset/xt_bytes.h"

namespace rolewall::ruleset {

struct XtComment {
  std::string text;
};

struct XtMac {
  std::array<std::uint8_t, 6> source{};
  bool inverted = false;
};

struct XtPkttype {
  std::uint32_t type = 0;  // PACKET_* of linux/if_packet.h
  bool inverted = false;
};

struct XtOwner {
  std::optional<XtRange<std::uint32_t>> user;
  std::optional<XtRange<std::uint32_t>> group;
  std::optional<bool> has_socket;
  bool supplementary = false;  // the other groups count, too
};

struct XtCgroup {
  std::string path;      // "": the class is asked
  std::uint32_t id = 0;  // of the class
  bool inverted = false;
};

struct XtDevgroup {
  struct Group {
    std::uint32_t value = 0;
    std::uint32_t mask = 0;
    bool inverted = false;
  };
  std::optional<Group> in;
  std::optional<Group> out;
};

// Which port of a bridge.
struct XtPhysdev {
  std::string in;
  std::string out;
  std::uint8_t asked = 0;  // XT_PHYSDEV_OP_*
  std::uint8_t inverted = 0;
};

struct XtRealm {
  std::uint32_t id = 0;
  std::uint32_t mask = 0;
  bool inverted = false;
};

struct XtCpu {
  std::uint32_t cpu = 0;
  bool inverted = false;
};

// In seconds; days are bits, the first of the month and Monday bit 1.
struct XtTime {
  std::uint32_t date_start = 0;
  std::uint32_t date_stop = 0;
  std::uint32_t day_start = 0;
  std::uint32_t day_stop = 0;
  std::uint32_t month_days = 0;
  std::uint8_t week_days = 0;
  bool local_zone = false;
  bool contiguous = false;
};

struct XtPolicy {
  bool in = false;
  bool none = false;  // no policy is to apply
  bool strict = false;
  // What the transforms are to be, in iptables' words.
  std::string transforms_ipv4;
  std::string transforms_ipv6;
};

struct XtRpfilter {
  bool loose = false;
  bool valid_mark = false;
  bool accepts_local = false;
  bool inverted = false;
};

struct XtSocket {
  bool transparent = false;
  bool any_address = false;  // also those that are bound to no address
  bool restores_mark = false;
};

struct XtSet {
  std::uint16_t index = 0;  // of this host's, at the time it was loaded
  std::uint8_t dimensions = 0;
  std::uint8_t sources = 0;  // a bit for each dimension, from bit 1
  bool inverted = false;
  bool takes_excluded = false;  // `--return-nomatch`: what the set excludes, and nothing else
  // Of the element, after this packet is counted.
  struct Counter {
    enum class Is : std::uint8_t { NotAsked, Equal, NotEqual, Less, Greater } is = Is::NotAsked;
    std::uint64_t value = 0;
    bool is_asked() const { return is != Is::NotAsked; }
    bool holds(std::uint64_t counted) const;
  };
  Counter packets{};
  Counter bytes{};
  bool skips_counters = false;  // the element does not count this packet
  bool skips_counters_in_lists = false;
  bool looks_at_counters() const { return packets.is_asked() || bytes.is_asked(); }
};

// How revision 0 of the match and the target names the packet's sides.
struct XtSetSides {
  std::uint8_t dimensions = 0;
  std::uint8_t sources = 0;
  bool inverted = false;
};
XtSetSides xt_set_sides_0(const XtBytes& bytes, std::size_t at);

std::optional<XtComment> read_xt_comment(const XtBytes& bytes);
std::optional<XtMac> read_xt_mac(const XtBytes& bytes);
std::optional<XtPkttype> read_xt_pkttype(const XtBytes& bytes);
std::optional<XtOwner> read_xt_owner(const XtBytes& bytes);
std::optional<XtCgroup> read_xt_cgroup_0(const XtBytes& bytes);
std::optional<XtCgroup> read_xt_cgroup_1(const XtBytes& bytes);
std::optional<XtCgroup> read_xt_cgroup_2(const XtBytes& bytes);
std::optional<XtDevgroup> read_xt_devgroup(const XtBytes& bytes);
std::optional<XtPhysdev> read_xt_physdev(const XtBytes& bytes);
std::optional<XtRealm> read_xt_realm(const XtBytes& bytes);
std::optional<XtCpu> read_xt_cpu(const XtBytes& bytes);
std::optional<XtTime> read_xt_time(const XtBytes& bytes);
std::optional<XtPolicy> read_xt_policy(const XtBytes& bytes);
std::optional<XtRpfilter> read_xt_rpfilter(const XtBytes& bytes);
std::optional<XtSocket> read_xt_socket(const XtBytes& bytes);
std::optional<XtSet> read_xt_set_0(const XtBytes& bytes);
std::optional<XtSet> read_xt_set_1(const XtBytes& bytes);
std::optional<XtSet> read_xt_set_3(const XtBytes& bytes);
std::optional<XtSet> read_xt_set_4(const XtBytes& bytes);

std::string xt_words(const XtComment& match, XtFamily family);
std::string xt_words(const XtMac& match, XtFamily family);
std::string xt_words(const XtPkttype& match, XtFamily family);
std::string xt_words(const XtOwner& match, XtFamily family);
std::string xt_words(const XtCgroup& match, XtFamily family);
std::string xt_words(const XtDevgroup& match, XtFamily family);
std::string xt_words(const XtPhysdev& match, XtFamily family);
std::string xt_words(const XtRealm& match, XtFamily family);
std::string xt_words(const XtCpu& match, XtFamily family);
std::string xt_words(const XtTime& match, XtFamily family);
std::string xt_words(const XtPolicy& match, XtFamily family);
std::string xt_words(const XtRpfilter& match, XtFamily family);
std::string xt_words(const XtSocket& match, XtFamily family);
std::string xt_words(const XtSet& match, XtFamily family);
std::string xt_words(const XtSet& match, IpsetNumbers sets);
// "(number 3)" where its name is not known.
std::string xt_set_name(std::uint16_t number, IpsetNumbers sets);
// "src,dst", of each dimension.
std::string xt_sides(std::uint8_t dimensions, std::uint8_t sources);

}  // namespace rolewall::ruleset
