#include <doctest/doctest.h>

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
  CHECK_EQ(why({load_network(12, 4),
                BitwiseMask{0, 0, 4, bytes_value({255, 0, 0, 0}), bytes_value({0, 0, 0, 0})},
                is(bytes_value({10, 0, 0, 0}))},
               packet),
           "ip saddr is 192.0.2.7, not in 10.0.0.0/8");
  CHECK_EQ(why({load_network(12, 3), is(bytes_value({10, 0, 0}))}, packet),
           "ip saddr is 192.0.2.0/24, not 10.0.0.0/24");
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
           "ct mark: the packet has no conntrack entry (a SYN+ACK answers nothing that was seen)");
  CHECK_EQ(why({Limit{.rate = 10, .per_seconds = 60, .over = true}}, arriving(fields())),
           "the rate is within 10/minute");
}

}  // namespace
}  // namespace rolewall::eval
