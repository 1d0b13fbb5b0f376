// Packets that are one conversation.
#include <doctest/doctest.h>

#include "rules.h"

namespace rolewall::eval {
namespace {

using namespace ruleset;

constexpr std::uint64_t kSecond = 1'000'000'000;

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

TEST_CASE("TCP answers in its order: no ACK before the SYN+ACK, no SYN in the middle") {
  PacketFields answer = fields(6, 40001);
  answer.tcp_flags = 0x02;
  Talk talk;
  CHECK_EQ(talk.out(reversed(answer)), Fate::Accept);
  CHECK_EQ(talk.in(answer), Fate::Accept);  // a simultaneous open
  answer.tcp_flags = 0x00;
  CHECK_EQ(talk.in(answer), Fate::Drop);  // invalid
}

}  // namespace
}  // namespace rolewall::eval
