// Captures, as bytes that are written here by the file formats' own documents: pcap
// (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng).
#include <doctest/doctest.h>

#include <cstdio>

#include "eval/capture.h"
#include "rules.h"
#include "ruleset/expr.h"

namespace rolewall::eval {
namespace {

using namespace ruleset;

using Bytes = std::vector<std::uint8_t>;

void put32(Bytes& bytes, std::uint32_t value) {
  for (unsigned shift = 0; shift < 32; shift += 8) {
    bytes.push_back(static_cast<std::uint8_t>(value >> shift));
  }
}

Bytes pcap_header(std::uint32_t link_type) {
  Bytes bytes;
  for (const std::uint32_t word : {0xa1b2c3d4U, 0x00040002U, 0U, 0U, 65535U, link_type}) {
    put32(bytes, word);
  }
  return bytes;
}

void add_record(Bytes& file, const Bytes& data, std::uint32_t length, std::uint32_t seconds = 5) {
  for (const std::uint32_t word :
       {seconds, 250U, static_cast<std::uint32_t>(data.size()), length}) {
    put32(file, word);
  }
  file.insert(file.end(), data.begin(), data.end());
}

Result<Capture> open(Bytes& file) {
  return Capture::open(::fmemopen(file.data(), file.size(), "rb"));
}

Bytes ethernet(const Packet& packet, std::uint8_t first = 2) {
  Bytes frame{first, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
  frame.push_back(static_cast<std::uint8_t>(packet.ether_type >> 8));
  frame.push_back(static_cast<std::uint8_t>(packet.ether_type));
  frame.insert(frame.end(), packet.bytes.begin(), packet.bytes.end());
  return frame;
}

TEST_CASE("Ethernet: time, header and packet") {
  const Packet sent = build(fields());
  Bytes file = pcap_header(1);
  add_record(file, ethernet(sent), 78);
  add_record(file, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 8, 6, 0, 1}, 16);
  add_record(file, ethernet(build(fields6()), 0x33), 78);
  auto capture = open(file);
  REQUIRE(capture);
  CapturedPacket packet;
  CHECK_EQ(*capture->next(packet), true);
  CHECK_EQ(packet.number, 1);
  CHECK_EQ(packet.time_ns, 5'000'250'000);
  CHECK_EQ(packet.packet.bytes, sent.bytes);
  CHECK_EQ(packet.packet.link.size(), 14);
  CHECK_EQ(packet.packet.missing, 0);
  CHECK_EQ(*capture->next(packet), true);
  CHECK_EQ(packet.other, "ARP");
  CHECK_EQ(*capture->next(packet), true);
  CHECK_EQ(packet.packet.ether_type, kEtherTypeIpv6);
  CHECK(packet.packet.type == PacketType::Multicast);
  CHECK_EQ(*capture->next(packet), false);
}

TEST_CASE("a tag of VLAN 0 says a priority and no VLAN, any other is another device's") {
  const Packet sent = build(fields());
  const auto tagged = [&](std::uint8_t priority, std::uint8_t vlan) {
    Bytes frame = ethernet(sent);
    const Bytes tag{0x81, 0, priority, vlan};
    frame.insert(frame.begin() + 12, tag.begin(), tag.end());
    return frame;
  };
  Bytes file = pcap_header(1);
  for (const auto& frame : {tagged(0xe0, 0), tagged(0xe0, 5)}) {
    add_record(file, frame, static_cast<std::uint32_t>(frame.size()));
  }
  auto capture = open(file);
  REQUIRE(capture);
  CapturedPacket packet;
  CHECK_EQ(*capture->next(packet), true);
  CHECK_EQ(packet.other, "");
  CHECK_EQ(packet.packet.bytes, sent.bytes);
  CHECK_EQ(packet.packet.link, Bytes{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0});
  CHECK_EQ(*capture->next(packet), true);
  CHECK_EQ(packet.other, "a frame with a VLAN tag, which arrives on the VLAN's device");
}

TEST_CASE("other link layers") {
  const Packet sent = build(fields());
  const auto wrapped = [&](Bytes header) {
    header.insert(header.end(), sent.bytes.begin(), sent.bytes.end());
    return header;
  };
  const auto first_of = [](std::uint32_t link_type, const Bytes& data) {
    Bytes file = pcap_header(link_type);
    add_record(file, data, static_cast<std::uint32_t>(data.size()));
    auto capture = open(file);
    REQUIRE(capture);
    CapturedPacket packet;
    CHECK_EQ(*capture->next(packet), true);
    return packet;
  };
  CHECK_EQ(first_of(101, sent.bytes).packet.bytes, sent.bytes);
  CHECK_EQ(first_of(0, wrapped({2, 0, 0, 0})).packet.bytes, sent.bytes);
  CHECK_EQ(first_of(0, wrapped({0, 0, 0, 2})).packet.bytes, sent.bytes);
  CHECK_EQ(first_of(108, wrapped({0, 0, 0, 2})).packet.bytes, sent.bytes);
  const CapturedPacket cooked =
      first_of(113, wrapped({0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0}));
  CHECK_EQ(cooked.packet.bytes, sent.bytes);
  CHECK(cooked.outgoing);
  const CapturedPacket cooked2 =
      first_of(276, wrapped({8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 1, 6, 2, 0, 0, 0, 0, 1, 0, 0}));
  CHECK_EQ(cooked2.packet.bytes, sent.bytes);
  CHECK(cooked2.packet.type == PacketType::Broadcast);
  CHECK_EQ(first_of(113, {0, 4, 0, 1}).other, "a frame with an incomplete link header");
}

TEST_CASE("a capture of another link type is refused by its name") {
  Bytes file = pcap_header(105);
  const auto capture = open(file);
  REQUIRE(!capture);
  CHECK_NE(capture.error().message.find("IEEE802_11"), std::string::npos);
}

TEST_CASE("what is no capture, and one that ends in a packet's middle") {
  Bytes text{'h', 'e', 'l', 'l', 'o', ' ', 't', 'h', 'e', 'r', 'e'};
  CHECK(!open(text));
  Bytes file = pcap_header(101);
  add_record(file, build(fields()).bytes, 64);
  file.resize(file.size() - 10);
  auto capture = open(file);
  REQUIRE(capture);
  CapturedPacket packet;
  CHECK(!capture->next(packet));
}

// A block of pcapng: type, length, body, length.
void add_block(Bytes& file, std::uint32_t type, const Bytes& body) {
  const auto length = static_cast<std::uint32_t>(body.size()) + 12;
  put32(file, type);
  put32(file, length);
  file.insert(file.end(), body.begin(), body.end());
  put32(file, length);
}

Bytes pcapng_of(std::initializer_list<const char*> interfaces) {
  Bytes file;
  Bytes section;
  for (const std::uint32_t word : {0x1a2b3c4dU, 1U, 0xffffffffU, 0xffffffffU}) put32(section, word);
  add_block(file, 0x0a0d0d0a, section);
  for (const char* name : interfaces) {
    Bytes body;
    for (const std::uint32_t word : {1U, 65535U, 2U | 4U << 16}) put32(body, word);
    body.insert(body.end(), name, name + 4);  // names of four bytes here
    put32(body, 0);
    add_block(file, 1, body);
  }
  Bytes packet;
  const Bytes frame = ethernet(build(fields()));
  for (const std::uint32_t word : {0U, 0U, 250U}) put32(packet, word);
  put32(packet, static_cast<std::uint32_t>(frame.size()));
  put32(packet, static_cast<std::uint32_t>(frame.size()));
  packet.insert(packet.end(), frame.begin(), frame.end());
  packet.resize((packet.size() + 3) / 4 * 4);
  add_block(file, 6, packet);
  return file;
}

TEST_CASE("a capture of several interfaces is refused, since packets would be taken for one's") {
  for (const auto& names : {std::initializer_list<const char*>{"eth0"}, {"eth0", "eth0"}}) {
    Bytes file = pcapng_of(names);
    auto capture = open(file);
    REQUIRE(capture);
    CapturedPacket packet;
    CHECK(capture->next(packet).value_or(false));
    CHECK_EQ(packet.packet.bytes.size(), build(fields()).bytes.size());
  }
  Bytes file = pcapng_of({"eth0", "wan0"});
  const auto capture = open(file);
  REQUIRE_FALSE(capture);
  CHECK(capture.error().message.contains("several interfaces (eth0, wan0)"));
  for (std::size_t size = 0; size < file.size(); ++size) {  // cut anywhere
    Bytes cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
    if (!cut.empty()) static_cast<void>(open(cut));
  }
}

TEST_CASE("of what a capture cut off, rules read nothing") {
  PacketFields long_packet = fields();
  long_packet.length = 200;
  Bytes whole = build(long_packet).bytes;
  whole.resize(60);
  Bytes file = pcap_header(101);
  add_record(file, whole, 200);
  add_record(file, Bytes(whole.begin(), whole.begin() + 30), 200);
  auto capture = open(file);
  REQUIRE(capture);
  CapturedPacket captured;
  CHECK_EQ(*capture->next(captured), true);
  captured.packet.in_device = "eth0";
  CHECK_EQ(captured.packet.missing, 140);
  CHECK_EQ(captured.packet.bytes.size(), 200);
  const auto reads = [](std::uint32_t offset) {
    return input_rules({rule({Payload{PayloadBase::Transport, offset, 2, 0},
                              Cmp{CmpOp::Neq, 0, Value::be16(7)}, accept()})});
  };
  CHECK_EQ(fate_of(reads(38), captured.packet), Fate::Accept);
  CHECK_EQ(fate_of(reads(39), captured.packet), Fate::Undecided);
  CHECK_EQ(fate_of(reads(178), captured.packet), Fate::Undecided);
  CHECK_EQ(fate_of(reads(179), captured.packet), Fate::Drop);  // behind the packet's own end
  CHECK_EQ(*capture->next(captured), true);
  captured.packet.in_device = "eth0";
  CHECK_EQ(fate_of(reads(0), captured.packet), Fate::Undecided);  // within the headers
}

}  // namespace
}  // namespace rolewall::eval
