// Expressions that read options and write into the packet, and named objects. Expected bytes and
// checksums are computed here from whole packets, not by the evaluator's own mending.
#include <doctest/doctest.h>

#include <algorithm>

#include "eval/checksum.h"
#include "eval/exthdr.h"
#include "eval/jhash.h"
#include "eval/wire.h"
#include "rules.h"
#include "ruleset/expr.h"

namespace rolewall::eval {
namespace {

using namespace ruleset;

// IPv4 TCP with these options, a right checksum.
Packet tcp_with(std::vector<std::uint8_t> options) {
  Packet packet = arriving(fields());
  while (options.size() % 4 != 0) options.push_back(0);
  std::vector<std::uint8_t>& bytes = packet.bytes;
  bytes.resize(40);
  bytes.insert(bytes.end(), options.begin(), options.end());
  bytes[32] = static_cast<std::uint8_t>((bytes.size() / 4 - 5) << 4);
  put_be16(bytes.data() + 2, static_cast<std::uint32_t>(bytes.size()));
  put_be16(bytes.data() + 10, 0);
  put_be16(bytes.data() + 10, internet_checksum(ByteSpan(bytes).first(20)));
  const ByteSpan all(bytes);
  put_be16(bytes.data() + 36, 0);
  put_be16(bytes.data() + 36,
           transport_checksum(all.subspan(12, 4), all.subspan(16, 4), 6, all.subspan(20)));
  return packet;
}

Expr exthdr(ExthdrKind kind, std::uint8_t type, std::uint32_t offset, std::uint32_t length) {
  return Exthdr{kind, type, offset, length, false, 0};
}
Expr present(ExthdrKind kind, std::uint8_t type) {
  return Exthdr{kind, type, 0, 1, true, 0};
}

std::vector<Expr> join(std::vector<Expr> first, std::vector<Expr> second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// That all bytes of a packet are these when the expressions have run.
std::vector<Expr> reads_as(const std::vector<std::uint8_t>& bytes) {
  std::vector<Expr> exprs;
  for (std::size_t at = 0; at < bytes.size(); at += 4) {
    const auto size = static_cast<std::uint32_t>(std::min<std::size_t>(4, bytes.size() - at));
    exprs.push_back(load_network(static_cast<std::uint32_t>(at), size));
    exprs.push_back(is(Value(ByteSpan(bytes).subspan(at, size))));
  }
  return exprs;
}

Expr constant(Value value) {
  return Immediate{1, value};
}

TEST_CASE("TCP options are found by type, and read within their length") {
  const Packet packet = tcp_with({1, 2, 4, 0x05, 0xb4, 3, 3, 7});
  CHECK(matches({exthdr(ExthdrKind::TcpOption, 2, 2, 2), is(Value::be16(1460))}, packet));
  CHECK(matches({exthdr(ExthdrKind::TcpOption, 3, 2, 1), is(Value::u8(7))}, packet));
  CHECK_FALSE(
      matches({exthdr(ExthdrKind::TcpOption, 2, 2, 4), is_not(Value::host_u32(0))}, packet));
  CHECK_FALSE(
      matches({exthdr(ExthdrKind::TcpOption, 8, 2, 4), is_not(Value::host_u32(0))}, packet));
  CHECK(matches({present(ExthdrKind::TcpOption, 2), is(Value::u8(1))}, packet));
  CHECK(matches({present(ExthdrKind::TcpOption, 8), is(Value::u8(0))}, packet));
  CHECK_FALSE(matches({exthdr(ExthdrKind::TcpOption, 2, 2, 2)}, arriving(fields(17, 53))));
  // An option that claims to reach behind the header is none.
  CHECK(matches({present(ExthdrKind::TcpOption, 5), is(Value::u8(0))}, tcp_with({1, 1, 5, 10})));
}

TEST_CASE("a segment size is lowered, never raised, and the checksum mended") {
  const auto clamp = [](std::uint16_t to) {
    return std::vector<Expr>{constant(Value::be16(to)),
                             ExthdrWrite{ExthdrKind::TcpOption, 2, 2, 2, 1}};
  };
  const Packet packet = tcp_with({2, 4, 0x05, 0xb4});
  CHECK(matches(join(clamp(1200), reads_as(tcp_with({2, 4, 0x04, 0xb0}).bytes)), packet));
  CHECK(matches(join(clamp(1500), reads_as(packet.bytes)), packet));
  CHECK(matches(join(clamp(1460), reads_as(packet.bytes)), packet));
  // Without the option the rule goes on, without TCP it breaks.
  CHECK(matches(clamp(1200), tcp_with({1, 1, 1, 1})));
  CHECK_FALSE(matches(clamp(1200), arriving(fields(17, 53))));
  CHECK_FALSE(matches(
      {constant(Value::host_u32(0)), ExthdrWrite{ExthdrKind::TcpOption, 2, 2, 4, 1}}, packet));
}

TEST_CASE("a segment size that only the kernel knows decides nothing, until a rule reads it") {
  const std::vector<Expr> clamp{Rt{RtKey::TcpMss, 1},
                                ExthdrWrite{ExthdrKind::TcpOption, 2, 2, 2, 1}};
  const Packet packet = tcp_with({2, 4, 0x05, 0xb4});
  const auto ask = [&](std::vector<Expr> exprs) {
    const Ruleset rules = input_rules({rule(then(join(clamp, std::move(exprs)), accept()))});
    const Host on = host();
    return Evaluator(rules, on).outcomes(packet, Direction::Arrive);
  };
  const Outcomes clamped = ask({});
  REQUIRE_EQ(clamped.ways.size(), 1);
  CHECK_EQ(clamped.ways[0].fate(), Fate::Accept);
  CHECK(clamped.ways[0].conditions.empty());
  CHECK(!clamped.ways[0].knows_after);
  CHECK_EQ(ask({exthdr(ExthdrKind::TcpOption, 2, 2, 2), is(Value::be16(1200))}).ways.size(), 2);
  CHECK_EQ(ask({load_transport(16, 2), is(Value::be16(7))}).ways.size(), 2);  // the checksum
  CHECK_EQ(ask({load_transport(14, 2), is_not(Value::be16(7))}).ways.size(), 1);
}

TEST_CASE("an option is reset to NOPs wherever it begins") {
  const Expr reset = ExthdrReset{ExthdrKind::TcpOption, 3};
  CHECK(matches(join({reset}, reads_as(tcp_with({1, 1, 1, 1}).bytes)), tcp_with({3, 3, 7, 1})));
  CHECK(matches(join({reset}, reads_as(tcp_with({1, 1, 1, 1}).bytes)), tcp_with({1, 3, 3, 7})));
  CHECK(matches({reset}, tcp_with({1, 1, 1, 1})));
  // One that cannot be removed is a drop, not a break.
  const auto rules = one_table({base_chain({rule({reset, accept()}), rule({accept()})})});
  CHECK_EQ(fate_of(rules, tcp_with({1, 1, 3, 7})), Fate::Drop);
}

TEST_CASE("IPv6 extension headers, IPv4 options, SCTP chunks and DCCP options") {
  Packet ipv6 = arriving(fields6(17, 53));
  // Destination options (60) before UDP.
  ipv6.bytes.insert(ipv6.bytes.begin() + 40, {17, 0, 1, 4, 0, 0, 0, 0});
  ipv6.bytes[6] = 60;
  put_be16(ipv6.bytes.data() + 4, static_cast<std::uint32_t>(ipv6.bytes.size() - 40));
  CHECK(matches({exthdr(ExthdrKind::Ipv6, 60, 0, 1), is(Value::u8(17))}, ipv6));
  CHECK(matches({present(ExthdrKind::Ipv6, 60), is(Value::u8(1))}, ipv6));
  CHECK(matches({present(ExthdrKind::Ipv6, 43), is(Value::u8(0))}, ipv6));
  CHECK_FALSE(matches({exthdr(ExthdrKind::Ipv6, 43, 0, 1), is_not(Value::u8(99))}, ipv6));
  CHECK_FALSE(matches({present(ExthdrKind::Ipv6, 60)}, arriving(fields(17, 53))));

  const std::vector<std::uint8_t> sctp{0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0,  // ports, tag, checksum
                                       9, 0, 0, 5, 7, 0, 0, 0,  // a chunk of 5 bytes, padded
                                       4, 3, 0, 8, 1, 2, 3, 4};
  const Dissection of_sctp{true, 132, 0, 0};
  CHECK_EQ(find_sctp_chunk(sctp, of_sctp, 4, 1, 1, false), 21U);
  CHECK_EQ(find_sctp_chunk(sctp, of_sctp, 9, 4, 1, false), 16U);
  CHECK_FALSE(find_sctp_chunk(sctp, of_sctp, 9, 4, 2, false));
  CHECK_FALSE(find_sctp_chunk(sctp, of_sctp, 5, 0, 1, true));
  CHECK_FALSE(find_sctp_chunk(ByteSpan(sctp).first(26), of_sctp, 4, 1, 1, false));
  CHECK(find_sctp_chunk(ByteSpan(sctp).first(26), of_sctp, 4, 1, 1, true));

  // A short DCCP Data packet: 12 bytes, then options to doff * 4.
  const std::vector<std::uint8_t> dccp{0, 1, 0, 2, 5, 0, 0, 0, 2 << 1, 0, 0, 0, 1, 40, 3, 9};
  std::vector<std::uint8_t> longer = dccp;
  longer.insert(longer.end(), {2, 0, 0, 0});
  const Dissection of_dccp{true, 33, 0, 0};
  CHECK(has_dccp_option(longer, of_dccp, 40));
  CHECK(has_dccp_option(longer, of_dccp, 2));
  CHECK_FALSE(has_dccp_option(longer, of_dccp, 9));
  CHECK_FALSE(has_dccp_option(dccp, of_dccp, 2));
}

TEST_CASE("IPv4 options as the kernel reads them for a rule") {
  const auto with = [](std::vector<std::uint8_t> options) {
    std::vector<std::uint8_t> packet(20, 0);
    packet.insert(packet.end(), options.begin(), options.end());
    packet[0] = static_cast<std::uint8_t>(0x40 | packet.size() / 4);
    return packet;
  };
  using Is = Ipv4Option::Is;
  const auto record = with({1, 7, 7, 4, 0, 0, 0, 0});
  CHECK(find_ipv4_option(record, 7).is == Is::Found);
  CHECK_EQ(find_ipv4_option(record, 7).offset, 21U);
  CHECK(find_ipv4_option(record, 148).is == Is::Absent);
  CHECK(find_ipv4_option(with({148, 4, 0, 0}), 148).is == Is::Found);
  CHECK(find_ipv4_option(with({148, 4, 0, 1}), 148).is == Is::Absent);
  // A source route that is under way, and one that is not.
  CHECK(find_ipv4_option(with({131, 7, 4, 10, 0, 0, 1, 0}), 131).is == Is::Found);
  CHECK(find_ipv4_option(with({131, 7, 4, 10, 0, 0, 1, 0}), 137).is == Is::Absent);
  CHECK(find_ipv4_option(with({131, 7, 8, 10, 0, 0, 1, 0}), 131).is == Is::Absent);
  // One option that is malformed hides all.
  CHECK(find_ipv4_option(with({148, 4, 0, 0, 7, 1, 0, 0}), 148).is == Is::Absent);
  // Timestamps that the kernel does not know depend on who runs.
  CHECK(find_ipv4_option(with({148, 4, 0, 0, 68, 8, 5, 2, 0, 0, 0, 0}), 148).is == Is::Unknown);
}

TEST_CASE("what is written into the packet is read by the next expression") {
  const Packet packet = tcp_with({2, 4, 0x05, 0xb4});
  std::vector<std::uint8_t> wanted = packet.bytes;
  wanted[1] = 0x28;
  put_be16(wanted.data() + 10, 0);
  put_be16(wanted.data() + 10, internet_checksum(ByteSpan(wanted).first(20)));
  PayloadWrite dscp{PayloadBase::Network, 0, 2, 1, ChecksumKind::Inet, 10, false};
  CHECK(matches(join({constant(bytes_value({0x45, 0x28})), dscp}, reads_as(wanted)), packet));

  // A new address: the IP header's checksum, and TCP's through the pseudo header.
  wanted = packet.bytes;
  std::ranges::copy(Octets{198, 51, 100, 9}, wanted.begin() + 12);
  put_be16(wanted.data() + 10, 0);
  put_be16(wanted.data() + 10, internet_checksum(ByteSpan(wanted).first(20)));
  put_be16(wanted.data() + 36, 0);
  const ByteSpan all(wanted);
  put_be16(wanted.data() + 36,
           transport_checksum(all.subspan(12, 4), all.subspan(16, 4), 6, all.subspan(20)));
  const PayloadWrite source{PayloadBase::Network, 12, 4, 1, ChecksumKind::Inet, 10, true};
  CHECK(
      matches(join({constant(bytes_value({198, 51, 100, 9})), source}, reads_as(wanted)), packet));

  // A port, and a write that reaches behind the end.
  const PayloadWrite port{PayloadBase::Transport, 2, 2, 1, ChecksumKind::Inet, 16, false};
  std::vector<Expr> moved{constant(Value::be16(8080)), port};
  CHECK(matches(join(moved, {load_transport(2, 2), is(Value::be16(8080))}), packet));
  PayloadWrite behind = port;
  behind.offset = 400;
  CHECK_FALSE(matches({constant(Value::be16(8080)), behind}, packet));
  // The next rule reads it too; the asker's packet stays as it was.
  const auto rules = one_table(
      {base_chain({rule(moved), rule({load_transport(2, 2), is(Value::be16(8080)), accept()})})});
  CHECK_EQ(fate_of(rules, packet), Fate::Accept);
  CHECK_EQ(be16(packet.bytes.data() + 22), 22);
}

TEST_CASE("UDP without a checksum keeps none") {
  Packet packet = arriving(fields(17, 53));
  const PayloadWrite source{PayloadBase::Network, 12, 4, 1, ChecksumKind::Inet, 10, true};
  const std::vector<Expr> write{constant(bytes_value({198, 51, 100, 9})), source,
                                load_transport(6, 2)};
  CHECK(matches(then(write, is_not(Value::be16(0))), packet));
  put_be16(packet.bytes.data() + 26, 0);
  CHECK(matches(then(write, is(Value::be16(0))), packet));
}

TEST_CASE("registers are combined bit by bit") {
  const auto combined = [](BitwiseOp op) {
    return std::vector<Expr>{Immediate{1, bytes_value({0xf0, 0x0f, 1, 2})},
                             Immediate{2, bytes_value({0x30, 0x03, 1, 4})},
                             BitwiseRegisters{op, 1, 2, 0, 4}};
  };
  const Packet packet = arriving(fields());
  CHECK(matches(then(combined(BitwiseOp::And), is(bytes_value({0x30, 0x03, 1, 0}))), packet));
  CHECK(matches(then(combined(BitwiseOp::Or), is(bytes_value({0xf0, 0x0f, 1, 6}))), packet));
  CHECK(matches(then(combined(BitwiseOp::Xor), is(bytes_value({0xc0, 0x0c, 0, 6}))), packet));
}

TEST_CASE("jhash gives the numbers that a live kernel gave") {
  const std::vector<std::uint8_t> key{127, 0, 0, 1, 127, 0, 0, 1, 0x14, 0xe9, 0, 0, 17, 0, 0, 0};
  const ByteSpan all(key);
  CHECK_EQ(reciprocal_scale(jhash(all.first(4), 0x1234), 4294967295), 0x214c2f0bU);
  CHECK_EQ(reciprocal_scale(jhash(all.first(12), 0xdeadbeef), 65536) + 7, 0x6ac8U);
  CHECK_EQ(reciprocal_scale(jhash(all, 0), 1000000), 0xb5dd2U);

  const auto port = [](std::uint32_t offset) {
    return std::vector<Expr>{load_network(12, 4, 1), JenkinsHash{1, 4, 10, 5, offset, 0}};
  };
  const std::vector<std::uint8_t> source{192, 0, 2, 7};
  const std::uint32_t expected = reciprocal_scale(jhash(source, 5), 10);
  CHECK(matches(then(port(100), is(Value::host_u32(100 + expected))), arriving(fields())));
}

Object object(std::uint32_t type, ObjectBody body) {
  Object made;
  made.name = "o";
  made.type = type;
  made.body = std::move(body);
  return made;
}

TEST_CASE("rules that name an object share what it remembers") {
  constexpr std::uint32_t kQuota = 2;
  const Host on = host();
  // Each packet is counted by both rules: 64 bytes and 64 bytes.
  const auto rules =
      input_rules({rule({ObjectRef{kQuota, "o"}}), rule({ObjectRef{kQuota, "o"}, accept()})}, {},
                  {object(kQuota, Quota{192, 0, false})});
  Evaluator evaluator(rules, on);
  const Options keep{.keep_state = true};
  CHECK_EQ(evaluator.arrive(arriving(fields()), keep).fate(), Fate::Accept);
  CHECK_EQ(evaluator.arrive(arriving(fields()), keep).fate(), Fate::Drop);
  evaluator.reset();
  CHECK_EQ(evaluator.arrive(arriving(fields()), keep).fate(), Fate::Accept);
}

TEST_CASE("an object map breaks where it gives none") {
  constexpr std::uint32_t kCounter = 1;
  Set map = exact_set("m", {{DataType::InetService, 2}}, {{0, 22}});
  map.kind = SetKind::ObjectMap;
  map.object_type = kCounter;
  map.elements.objects = {"o"};
  auto rules = input_rules({rule({load_transport(2, 2), ObjectLookup{0, "m"}, accept()})}, {map},
                           {object(kCounter, Counter{})});
  CHECK_EQ(fate_of(rules, arriving(fields(6, 22))), Fate::Accept);
  CHECK_EQ(fate_of(rules, arriving(fields(6, 23))), Fate::Drop);
  rules.tables[0].sets[0].elements.has_catch_all = true;
  rules.tables[0].sets[0].elements.catch_all_object = "o";
  CHECK_EQ(fate_of(rules, arriving(fields(6, 23))), Fate::Accept);
  rules.tables[0].objects[0].body = Unsupported{"counter", "attribute 9 is unknown"};
  CHECK_EQ(fate_of(rules, arriving(fields(6, 22))), Fate::Undecided);
}

TEST_CASE("a flow's own helper is not what `ct helper` reads; an expectation needs an entry") {
  constexpr std::uint32_t kHelper = 3;
  constexpr std::uint32_t kExpectation = 9;
  std::vector<std::uint8_t> ftp(16, 0);
  std::ranges::copy(std::string_view("ftp-standard"), ftp.begin());
  auto rules = input_rules(
      {rule({ObjectRef{kHelper, "o"}, load_ct(CtKey::Helper), is(bytes_value(ftp)), accept()})}, {},
      {object(kHelper, CtHelper{"ftp-standard", 2, 6})});
  CHECK_EQ(fate_of(rules, arriving(fields(6, 21))), Fate::Drop);

  rules = input_rules({rule({ObjectRef{kExpectation, "o"}, accept()})}, {},
                      {object(kExpectation, CtExpectation{2, 6, 9876, 60000, 8})});
  CHECK_EQ(fate_of(rules, arriving(fields(6, 21))), Fate::Accept);
  PacketFields invalid = fields(6, 21);
  invalid.tcp_flags = 0x03;
  CHECK_EQ(fate_of(rules, arriving(invalid)), Fate::Drop);
}

// NFT_PKTINFO_INNER.
TEST_CASE("where the inner header begins is looked up once in a chain") {
  const Payload inner{PayloadBase::Inner, 0, 1, 0};
  PayloadWrite no_offset;  // of TCP's header: the inner one would begin where TCP does
  no_offset.base = PayloadBase::Transport;
  no_offset.offset = 12;
  no_offset.length = 1;
  no_offset.source = 4;
  const Immediate zero{4, Value::u8(0)};
  const auto first_byte_is = [&](std::uint8_t byte) {
    return std::vector<Rule>{rule({inner, zero, no_offset}),
                             rule({inner, is(Value::u8(byte)), accept()})};
  };
  // 40000 is 0x9c40.
  CHECK_EQ(fate_of(input_rules(first_byte_is(0)), arriving(fields())), Fate::Accept);
  CHECK_EQ(fate_of(input_rules(first_byte_is(0x9c)), arriving(fields())), Fate::Drop);
  Ruleset later =
      one_table({base_chain({rule({inner, zero, no_offset})}, Hook::Input, 0, VerdictCode::Accept),
                 base_chain({rule({inner, is(Value::u8(0x9c)), accept()})}, Hook::Input, 10)});
  CHECK_EQ(fate_of(later, arriving(fields())), Fate::Accept);
}

}  // namespace
}  // namespace rolewall::eval
