#include "ruleset/tracking.h"

#include <algorithm>
#include <string_view>

#include "ruleset/expr.h"

namespace rolewall::ruleset {
namespace {

constexpr std::uint32_t kIpv4 = static_cast<std::uint32_t>(Family::Ip);

bool is_among(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::ranges::find(names, name) != names.end();
}

// By the kernel's name of the expression: the init function of each was read. What is not named
// here may be anything: a match or target of iptables that could not be read among it, an objref
// whose object is not known, a dynset whose expressions are not.
ConntrackUse conntrack_use(const Unsupported& expr) {
  if (is_among(expr.name,
               {"connlimit", "ct", "flow_offload", "masq", "nat", "redir", "synproxy"})) {
    return ConntrackUse::On;
  }
  const bool harmless = is_among(
      expr.name, {"bitwise", "byteorder", "cmp",       "counter", "dup",    "exthdr",  "fib",
                  "fwd",     "hash",      "immediate", "inner",   "last",   "limit",   "log",
                  "lookup",  "meta",      "notrack",   "numgen",  "osf",    "payload", "queue",
                  "quota",   "range",     "reject",    "rt",      "socket", "tunnel",  "xfrm"});
  return harmless ? ConntrackUse::Off : ConntrackUse::Unknown;
}

// nft_ct_helper_obj_init() and its like. A type that has no name here may do anything.
ConntrackUse conntrack_use(const Object& object) {
  switch (object.type) {
    case object_type::kCounter:
    case object_type::kQuota:
    case object_type::kLimit:
    case object_type::kSecmark:
    case kTunnelObject:
      return ConntrackUse::Off;
    case object_type::kCtHelper:
    case object_type::kConnlimit:
    case object_type::kCtTimeout:
    case object_type::kCtExpectation:
    case object_type::kSynproxy:
      return ConntrackUse::On;
    default:
      return ConntrackUse::Unknown;
  }
}

ConntrackUse conntrack_use(const std::vector<StatefulExpr>& exprs) {
  const bool counts = std::ranges::any_of(
      exprs, [](const StatefulExpr& expr) { return memory_of(expr) == Memory::Connections; });
  return counts ? ConntrackUse::On : ConntrackUse::Off;
}

}  // namespace

TrackingUse& TrackingUse::operator|=(const TrackingUse& other) {
  ipv4 = std::max(ipv4, other.ipv4);
  ipv6 = std::max(ipv6, other.ipv6);
  reassembly_ipv4 = std::max(reassembly_ipv4, other.reassembly_ipv4);
  reassembly_ipv6 = std::max(reassembly_ipv6, other.reassembly_ipv6);
  return *this;
}

// nf_ct_netns_get() has no hooks for families arp and netdev.
TrackingUse tracking_in(Family family, ConntrackUse use) {
  const TrackingUse ipv4{.ipv4 = use, .reassembly_ipv4 = use};
  const TrackingUse ipv6{.ipv6 = use, .reassembly_ipv6 = use};
  switch (family) {
    case Family::Ip:
      return ipv4;
    case Family::Ip6:
      return ipv6;
    case Family::Inet:
    case Family::Bridge:
      return TrackingUse(ipv4) |= ipv6;
    case Family::Arp:
    case Family::Netdev:
      break;
  }
  return {};
}

TrackingUse tracking_by(const Unsupported& expr, Family table) {
  return tracking_in(table, conntrack_use(expr));
}

TrackingUse tracking_by(const std::vector<StatefulExpr>& exprs, Family table) {
  return tracking_in(table, conntrack_use(exprs));
}

// nft_nat_init(): a translation to IPv4 alone has nothing track IPv6, and the other way about.
TrackingUse tracking_by(const Nat& nat, Family table) {
  Family family = table;
  for (const Family one : {Family::Ip, Family::Ip6}) {
    if (nat.family == static_cast<std::uint8_t>(one)) family = one;
  }
  return tracking_in(family, ConntrackUse::On);
}

// nft_tproxy_init(): reassembly alone, of its own family; of both where it names none.
TrackingUse tracking_by(const Tproxy& tproxy) {
  TrackingUse use;
  if (tproxy.family != static_cast<std::uint32_t>(Family::Ip6))
    use.reassembly_ipv4 = ConntrackUse::On;
  if (tproxy.family != kIpv4) use.reassembly_ipv6 = ConntrackUse::On;
  return use;
}

TrackingUse tracking_of(const TableIndex& table) {
  const Table& whole = table.table();
  ConntrackUse use = ConntrackUse::Off;
  for (const Object& object : whole.objects) use = std::max(use, conntrack_use(object));
  for (const Set& set : whole.sets) {
    // What could not be read of a set may count connections.
    if (!set.unsupported.empty()) use = std::max(use, ConntrackUse::Unknown);
    use = std::max(use, conntrack_use(set.exprs));
    for (const auto& exprs : set.elements.exprs) use = std::max(use, conntrack_use(exprs));
  }
  TrackingUse tracking = tracking_in(whole.family, use);
  for (const Chain& chain : whole.chains) {
    for (const Rule& rule : chain.rules) {
      for (const Expr& expr : rule.exprs) tracking |= effects_of(expr, table).tracking;
    }
  }
  return tracking;
}

}  // namespace rolewall::ruleset
