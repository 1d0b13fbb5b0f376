// A capture as one conversation: which way each packet goes, and what the ones before it change.
#include "ask/capture.h"

#include <doctest/doctest.h>

#include "ask/site.h"
#include "eval/build.h"
#include "net/address.h"
#include "site_text.h"

namespace rolewall::ask {
namespace {

using namespace std::chrono;
constexpr std::uint8_t kSyn = 0x02;
constexpr std::uint8_t kSynAck = 0x12;

eval::PacketFields from_balancer() {
  eval::PacketFields fields;
  fields.source = *net::parse_address("10.0.1.10");
  fields.destination = *net::parse_address("10.0.2.10");
  fields.destination_port = 443;
  fields.tcp_flags = kSyn;
  return fields;
}

eval::PacketFields from_web_server() {
  eval::PacketFields fields = from_balancer();
  std::swap(fields.source, fields.destination);
  std::swap(fields.source_port, fields.destination_port);
  fields.tcp_flags = kSynAck;
  return fields;
}

eval::CapturedPacket captured(const eval::PacketFields& fields, std::uint64_t second) {
  eval::CapturedPacket packet;
  packet.number = second;
  packet.time_ns = second * 1'000'000'000;
  packet.packet = eval::build(fields);
  return packet;
}

struct WebServer {
  policy::Policy policy = test::load_site(test::small_site());
  Site site{policy, test::kToday};
  const ruleset::Snapshot& snapshot = site.snapshot(test::host(policy, "web-01"));
};

TEST_CASE("the host's own packets are told by their source, and an answer finds its connection") {
  WebServer web;
  Conversation conversation(web.snapshot, {.device = "eth0"});
  auto request = captured(from_balancer(), 1);
  const CapturedAnswer asked = conversation.ask(request);
  CHECK(asked.packet == "tcp 10.0.1.10:40000 > 10.0.2.10:443 flags=syn in=eth0");
  CHECK(asked.hop.verdict == Verdict::Accept);
  CHECK(asked.hop.hook == ruleset::Hook::Input);
  REQUIRE(asked.hop.decided_by);
  CHECK(asked.hop.decided_by->rule == "web.inbound.app");

  auto reply = captured(from_web_server(), 2);
  const CapturedAnswer answered = conversation.ask(reply);
  CHECK(answered.packet == "tcp 10.0.2.10:443 > 10.0.1.10:40000 flags=syn,ack out=eth0");
  CHECK(answered.hop.verdict == Verdict::Accept);

  auto out_of_nowhere = captured(from_web_server(), 1);
  CHECK(Conversation(web.snapshot, {.device = "eth0"}).ask(out_of_nowhere).hop.verdict ==
        Verdict::Drop);
}

TEST_CASE("where all packets are said to arrive, the source does not count") {
  WebServer web;
  Conversation conversation(web.snapshot, {.device = "eth0", .direction = eval::Direction::Arrive});
  auto packet = captured(from_web_server(), 1);
  const CapturedAnswer answer = conversation.ask(packet);
  CHECK(answer.packet == "tcp 10.0.2.10:443 > 10.0.1.10:40000 flags=syn,ack in=eth0");
  CHECK(answer.hop.hook != ruleset::Hook::Output);
}

TEST_CASE("a packet whose headers are not whole is named by its size") {
  WebServer web;
  Conversation conversation(web.snapshot, {.device = "eth0"});
  eval::PacketFields fields = from_balancer();
  fields.truncate_transport_to = 2;
  auto packet = captured(fields, 1);
  CHECK(conversation.ask(packet).packet == "an IP packet of 22 bytes, in=eth0");
}

}  // namespace
}  // namespace rolewall::ask
