// Expressions that do something: give a verdict, write, log, answer, translate.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ruleset/loads.h"
#include "ruleset/value.h"

namespace rolewall::ruleset {

struct ImmediateVerdict {
  Verdict verdict;
  bool operator==(const ImmediateVerdict&) const = default;
};

struct MetaSet {
  MetaKey key = MetaKey::Mark;
  Register source = 0;
  bool operator==(const MetaSet&) const = default;
};

struct CtSet {
  CtKey key = CtKey::Mark;
  std::optional<CtDirection> direction;
  Register source = 0;
  bool operator==(const CtSet&) const = default;
};

// To the kernel's log (`level`, syslog's numbers) or to an NFLOG group.
struct Log {
  std::string prefix;  // at most 127 bytes
  std::optional<std::uint16_t> group;
  std::uint32_t level = 4;
  std::uint32_t flags = 0;
  std::uint32_t snaplen = 0;
  std::uint16_t queue_threshold = 0;
  bool operator==(const Log&) const = default;
};

enum class RejectType : std::uint8_t { IcmpUnreachable, TcpReset, IcmpxUnreachable };

// Ends the hook with a drop after sending the answer. For IcmpxUnreachable `code` is
// NFT_REJECT_ICMPX_* (no-route 0, port-unreachable 1, host-unreachable 2, admin-prohibited 3).
struct Reject {
  RejectType type = RejectType::IcmpxUnreachable;
  std::uint8_t code = 0;
  bool operator==(const Reject&) const = default;
};

struct Notrack {
  bool operator==(const Notrack&) const = default;
};

// NFT_PAYLOAD_CSUM_*.
enum class ChecksumKind : std::uint8_t { None, Inet, Sctp };

// Writes into the packet and mends its checksum (net/netfilter/nft_payload.c). Breaks where the
// packet is too short.
struct PayloadWrite {
  PayloadBase base = PayloadBase::Network;
  std::uint32_t offset = 0;
  std::uint32_t length = 0;
  Register source = 0;
  ChecksumKind checksum = ChecksumKind::None;
  std::uint32_t checksum_offset = 0;  // from the same base
  bool pseudo_header = false;         // the transport's checksum covers what is written
  bool operator==(const PayloadWrite&) const = default;
};

// Writes 2 or 4 bytes into a TCP option and mends the checksum. Breaks where there is no such
// option, and where an MSS would grow (net/netfilter/nft_exthdr.c).
struct ExthdrWrite {
  ExthdrKind kind = ExthdrKind::TcpOption;
  std::uint8_t type = 0;
  std::uint32_t offset = 0;
  std::uint32_t length = 0;
  Register source = 0;
  bool operator==(const ExthdrWrite&) const = default;
};

// Overwrites a TCP option with NOPs.
struct ExthdrReset {
  ExthdrKind kind = ExthdrKind::TcpOption;
  std::uint8_t type = 0;
  bool operator==(const ExthdrReset&) const = default;
};

enum class NatKind : std::uint8_t { Source, Destination };

// Translates the flow (net/netfilter/nft_nat.c); an accept. Registers that are absent leave that
// part alone. `flags` are NF_NAT_RANGE_*, those that follow from the registers left out.
struct Nat {
  NatKind kind = NatKind::Source;
  std::uint8_t family = 2;  // NFPROTO_IPV4 or _IPV6: of the addresses; _INET: both, without them
  std::optional<Register> address_min;
  std::optional<Register> address_max;
  std::optional<Register> port_min;
  std::optional<Register> port_max;
  std::uint32_t flags = 0;
  bool operator==(const Nat&) const = default;
};

// Source NAT to the address of the device that the packet leaves by (net/netfilter/nft_masq.c).
struct Masquerade {
  std::optional<Register> port_min;
  std::optional<Register> port_max;
  std::uint32_t flags = 0;
  bool operator==(const Masquerade&) const = default;
};

// Destination NAT to this host (net/netfilter/nft_redir.c).
struct Redirect {
  std::optional<Register> port_min;
  std::optional<Register> port_max;
  std::uint32_t flags = 0;
  bool operator==(const Redirect&) const = default;
};

// Hands the packet to a local transparent socket; breaks without one (net/netfilter/nft_tproxy.c).
struct Tproxy {
  std::uint8_t family = 0;  // NFPROTO_*; 0: as the packet
  std::optional<Register> address;
  std::optional<Register> port;
  bool operator==(const Tproxy&) const = default;
};

// Answers SYNs in the server's stead: a drop, but for what has passed the test
// (net/netfilter/nft_synproxy.c).
struct Synproxy {
  std::uint16_t mss = 0;
  std::uint8_t window_scale = 0;
  std::uint32_t flags = 0;  // NF_SYNPROXY_OPT_*
  bool operator==(const Synproxy&) const = default;
};

// A copy to a gateway (ip, ip6, inet) or device (netdev); the packet itself goes on.
struct Dup {
  std::optional<Register> address;
  std::optional<Register> device;  // an interface index
  bool operator==(const Dup&) const = default;
};

// netdev: the packet leaves by another device, and no further hook is met. With an address, it goes
// to that neighbour.
struct Fwd {
  Register device = 0;
  std::optional<Register> address;
  std::uint32_t family = 0;  // NFPROTO_*, with an address alone
  bool operator==(const Fwd&) const = default;
};

// Runs a named object of the table (net/netfilter/nft_objref.c). `type` is NFT_OBJECT_*.
struct ObjectRef {
  std::uint32_t type = 0;
  std::string name;
  bool operator==(const ObjectRef&) const = default;
};

// The same, of the object that an object map gives; breaks where it gives none.
struct ObjectLookup {
  Register source = 0;
  std::string set;
  bool operator==(const ObjectLookup&) const = default;
};

// An expression that this version cannot model, decoded from another program's table, or one with
// an attribute that the decoder does not know. A rule that reaches it is undecided, by this name.
struct Unsupported {
  std::string name;    // the kernel's name of the expression
  std::string reason;  // "attribute 9 is unknown"
  bool operator==(const Unsupported&) const = default;
};

}  // namespace rolewall::ruleset
