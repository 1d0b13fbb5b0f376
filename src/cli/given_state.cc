#include "cli/given_state.h"

#include <algorithm>
#include <string>
#include <utility>

#include "eval/conntrack.h"
#include "eval/dissect.h"
#include "eval/wire.h"
#include "net/protocol.h"
#include "ruleset/expr.h"

namespace rolewall::cli {
namespace {

namespace ct_state = ruleset::ct_state;
namespace protocol = net::protocol;

netlink::ConntrackTuple entry_tuple(const eval::Tuple& tuple) {
  const std::size_t size = tuple.ipv6 ? 16 : 4;
  const auto address = [&](const auto& bytes) {
    return net::address_from_bytes(std::span(bytes).first(size));
  };
  return {tuple.protocol,
          {address(tuple.source), eval::be16(tuple.source_port.data())},
          {address(tuple.destination), eval::be16(tuple.destination_port.data())}};
}

netlink::NewConnection answered(const eval::Tuple& original) {
  return {entry_tuple(original), entry_tuple(eval::invert(original)), true, std::nullopt};
}

// Somebody's, whose helper has expected the one that a packet begins.
netlink::NewConnection master_of(const eval::Tuple& tuple) {
  eval::Tuple master = tuple;
  master.protocol = protocol::kTcp;
  master.source_port = {0xfd, 0xe8};
  master.destination_port = {0, 21};
  return answered(master);
}

// What conntrack refuses before it looks for a connection: of what arrives a checksum that is
// wrong; of what is sent, where it looks at none, of TCP a header of 16 bytes, of UDP one that
// claims more than there is (tcp_error(), udp_error()). No rule reads either.
bool spoil(eval::Packet& packet, bool arrives) {
  const eval::Dissection headers =
      eval::is_ipv6(packet) ? eval::dissect_ipv6(packet.bytes) : eval::dissect_ipv4(packet.bytes);
  if (!headers.has_protocol || headers.fragment_offset != 0) return false;
  struct Place {
    std::uint8_t protocol;
    std::size_t offset;
    std::uint8_t flipped;
  };
  static constexpr Place kChecksums[] = {{protocol::kTcp, 16, 0x10},    {protocol::kUdp, 6, 0x10},
                                         {protocol::kUdpLite, 6, 0x10}, {protocol::kIcmp, 2, 0x10},
                                         {protocol::kIcmpv6, 2, 0x10},  {protocol::kSctp, 8, 0x10}};
  static constexpr Place kLengths[] = {{protocol::kTcp, 12, 0x10}, {protocol::kUdp, 4, 0x80}};
  const std::span<const Place> places = arrives ? std::span<const Place>(kChecksums) : kLengths;
  const auto place = std::ranges::find(places, headers.protocol, &Place::protocol);
  if (place == places.end()) return false;
  const std::size_t at = headers.transport + place->offset;
  if (at >= packet.bytes.size()) return false;
  packet.bytes[at] ^= place->flipped;
  return true;
}

ruleset::Rule drop_where(std::vector<ruleset::Expr> condition) {
  condition.emplace_back(ruleset::ImmediateVerdict{{ruleset::VerdictCode::Drop, {}, 0}});
  ruleset::Rule rule;
  rule.exprs = std::move(condition);
  return rule;
}

ruleset::Chain chain_at(std::string name, ruleset::Hook hook, std::int32_t priority,
                        ruleset::Rule rule) {
  ruleset::Chain chain;
  chain.name = std::move(name);
  chain.base = ruleset::BaseChain{
      ruleset::ChainType::Filter, hook, priority, ruleset::VerdictCode::Accept, {}};
  chain.rules.push_back(std::move(rule));
  return chain;
}

}  // namespace

std::vector<Preparation> preparations(const eval::Packet& packet, bool arrives) {
  std::vector<Preparation> all;
  const std::uint32_t wanted = *packet.ct_state;
  const bool ipv6 = eval::is_ipv6(packet);
  eval::Tuple tuple;
  const bool has_tuple = eval::tuple_of(packet.bytes, ipv6, tuple);
  switch (wanted) {
    case ct_state::kNew:
    case ct_state::kUntracked:
      all.push_back({{}, packet});
      break;
    case ct_state::kEstablished:
      if (!has_tuple) break;
      all.push_back({{answered(tuple)}, packet});
      all.push_back({{answered(eval::invert(tuple))}, packet});
      break;
    case ct_state::kRelated:
      if (const auto quoted = eval::packet_in_error(packet.bytes, ipv6)) {
        eval::Tuple about;
        if (eval::tuple_of(*quoted, ipv6, about)) all.push_back({{answered(about)}, packet});
      } else if (has_tuple) {
        const netlink::NewConnection master = master_of(tuple);
        netlink::NewConnection expected = answered(tuple);
        expected.answered = false;
        expected.expected_by = master.original;
        all.push_back({{master, expected}, packet});
      }
      break;
    case ct_state::kInvalid: {
      all.push_back({{}, packet});
      eval::Packet spoilt = packet;
      if (spoil(spoilt, arrives)) all.push_back({{}, std::move(spoilt)});
      break;
    }
    default:
      break;  // no word of a question's
  }
  return all;
}

ruleset::Table state_table(std::optional<std::uint32_t> wanted) {
  constexpr std::int32_t kBeforeTracking = -300;
  constexpr std::int32_t kBehindTracking = -199;
  const bool untracked = wanted == ct_state::kUntracked;
  ruleset::Table table;
  table.family = ruleset::Family::Inet;
  table.name = kStateTable;
  for (const auto& [hook, name] : {std::pair(ruleset::Hook::Prerouting, std::string("arrives")),
                                   std::pair(ruleset::Hook::Output, std::string("sent"))}) {
    ruleset::Rule notrack;
    notrack.exprs = {ruleset::Immediate{0, ruleset::Value::host_u32(untracked ? 1 : 0)},
                     ruleset::Cmp{ruleset::CmpOp::Eq, 0, ruleset::Value::host_u32(1)},
                     ruleset::Notrack{}};
    table.chains.push_back(chain_at(name + "-before", hook, kBeforeTracking, std::move(notrack)));
    const auto op = wanted ? ruleset::CmpOp::Eq : ruleset::CmpOp::Neq;
    table.chains.push_back(chain_at(
        name + "-behind", hook, kBehindTracking,
        drop_where({ruleset::Ct{ruleset::CtKey::State, std::nullopt, 0},
                    ruleset::BitwiseMask{0, 0, 4, ruleset::Value::host_u32(wanted.value_or(0)),
                                         ruleset::Value::host_u32(0)},
                    ruleset::Cmp{op, 0, ruleset::Value::host_u32(0)}})));
  }
  return table;
}

}  // namespace rolewall::cli
