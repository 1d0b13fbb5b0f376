// Packets that are one conversation.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "eval/checksum.h"
#include "eval/conntrack.h"
#include "eval/nat.h"
#include "eval/wire.h"
#include "rules.h"
#include "ruleset/expr.h"

namespace rolewall::eval {
namespace {

using namespace ruleset;

// Accepts what the client begins, and of the rest what the state says.
struct Talk {
  Ruleset rules =
      input_rules({rule({load_ct(CtKey::State), is(Value::host_u32(state)), accept()})});
  Host on = host();
  Evaluator evaluator{rules, on};
  static constexpr std::uint32_t state = ct_state::kEstablished;
  Fate in(const PacketFields& packet, std::uint64_t now_ns = 0) {
    return evaluator.arrive(arriving(packet), {.keep_state = true, .now_ns = now_ns}).fate();
  }
  Fate out(PacketFields packet, std::uint64_t now_ns = 0) {
    Packet sent = build(packet);
    sent.out_device = "eth0";
    return evaluator.send(sent, {.keep_state = true, .now_ns = now_ns}).fate();
  }
};

PacketFields reversed(PacketFields packet) {
  std::swap(packet.source, packet.destination);
  std::swap(packet.source_port, packet.destination_port);
  return packet;
}

TEST_CASE("an answer belongs to the flow that was sent, until its time is over") {
  const PacketFields answer = fields(17, 5353);
  Talk talk;
  CHECK_EQ(talk.in(answer), Fate::Drop);
  CHECK_EQ(talk.out(reversed(answer)), Fate::Accept);
  CHECK_EQ(talk.in(answer, 29 * kSecond), Fate::Accept);
  CHECK_EQ(talk.in(answer, 300 * kSecond), Fate::Drop);
  CHECK_EQ(talk.out(reversed(answer), 300 * kSecond), Fate::Accept);
  talk.evaluator.reset();
  CHECK_EQ(talk.in(answer, 300 * kSecond), Fate::Drop);
}

TEST_CASE("what a host sends from a port to the same port on the same address answers itself") {
  const Ruleset rules = one_table({base_chain(
      {rule({load_ct(CtKey::State), is(Value::host_u32(ct_state::kEstablished)), drop()})},
      Hook::Output, 0, VerdictCode::Accept)});
  const Host on = host();
  Evaluator evaluator{rules, on};
  PacketFields itself = fields(17, 123);
  itself.source = itself.destination;
  itself.source_port = itself.destination_port;
  Packet packet = build(itself);
  packet.out_device = "lo";
  const auto sent = [&](std::uint64_t now_ns) {
    return evaluator.send(packet, {.keep_state = true, .now_ns = now_ns}).fate();
  };
  CHECK_EQ(sent(0), Fate::Accept);
  CHECK_EQ(sent(kSecond), Fate::Drop);
  CHECK_EQ(sent(300 * kSecond), Fate::Accept);
  CHECK_EQ(sent(301 * kSecond), Fate::Drop);
}

// UDP's header is UDP-Lite's: the length is how much the checksum covers.
Packet by_udp_lite(Packet packet) {
  packet.bytes[ipv4::kProtocol] = 136;
  put_be16(packet.bytes.data() + ipv4::kChecksum, 0);
  put_be16(packet.bytes.data() + ipv4::kChecksum,
           internet_checksum(ByteSpan(packet.bytes).first(ipv4::kHeaderSize)));
  return packet;
}

TEST_CASE("UDP-Lite is a stream once both have spoken, UDP two seconds after it began") {
  const Ruleset rules = input_rules(
      {rule({load_ct(CtKey::Status),
             BitwiseMask{0, 0, 4, Value::host_u32(flow_status::kAssured), Value::host_u32(0)},
             is(Value::host_u32(0)), accept()})});
  Host on = host();
  on.conntrack.checksum = false;
  for (const bool lite : {false, true}) {
    Evaluator evaluator{rules, on};
    Packet asks = arriving(fields(17, 5353));
    Packet answer = build(reversed(fields(17, 5353)));
    answer.out_device = "eth0";
    if (lite) asks = by_udp_lite(asks);
    if (lite) answer = by_udp_lite(answer);
    const Options kept{.keep_state = true};
    CHECK_EQ(evaluator.arrive(asks, kept).fate(), Fate::Accept);
    CHECK_EQ(evaluator.send(answer, kept).fate(), Fate::Accept);
    CHECK_EQ(evaluator.arrive(asks, kept).fate(), lite ? Fate::Drop : Fate::Accept);
  }
}

TEST_CASE("TCP answers in its order: no ACK before the SYN+ACK, no SYN in the middle") {
  PacketFields answer = fields(6, 40001);
  answer.tcp_flags = 0x02;
  Talk talk;
  CHECK_EQ(talk.out(reversed(answer)), Fate::Accept);
  CHECK_EQ(talk.in(answer), Fate::Accept);  // a simultaneous open
  answer.tcp_flags = 0x00;
  CHECK_EQ(talk.in(answer), Fate::Drop);  // invalid
}

TEST_CASE("a packet with a wrong checksum is not answered with a reset, and closes no flow") {
  const Ruleset rules = input_rules(
      {rule({load_ct(CtKey::State), is(Value::host_u32(ct_state::kEstablished)),
             load_meta(MetaKey::Length), is(Value::host_u32(41)), Reject{RejectType::TcpReset, 0}}),
       rule({load_ct(CtKey::State), is(Value::host_u32(ct_state::kEstablished)), accept()})});
  Host on = host();
  on.conntrack.checksum = false;
  on.conntrack.tcp_timeout_close = 1;
  for (const bool broken : {false, true}) {
    Evaluator evaluator(rules, on);
    PacketFields answer = fields(6, 40001);
    Packet asks = build(reversed(answer));
    asks.out_device = "eth0";
    CHECK_EQ(evaluator.send(asks, {.keep_state = true}).fate(), Fate::Accept);
    answer.tcp_flags = 0x12;
    answer.length = 41;
    answer.bad_checksum = broken;
    CHECK_EQ(evaluator.arrive(arriving(answer), {.keep_state = true}).fate(), Fate::Reject);
    answer.length = 40;
    answer.bad_checksum = false;
    CHECK_EQ(evaluator.arrive(arriving(answer), {.keep_state = true, .now_ns = 2 * kSecond}).fate(),
             broken ? Fate::Accept : Fate::Drop);
  }
}

TEST_CASE("a zone undoes \"notrack\", and the first zone stays") {
  const auto zone = [](std::uint16_t number) {
    return std::vector<Expr>{Immediate{0, bytes_value({static_cast<std::uint8_t>(number), 0})},
                             CtSet{CtKey::Zone, std::nullopt, 0}};
  };
  const auto fate = [&](std::vector<Rule> before) {
    const Ruleset rules =
        one_table({base_chain(std::move(before), Hook::Prerouting, -300, VerdictCode::Accept),
                   base_chain({rule({load_ct(CtKey::State), is(Value::host_u32(ct_state::kNew)),
                                     load_ct(CtKey::Zone), is(bytes_value({3, 0})), accept()})})});
    return fate_of(rules, arriving(fields()));
  };
  CHECK_EQ(fate({rule(zone(3))}), Fate::Accept);
  CHECK_EQ(fate({rule({Notrack{}})}), Fate::Drop);
  CHECK_EQ(fate({rule({Notrack{}}), rule(zone(3))}), Fate::Accept);
  CHECK_EQ(fate({rule(zone(3)), rule({Notrack{}})}), Fate::Accept);
  CHECK_EQ(fate({rule(zone(3)), rule(zone(4))}), Fate::Accept);
  CHECK_EQ(fate({rule(zone(4)), rule(zone(3))}), Fate::Drop);
}

TEST_CASE("a reset before any reply kills the flow, and is still of it: its status says so") {
  constexpr std::uint32_t kConfirmedAndDying = 1 << 3 | 1 << 9;
  const Ruleset rules = one_table(
      {base_chain({rule({load_ct(CtKey::Status), is(Value::host_u32(kConfirmedAndDying)), drop()})},
                  Hook::Output, 0, VerdictCode::Accept)});
  const Host on = host();
  Evaluator evaluator(rules, on);
  PacketFields asks = reversed(fields(6, 40001));
  const auto send = [&](std::uint8_t flags) {
    asks.tcp_flags = flags;
    Packet packet = build(asks);
    packet.out_device = "eth0";
    return evaluator.send(packet, {.keep_state = true}).fate();
  };
  CHECK_EQ(send(0x02), Fate::Accept);
  CHECK_EQ(send(0x04), Fate::Drop);
  CHECK_EQ(send(0x04), Fate::Accept);  // of no flow
}

TEST_CASE("a reset that a rule sends closes the flow: what follows is no longer of it") {
  const Ruleset rules = input_rules(
      {rule({Meta{MetaKey::Length, 0}, Cmp{CmpOp::Eq, 0, Value::host_u32(41)},
             Reject{RejectType::TcpReset, 0}}),
       rule({load_ct(CtKey::State), is(Value::host_u32(ct_state::kEstablished)), accept()})});
  const Host on = host();
  Evaluator evaluator(rules, on);
  const Options kept{.keep_state = true};
  PacketFields answer = fields(6, 40001);
  Packet asks = build(reversed(answer));
  asks.out_device = "eth0";
  CHECK_EQ(evaluator.send(asks, kept).fate(), Fate::Accept);
  answer.tcp_flags = 0x12;
  answer.length = 40;
  CHECK_EQ(evaluator.arrive(arriving(answer), kept).fate(), Fate::Accept);
  answer.length = 41;
  CHECK_EQ(evaluator.arrive(arriving(answer), kept).fate(), Fate::Reject);
  answer.length = 40;
  // In CLOSE a SYN+ACK is ignored: of the flow still, and nothing renews its ten seconds.
  CHECK_EQ(evaluator.arrive(arriving(answer), {.keep_state = true, .now_ns = 9 * kSecond}).fate(),
           Fate::Accept);
  CHECK_EQ(evaluator.arrive(arriving(answer), {.keep_state = true, .now_ns = 11 * kSecond}).fate(),
           Fate::Drop);
}

TEST_CASE("an ICMP error about a flow is related, and about another one invalid") {
  const Ruleset rules = input_rules(
      {rule({load_ct(CtKey::State), is(Value::host_u32(ct_state::kRelated)), accept()})});
  const Host on = host();
  Evaluator evaluator(rules, on);
  const Options kept{.keep_state = true};
  const PacketFields answer = fields(17, 5353);
  Packet asks = build(reversed(answer));
  asks.out_device = "eth0";
  CHECK_EQ(evaluator.send(asks, kept).fate(), Fate::Accept);

  PacketFields unreachable = answer;
  unreachable.protocol = 1;
  unreachable.icmp_type = 3;
  unreachable.icmp_code = 3;
  unreachable.length = 20 + 8 + 28;
  Packet error = arriving(unreachable);
  std::copy_n(asks.bytes.begin(), 28, error.bytes.begin() + 28);
  const Options trusting{.keep_state = true, .trust_checksums = true};
  CHECK_EQ(evaluator.arrive(error, trusting).fate(), Fate::Accept);
  CHECK_EQ(evaluator.arrive(error, kept).fate(), Fate::Drop);  // its checksum is of other bytes
  error.bytes[28 + 23] ^= 1;                                   // the quoted packet's port
  CHECK_EQ(evaluator.arrive(error, trusting).fate(), Fate::Drop);
}

TEST_CASE("what the host answers itself bears the entry of the packet that caused it") {
  const auto with = [](RejectType type) {
    return one_table({base_chain({rule({Reject{type, 3}})}),
                      base_chain({rule({load_ct(CtKey::State),
                                        is(Value::host_u32(ct_state::kRelated)), accept()})},
                                 Hook::Output)});
  };
  const Host on = host();
  const Options kept{.keep_state = true, .trust_checksums = true};
  const auto answers = [&](RejectType type, const PacketFields& asks, Packet answer) {
    const Ruleset rules = with(type);
    Evaluator evaluator(rules, on);
    answer.out_device = "eth0";
    CHECK_EQ(evaluator.send(answer, kept).fate(), Fate::Drop);  // to nothing
    CHECK_EQ(evaluator.arrive(arriving(asks), kept).fate(), Fate::Reject);
    Packet by_program = answer;
    by_program.user = 0;
    CHECK_EQ(evaluator.send(by_program, kept).fate(), Fate::Drop);
    return evaluator.send(answer, kept).fate();
  };
  const PacketFields asks = fields(6, 22);
  PacketFields reset = reversed(asks);
  reset.tcp_flags = 0x14;
  CHECK_EQ(answers(RejectType::TcpReset, asks, build(reset)), Fate::Accept);
  CHECK_EQ(answers(RejectType::IcmpUnreachable, asks, build(reset)), Fate::Drop);
  PacketFields unreachable = reversed(asks);
  unreachable.protocol = 1;
  unreachable.icmp_type = 3;
  unreachable.icmp_code = 3;
  unreachable.length = 20 + 8 + 28;
  Packet error = build(unreachable);
  std::copy_n(build(asks).bytes.begin(), 28, error.bytes.begin() + 28);
  CHECK_EQ(answers(RejectType::IcmpUnreachable, asks, error), Fate::Accept);
}

TEST_CASE("at the tick of a flow's end it may be there or not") {
  const PacketFields answer = fields(17, 5353);
  Talk talk;
  const auto at = [&](std::uint64_t now_ns) {
    return fates(talk.evaluator.outcomes(arriving(answer), Direction::Arrive,
                                         {.keep_state = true, .now_ns = now_ns}));
  };
  CHECK_EQ(talk.out(reversed(answer)), Fate::Accept);
  const std::uint64_t end = 30 * kSecond;  // of a flow without answers
  CHECK_EQ(at(end - kSecond), "accept");
  CHECK_EQ(at(end - 1'000'000), "accept drop");
  CHECK_EQ(at(end + 1'000'000), "accept drop");
  CHECK_EQ(at(end + kSecond), "drop");
}

TEST_CASE("how long a flow that was seen still has is known to a tick") {
  const auto ask = [](CmpOp op, std::uint32_t ms) {
    const Ruleset rules =
        input_rules({rule({load_ct(CtKey::Expiration), Cmp{op, 0, Value::host_u32(ms)}, drop()}),
                     rule({accept()})});
    const Host on = host();
    Evaluator evaluator(rules, on);
    const Options how{.now_ns = kSecond};
    evaluator.next(arriving(fields(17, 53)), Direction::Arrive, how);
    return fates(evaluator.next(arriving(fields(17, 53)), Direction::Arrive, how));
  };
  CHECK_EQ(ask(CmpOp::Eq, 20'000), "accept");
  CHECK_EQ(ask(CmpOp::Neq, 20'000), "drop");
  CHECK_EQ(ask(CmpOp::Neq, 30'000), "accept drop");  // it may be a tick less
}

TEST_CASE("what leaves is known by its flow, as it was before it was translated") {
  const Ruleset rules = [] {
    Chain nat = base_chain(
        {rule({Immediate{1, Value::be16(8080)}, Redirect{Register{1}, std::nullopt, 2}})},
        Hook::Prerouting, -100, VerdictCode::Accept);
    nat.base->type = ChainType::Nat;
    return one_table({std::move(nat)}, {}, Family::Ip);
  }();
  const Host on = host();
  Evaluator evaluator(rules, on);
  const PacketFields request = fields(17, 53);
  Packet left = build(reversed(request));
  left.out_device = "eth0";
  CHECK(!evaluator.origin_of(left, kSecond));
  evaluator.next(arriving(request), Direction::Arrive, {.now_ns = kSecond});
  const auto origin = evaluator.origin_of(left, kSecond);
  REQUIRE(origin);
  CHECK(!origin->forwarded);
  PacketFields before = reversed(request);
  before.source_port = 8080;
  CHECK(origin->packet.bytes == build(before).bytes);
  CHECK(!evaluator.origin_of(left, 100 * kSecond));
}

TEST_CASE("a full table lets a packet in at an older flow's cost, or drops it") {
  const Ruleset rules = input_rules({rule({load_ct(CtKey::State), accept()})});
  Host on = host();
  on.conntrack.max = 2;
  Evaluator evaluator(rules, on);
  const auto ask = [&](std::uint16_t port, std::uint64_t now_ns) {
    return evaluator.next(arriving(fields(17, port)), Direction::Arrive, {.now_ns = now_ns});
  };
  CHECK_EQ(fates(ask(1, 0)), "accept");
  CHECK_EQ(fates(ask(2, 0)), "accept");
  CHECK_EQ(fates(ask(1, 0)), "accept");
  const Outcomes full = ask(3, 0);
  REQUIRE_EQ(fates(full), "accept stack");
  CHECK_EQ(full.ways[1].hooks.back().hook, Hook::Prerouting);
  // What is over is not in its way.
  CHECK_EQ(fates(ask(4, 40 * kSecond)), "accept");
}

TEST_CASE("a flow may be one that an earlier flow's helper expects") {
  constexpr std::uint32_t kHelper = 3;
  Object helper;
  helper.name = "ftp";
  helper.type = kHelper;
  helper.body = CtHelper{"ftp-standard", 2, 6};
  const auto rules = input_rules(
      {rule(then(destination_port_is(6, 21), ObjectRef{kHelper, "ftp"})),
       rule(then(destination_port_is(6, 21), accept())),
       rule({load_ct(CtKey::State), is(Value::host_u32(ct_state::kRelated)), accept()})},
      {}, {helper});
  const Host on = host();
  Evaluator evaluator(rules, on);
  const auto ask = [&](std::uint16_t port) {
    return evaluator.next(arriving(fields(6, port)), Direction::Arrive);
  };
  CHECK_EQ(fates(ask(50'000)), "drop");
  CHECK_EQ(fates(ask(21)), "accept");
  const Outcomes data = ask(50'000);
  REQUIRE_EQ(fates(data), "drop accept");
  CHECK_EQ(data.ways[1].conditions.at(0).is, "yes");
}

TEST_CASE("`ct helper` reads the helper of the flow that has expected this one") {
  constexpr std::uint32_t kHelper = 3;
  Object helper;
  helper.name = "ftp";
  helper.type = kHelper;
  helper.body = CtHelper{"ftp", 2, 6};
  std::vector<std::uint8_t> ftp(16, 0);
  std::ranges::copy(std::string_view("ftp"), ftp.begin());
  const auto rules = input_rules({rule(then(destination_port_is(6, 21), ObjectRef{kHelper, "ftp"})),
                                  rule({load_ct(CtKey::Helper), is(bytes_value(ftp)), accept()}),
                                  rule(then(destination_port_is(6, 21), Reject{}))},
                                 {}, {helper});
  const Host on = host();
  Evaluator evaluator(rules, on);
  const auto ask = [&](std::uint16_t port) {
    return evaluator.next(arriving(fields(6, port)), Direction::Arrive);
  };
  CHECK_EQ(fates(ask(21)), "reject");  // not its own, and rejected it expects nothing
  CHECK_EQ(fates(ask(50'000)), "drop");
  const auto let_in =
      input_rules({rule(then(destination_port_is(6, 21), ObjectRef{kHelper, "ftp"})),
                   rule(then(destination_port_is(6, 21), accept())),
                   rule({load_ct(CtKey::Helper), is(bytes_value(ftp)), accept()})},
                  {}, {helper});
  Evaluator open(let_in, on);
  CHECK_EQ(fates(open.next(arriving(fields(6, 21)), Direction::Arrive)), "accept");
  CHECK_EQ(fates(open.next(arriving(fields(6, 50'000)), Direction::Arrive)), "drop accept");
}

TEST_CASE("ct timeout: a connection ends when the policy that a rule has given it says") {
  Object brief;
  brief.name = "brief";
  brief.type = object_type::kCtTimeout;
  brief.body = CtTimeout{2, 17, {{1, 2}, {2, 3}}};
  const auto rules = one_table(
      {base_chain({rule({ObjectRef{object_type::kCtTimeout, "brief"}})}, Hook::Output, 0,
                  VerdictCode::Accept),
       base_chain(
           {rule({load_ct(CtKey::State), is(Value::host_u32(ct_state::kEstablished)), accept()})})},
      {}, Family::Inet, {brief});
  const Host on = host();
  const auto answered_after = [&](std::uint8_t protocol, std::uint64_t seconds) {
    Evaluator evaluator(rules, on);
    Packet sent = build(reversed(fields(protocol, 5353)));
    sent.out_device = "eth0";
    evaluator.send(sent, {.keep_state = true, .now_ns = kSecond});
    return evaluator
        .arrive(arriving(fields(protocol, 5353)),
                {.keep_state = true, .now_ns = (1 + seconds) * kSecond})
        .fate();
  };
  CHECK_EQ(answered_after(17, 1), Fate::Accept);
  CHECK_EQ(answered_after(17, 4), Fate::Drop);
  CHECK_EQ(answered_after(6, 4), Fate::Accept);  // the policy is for another protocol
}

TEST_CASE("CT --timeout names a policy that is not known: after a second its end is conditional") {
  Bytes ct(72);  // struct xt_ct_target_info_v1
  std::ranges::copy(std::string_view("brief"), ct.begin() + 28);
  Ruleset rules = one_table(
      {base_chain({rule({XtTarget{"CT", 1, ct}})}, Hook::Output, -300, VerdictCode::Accept),
       base_chain({rule(
           {load_ct(CtKey::State), is(Value::host_u32(ct_state::kEstablished)), accept()})})});
  const Host on = host();
  for (const std::uint64_t half_seconds : {1, 9}) {
    Evaluator evaluator(rules, on);
    Packet sent = build(reversed(fields(17, 5353)));
    sent.out_device = "eth0";
    evaluator.send(sent, {.keep_state = true, .now_ns = kSecond});
    const auto outcomes =
        evaluator.next(arriving(fields(17, 5353)), Direction::Arrive,
                       {.keep_state = true, .now_ns = kSecond + half_seconds * kSecond / 2});
    CHECK_EQ(fates(outcomes), half_seconds == 1 ? "accept" : "accept drop");
  }
}

TEST_CASE("what a device's egress denies has begun its connection all the same") {
  Chain egress = base_chain({rule({drop()})}, Hook::Egress, 0, VerdictCode::Accept);
  egress.base->devices = {"eth0"};
  Ruleset rules = input_rules(
      {rule({load_ct(CtKey::State), is(Value::host_u32(ct_state::kEstablished)), accept()})});
  rules.tables.push_back(one_table({egress}, {}, Family::Netdev).tables.front());
  const Host on = host();
  Evaluator evaluator(rules, on);
  Packet sent = build(reversed(fields(17, 5353)));
  sent.out_device = "eth0";
  CHECK_EQ(evaluator.send(sent, {.keep_state = true}).fate(), Fate::Drop);
  CHECK_EQ(evaluator.arrive(arriving(fields(17, 5353)), {.keep_state = true}).fate(), Fate::Accept);
}

// nf_conntrack_icmpv6_redirect()
TEST_CASE("a redirect of the link's router is related to the flow that it quotes") {
  PacketFields asked = fields6(17, 5353);
  std::swap(asked.source, asked.destination);
  const Packet quoted = build(asked);
  const auto redirect = [&](const char* router, std::uint8_t hops, std::uint8_t option) {
    PacketFields told;
    told.source = *net::parse_address(router);
    told.destination = asked.source;
    told.protocol = 58;
    told.icmp_type = 137;
    told.ttl = hops;
    told.length = 40 + 48 + 48;
    Packet packet = build(told);
    packet.bytes.resize(40 + 48);
    packet.bytes[40 + 40] = option;
    packet.bytes[40 + 41] = 7;
    packet.bytes.insert(packet.bytes.end(), quoted.bytes.begin(), quoted.bytes.begin() + 48);
    return packet_in_error(packet.bytes, true).has_value();
  };
  CHECK(redirect("fe80::9", 255, 4));
  CHECK_FALSE(redirect("fe80::9", 64, 4));
  CHECK_FALSE(redirect("2001:db8::9", 255, 4));
  CHECK_FALSE(redirect("fe80::9", 255, 2));
}

}  // namespace
}  // namespace rolewall::eval
