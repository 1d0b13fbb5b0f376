#include "compile/match.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "compile/traffic.h"
#include "ruleset/expr.h"
#include "ruleset/load_size.h"
#include "ruleset/object.h"
#include "ruleset/own_table.h"

namespace rolewall::compile::match {
namespace {

using namespace ruleset;

constexpr std::uint8_t kIcmpxAdminProhibited = 3;
constexpr std::size_t kHelperNameSize = 16;  // NF_CT_HELPER_NAME_LEN

// Whose tuple, where conntrack is asked and not the header.
std::optional<CtDirection> tuple_of(Side side) {
  switch (side) {
    case Side::Source:
    case Side::Destination:
      return std::nullopt;
    case Side::OriginalSource:
    case Side::OriginalDestination:
      return CtDirection::Original;
    case Side::ReplySource:
    case Side::ReplyDestination:
      break;
  }
  return CtDirection::Reply;
}

bool is_source(Side side) {
  return side == Side::Source || side == Side::OriginalSource || side == Side::ReplySource;
}

// RFC 791 and RFC 8200: where the addresses stand in the network header.
Payload address_field(Side side, IpVersion version) {
  const bool source = is_source(side);
  if (version == IpVersion::V4) return {PayloadBase::Network, source ? 12U : 16U, 4, 0};
  return {PayloadBase::Network, source ? 8U : 24U, 16, 0};
}

void compare(Exprs& exprs, CmpOp op, Value value) {
  exprs.push_back(Cmp{op, 0, value});
}

Value device_value(std::string_view device) {
  if (device.ends_with('*')) return Value(device.substr(0, device.size() - 1));
  CHECK(device.size() < kInterfaceNameSize, "interface name too long");
  std::array<std::uint8_t, kInterfaceNameSize> name{};
  std::copy(device.begin(), device.end(), name.begin());
  return Value(name);
}

void in_range(Exprs& exprs, Value low, Value high) {
  if (low == high) return compare(exprs, CmpOp::Eq, low);
  compare(exprs, CmpOp::Gte, low);
  compare(exprs, CmpOp::Lte, high);
}

}  // namespace

void nfproto(Exprs& exprs, IpVersion version) {
  load_meta(exprs, MetaKey::NfProto);
  compare(exprs, CmpOp::Eq,
          Value::u8(version == IpVersion::V4 ? std::uint8_t{NFPROTO_IPV4}
                                             : std::uint8_t{NFPROTO_IPV6}));
}

void l4proto(Exprs& exprs, std::uint8_t protocol) {
  load_meta(exprs, MetaKey::L4Proto);
  compare(exprs, CmpOp::Eq, Value::u8(protocol));
}

void port(Exprs& exprs, Side side, const net::PortRange& range) {
  load_port(exprs, side);
  in_range(exprs, Value::be16(range.first), Value::be16(range.last));
}

void icmp_type(Exprs& exprs, const net::PortRange& types) {
  load_icmp_type(exprs);
  in_range(exprs, Value::u8(static_cast<std::uint8_t>(types.first)),
           Value::u8(static_cast<std::uint8_t>(types.last)));
}

void device(Exprs& exprs, MetaKey key, std::string_view device) {
  load_meta(exprs, key);
  compare(exprs, CmpOp::Eq, device_value(device));
}

void loopback(Exprs& exprs, MetaKey key) {
  constexpr std::uint32_t kIndex = 1;  // in every namespace (net/core/dev.c, LOOPBACK_IFINDEX)
  load_meta(exprs, key);
  compare(exprs, CmpOp::Eq, Value::host_u32(kIndex));
}

void not_device(Exprs& exprs, MetaKey key, std::string_view device) {
  load_meta(exprs, key);
  compare(exprs, CmpOp::Neq, device_value(device));
}

void user(Exprs& exprs, std::uint32_t id) {
  load_meta(exprs, MetaKey::SkUid);
  compare(exprs, CmpOp::Eq, Value::host_u32(id));
}

void ct_state(Exprs& exprs, std::uint32_t bits) {
  exprs.push_back(Ct{CtKey::State, std::nullopt, 0});
  exprs.push_back(BitwiseMask{0, 0, 4, Value::host_u32(bits), Value::host_u32(0)});
  compare(exprs, CmpOp::Neq, Value::host_u32(0));
}

void tcp_flags(Exprs& exprs, std::uint8_t mask, std::uint8_t value) {
  constexpr std::uint32_t kOffset = 13;  // RFC 9293 3.1
  l4proto(exprs, net::protocol::kTcp);
  exprs.push_back(Payload{PayloadBase::Transport, kOffset, 1, 0});
  exprs.push_back(BitwiseMask{0, 0, 1, Value::u8(mask), Value::u8(0)});
  compare(exprs, CmpOp::Eq, Value::u8(value));
}

void translated(Exprs& exprs) {
  constexpr std::uint32_t kDestinationNat = 1U << 5;  // IPS_DST_NAT
  exprs.push_back(Ct{CtKey::Status, std::nullopt, 0});
  exprs.push_back(BitwiseMask{0, 0, 4, Value::host_u32(kDestinationNat), Value::host_u32(0)});
  compare(exprs, CmpOp::Neq, Value::host_u32(0));
}

void ct_direction(Exprs& exprs, CtDirection direction) {
  exprs.push_back(Ct{CtKey::Direction, std::nullopt, 0});
  compare(exprs, CmpOp::Eq, Value::u8(direction == CtDirection::Original ? 0 : 1));
}

void expected_by(Exprs& exprs, const net::ConntrackHelper& helper) {
  std::array<std::uint8_t, kHelperNameSize> name{};
  std::ranges::copy(helper.name, name.begin());
  exprs.push_back(Ct{CtKey::Helper, std::nullopt, 0});
  compare(exprs, CmpOp::Eq, Value(name));
}

void set_helper(Exprs& exprs, const net::ConntrackHelper& helper) {
  for (const std::uint8_t protocol : {net::protocol::kTcp, net::protocol::kUdp}) {
    if (!helper.is_of(protocol)) continue;
    exprs.push_back(ObjectRef{object_type::kCtHelper, own::helper(helper.name, protocol)});
  }
}

void lower_segment_size(Exprs& exprs, std::optional<std::uint16_t> bytes) {
  constexpr std::uint8_t kMaximumSegmentSize = 2;  // RFC 9293 3.2
  if (bytes) {
    exprs.push_back(Immediate{0, Value::be16(*bytes)});
  } else {
    exprs.push_back(Rt{RtKey::TcpMss, 0});
    exprs.push_back(Byteorder{ByteorderOp::HostToNetwork, 0, 0, 2, 2});
  }
  ExthdrWrite write;
  write.kind = ExthdrKind::TcpOption;
  write.type = kMaximumSegmentSize;
  write.offset = 2;
  write.length = 2;
  exprs.push_back(write);
}

void nat(Exprs& exprs, NatKind kind, const net::Address& address,
         std::optional<std::uint16_t> port) {
  // An IPv6 address fills registers 0 to 3.
  constexpr Register kPort = 4;
  exprs.push_back(Immediate{0, Value(net::to_bytes(address))});
  Nat nat;
  nat.kind = kind;
  nat.family = net::is_ipv4(address) ? std::uint8_t{NFPROTO_IPV4} : std::uint8_t{NFPROTO_IPV6};
  // The flags and the ends of the ranges as the kernel adds them: a ruleset that is read back is
  // then the same.
  nat.address_min = 0;
  nat.address_max = 0;
  nat.flags = NF_NAT_RANGE_MAP_IPS;
  if (port) {
    exprs.push_back(Immediate{kPort, Value::be16(*port)});
    nat.port_min = kPort;
    nat.port_max = kPort;
    nat.flags |= NF_NAT_RANGE_PROTO_SPECIFIED;
  }
  exprs.push_back(nat);
}

void redirect(Exprs& exprs, std::optional<std::uint16_t> port) {
  Redirect redirect;
  if (port) {
    exprs.push_back(Immediate{0, Value::be16(*port)});
    redirect.port_min = 0;
    redirect.port_max = 0;
    redirect.flags = NF_NAT_RANGE_PROTO_SPECIFIED;
  }
  exprs.push_back(redirect);
}

void prefix(Exprs& exprs, Side side, const net::Prefix& prefix) {
  const IpVersion version = net::is_ipv4(prefix.address) ? IpVersion::V4 : IpVersion::V6;
  Payload field = address_field(side, version);
  auto bytes = net::to_bytes(prefix.address);
  const bool in_packet = !tuple_of(side);
  if (in_packet && prefix.length % 8 == 0) {
    // Whole bytes: a shorter load and no mask, as nft does.
    field.length = prefix.length / 8;
    bytes.resize(field.length);
    exprs.push_back(field);
  } else {
    std::vector<std::uint8_t> mask(bytes.size());
    for (unsigned bit = 0; bit < prefix.length; ++bit) {
      mask[bit / 8] = static_cast<std::uint8_t>(mask[bit / 8] | 0x80 >> bit % 8);
    }
    load_address(exprs, side, version);
    if (prefix.length < 8 * bytes.size()) {
      exprs.push_back(BitwiseMask{0, 0, field.length, Value(mask),
                                  Value(std::vector<std::uint8_t>(bytes.size()))});
    }
  }
  compare(exprs, CmpOp::Eq, Value(bytes));
}

void address_in(Exprs& exprs, Side side, IpVersion version, std::string set) {
  load_address(exprs, side, version);
  lookup_member(exprs, std::move(set));
}

void load_address(Exprs& exprs, Side side, IpVersion version, Register first) {
  if (const auto tuple = tuple_of(side)) {
    const bool v4 = version == IpVersion::V4;
    const CtKey key = is_source(side) ? (v4 ? CtKey::SourceIp : CtKey::SourceIp6)
                                      : (v4 ? CtKey::DestinationIp : CtKey::DestinationIp6);
    exprs.push_back(Ct{key, tuple, first});
    return;
  }
  Payload field = address_field(side, version);
  field.destination = first;
  exprs.push_back(field);
}

void load_port(Exprs& exprs, Side side, Register first) {
  if (const auto tuple = tuple_of(side)) {
    const CtKey key = is_source(side) ? CtKey::ProtoSource : CtKey::ProtoDestination;
    exprs.push_back(Ct{key, tuple, first});
    return;
  }
  exprs.push_back(Payload{PayloadBase::Transport, is_source(side) ? 0U : 2U, 2, first});
}

void load_icmp_type(Exprs& exprs, Register first) {
  exprs.push_back(Payload{PayloadBase::Transport, 0, 1, first});
}

void load_meta(Exprs& exprs, MetaKey key, Register first) {
  exprs.push_back(Meta{key, first});
}

void lookup_verdict(Exprs& exprs, std::string map) {
  exprs.push_back(Lookup{std::move(map), 0, LookupResult::Verdict, 0, false});
}

void lookup_member(Exprs& exprs, std::string set) {
  exprs.push_back(Lookup{std::move(set), 0, LookupResult::Membership, 0, false});
}

void jump(Exprs& exprs, std::string chain) {
  exprs.push_back(ImmediateVerdict{{VerdictCode::Jump, std::move(chain), 0}});
}

void go_to(Exprs& exprs, std::string chain) {
  exprs.push_back(ImmediateVerdict{{VerdictCode::Goto, std::move(chain), 0}});
}

void go_back(Exprs& exprs) {
  exprs.push_back(ImmediateVerdict{{VerdictCode::Return, "", 0}});
}

void counter(Exprs& exprs) {
  exprs.push_back(Counter{});
}

void log(Exprs& exprs, std::string prefix, const policy::LogTarget& to) {
  Log expr;
  expr.prefix = std::move(prefix);
  expr.group = to.group;
  if (!to.group) expr.level = to.level;
  exprs.push_back(std::move(expr));
}

void limit(Exprs& exprs, const policy::Rate& rate) {
  Limit within = limit_over(rate);
  within.over = false;
  exprs.push_back(within);
}

Limit limit_over(const policy::Rate& rate) {
  return {LimitUnit::Packets, rate.count, rate.per_seconds, rate.burst, true};
}

void verdict(Exprs& exprs, policy::Action action) {
  switch (action) {
    case policy::Action::Accept:
      exprs.push_back(ImmediateVerdict{{VerdictCode::Accept, "", 0}});
      return;
    case policy::Action::Drop:
      exprs.push_back(ImmediateVerdict{{VerdictCode::Drop, "", 0}});
      return;
    case policy::Action::Reject:
      exprs.push_back(Reject{RejectType::IcmpxUnreachable, kIcmpxAdminProhibited});
      return;
  }
}

void reset(Exprs& exprs) {
  exprs.push_back(Reject{RejectType::TcpReset, 0});
}

}  // namespace rolewall::compile::match
