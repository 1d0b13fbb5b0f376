// Packets out of messages that come mixed.
#include "cli/traced_packets.h"

#include <doctest/doctest.h>

#include "ask/trace_table.h"

namespace rolewall::cli {
namespace {

using observe::TraceMessage;
using observe::TraceType;
using ruleset::VerdictCode;

TraceMessage mark(std::uint32_t id) {
  TraceMessage message;
  message.table = "t";
  message.chain = ask::trace_chain::kMark;
  message.handle = 7;
  message.verdict.code = VerdictCode::Accept;
  message.id = id;
  message.in_index = 2;
  message.begins_base_chain = true;
  return message;
}
TraceMessage rule(std::uint32_t id, VerdictCode code) {
  TraceMessage message;
  message.table = "rolewall";
  message.chain = "input";
  message.handle = 3;
  message.verdict.code = code;
  message.id = id;
  return message;
}
TraceMessage end(std::uint32_t id, TraceType type) {
  TraceMessage message;
  message.table = "t";
  message.chain = ask::trace_chain::kDelivered;
  message.type = type;
  message.id = id;
  return message;
}

TEST_CASE("two at once are told apart, and each ends with its verdict or behind its last hook") {
  TracedPackets packets("t");
  for (const auto& message : {mark(1), mark(2), rule(1, VerdictCode::Accept),
                              rule(2, VerdictCode::Drop), end(1, TraceType::Return)}) {
    packets.take(message, 0);
  }
  auto done = packets.finished(1);
  REQUIRE(done.size() == 1);
  CHECK(done[0].first.id == 2);
  packets.take(end(1, TraceType::Policy), 1);
  done = packets.finished(1);
  REQUIRE(done.size() == 1);
  CHECK(done[0].first.id == 1);
  CHECK(done[0].messages.size() == 3);
  CHECK(packets.strays() == 0);
}

TEST_CASE("a number comes again, and what has no beginning is counted") {
  TracedPackets packets("t");
  packets.take(mark(1), 0);
  packets.take(rule(1, VerdictCode::Drop), 0);
  packets.take(mark(1), 0);
  packets.take(rule(1, VerdictCode::Accept), 0);
  packets.take(rule(5, VerdictCode::Accept), 0);
  CHECK(packets.strays() == 1);
  CHECK(packets.finished(1).size() == 1);
  // Of the second nothing more is told.
  CHECK(packets.finished(100).empty());
  CHECK(packets.finished(1000).size() == 1);
  CHECK(packets.all().empty());
}

TEST_CASE("a packet out of its headers: TCP's options are not told, its payload is missing") {
  TraceMessage message = mark(1);
  message.network_header = {0x45, 0, 0, 70, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 7, 192, 0, 2, 10};
  message.transport_header = {0x9c, 0x40, 1,    0xbb, 0, 0, 0, 1, 0, 0,
                              0,    0,    0xa0, 2,    1, 0, 0, 0, 0, 0};
  ruleset::Host host;
  const auto packet = packet_in(message, host);
  REQUIRE(packet);
  CHECK(packet->bytes.size() == 70);
  CHECK(packet->missing == 10);
  CHECK(packet->bytes[40] == 1);
  CHECK(packet->in_device == "device 2");
  message.network_header[0] = 0x4f;
  CHECK_FALSE(packet_in(message, host));
  message.network_header.resize(4);
  CHECK_FALSE(packet_in(message, host));
}

}  // namespace
}  // namespace rolewall::cli
