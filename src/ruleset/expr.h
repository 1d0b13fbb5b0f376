// The expressions of nf_tables, one plain struct each, as the kernel holds them: small instructions
// that load into, compare and act on sixteen 32-bit registers. A rule is a list of them; the first
// that "breaks" ends the rule without a match.
//
// Everything here is what crosses netlink (include/uapi/linux/netfilter/nf_tables.h), in our own
// types: values as bytes exactly as the kernel keeps them in a register (network order for packet
// fields, host order for marks, states and indexes), lengths in bytes.
//
// Expr is a closed variant. Adding an expression: add its struct here, then follow the compiler:
// print (three writers, one reader), eval, netlink encode and decode.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace rolewall::ruleset {

using Bytes = std::vector<std::uint8_t>;

// A 32-bit data register, 0 to 15: NFT_REG32_00 + n. A load of n bytes fills ceil(n / 4) registers
// from its first on. The verdict register has no number here: what writes it says so.
using Register = std::uint8_t;
inline constexpr Register kRegisterCount = 16;

// At most 64 bytes of register data (NFT_DATA_VALUE_MAXLEN), inline. Unused bytes are zero.
struct Value {
  static constexpr std::size_t kMaxSize = 64;
  std::uint8_t size = 0;
  std::array<std::uint8_t, kMaxSize> bytes{};

  Value() = default;
  template <class Range>
  explicit Value(const Range& range) {  // REQUIRES: at most kMaxSize bytes
    for (const std::uint8_t byte : range) bytes[size++] = byte;
  }
  // A number in host order, as the kernel keeps marks, states and indexes.
  static Value host_u32(std::uint32_t number) {
    Value value;
    value.size = 4;
    std::memcpy(value.bytes.data(), &number, 4);
    return value;
  }
  static Value be16(std::uint16_t number) {
    Value value;
    value.size = 2;
    value.bytes[0] = static_cast<std::uint8_t>(number >> 8);
    value.bytes[1] = static_cast<std::uint8_t>(number);
    return value;
  }
  static Value u8(std::uint8_t number) {
    Value value;
    value.size = 1;
    value.bytes[0] = number;
    return value;
  }
  const std::uint8_t* begin() const { return bytes.data(); }
  const std::uint8_t* end() const { return bytes.data() + size; }
  auto operator<=>(const Value&) const = default;
};

// What the verdict register can hold. Break never leaves a rule; it is here for set data.
enum class VerdictCode : std::uint8_t { Accept, Drop, Queue, Continue, Break, Jump, Goto, Return };

struct Verdict {
  VerdictCode code = VerdictCode::Continue;
  std::string chain;        // Jump and Goto alone
  std::uint32_t queue = 0;  // Queue: the upper bits of the kernel's verdict, as they are
  auto operator<=>(const Verdict&) const = default;
};

// --- loads -------------------------------------------------------------------------------------

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

// --- register arithmetic -----------------------------------------------------------------------

// destination = (source & mask) ^ xor_with, over `length` bytes.
struct BitwiseMask {
  Register source = 0;
  Register destination = 0;
  std::uint32_t length = 0;
  Value mask;
  Value xor_with;
  bool operator==(const BitwiseMask&) const = default;
};

enum class ShiftDirection : std::uint8_t { Left, Right };

struct BitwiseShift {
  ShiftDirection direction = ShiftDirection::Left;
  Register source = 0;
  Register destination = 0;
  std::uint32_t length = 0;
  std::uint32_t bits = 0;
  bool operator==(const BitwiseShift&) const = default;
};

enum class ByteorderOp : std::uint8_t { NetworkToHost, HostToNetwork };

// Swaps each unit of `size` (2, 4 or 8) bytes within `length` bytes.
struct Byteorder {
  ByteorderOp op = ByteorderOp::NetworkToHost;
  Register source = 0;
  Register destination = 0;
  std::uint32_t length = 0;
  std::uint32_t size = 0;
  bool operator==(const Byteorder&) const = default;
};

// --- comparisons: break where they do not hold -------------------------------------------------

enum class CmpOp : std::uint8_t { Eq, Neq, Lt, Lte, Gt, Gte };

// memcmp over the value's size.
struct Cmp {
  CmpOp op = CmpOp::Eq;
  Register source = 0;
  Value value;
  bool operator==(const Cmp&) const = default;
};

// Inclusive at both ends, as memcmp orders; `negated` is NFT_RANGE_NEQ.
struct Range {
  bool negated = false;
  Register source = 0;
  Value from;
  Value to;
  bool operator==(const Range&) const = default;
};

enum class LookupResult : std::uint8_t {
  Membership,  // a set: breaks where the key is absent (present, if inverted)
  Data,        // a map: writes `destination`
  Verdict,     // a verdict map: a hit writes the verdict register and ends the rule
};

struct Lookup {
  std::string set;
  Register source = 0;
  LookupResult result = LookupResult::Membership;
  Register destination = 0;  // Data alone
  bool inverted = false;
  bool operator==(const Lookup&) const = default;
};

// --- stateful: their state belongs to the run or to the kernel; what is here is how they begin
// ----

struct Counter {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  bool operator==(const Counter&) const = default;
};

enum class LimitUnit : std::uint8_t { Packets, Bytes };

// A token bucket (net/netfilter/nft_limit.c): breaks where there is no token left; `over` inverts.
struct Limit {
  LimitUnit unit = LimitUnit::Packets;
  std::uint64_t rate = 0;         // units per `per_seconds`
  std::uint64_t per_seconds = 1;  // 1, 60, 3600, 86400, 604800
  std::uint32_t burst = 0;
  bool over = false;
  bool operator==(const Limit&) const = default;
};

// Breaks while the connections counted are more than `count` (no more than it, if `over`).
struct Connlimit {
  std::uint32_t count = 0;
  bool over = false;
  bool operator==(const Connlimit&) const = default;
};

struct Quota {
  std::uint64_t bytes = 0;
  std::uint64_t consumed = 0;
  bool over = false;
  bool operator==(const Quota&) const = default;
};

struct Last {
  std::uint64_t ms_ago = 0;
  bool set = false;
  bool operator==(const Last&) const = default;
};

// What a set's element can hold and run on each hit.
using StatefulExpr = std::variant<Counter, Limit, Connlimit, Quota, Last>;

enum class DynsetOp : std::uint8_t { Add, Update, Delete };

// Adds the key in `key` to a set from the packet path and runs the element's expressions. Breaks
// where the set is full or an element's expression breaks (net/netfilter/nft_dynset.c).
struct Dynset {
  DynsetOp op = DynsetOp::Add;
  std::string set;
  Register key = 0;
  std::optional<Register> data;
  std::uint64_t timeout_ms = 0;  // 0: the set's own
  bool inverted = false;
  std::vector<StatefulExpr> exprs;
  bool operator==(const Dynset&) const = default;
};

// --- actions -----------------------------------------------------------------------------------

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

// An expression that this version cannot model, decoded from another program's table, or one with
// an attribute that the decoder does not know. A rule that reaches it is undecided, by this name.
struct Unsupported {
  std::string name;    // the kernel's name of the expression
  std::string reason;  // "attribute 9 is unknown"
  bool operator==(const Unsupported&) const = default;
};

using Expr = std::variant<Payload, Meta, Ct, Immediate, BitwiseMask, BitwiseShift, Byteorder, Cmp,
                          Range, Lookup, Counter, Limit, Connlimit, Quota, Last, Dynset,
                          ImmediateVerdict, MetaSet, CtSet, Log, Reject, Notrack, Unsupported>;

}  // namespace rolewall::ruleset
