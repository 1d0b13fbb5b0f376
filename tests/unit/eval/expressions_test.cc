// One case for each expression, and one for each trap that other models of nf_tables fell into.
#include <doctest/doctest.h>

#include <cstring>

#include "eval/wire.h"
#include "rules.h"
#include "ruleset/expr.h"

namespace rolewall::eval {
namespace {

using namespace ruleset;

Value zeros(std::size_t size) {
  return bytes_value(std::vector<std::uint8_t>(size, 0));
}

TEST_CASE("a failed load breaks the rule: its negation does not match either") {
  PacketFields cut = fields(6);
  cut.truncate_transport_to = 1;
  const Packet packet = arriving(cut);
  CHECK(matches(protocol_is(6), packet));
  CHECK_FALSE(matches({load_transport(2, 2), is_not(Value::be16(80))}, packet));
  CHECK_FALSE(matches({load_transport(2, 2), is(Value::be16(80))}, packet));
  CHECK_FALSE(matches({load_transport(2, 2), is(zeros(2))}, packet));
  CHECK_FALSE(matches({load_network(20, 4), is_not(zeros(4))}, packet));
}

TEST_CASE("on a later fragment short aligned loads read what is there, others break") {
  PacketFields later = fields(17, 53);
  later.fragment_offset = 8;
  // No conntrack in the ruleset: the fragment meets prerouting.
  const auto seen = [&](std::vector<Expr> exprs) {
    const auto rules = one_table({base_chain({rule(then(std::move(exprs), drop()))},
                                             Hook::Prerouting, 0, VerdictCode::Accept)});
    return fate_of(rules, arriving(later)) == Fate::Drop;
  };
  for (const std::uint32_t length : {1U, 2U, 4U}) {
    CHECK(seen({load_transport(4, length), is(zeros(length))}));
  }
  CHECK_FALSE(seen({load_transport(0, 3), is(zeros(3))}));
  CHECK_FALSE(seen({load_transport(0, 8), is(zeros(8))}));
  CHECK_FALSE(seen({load_transport(1, 2), is(zeros(2))}));
  CHECK(seen(protocol_is(17)));
  later.length = 5000;  // too long to be in one piece
  CHECK_FALSE(seen({load_transport(4, 2), is(zeros(2))}));
}

TEST_CASE("with conntrack in the ruleset a lone fragment is held, but for earlier hooks") {
  PacketFields later = fields(17, 53);
  later.fragment_offset = 8;
  const auto with = [](std::int32_t priority) {
    return one_table({base_chain({rule({drop()})}, Hook::Prerouting, priority),
                      base_chain({rule({load_ct(CtKey::State), drop()})})});
  };
  CHECK_EQ(fate_of(with(0), arriving(later)), Fate::Held);
  CHECK_EQ(fate_of(with(-300), arriving(later)), Fate::Held);
  CHECK_EQ(fate_of(with(-401), arriving(later)), Fate::Drop);
  // Without it IPv4 still puts datagrams together before input.
  const auto without = one_table({base_chain({rule({accept()})})});
  CHECK_EQ(fate_of(without, arriving(later)), Fate::Held);
  later = fields6(17, 53);
  later.fragment_offset = 8;
  CHECK_EQ(fate_of(without, arriving(later)), Fate::Accept);
  // An expression that may or may not switch it on leaves the answer open.
  const auto unknown =
      one_table({base_chain({}), plain_chain("c", {rule({Unsupported{"match", ""}})})});
  CHECK_EQ(fate_of(unknown, arriving(later)), Fate::Undecided);
}

TEST_CASE("a bit test is not membership") {
  PacketFields syn_ack = fields(6);
  syn_ack.tcp_flags = 0x12;
  const std::vector<Expr> bit{
      load_transport(13, 1), BitwiseMask{0, 0, 1, Value::u8(0x02), Value::u8(0)}, is_not(zeros(1))};
  CHECK(matches(bit, arriving(syn_ack)));
  Set flags = exact_set("s", {{DataType::TcpFlag, 1}}, {{0x02}, {0x10}});
  CHECK_FALSE(matches({load_transport(13, 1), Lookup{.set = "s", .source = 0}}, arriving(syn_ack),
                      {flags}));
}

TEST_CASE("meta reads what travels beside the packet") {
  Packet packet = arriving(fields());
  packet.mark = 0x01020304;
  packet.type = PacketType::Broadcast;
  CHECK(matches({load_meta(MetaKey::Mark), is(Value::host_u32(0x01020304))}, packet));
  CHECK(matches({load_meta(MetaKey::Length), is(Value::host_u32(64))}, packet));
  CHECK(matches({load_meta(MetaKey::Protocol), is(Value::be16(0x0800))}, packet));
  CHECK(matches({load_meta(MetaKey::NfProto), is(Value::u8(2))}, packet));
  CHECK(matches({load_meta(MetaKey::PktType), is(Value::u8(1))}, packet));
  CHECK(matches({load_meta(MetaKey::Oif), is(Value::host_u32(0))}, packet));
  CHECK_FALSE(matches({load_meta(MetaKey::SkUid), is_not(Value::host_u32(0))}, packet));
  CHECK(matches({load_meta(MetaKey::NfProto), is(Value::u8(10))}, arriving(fields6())));
}

TEST_CASE("before input what is not a connection's first packet may have come to its socket") {
  const auto ways = [](PacketFields made, Hook hook) {
    const Ruleset rules = one_table(
        {base_chain({rule({load_meta(MetaKey::SkUid), is(Value::host_u32(0)), accept()})}, hook)});
    const Host on = host();
    return fates(Evaluator(rules, on).outcomes(arriving(made), Direction::Arrive));
  };
  PacketFields later = fields();
  later.tcp_flags = 0x10;
  CHECK_EQ(ways(later, Hook::Input), "drop drop accept");
  CHECK_EQ(ways(later, Hook::Prerouting), "drop");
  CHECK_EQ(ways(fields(), Hook::Input), "drop");  // a SYN
  CHECK_EQ(ways(fields(17, 53), Hook::Input), "drop drop accept");
  CHECK_EQ(ways(fields(132, 53), Hook::Input), "drop");
}

TEST_CASE("interface names compare sixteen bytes, wildcards fewer") {
  const auto name = [](const char* text, std::size_t size) {
    std::vector<std::uint8_t> bytes(size, 0);
    std::memcpy(bytes.data(), text, std::min(size, std::strlen(text)));
    return bytes_value(bytes);
  };
  const Packet packet = arriving(fields(), "eth0");
  CHECK(matches({load_meta(MetaKey::IifName), is(name("eth0", 16))}, packet));
  CHECK_FALSE(matches({load_meta(MetaKey::IifName), is(name("eth", 16))}, packet));
  CHECK(matches({load_meta(MetaKey::IifName), is(name("eth", 3))}, packet));
  CHECK_FALSE(
      matches({load_meta(MetaKey::IifName), is(name("eth0", 16))}, arriving(fields(), "eth0.5")));
  CHECK(matches({load_meta(MetaKey::OifName), is(zeros(16))}, packet));
}

TEST_CASE("what the packet does not tell is undecided, with the reason") {
  const Host on = host();
  const auto reason = [&](Expr load) {
    const auto rules = input_rules({rule({std::move(load), accept()})});
    const Journey journey = Evaluator(rules, on).arrive(arriving(fields()));
    CHECK_EQ(journey.fate(), Fate::Undecided);
    return journey.hooks.back().reason;
  };
  CHECK_EQ(reason(load_meta(MetaKey::BriIifName)),
           "table t, chain base2_0, rule 1: meta ibrname: bridges are not modelled");
  CHECK(reason(Payload{PayloadBase::Link, 0, 6, 0}).ends_with("Ethernet header is not given"));
  CHECK(reason(verdict(VerdictCode::Queue)).ends_with("queued to a program, which decides"));
}

TEST_CASE("the Ethernet header, and what is behind it") {
  Packet packet = arriving(fields());
  packet.link = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0};
  CHECK(
      matches({Payload{PayloadBase::Link, 6, 6, 0}, is(bytes_value({2, 0, 0, 0, 0, 2}))}, packet));
  CHECK(matches({Payload{PayloadBase::Link, 12, 4, 0}, is(bytes_value({8, 0, 0x45, 0}))}, packet));
}

TEST_CASE("the bytes behind the transport header") {
  PacketFields udp = fields(17, 53);
  Packet packet = arriving(udp);
  packet.bytes[28] = 0xab;
  CHECK(matches({Payload{PayloadBase::Inner, 0, 1, 0}, is(Value::u8(0xab))}, packet));
  CHECK_FALSE(matches({Payload{PayloadBase::Inner, 0, 1, 0}, is_not(Value::u8(0xab))},
                      arriving(fields(1))));
}

TEST_CASE("comparisons order as memory does") {
  const Packet packet = arriving(fields(6, 300));
  const auto port = [&](CmpOp op, std::uint16_t bound) {
    return matches({load_transport(2, 2), Cmp{op, 0, Value::be16(bound)}}, packet);
  };
  CHECK(port(CmpOp::Lt, 301));
  CHECK_FALSE(port(CmpOp::Lt, 300));
  CHECK(port(CmpOp::Lte, 300));
  CHECK(port(CmpOp::Gt, 299));
  CHECK_FALSE(port(CmpOp::Gt, 300));
  CHECK(port(CmpOp::Gte, 300));
  CHECK(port(CmpOp::Gt, 255));  // 0x012c and 0x00ff
  const auto within = [&](bool negated, std::uint16_t from, std::uint16_t to) {
    return matches({load_transport(2, 2), Range{negated, 0, Value::be16(from), Value::be16(to)}},
                   packet);
  };
  CHECK(within(false, 300, 300));
  CHECK_FALSE(within(false, 301, 400));
  CHECK_FALSE(within(true, 1, 300));
  CHECK(within(true, 1, 299));
}

TEST_CASE("register arithmetic") {
  const Packet packet = arriving(fields(6, 22));
  // 192.0.2.7 in 192.0.2.0/24
  CHECK(
      matches({load_network(12, 4), BitwiseMask{0, 0, 4, bytes_value({255, 255, 255, 0}), zeros(4)},
               is(bytes_value({192, 0, 2, 0}))},
              packet));
  CHECK(matches({Immediate{0, Value::host_u32(0x80000001)},
                 BitwiseShift{ShiftDirection::Left, 0, 1, 4, 1}, is(Value::host_u32(2), 1)},
                packet));
  CHECK(
      matches({Immediate{0, Value::host_u32(0x80000001)},
               BitwiseShift{ShiftDirection::Right, 0, 1, 4, 4}, is(Value::host_u32(0x08000000), 1)},
              packet));
  // Over two registers the carry goes to the neighbour.
  CHECK(matches({Immediate{0, Value::host_u32(1)}, Immediate{1, Value::host_u32(0x80000000)},
                 BitwiseShift{ShiftDirection::Left, 0, 2, 8, 1}, is(Value::host_u32(3), 2),
                 is(Value::host_u32(0), 3)},
                packet));
  CHECK(matches({load_meta(MetaKey::Length), Byteorder{ByteorderOp::HostToNetwork, 0, 0, 4, 4},
                 Cmp{CmpOp::Gte, 0, bytes_value({0, 0, 0, 64})}},
                packet));
  CHECK(
      matches({Immediate{0, bytes_value({1, 2, 0, 0})},
               Byteorder{ByteorderOp::NetworkToHost, 0, 1, 2, 2}, is(bytes_value({2, 1, 0, 0}), 1)},
              packet));
}

TEST_CASE("byteorder swaps as many whole units as its length holds") {
  const Packet packet = arriving(fields(6, 22));
  const auto swapped = [&](std::uint32_t length, std::uint32_t size, Octets result) {
    return matches(
        {Immediate{0, bytes_value({1, 2, 3, 4})}, Immediate{1, bytes_value({5, 6, 7, 8})},
         Byteorder{ByteorderOp::HostToNetwork, 0, 0, length, size}, is(bytes_value(result))},
        packet);
  };
  CHECK(swapped(1, 2, {1, 2, 3, 4, 5, 6, 7, 8}));
  CHECK(swapped(3, 2, {2, 1, 3, 4, 5, 6, 7, 8}));
  CHECK(swapped(4, 2, {2, 1, 4, 3, 5, 6, 7, 8}));
  CHECK(swapped(7, 4, {4, 3, 2, 1, 5, 6, 7, 8}));
  CHECK(swapped(8, 4, {4, 3, 2, 1, 8, 7, 6, 5}));
  CHECK(swapped(8, 8, {8, 7, 6, 5, 4, 3, 2, 1}));
  CHECK(swapped(4, 8, {1, 2, 3, 4, 5, 6, 7, 8}));
  // Kernels differ in whether what is beside two bytes becomes zero.
  const auto rules =
      one_table({base_chain({rule({Immediate{0, bytes_value({1, 2, 3, 4})},
                                   Byteorder{ByteorderOp::HostToNetwork, 0, 0, 2, 2}, drop()})})});
  CHECK_EQ(fate_of(rules, packet), Fate::Undecided);
}

TEST_CASE("what pads a short value is zero, so that concatenations compare") {
  const Packet packet = arriving(fields(6, 22));
  CHECK(matches({Immediate{0, Value::host_u32(0xffffffff)}, load_transport(2, 2),
                 is(bytes_value({0, 22, 0, 0}))},
                packet));
  CHECK(matches({Immediate{0, Value::host_u32(0xffffffff)}, load_meta(MetaKey::L4Proto),
                 is(bytes_value({6, 0, 0, 0}))},
                packet));
  CHECK(matches({Immediate{0, Value::host_u32(0xffffffff)}, load_transport(0, 3),
                 is(bytes_value({0x9c, 0x40, 0, 0}))},
                packet));
}

TEST_CASE("effects inside a rule are seen by its later expressions, and by later hooks") {
  const Packet packet = arriving(fields());
  CHECK(matches({Immediate{0, Value::host_u32(5)}, MetaSet{MetaKey::Mark, 0},
                 load_meta(MetaKey::Mark, 1), is(Value::host_u32(5), 1)},
                packet));
  const auto rules =
      one_table({base_chain({rule({Immediate{0, Value::host_u32(7)}, MetaSet{MetaKey::Mark, 0}})},
                            Hook::Prerouting, 0, VerdictCode::Accept),
                 base_chain({rule({load_meta(MetaKey::Mark), is(Value::host_u32(7)), accept()})})});
  CHECK_EQ(fate_of(rules, packet), Fate::Accept);
}

TEST_CASE("ct state is a bit of the flow, given or found") {
  const auto state = [](const Packet& packet, std::uint32_t bit) {
    return matches({load_ct(CtKey::State), is(Value::host_u32(bit))}, packet);
  };
  CHECK(state(arriving(fields(6)), ct_state::kNew));
  PacketFields syn_ack = fields(6);
  syn_ack.tcp_flags = 0x12;
  CHECK(state(arriving(syn_ack), ct_state::kInvalid));
  PacketFields discovery = fields6(58);
  discovery.icmp_type = 135;
  CHECK(state(arriving(discovery), ct_state::kUntracked));
  Packet given = arriving(fields(6));
  given.ct_state = ct_state::kEstablished;
  CHECK(state(given, ct_state::kEstablished));
}

TEST_CASE("before conntrack's own hook every packet is invalid, unless notrack") {
  const auto raw = [](std::vector<Expr> exprs) {
    return one_table(
        {base_chain({rule(std::move(exprs))}, Hook::Prerouting, -300, VerdictCode::Accept),
         base_chain(
             {rule({load_ct(CtKey::State), is(Value::host_u32(ct_state::kNew)), accept()})})});
  };
  const Packet packet = arriving(fields(6));
  CHECK_EQ(fate_of(raw({load_ct(CtKey::State), is(Value::host_u32(ct_state::kInvalid)), drop()}),
                   packet),
           Fate::Drop);
  CHECK_EQ(
      fate_of(raw({load_ct(CtKey::State), is(Value::host_u32(ct_state::kNew)), drop()}), packet),
      Fate::Accept);
  CHECK_EQ(fate_of(raw({Notrack{}}), packet), Fate::Drop);  // untracked: not new
}

TEST_CASE("without an entry the other ct keys break, and setting does nothing") {
  PacketFields invalid = fields(6);
  invalid.tcp_flags = 0;
  CHECK_FALSE(matches({load_ct(CtKey::Mark), is(Value::host_u32(0))}, arriving(invalid)));
  CHECK(matches({Immediate{0, Value::host_u32(1)}, CtSet{CtKey::Mark, std::nullopt, 0}},
                arriving(invalid)));
  CHECK(matches({Immediate{0, Value::host_u32(1)}, CtSet{CtKey::Mark, std::nullopt, 0},
                 load_ct(CtKey::Mark, 1), is(Value::host_u32(1), 1)},
                arriving(fields(6))));
  CHECK(matches({load_ct(CtKey::Direction), is(Value::u8(0))}, arriving(fields(6))));
  CHECK(matches({Ct{CtKey::ProtoDestination, CtDirection::Original, 0}, is(Value::be16(22))},
                arriving(fields(6, 22))));
  CHECK(matches({Ct{CtKey::SourceIp, CtDirection::Reply, 0}, is(bytes_value({10, 0, 0, 1}))},
                arriving(fields(6, 22))));
  CHECK_FALSE(matches({Ct{CtKey::SourceIp6, CtDirection::Original, 0}, is_not(zeros(16))},
                      arriving(fields(6, 22))));
}

TEST_CASE("reject drops, and says so") {
  CHECK_EQ(fate_of(input_rules({rule({Reject{}})}), arriving(fields())), Fate::Reject);
}

TEST_CASE("counter, last and log let the packet on") {
  CHECK(matches({Counter{}, Last{}, Log{}}, arriving(fields())));
}

TEST_CASE("a chain of IPv6 headers that is cut off has no protocol to read") {
  Packet packet = arriving(fields6());
  packet.bytes[6] = 44;  // a fragment header, of which there are two bytes
  packet.bytes.resize(42);
  put_be16(packet.bytes.data() + 4, 2);
  CHECK_FALSE(matches({load_meta(MetaKey::L4Proto), is_not(Value::u8(6))}, packet));
  CHECK_FALSE(matches({load_transport(0, 1), is_not(Value::u8(6))}, packet));
  CHECK(matches({load_network(6, 1), is(Value::u8(44))}, packet));
}

}  // namespace
}  // namespace rolewall::eval
