#include <doctest/doctest.h>

#include "eval/checksum.h"
#include "rules.h"
#include "ruleset/expr.h"

namespace rolewall::eval {
namespace {

using namespace ruleset;

std::string why(std::vector<Expr> exprs, const Packet& packet, std::vector<Set> sets = {}) {
  const auto rules = input_rules({rule(then(std::move(exprs), accept()))}, std::move(sets));
  const Host on = host();
  const Journey journey = Evaluator(rules, on).arrive(packet, {.explain = true});
  REQUIRE_EQ(journey.hooks.back().steps.size(), 1);
  return journey.hooks.back().steps[0].why;
}

TEST_CASE("a step says what the packet had and what the rule wanted") {
  const Packet packet = arriving(fields(6, 3306));
  CHECK_EQ(why(destination_port_is(6, 22), packet), "tcp dport is 3306, not 22");
  CHECK_EQ(why(protocol_is(17), packet), "meta l4proto is tcp, not udp");
  CHECK_EQ(why({load_meta(MetaKey::NfProto), is(Value::u8(10))}, packet),
           "meta nfproto is ipv4, not ipv6");
  std::vector<std::uint8_t> name(16, 0);
  std::memcpy(name.data(), "eth1", 4);
  CHECK_EQ(why({load_meta(MetaKey::IifName), is(bytes_value(name))}, packet),
           "iifname is \"eth0\", not \"eth1\"");
  CHECK_EQ(why({load_meta(MetaKey::IifName), is(bytes_value({'w', 'l', 'a'}))}, packet),
           "iifname is \"eth0\", not \"wla*\"");
  CHECK_EQ(why({load_meta(MetaKey::IifName), is_not(bytes_value({'e', 't', 'h'}))}, packet),
           "iifname is \"eth0\", which is excluded");
  CHECK_EQ(why({load_network(12, 4),
                BitwiseMask{0, 0, 4, bytes_value({255, 0, 0, 0}), bytes_value({0, 0, 0, 0})},
                is(bytes_value({10, 0, 0, 0}))},
               packet),
           "ip saddr is 192.0.2.7, not in 10.0.0.0/8");
  CHECK_EQ(why({load_network(12, 3), is(bytes_value({10, 0, 0}))}, packet),
           "ip saddr is 192.0.2.7, not in 10.0.0.0/24");
  CHECK_EQ(why({load_network(12, 3), is_not(bytes_value({192, 0, 2}))}, packet),
           "ip saddr is 192.0.2.7, in 192.0.2.0/24");
  CHECK_EQ(why({load_transport(2, 2), Range{false, 0, Value::be16(80), Value::be16(90)}}, packet),
           "tcp dport is 3306, not within 80-90");
}

TEST_CASE("flags are named one by one") {
  const Packet packet = arriving(fields(6));
  CHECK_EQ(why({load_ct(CtKey::State),
                BitwiseMask{0, 0, 4, Value::host_u32(ct_state::kEstablished | ct_state::kRelated),
                            Value::host_u32(0)},
                is_not(Value::host_u32(0))},
               packet),
           "ct state is new, not established,related");
  CHECK_EQ(why({load_transport(13, 1), BitwiseMask{0, 0, 1, Value::u8(0x17), Value::u8(0)},
                is(Value::u8(0x12))},
               packet),
           "of fin,syn,rst,ack, tcp flags has syn, not syn,ack");
}

// RFC 2474 and 3168: six bits and two of the second byte; in IPv6 over its first two.
TEST_CASE("bits of a byte are named as the field they are") {
  Packet packet = arriving(fields(6, 3306));
  packet.bytes[1] = 0x2b;  // dscp 10, ecn 3
  const auto sum = static_cast<std::uint16_t>(packet.bytes[10] << 8 | packet.bytes[11]);
  const std::uint16_t mended = mended_checksum(sum, std::array<std::uint8_t, 2>{0x45, 0},
                                               std::array<std::uint8_t, 2>{0x45, 0x2b});
  packet.bytes[10] = static_cast<std::uint8_t>(mended >> 8);
  packet.bytes[11] = static_cast<std::uint8_t>(mended);
  const auto under = [&](std::uint32_t at, std::vector<std::uint8_t> mask,
                         std::vector<std::uint8_t> value) {
    const auto size = static_cast<std::uint32_t>(mask.size());
    const std::vector<std::uint8_t> zeros(mask.size(), 0);
    return why(
        {load_network(at, size), BitwiseMask{0, 0, size, bytes_value(mask), bytes_value(zeros)},
         is(bytes_value(value))},
        packet);
  };
  CHECK_EQ(under(1, {0xfc}, {0x14}), "ip dscp is 10, not 5");
  CHECK_EQ(under(1, {0x03}, {0x01}), "ip ecn is 3, not 1");
  // What is no field's mask stays bytes, as does the whole byte.
  CHECK_EQ(under(1, {0xf0}, {0x10}), "@nh,8,8 & 0xf0 is 0x20, not 0x10");
  CHECK_EQ(why({load_network(1, 1), is(Value::u8(0x14))}, packet), "@nh,8,8 is 0x2b, not 0x14");
  // A value that the mask can never leave.
  CHECK_EQ(under(1, {0xfc}, {0x15}), "ip dscp is 10, not 0x15");
  CHECK_EQ(why({load_network(1, 1), BitwiseMask{0, 0, 1, Value::u8(0xfc), Value::u8(0)},
                Range{false, 0, Value::u8(0), Value::u8(0x0c)}},
               packet),
           "ip dscp is 10, not within 0-3");
  Set classes = exact_set("classes", {{DataType::Dscp, 1}}, {{0x20}, {0x30}});
  classes.anonymous = true;
  CHECK_EQ(why({load_network(1, 1), BitwiseMask{0, 0, 1, Value::u8(0xfc), Value::u8(0)},
                Lookup{.set = "classes"}},
               packet, {classes}),
           "ip dscp 10 is not in { 8, 12 }");

  packet = arriving(fields6(6, 3306));
  packet.bytes[0] = 0x62;  // dscp 10 and ecn 3 are 0x2b, over two bytes
  packet.bytes[1] = 0xb5;
  CHECK_EQ(under(0, {0x0f, 0xc0}, {0x01, 0x40}), "ip6 dscp is 10, not 5");
  CHECK_EQ(under(1, {0x30}, {0x10}), "ip6 ecn is 3, not 1");
  CHECK_EQ(under(1, {0x0f, 0xff, 0xff}, {0x00, 0x00, 0x05}), "ip6 flowlabel is 327680, not 5");
}

TEST_CASE("tcp's flags have the names of a packet's words") {
  PacketFields segment = fields(6, 3306);
  segment.tcp_flags = 0xc2;
  CHECK_EQ(why({load_transport(13, 1), is(Value::u8(0x42))}, arriving(segment)),
           "tcp flags is syn,ece,cwr, not syn,ece");
}

TEST_CASE("sets are named, or listed where they have no name") {
  const Packet packet = arriving(fields(6, 3306));
  Set ports = exact_set("ports", {{DataType::InetService, 2}}, {{0, 22}, {0, 80}});
  CHECK_EQ(why({load_transport(2, 2), Lookup{.set = "ports"}}, packet, {ports}),
           "tcp dport 3306 is not in @ports");
  ports.anonymous = true;
  CHECK_EQ(why({load_transport(2, 2), Lookup{.set = "ports"}}, packet, {ports}),
           "tcp dport 3306 is not in { 22, 80 }");
  const Set pair = exact_set("pairs", {{DataType::Ipv4Address, 4}, {DataType::InetService, 2}}, {});
  CHECK_EQ(why({load_network(12, 4, 0), load_transport(2, 2, 1), Lookup{.set = "pairs"}}, packet,
               {pair}),
           "ip saddr 192.0.2.7 . tcp dport 3306 is not in @pairs");
}

TEST_CASE("what cannot be read says why") {
  PacketFields cut = fields(6, 22);
  cut.truncate_transport_to = 2;
  CHECK_EQ(why(destination_port_is(6, 22), arriving(cut)),
           "tcp dport cannot be read: the packet is too short");
  CHECK_EQ(why({load_meta(MetaKey::SkUid), is(Value::host_u32(0))}, arriving(fields())),
           "meta skuid: the packet has no local socket");
  PacketFields syn_ack = fields(6);
  syn_ack.tcp_flags = 0x12;
  CHECK_EQ(why({load_ct(CtKey::Mark), is(Value::host_u32(0))}, arriving(syn_ack)),
           "ct mark: the packet has no conntrack entry (a SYN+ACK without a SYN before it)");
  CHECK_EQ(why({Limit{.rate = 10, .per_seconds = 60, .over = true}}, arriving(fields())),
           "the rate is within 10/minute");
}

}  // namespace
}  // namespace rolewall::eval
