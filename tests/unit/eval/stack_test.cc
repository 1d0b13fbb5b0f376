#include "eval/stack.h"

#include <doctest/doctest.h>

#include "eval/checksum.h"
#include "eval/eval.h"
#include "rules.h"

namespace rolewall::eval {
namespace {

using Bytes = std::vector<std::uint8_t>;
using ruleset::Ruleset;

bool received(Bytes bytes, bool loopback = false) {
  ByteSpan span = bytes;
  return (bytes[0] >> 4 == 6 ? receive_ipv6_error(span, loopback) : receive_ipv4_error(span)) ==
         nullptr;
}
bool routed(const char* source, const char* destination, std::uint8_t protocol = 17) {
  PacketFields made = fields(protocol, 53);
  made.source = address(source);
  made.destination = address(destination);
  const ruleset::Host on = host();
  const Ruleset none;
  return Evaluator(none, on).arrive(arriving(made)).fate() == Fate::Accept;
}
Bytes with_options(Bytes options) {
  Bytes packet = build(fields()).bytes;
  options.resize((options.size() + 3) / 4 * 4);
  packet.insert(packet.begin() + 20, options.begin(), options.end());
  packet[0] = static_cast<std::uint8_t>(0x45 + options.size() / 4);
  put_be16(packet.data() + 2, static_cast<std::uint32_t>(packet.size()));
  put_be16(packet.data() + 10, 0);
  put_be16(packet.data() + 10, internet_checksum(ByteSpan(packet).first(20 + options.size())));
  return packet;
}

TEST_CASE("what the IPv4 stack does not take") {
  const Bytes good = build(fields()).bytes;
  CHECK(received(good));
  Bytes padded = good;
  padded.resize(100);
  ByteSpan span = padded;
  CHECK(receive_ipv4_error(span) == nullptr);
  CHECK_EQ(span.size(), good.size());  // the padding is cut off

  const auto broken = [&](std::size_t at, std::uint8_t value) {
    Bytes bytes = good;
    bytes[at] = value;
    put_be16(bytes.data() + 10, 0);
    put_be16(bytes.data() + 10, internet_checksum(ByteSpan(bytes).first(20)));
    return bytes;
  };
  CHECK_FALSE(received(broken(0, 0x44)));
  CHECK_FALSE(received(broken(0, 0x55)));
  CHECK_FALSE(received(broken(3, 65)));
  CHECK_FALSE(received(broken(3, 19)));
  Bytes checksum = good;
  checksum[10] ^= 1;
  CHECK_FALSE(received(checksum));
  CHECK_FALSE(received(Bytes(good.begin(), good.begin() + 19)));
}

TEST_CASE("martians are discarded between prerouting and input") {
  CHECK(routed("192.0.2.7", "10.0.0.1"));
  CHECK(routed("0.0.0.1", "10.0.0.1"));
  CHECK(routed("240.0.0.1", "10.0.0.1"));
  for (const char* source :
       {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "10.0.0.1", "10.0.0.100"}) {
    CHECK_FALSE(routed(source, "10.0.0.1"));
  }
  CHECK(routed("10.9.0.5", "10.9.0.6"));  // of a pool, which is other hosts too
  CHECK(routed("0.0.0.0", "255.255.255.255"));
  CHECK(routed("192.0.2.7", "255.255.255.255"));
  CHECK_FALSE(routed("127.0.0.1", "255.255.255.255"));
  CHECK(routed("127.25.226.197", "255.255.255.255"));  // an address that no interface bears
  CHECK_FALSE(routed("10.0.0.1", "255.255.255.255"));
  CHECK(routed("192.0.2.7", "224.0.0.18"));
  CHECK(routed("0.0.0.0", "224.0.0.18"));
  CHECK_FALSE(routed("0.0.0.0", "239.1.2.3"));
  CHECK(routed("0.0.0.0", "239.1.2.3", 2));
  CHECK_FALSE(routed("127.0.0.1", "224.0.0.18"));
  CHECK_FALSE(routed("10.0.0.1", "224.0.0.18"));
}

TEST_CASE("a multicast on the link with a TTL of 0 is not sent") {
  const auto sent = [](const char* group, std::uint8_t ttl) {
    PacketFields made = fields(17, 53);
    made.source = address("10.0.0.1");
    made.destination = address(group);
    made.ttl = ttl;
    return output_ipv4_error(build(made).bytes) == nullptr;
  };
  CHECK_FALSE(sent("224.0.0.1", 0));
  CHECK(sent("224.0.0.1", 1));
  CHECK(sent("239.1.2.3", 0));
  CHECK(sent("192.0.2.7", 0));
}

TEST_CASE("IPv4 options are parsed before input") {
  const auto passes = [](Bytes options) {
    return ipv4_options_error(with_options(std::move(options))) == nullptr;
  };
  CHECK(passes({1, 1, 1, 0}));
  CHECK(passes({148, 4, 0, 0}));
  CHECK(passes({7, 7, 4, 0, 0, 0, 0}));
  CHECK(passes({68, 8, 5, 0, 0, 0, 0, 0}));
  CHECK(passes({99, 4, 0, 0}));
  CHECK_FALSE(passes({99, 1, 0, 0}));
  CHECK_FALSE(passes({99, 5, 0, 0}));
  CHECK_FALSE(passes({148, 3, 0, 0}));
  CHECK_FALSE(has_source_route(with_options({148, 4, 0, 0})));
  CHECK(has_source_route(with_options({131, 7, 4, 10, 0, 0, 9})));
  CHECK(has_source_route(with_options({137, 7, 4, 10, 0, 0, 9})));
  CHECK_FALSE(passes({7, 7, 3, 0, 0, 0, 0}));
  CHECK_FALSE(passes({7, 7, 6, 0, 0, 0, 0}));
  CHECK_FALSE(passes({7, 3, 4, 7, 3, 4}));
  CHECK_FALSE(passes({68, 8, 9, 0xf0, 0, 0, 0, 0}));
  CHECK(rewrites_options(with_options({7, 7, 4, 0, 0, 0, 0})));
  CHECK(rewrites_options(with_options({0, 7, 0, 0})));
  CHECK_FALSE(rewrites_options(with_options({148, 4, 0, 0})));
}

TEST_CASE("what the IPv6 stack does not take") {
  const auto between = [](const char* source, const char* destination, bool loopback = false) {
    PacketFields made = fields6(17, 53);
    made.source = address(source);
    made.destination = address(destination);
    return received(build(made).bytes, loopback);
  };
  CHECK(between("2001:db8::7", "fd00::1"));
  CHECK(between("::", "ff02::1"));
  CHECK(between("::ffff:192.0.2.1", "fd00::1"));
  CHECK_FALSE(between("::1", "fd00::1"));
  CHECK_FALSE(between("2001:db8::7", "::1"));
  CHECK(between("::1", "::1", true));
  CHECK_FALSE(between("ff02::1", "fd00::1"));
  CHECK_FALSE(between("2001:db8::7", "ff01::1"));
  CHECK_FALSE(between("2001:db8::7", "ff00::1"));
  Bytes longer = build(fields6()).bytes;
  put_be16(longer.data() + 4, 25);
  CHECK_FALSE(received(longer));
}

TEST_CASE("hop-by-hop options are parsed first of all") {
  const auto passes = [](Bytes options) {
    Bytes packet = build(fields6()).bytes;
    const std::uint8_t next = packet[6];
    packet[6] = 0;
    Bytes header{next, static_cast<std::uint8_t>((options.size() + 2) / 8 - 1)};
    header.insert(header.end(), options.begin(), options.end());
    packet.insert(packet.begin() + 40, header.begin(), header.end());
    put_be16(packet.data() + 4, static_cast<std::uint32_t>(packet.size() - 40));
    return received(packet);
  };
  CHECK(passes({1, 4, 0, 0, 0, 0}));           // PadN
  CHECK(passes({0, 0, 0, 0, 0, 0}));           // Pad1
  CHECK(passes({5, 2, 0, 0, 1, 0}));           // router alert
  CHECK(passes({0x1e, 4, 0, 0, 0, 0}));        // unknown: skip
  CHECK_FALSE(passes({0x5e, 4, 0, 0, 0, 0}));  // unknown: discard
  CHECK_FALSE(passes({0xde, 4, 0, 0, 0, 0}));
  CHECK_FALSE(passes({1, 4, 0, 0, 0, 1}));  // padding that is none
  CHECK_FALSE(passes({5, 1, 0, 1, 1, 0}));
  CHECK_FALSE(passes({1, 5, 0, 0, 0, 0}));
  CHECK_FALSE(passes({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));  // more than seven bytes
  CHECK_FALSE(passes({0xc2, 4, 0, 1, 0, 0}));                       // jumbo
}

TEST_CASE("what comes over the loopback to ::1 is delivered, whoever it says that it is from") {
  PacketFields packet = fields6();
  packet.source = address("2001:db8:77::1");
  packet.destination = address("::1");
  const Ruleset none;
  CHECK_EQ(Evaluator(none, host()).arrive(arriving(packet, "lo")).fate(), Fate::Accept);
  CHECK_EQ(Evaluator(none, host()).arrive(arriving(packet)).fate(), Fate::Stack);
}

}  // namespace
}  // namespace rolewall::eval
