// Expressions that load into a register: from the packet, from what travels beside it, and from
// the host's tables.
#pragma once

#include <cstdint>
#include <optional>

#include "ruleset/value.h"

namespace rolewall::ruleset {

enum class PayloadBase : std::uint8_t { Link, Network, Transport, Inner };

// Breaks where the packet is too short, has no such header, or (net/netfilter/nft_payload.c) is a
// later fragment and the base is Transport; kernel-parity says which lengths escape that check.
struct Payload {
  PayloadBase base = PayloadBase::Network;
  std::uint32_t offset = 0;
  std::uint32_t length = 0;
  Register destination = 0;
  bool operator==(const Payload&) const = default;
};

// enum nft_meta_keys, in its order, so that the number is the kernel's.
enum class MetaKey : std::uint8_t {
  Length,
  Protocol,
  Priority,
  Mark,
  Iif,
  Oif,
  IifName,
  OifName,
  IifType,
  OifType,
  SkUid,
  SkGid,
  NfTrace,
  RtClassId,
  SecMark,
  NfProto,
  L4Proto,
  BriIifName,
  BriOifName,
  PktType,
  Cpu,
  IifGroup,
  OifGroup,
  Cgroup,
  Prandom,
  SecPath,
  IifKind,
  OifKind,
  BriIifPvid,
  BriIifVproto,
  TimeNs,
  TimeDay,
  TimeHour,
  SdIif,
  SdIfName,
  BriBroute,
};

struct Meta {
  MetaKey key = MetaKey::Length;
  Register destination = 0;
  bool operator==(const Meta&) const = default;
};

// enum nft_ct_keys, in its order.
enum class CtKey : std::uint8_t {
  State,
  Direction,
  Status,
  Mark,
  SecMark,
  Expiration,
  Helper,
  L3Protocol,
  Source,
  Destination,
  Protocol,
  ProtoSource,
  ProtoDestination,
  Labels,
  Packets,
  Bytes,
  AvgPacket,
  Zone,
  EventMask,
  SourceIp,
  DestinationIp,
  SourceIp6,
  DestinationIp6,
  Id,
};
enum class CtDirection : std::uint8_t { Original, Reply };

// Every key but State breaks where the packet has no conntrack entry (net/netfilter/nft_ct.c).
struct Ct {
  CtKey key = CtKey::State;
  std::optional<CtDirection> direction;
  Register destination = 0;
  bool operator==(const Ct&) const = default;
};

// The bits of `ct state`, host order (include/net/netfilter/nf_conntrack.h, NF_CT_STATE_BIT).
namespace ct_state {
inline constexpr std::uint32_t kInvalid = 1;
inline constexpr std::uint32_t kEstablished = 2;
inline constexpr std::uint32_t kRelated = 4;
inline constexpr std::uint32_t kNew = 8;
inline constexpr std::uint32_t kUntracked = 64;
}  // namespace ct_state

struct Immediate {
  Register destination = 0;
  Value value;
  bool operator==(const Immediate&) const = default;
};

// enum nft_exthdr_op, in its order.
enum class ExthdrKind : std::uint8_t { Ipv6, TcpOption, Ipv4Option, Sctp, Dccp };

// A field of an IPv6 extension header, a TCP or IPv4 option, an SCTP chunk or a DCCP option, found
// by its type. Breaks where it is not there, or too short; with `present`, a byte that says whether
// it is there (net/netfilter/nft_exthdr.c).
struct Exthdr {
  ExthdrKind kind = ExthdrKind::Ipv6;
  std::uint8_t type = 0;
  std::uint32_t offset = 0;
  std::uint32_t length = 0;
  bool present = false;
  Register destination = 0;
  bool operator==(const Exthdr&) const = default;
};

// enum nft_fib_result.
enum class FibResult : std::uint8_t { Oif = 1, OifName = 2, AddressType = 3 };

// NFTA_FIB_F_*: what the route is looked up for.
namespace fib_flag {
inline constexpr std::uint32_t kSource = 1;
inline constexpr std::uint32_t kDestination = 2;
inline constexpr std::uint32_t kMark = 4;
inline constexpr std::uint32_t kIif = 8;
inline constexpr std::uint32_t kOif = 16;
inline constexpr std::uint32_t kPresent = 32;  // a byte: whether there is a route
}  // namespace fib_flag

// Asks the routing table about the packet (net/ipv4/netfilter/nft_fib_ipv4.c, ipv6 likewise).
struct Fib {
  FibResult result = FibResult::AddressType;
  std::uint32_t flags = 0;
  Register destination = 0;
  bool operator==(const Fib&) const = default;
};

// enum nft_rt_keys, in its order.
enum class RtKey : std::uint8_t { ClassId, NextHop4, NextHop6, TcpMss, Xfrm };

// Of the route that the packet was given (net/netfilter/nft_rt.c). Breaks where it has none yet.
struct Rt {
  RtKey key = RtKey::ClassId;
  Register destination = 0;
  bool operator==(const Rt&) const = default;
};

// enum nft_socket_keys, in its order.
enum class SocketKey : std::uint8_t { Transparent, Mark, Wildcard, CgroupV2 };

// Of the local socket that the packet is for (net/netfilter/nft_socket.c). Breaks without one.
struct Socket {
  SocketKey key = SocketKey::Transparent;
  std::uint32_t level = 0;  // CgroupV2 alone
  Register destination = 0;
  bool operator==(const Socket&) const = default;
};

// The operating system that a SYN looks like, by nfnetlink_osf's fingerprints: a name of 16 bytes,
// "unknown" where none fits (net/netfilter/nft_osf.c). Breaks on all but SYNs.
struct Osf {
  std::uint8_t ttl = 0;     // 0 as it is, 1 at most, 2 not looked at
  std::uint32_t flags = 0;  // NFT_OSF_F_VERSION: with the version
  Register destination = 0;
  bool operator==(const Osf&) const = default;
};

enum class NumgenKind : std::uint8_t { Incremental, Random };

// A number in [offset, offset + modulus), host order (net/netfilter/nft_numgen.c).
struct Numgen {
  NumgenKind kind = NumgenKind::Incremental;
  std::uint32_t modulus = 0;
  std::uint32_t offset = 0;
  Register destination = 0;
  bool operator==(const Numgen&) const = default;
};

// offset + jhash(source, length, seed) scaled to the modulus (net/netfilter/nft_hash.c). Without a
// seed the kernel chose one that it does not show.
struct JenkinsHash {
  Register source = 0;
  std::uint32_t length = 0;
  std::uint32_t modulus = 0;
  std::optional<std::uint32_t> seed;
  std::uint32_t offset = 0;
  Register destination = 0;
  bool operator==(const JenkinsHash&) const = default;
};

// The kernel's own hash of the flow, the same for both directions, by a secret of its own.
struct SymmetricHash {
  std::uint32_t modulus = 0;
  std::uint32_t offset = 0;
  Register destination = 0;
  bool operator==(const SymmetricHash&) const = default;
};

// enum nft_tunnel_keys and nft_tunnel_mode, in their order.
enum class TunnelKey : std::uint8_t { Path, Id };
enum class TunnelMode : std::uint8_t { Any, Receive, Transmit };

// Of the metadata that a tunnel device left on the packet (net/netfilter/nft_tunnel.c).
struct Tunnel {
  TunnelKey key = TunnelKey::Path;
  TunnelMode mode = TunnelMode::Any;
  Register destination = 0;
  bool operator==(const Tunnel&) const = default;
};

// enum nft_xfrm_keys; XFRM_POLICY_IN or _OUT.
enum class XfrmKey : std::uint8_t {
  Daddr4 = 1,
  Daddr6 = 2,
  Saddr4 = 3,
  Saddr6 = 4,
  RequestId = 5,
  Spi = 6,
};
enum class XfrmDirection : std::uint8_t { In = 0, Out = 1 };

// Of the number `index` transform that the packet went through (net/netfilter/nft_xfrm.c). Breaks
// where there is none such.
struct Xfrm {
  XfrmKey key = XfrmKey::RequestId;
  XfrmDirection direction = XfrmDirection::In;
  std::uint32_t index = 0;
  Register destination = 0;
  bool operator==(const Xfrm&) const = default;
};

}  // namespace rolewall::ruleset
