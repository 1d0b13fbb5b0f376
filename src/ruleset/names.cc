#include "ruleset/names.h"

#include <array>

namespace rolewall::ruleset {
namespace {

// One row for each enumerator, in the enum's order: a forgotten one is found at compile time where
// `Last` is kept to the enum's last.
template <class Enum, Enum Last, std::size_t Size>
constexpr bool complete(const std::array<NameRow<Enum>, Size>& rows) {
  if (Size != static_cast<std::size_t>(Last) + 1) return false;
  for (std::size_t i = 0; i < Size; ++i) {
    if (static_cast<std::size_t>(rows[i].value) != i || rows[i].name.empty()) return false;
  }
  return true;
}

constexpr auto kFamilies = std::to_array<NameRow<Family>>({
    {Family::Inet, "inet"},
    {Family::Ip, "ip"},
    {Family::Arp, "arp"},
    {Family::Netdev, "netdev"},
    {Family::Bridge, "bridge"},
    {Family::Ip6, "ip6"},
});

constexpr auto kHooks = std::to_array<NameRow<Hook>>({
    {Hook::Ingress, "ingress"},
    {Hook::Prerouting, "prerouting"},
    {Hook::Input, "input"},
    {Hook::Forward, "forward"},
    {Hook::Output, "output"},
    {Hook::Postrouting, "postrouting"},
    {Hook::Egress, "egress"},
});
static_assert(complete<Hook, Hook::Egress>(kHooks));

constexpr auto kChainTypes = std::to_array<NameRow<ChainType>>({
    {ChainType::Filter, "filter"},
    {ChainType::Nat, "nat"},
    {ChainType::Route, "route"},
});
static_assert(complete<ChainType, ChainType::Route>(kChainTypes));

// nft calls TimeDate "time" too, but no set can be declared with it by that name.
constexpr auto kDataTypes = std::to_array<NameRow<DataType>>({
    {DataType::Invalid, "invalid"},
    {DataType::Verdict, "verdict"},
    {DataType::NfProto, "nf_proto"},
    {DataType::Bitmask, "bitmask"},
    {DataType::Integer, "integer"},
    {DataType::String, "string"},
    {DataType::LinkAddress, "ll_addr"},
    {DataType::Ipv4Address, "ipv4_addr"},
    {DataType::Ipv6Address, "ipv6_addr"},
    {DataType::EtherAddress, "ether_addr"},
    {DataType::EtherType, "ether_type"},
    {DataType::ArpOp, "arp_op"},
    {DataType::InetProtocol, "inet_proto"},
    {DataType::InetService, "inet_service"},
    {DataType::IcmpType, "icmp_type"},
    {DataType::TcpFlag, "tcp_flag"},
    {DataType::DccpPacketType, "dccp_pkttype"},
    {DataType::MhType, "mh_type"},
    {DataType::Time, "time"},
    {DataType::Mark, "mark"},
    {DataType::IfIndex, "iface_index"},
    {DataType::ArpHrd, "iface_type"},
    {DataType::Realm, "realm"},
    {DataType::ClassId, "classid"},
    {DataType::Uid, "uid"},
    {DataType::Gid, "gid"},
    {DataType::CtState, "ct_state"},
    {DataType::CtDirection, "ct_dir"},
    {DataType::CtStatus, "ct_status"},
    {DataType::Icmp6Type, "icmpv6_type"},
    {DataType::CtLabel, "ct_label"},
    {DataType::PktType, "pkt_type"},
    {DataType::IcmpCode, "icmp_code"},
    {DataType::Icmpv6Code, "icmpv6_code"},
    {DataType::IcmpxCode, "icmpx_code"},
    {DataType::DevGroup, "devgroup"},
    {DataType::Dscp, "dscp"},
    {DataType::Ecn, "ecn"},
    {DataType::FibAddress, "fib_addrtype"},
    {DataType::Boolean, "boolean"},
    {DataType::CtEventBit, "ct_event"},
    {DataType::IfName, "ifname"},
    {DataType::IgmpType, "igmp_type"},
    {DataType::TimeDate, "date"},
    {DataType::TimeHour, "hour"},
    {DataType::TimeDay, "day"},
    {DataType::CgroupV2, "cgroupsv2"},
});
static_assert(complete<DataType, DataType::CgroupV2>(kDataTypes));

constexpr auto kSetKinds = std::to_array<NameRow<SetKind>>({
    {SetKind::Set, "set"},
    {SetKind::Map, "map"},
    {SetKind::VerdictMap, "verdict-map"},
    {SetKind::ObjectMap, "object-map"},
});
static_assert(complete<SetKind, SetKind::ObjectMap>(kSetKinds));

constexpr auto kVerdictCodes = std::to_array<NameRow<VerdictCode>>({
    {VerdictCode::Accept, "accept"},
    {VerdictCode::Drop, "drop"},
    {VerdictCode::Queue, "queue"},
    {VerdictCode::Continue, "continue"},
    {VerdictCode::Break, "break"},
    {VerdictCode::Jump, "jump"},
    {VerdictCode::Goto, "goto"},
    {VerdictCode::Return, "return"},
});
static_assert(complete<VerdictCode, VerdictCode::Return>(kVerdictCodes));

constexpr auto kPayloadBases = std::to_array<NameRow<PayloadBase>>({
    {PayloadBase::Link, "link"},
    {PayloadBase::Network, "network"},
    {PayloadBase::Transport, "transport"},
    {PayloadBase::Inner, "inner"},
});
static_assert(complete<PayloadBase, PayloadBase::Inner>(kPayloadBases));

constexpr auto kMetaKeys = std::to_array<NameRow<MetaKey>>({
    {MetaKey::Length, "length"},
    {MetaKey::Protocol, "protocol"},
    {MetaKey::Priority, "priority"},
    {MetaKey::Mark, "mark"},
    {MetaKey::Iif, "iif"},
    {MetaKey::Oif, "oif"},
    {MetaKey::IifName, "iifname"},
    {MetaKey::OifName, "oifname"},
    {MetaKey::IifType, "iiftype"},
    {MetaKey::OifType, "oiftype"},
    {MetaKey::SkUid, "skuid"},
    {MetaKey::SkGid, "skgid"},
    {MetaKey::NfTrace, "nftrace"},
    {MetaKey::RtClassId, "rtclassid"},
    {MetaKey::SecMark, "secmark"},
    {MetaKey::NfProto, "nfproto"},
    {MetaKey::L4Proto, "l4proto"},
    {MetaKey::BriIifName, "ibrname"},
    {MetaKey::BriOifName, "obrname"},
    {MetaKey::PktType, "pkttype"},
    {MetaKey::Cpu, "cpu"},
    {MetaKey::IifGroup, "iifgroup"},
    {MetaKey::OifGroup, "oifgroup"},
    {MetaKey::Cgroup, "cgroup"},
    {MetaKey::Prandom, "random"},
    {MetaKey::SecPath, "ipsec"},
    {MetaKey::IifKind, "iifkind"},
    {MetaKey::OifKind, "oifkind"},
    {MetaKey::BriIifPvid, "ibrpvid"},
    {MetaKey::BriIifVproto, "ibrvproto"},
    {MetaKey::TimeNs, "time"},
    {MetaKey::TimeDay, "day"},
    {MetaKey::TimeHour, "hour"},
    {MetaKey::SdIif, "sdif"},
    {MetaKey::SdIfName, "sdifname"},
    {MetaKey::BriBroute, "broute"},
});
static_assert(complete<MetaKey, MetaKey::BriBroute>(kMetaKeys));

constexpr auto kCtKeys = std::to_array<NameRow<CtKey>>({
    {CtKey::State, "state"},
    {CtKey::Direction, "direction"},
    {CtKey::Status, "status"},
    {CtKey::Mark, "mark"},
    {CtKey::SecMark, "secmark"},
    {CtKey::Expiration, "expiration"},
    {CtKey::Helper, "helper"},
    {CtKey::L3Protocol, "l3proto"},
    {CtKey::Source, "saddr"},
    {CtKey::Destination, "daddr"},
    {CtKey::Protocol, "protocol"},
    {CtKey::ProtoSource, "proto-src"},
    {CtKey::ProtoDestination, "proto-dst"},
    {CtKey::Labels, "label"},
    {CtKey::Packets, "packets"},
    {CtKey::Bytes, "bytes"},
    {CtKey::AvgPacket, "avgpkt"},
    {CtKey::Zone, "zone"},
    {CtKey::EventMask, "event"},
    {CtKey::SourceIp, "ip saddr"},
    {CtKey::DestinationIp, "ip daddr"},
    {CtKey::SourceIp6, "ip6 saddr"},
    {CtKey::DestinationIp6, "ip6 daddr"},
    {CtKey::Id, "id"},
});
static_assert(complete<CtKey, CtKey::Id>(kCtKeys));

constexpr auto kCtDirections = std::to_array<NameRow<CtDirection>>({
    {CtDirection::Original, "original"},
    {CtDirection::Reply, "reply"},
});
static_assert(complete<CtDirection, CtDirection::Reply>(kCtDirections));

constexpr auto kShiftDirections = std::to_array<NameRow<ShiftDirection>>({
    {ShiftDirection::Left, "left"},
    {ShiftDirection::Right, "right"},
});
static_assert(complete<ShiftDirection, ShiftDirection::Right>(kShiftDirections));

constexpr auto kByteorderOps = std::to_array<NameRow<ByteorderOp>>({
    {ByteorderOp::NetworkToHost, "ntoh"},
    {ByteorderOp::HostToNetwork, "hton"},
});
static_assert(complete<ByteorderOp, ByteorderOp::HostToNetwork>(kByteorderOps));

constexpr auto kCmpOps = std::to_array<NameRow<CmpOp>>({
    {CmpOp::Eq, "eq"},
    {CmpOp::Neq, "neq"},
    {CmpOp::Lt, "lt"},
    {CmpOp::Lte, "lte"},
    {CmpOp::Gt, "gt"},
    {CmpOp::Gte, "gte"},
});
static_assert(complete<CmpOp, CmpOp::Gte>(kCmpOps));

constexpr auto kLookupResults = std::to_array<NameRow<LookupResult>>({
    {LookupResult::Membership, "membership"},
    {LookupResult::Data, "data"},
    {LookupResult::Verdict, "verdict"},
});
static_assert(complete<LookupResult, LookupResult::Verdict>(kLookupResults));

constexpr auto kLimitUnits = std::to_array<NameRow<LimitUnit>>({
    {LimitUnit::Packets, "packets"},
    {LimitUnit::Bytes, "bytes"},
});
static_assert(complete<LimitUnit, LimitUnit::Bytes>(kLimitUnits));

constexpr auto kDynsetOps = std::to_array<NameRow<DynsetOp>>({
    {DynsetOp::Add, "add"},
    {DynsetOp::Update, "update"},
    {DynsetOp::Delete, "delete"},
});
static_assert(complete<DynsetOp, DynsetOp::Delete>(kDynsetOps));

constexpr auto kRejectTypes = std::to_array<NameRow<RejectType>>({
    {RejectType::IcmpUnreachable, "icmp"},
    {RejectType::TcpReset, "tcp-reset"},
    {RejectType::IcmpxUnreachable, "icmpx"},
});
static_assert(complete<RejectType, RejectType::IcmpxUnreachable>(kRejectTypes));

constexpr auto kExthdrKinds = std::to_array<NameRow<ExthdrKind>>({
    {ExthdrKind::Ipv6, "ipv6"},
    {ExthdrKind::TcpOption, "tcp-option"},
    {ExthdrKind::Ipv4Option, "ipv4-option"},
    {ExthdrKind::Sctp, "sctp"},
    {ExthdrKind::Dccp, "dccp"},
});
static_assert(complete<ExthdrKind, ExthdrKind::Dccp>(kExthdrKinds));

constexpr auto kFibResults = std::to_array<NameRow<FibResult>>({
    {FibResult::Oif, "oif"},
    {FibResult::OifName, "oifname"},
    {FibResult::AddressType, "type"},
});

constexpr auto kRtKeys = std::to_array<NameRow<RtKey>>({
    {RtKey::ClassId, "classid"},
    {RtKey::NextHop4, "nexthop4"},
    {RtKey::NextHop6, "nexthop6"},
    {RtKey::TcpMss, "tcpmss"},
    {RtKey::Xfrm, "ipsec"},
});
static_assert(complete<RtKey, RtKey::Xfrm>(kRtKeys));

constexpr auto kSocketKeys = std::to_array<NameRow<SocketKey>>({
    {SocketKey::Transparent, "transparent"},
    {SocketKey::Mark, "mark"},
    {SocketKey::Wildcard, "wildcard"},
    {SocketKey::CgroupV2, "cgroupv2"},
});
static_assert(complete<SocketKey, SocketKey::CgroupV2>(kSocketKeys));

constexpr auto kNumgenKinds = std::to_array<NameRow<NumgenKind>>({
    {NumgenKind::Incremental, "inc"},
    {NumgenKind::Random, "random"},
});
static_assert(complete<NumgenKind, NumgenKind::Random>(kNumgenKinds));

constexpr auto kTunnelKeys = std::to_array<NameRow<TunnelKey>>({
    {TunnelKey::Path, "path"},
    {TunnelKey::Id, "id"},
});
static_assert(complete<TunnelKey, TunnelKey::Id>(kTunnelKeys));

constexpr auto kTunnelModes = std::to_array<NameRow<TunnelMode>>({
    {TunnelMode::Any, "any"},
    {TunnelMode::Receive, "rx"},
    {TunnelMode::Transmit, "tx"},
});
static_assert(complete<TunnelMode, TunnelMode::Transmit>(kTunnelModes));

constexpr auto kXfrmKeys = std::to_array<NameRow<XfrmKey>>({
    {XfrmKey::Daddr4, "daddr4"},
    {XfrmKey::Daddr6, "daddr6"},
    {XfrmKey::Saddr4, "saddr4"},
    {XfrmKey::Saddr6, "saddr6"},
    {XfrmKey::RequestId, "reqid"},
    {XfrmKey::Spi, "spi"},
});

constexpr auto kXfrmDirections = std::to_array<NameRow<XfrmDirection>>({
    {XfrmDirection::In, "in"},
    {XfrmDirection::Out, "out"},
});
static_assert(complete<XfrmDirection, XfrmDirection::Out>(kXfrmDirections));

constexpr auto kBitwiseOps = std::to_array<NameRow<BitwiseOp>>({
    {BitwiseOp::And, "and"},
    {BitwiseOp::Or, "or"},
    {BitwiseOp::Xor, "xor"},
});
static_assert(complete<BitwiseOp, BitwiseOp::Xor>(kBitwiseOps));

constexpr auto kChecksumKinds = std::to_array<NameRow<ChecksumKind>>({
    {ChecksumKind::None, "none"},
    {ChecksumKind::Inet, "inet"},
    {ChecksumKind::Sctp, "sctp"},
});
static_assert(complete<ChecksumKind, ChecksumKind::Sctp>(kChecksumKinds));

constexpr auto kNatKinds = std::to_array<NameRow<NatKind>>({
    {NatKind::Source, "snat"},
    {NatKind::Destination, "dnat"},
});
static_assert(complete<NatKind, NatKind::Destination>(kNatKinds));

constexpr auto kRouteTypes = std::to_array<NameRow<RouteType>>({
    {RouteType::Unicast, "unicast"},
    {RouteType::Local, "local"},
    {RouteType::Broadcast, "broadcast"},
    {RouteType::Anycast, "anycast"},
    {RouteType::Multicast, "multicast"},
    {RouteType::Blackhole, "blackhole"},
    {RouteType::Unreachable, "unreachable"},
    {RouteType::Prohibit, "prohibit"},
    {RouteType::Throw, "throw"},
});

constexpr auto kRouterPreferences = std::to_array<NameRow<RouterPreference>>({
    {RouterPreference::Low, "low"},
    {RouterPreference::Medium, "medium"},
    {RouterPreference::High, "high"},
});
static_assert(complete<RouterPreference, RouterPreference::High>(kRouterPreferences));

}  // namespace

std::span<const NameRow<Family>> name_rows(Family) {
  return kFamilies;
}
std::span<const NameRow<Hook>> name_rows(Hook) {
  return kHooks;
}
std::span<const NameRow<ChainType>> name_rows(ChainType) {
  return kChainTypes;
}
std::span<const NameRow<DataType>> name_rows(DataType) {
  return kDataTypes;
}
std::span<const NameRow<SetKind>> name_rows(SetKind) {
  return kSetKinds;
}
std::span<const NameRow<VerdictCode>> name_rows(VerdictCode) {
  return kVerdictCodes;
}
std::span<const NameRow<PayloadBase>> name_rows(PayloadBase) {
  return kPayloadBases;
}
std::span<const NameRow<MetaKey>> name_rows(MetaKey) {
  return kMetaKeys;
}
std::span<const NameRow<CtKey>> name_rows(CtKey) {
  return kCtKeys;
}
std::span<const NameRow<CtDirection>> name_rows(CtDirection) {
  return kCtDirections;
}
std::span<const NameRow<ShiftDirection>> name_rows(ShiftDirection) {
  return kShiftDirections;
}
std::span<const NameRow<ByteorderOp>> name_rows(ByteorderOp) {
  return kByteorderOps;
}
std::span<const NameRow<CmpOp>> name_rows(CmpOp) {
  return kCmpOps;
}
std::span<const NameRow<LookupResult>> name_rows(LookupResult) {
  return kLookupResults;
}
std::span<const NameRow<LimitUnit>> name_rows(LimitUnit) {
  return kLimitUnits;
}
std::span<const NameRow<DynsetOp>> name_rows(DynsetOp) {
  return kDynsetOps;
}
std::span<const NameRow<RejectType>> name_rows(RejectType) {
  return kRejectTypes;
}
std::span<const NameRow<ExthdrKind>> name_rows(ExthdrKind) {
  return kExthdrKinds;
}
std::span<const NameRow<FibResult>> name_rows(FibResult) {
  return kFibResults;
}
std::span<const NameRow<RtKey>> name_rows(RtKey) {
  return kRtKeys;
}
std::span<const NameRow<SocketKey>> name_rows(SocketKey) {
  return kSocketKeys;
}
std::span<const NameRow<NumgenKind>> name_rows(NumgenKind) {
  return kNumgenKinds;
}
std::span<const NameRow<TunnelKey>> name_rows(TunnelKey) {
  return kTunnelKeys;
}
std::span<const NameRow<TunnelMode>> name_rows(TunnelMode) {
  return kTunnelModes;
}
std::span<const NameRow<XfrmKey>> name_rows(XfrmKey) {
  return kXfrmKeys;
}
std::span<const NameRow<XfrmDirection>> name_rows(XfrmDirection) {
  return kXfrmDirections;
}
std::span<const NameRow<BitwiseOp>> name_rows(BitwiseOp) {
  return kBitwiseOps;
}
std::span<const NameRow<ChecksumKind>> name_rows(ChecksumKind) {
  return kChecksumKinds;
}
std::span<const NameRow<NatKind>> name_rows(NatKind) {
  return kNatKinds;
}
std::span<const NameRow<RouteType>> name_rows(RouteType) {
  return kRouteTypes;
}
std::span<const NameRow<RouterPreference>> name_rows(RouterPreference) {
  return kRouterPreferences;
}

std::string_view name_of_period(std::uint64_t seconds) {
  switch (seconds) {
    case 1:
      return "second";
    case 60:
      return "minute";
    case 3600:
      return "hour";
    case 86400:
      return "day";
    case 604800:
      return "week";
    default:
      return "";
  }
}

}  // namespace rolewall::ruleset
