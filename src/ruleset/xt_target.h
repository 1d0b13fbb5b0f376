// What a target of iptables means: one plain struct each, in one closed variant (net/netfilter/
// xt_*.c, net/ipv4/netfilter/ipt_*.c, net/ipv6/netfilter/ip6t_*.c). As with matches (xt_match.h),
// a payload that is not known has no meaning, and its rule is undecided by the target's name.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "base/error.h"
#include "ruleset/actions.h"
#include "ruleset/host.h"
#include "ruleset/xt.h"
#include "ruleset/xt_bytes.h"

namespace rolewall::ruleset {

// What only notes something, to the log, to a program or for the kernel itself: LOG, NFLOG, TRACE,
// AUDIT, IDLETIMER, LED, RATEEST; and what changes nothing that is modelled: CHECKSUM, SECMARK,
// CONNSECMARK. The packet goes on.
struct XtNotes {
  std::string words;
};

// TEE: the copy is not followed.
struct XtTee {
  XtAddress gateway{};
  std::string device;
};

struct XtReject {
  std::uint32_t with = 0;  // IPT_* or IP6T_* of the family's reject header
};

// IPT_TCP_RESET, IP6T_TCP_RESET
constexpr std::uint32_t xt_tcp_reset(bool ipv6) {
  return ipv6 ? 6 : 7;
}

// new = (old & ~mask) ^ value
struct XtSetMark {
  std::uint32_t value = 0;
  std::uint32_t mask = 0;
};

struct XtConnmarkTarget {
  enum class Does : std::uint8_t { Sets, Saves, Restores } does = Does::Sets;
  std::uint32_t value = 0;
  std::uint32_t connection_mask = 0;
  std::uint32_t packet_mask = 0;
  bool shifts_right = false;
  std::uint8_t shift = 0;
};

// SNAT, DNAT, MASQUERADE, REDIRECT, NETMAP: struct nf_nat_range2.
struct XtNat {
  enum class Kind : std::uint8_t {
    Source,
    Destination,
    Masquerade,
    Redirect,
    Netmap
  } kind = Kind::Source;
  std::uint32_t flags = 0;  // NF_NAT_RANGE_*
  XtAddress first{};
  XtAddress last{};
  std::uint16_t first_port = 0;
  std::uint16_t last_port = 0;
  std::uint16_t base_port = 0;  // "1000-2000/1000": the distance from it is kept
};

// CT, and NOTRACK.
struct XtCt {
  bool untracks = false;
  bool is_alias = false;  // it was written as NOTRACK
  std::uint16_t zone = 0;
  bool zone_of_mark = false;
  bool zone_of_direction = false;
  bool zone_of_reply = false;  // of the directions
  std::string helper;
  std::string timeout;
  std::uint32_t events = 0;  // IPCT_*: what is told of the connection
  std::uint32_t expectation_events = 0;
};

struct XtSetMss {
  std::optional<std::uint16_t> size;  // absent: what the path takes
};

struct XtStripOptions {
  std::array<std::uint32_t, 8> options{};  // a bit for each
};

// The byte of differentiated services: new = (old & ~mask) ^ value.
struct XtSetTos {
  std::uint8_t value = 0;
  std::uint8_t mask = 0;
  bool is_dscp = false;
};

struct XtSetTtl {
  enum class Does : std::uint8_t { Sets, Adds, Subtracts } does = Does::Sets;
  std::uint8_t value = 0;
  bool hop_limit = false;
};

// ECN: takes bits away.
struct XtSetEcn {
  bool ip = false;
  std::uint8_t ip_value = 0;
  bool echo = false;
  bool reduced = false;
  bool echo_value = false;
  bool reduced_value = false;
};

struct XtClassify {
  std::uint32_t priority = 0;
};

struct XtTproxyTarget {
  XtAddress address{};
  std::uint16_t port = 0;
  std::uint32_t mark_value = 0;
  std::uint32_t mark_mask = 0;
};

// Into, or out of, a set of ip_set.
struct XtSetTarget {
  struct Use {
    std::uint16_t number = 0xffff;  // 0xffff: none
    std::uint8_t dimensions = 0;
    std::uint8_t sources = 0;  // a bit for each dimension, from bit 1
    bool inverted = false;
    bool is_there() const { return number != 0xffff; }
  };
  Use add;
  Use remove;
  Use map;                               // gives the packet a mark, priority or queue
  bool renews = false;                   // `--exist`
  std::optional<std::uint32_t> timeout;  // in seconds; absent: the set's
  bool maps_mark = false;
  bool maps_priority = false;
  bool maps_queue = false;
};

struct XtSynproxyTarget {
  std::uint8_t options = 0;
  std::uint8_t window_scale = 0;
  std::uint16_t mss = 0;
};

struct XtQueue {
  std::uint16_t first = 0;
  std::uint16_t count = 1;
  bool by_cpu = false;  // `--queue-cpu-fanout`
  bool bypass = false;  // without a program that listens, the packet is accepted
};

using XtTargetMeaning =
    std::variant<XtNotes, XtTee, XtReject, XtSetMark, XtConnmarkTarget, XtNat, XtCt, XtSetMss,
                 XtStripOptions, XtSetTos, XtSetTtl, XtSetEcn, XtClassify, XtTproxyTarget,
                 XtSetTarget, XtSynproxyTarget, XtQueue>;

Result<XtTargetMeaning> meaning_of(const XtTarget& target);

// "-j DNAT --to-destination 10.0.0.7:80"; of one that is not known, its name.
std::string in_words(const XtTarget& target, XtFamily family, IpsetNumbers sets = {});

}  // namespace rolewall::ruleset
