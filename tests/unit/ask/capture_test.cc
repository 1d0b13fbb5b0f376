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

  // Its connection may have been open before the capture began.
  auto out_of_nowhere = captured(from_web_server(), 1);
  const CapturedAnswer late = Conversation(web.snapshot, {.device = "eth0"}).ask(out_of_nowhere);
  CHECK(late.as_taken == Verdict::Drop);
  CHECK(late.hop.verdict == Verdict::Conditional);
}

TEST_CASE("what begins a connection is no answer; what may be one is none after a long silence") {
  WebServer web;
  const auto verdict = [&](std::uint16_t source, std::uint16_t destination, std::uint64_t second) {
    Conversation conversation(web.snapshot, {.device = "eth0"});
    auto first = captured(from_balancer(), 1);
    conversation.ask(first);
    eval::PacketFields fields = from_balancer();
    fields.protocol = 17;
    fields.source_port = source;
    fields.destination_port = destination;
    auto packet = captured(fields, second);
    return conversation.ask(packet).hop.verdict;
  };
  CHECK(verdict(53, 40000, 2) == Verdict::Conditional);
  CHECK(verdict(53, 40000, 200) == Verdict::Drop);
  CHECK(verdict(40000, 161, 2) == Verdict::Drop);
  CHECK(verdict(40000, 2300, 2) == Verdict::Drop);
  CHECK(verdict(123, 123, 2) == Verdict::Conditional);
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

// A gateway, and a capture on one of its devices, of frames that do not say which way they went.
struct Gateway {
  explicit Gateway(const std::string& nat = "", const std::string& device = "eth0")
      : policy(test::load_site(
            {{"site.toml",
              "[site]\nname = \"s\"\nmanagement = \"198.51.100.99\"\n"
              "[interfaces.public]\ndevice = \"eth0\"\n"
              "[interfaces.private]\ndevice = \"eth1\"\nbehind = \"10.0.9.0/24\"\n"
              "[hosts.gw]\nrole = \"gateway\"\naddresses = [\"203.0.113.10\", \"10.0.9.1\"]\n"
              "interfaces = [\"public\", \"private\"]\n"},
             {"gateway.toml",
              "role = \"gateway\"\n[[forward]]\nid = \"web\"\nservice = \"tcp/443\"\nfrom = "
              "\"10.0.9.0/24\"\n" +
                  nat}})),
        site(policy, test::kToday),
        conversation(site.snapshot(test::host(policy, "gw")), {.device = device}) {}

  CapturedAnswer ask(const char* from, const char* to, std::uint8_t flags, std::uint8_t ttl = 64) {
    eval::PacketFields fields;
    fields.source = *net::parse_address(from);
    fields.destination = *net::parse_address(to);
    const bool answers = flags == kSynAck;
    fields.source_port = answers ? 443 : 40000;
    fields.destination_port = answers ? 40000 : 443;
    fields.tcp_flags = flags;
    fields.ttl = ttl;
    auto packet = captured(fields, ++second);
    return conversation.ask(packet);
  }

  policy::Policy policy;
  Site site;
  Conversation conversation;
  std::uint64_t second = 0;
};
constexpr const char* kTranslates =
    "[[nat]]\nid = \"out\"\nfrom = \"10.0.9.0/24\"\nout = \"public\"\n"
    "new-source = \"203.0.113.10\"\n";

TEST_CASE("a gateway's policy forwards, whichever of its devices the capture was taken on") {
  Gateway inside("", "eth1");
  const CapturedAnswer comes = inside.ask("10.0.9.2", "192.0.2.1", kSyn);
  CHECK(comes.hop.verdict == Verdict::Accept);
  CHECK(comes.hop.hook == ruleset::Hook::Forward);
  // What comes back arrives on the other device, and is seen here as it leaves.
  const CapturedAnswer back = inside.ask("192.0.2.1", "10.0.9.2", kSynAck, 63);
  CHECK(back.packet == "tcp 192.0.2.1:443 > 10.0.9.2:40000 flags=syn,ack out=eth1 ttl=63");
  CHECK(back.hop.verdict == Verdict::Accept);

  Gateway outside;
  const CapturedAnswer leaves = outside.ask("10.0.9.2", "192.0.2.1", kSyn, 63);
  CHECK(leaves.hop.verdict == Verdict::Accept);
  CHECK(leaves.hop.hook == ruleset::Hook::Forward);
  CHECK(outside.ask("192.0.2.1", "10.0.9.2", kSynAck).hop.verdict == Verdict::Accept);
  CHECK(outside.ask("192.0.2.1", "10.0.9.3", kSyn).hop.verdict == Verdict::Drop);
}

TEST_CASE("what has been translated might have been another's, and so might its answer") {
  Gateway outside(kTranslates);
  const CapturedAnswer leaves = outside.ask("203.0.113.10", "192.0.2.1", kSyn, 63);
  CHECK(leaves.hop.verdict == Verdict::Conditional);
  REQUIRE(!leaves.conditions.empty());
  CHECK(leaves.conditions.back().about ==
        "whether this host sent it, or translated what another had sent");
  CHECK(outside.ask("192.0.2.1", "203.0.113.10", kSynAck).hop.verdict == Verdict::Conditional);
  CHECK(outside.ask("192.0.2.7", "203.0.113.10", kSyn).hop.verdict == Verdict::Drop);

  // On the inside nothing is translated yet, or no longer.
  Gateway inside(kTranslates, "eth1");
  CHECK(inside.ask("10.0.9.2", "192.0.2.1", kSyn).hop.verdict == Verdict::Accept);
  CHECK(inside.ask("192.0.2.1", "10.0.9.2", kSynAck, 63).hop.verdict == Verdict::Accept);
}

TEST_CASE("whether a group is joined, a policy does not say") {
  Gateway gateway;
  const CapturedAnswer told = gateway.ask("192.0.2.1", "239.1.1.1", kSyn);
  CHECK(told.hop.verdict == Verdict::Conditional);
  CHECK(told.as_taken == Verdict::Drop);
  REQUIRE(told.conditions.size() == 1);
  CHECK(told.conditions[0].about == "that this host has joined the group");
  CHECK(gateway.ask("192.0.2.1", "224.0.0.1", kSyn).hop.verdict == Verdict::Drop);
}

// dhclient and its like send by packet sockets, which meet no output.
TEST_CASE("what a DHCP client sends is its own, and may have gone past output") {
  Gateway gateway;
  eval::CapturedPacket request = captured(from_balancer(), 1);
  eval::PacketFields fields;
  fields.source = *net::parse_address("0.0.0.0");
  fields.destination = *net::parse_address("255.255.255.255");
  fields.protocol = 17;
  fields.source_port = 68;
  fields.destination_port = 67;
  request.packet = eval::build(fields);
  request.says_way = request.outgoing = true;
  const CapturedAnswer answer = gateway.conversation.ask(request);
  CHECK(answer.passed_over.empty());
  CHECK(answer.as_taken == Verdict::Reject);
  CHECK(answer.hop.verdict == Verdict::Conditional);
}

TEST_CASE("which program has sent a packet the capture does not show") {
  Gateway gateway("[[outbound]]\nid = \"updates\"\nservice = \"tcp/443\"\nuser = 33\n");
  CHECK(gateway.ask("203.0.113.10", "192.0.2.1", kSyn).hop.verdict == Verdict::Conditional);
  CHECK(gateway.ask("192.0.2.7", "203.0.113.10", kSyn).hop.verdict == Verdict::Drop);
}

}  // namespace
}  // namespace rolewall::ask
