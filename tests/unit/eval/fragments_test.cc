// Datagrams put together from fragments, and what the rules then see.
#include "eval/fragments.h"

#include <doctest/doctest.h>

#include <initializer_list>
#include <vector>

#include "base/time.h"
#include "eval/checksum.h"
#include "rules.h"
#include "ruleset/expr.h"

namespace rolewall::eval {
namespace {

using namespace ruleset;
using Bytes = std::vector<std::uint8_t>;
using What = Gathered::What;

// A UDP datagram of 92 bytes of transport, with data that tells its places apart.
Packet datagram(bool ipv6 = false) {
  PacketFields what = ipv6 ? fields6(17, 53) : fields(17, 53);
  what.length = (ipv6 ? 40 : 20) + 92;
  Packet packet = arriving(what);
  Bytes& bytes = packet.bytes;
  const std::size_t transport = ipv6 ? 40 : 20;
  for (std::size_t i = transport + 8; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(i);
  }
  put_be16(bytes.data() + transport + 6, 0);
  const ByteSpan all = bytes;
  const ByteSpan addresses = ipv6 ? all.subspan(8, 32) : all.subspan(12, 8);
  put_be16(bytes.data() + transport + 6,
           transport_checksum(addresses.first(addresses.size() / 2),
                              addresses.subspan(addresses.size() / 2), 17, all.subspan(transport)));
  return packet;
}

void mend(Bytes& bytes) {
  put_be16(bytes.data() + ipv4::kChecksum, 0);
  put_be16(bytes.data() + ipv4::kChecksum, internet_checksum(ByteSpan(bytes).first(20)));
}

// Bytes [begin, end) of the datagram's transport, as a fragment.
Packet fragment(const Packet& whole, std::uint16_t begin, std::uint16_t end) {
  const bool ipv6 = whole.ether_type == kEtherTypeIpv6;
  const std::size_t transport = ipv6 ? 40 : 20;
  const auto size = static_cast<std::ptrdiff_t>(transport);
  const bool more = transport + end < whole.bytes.size();
  Packet packet = whole;
  packet.bytes.assign(whole.bytes.begin(), whole.bytes.begin() + size);
  if (ipv6) {
    packet.bytes[6] = 44;
    const std::uint16_t field = begin | (more ? 1U : 0U);
    const Bytes header{
        17, 0, static_cast<std::uint8_t>(field >> 8), static_cast<std::uint8_t>(field), 0, 0, 0, 7};
    packet.bytes.insert(packet.bytes.end(), header.begin(), header.end());
  } else {
    put_be16(packet.bytes.data() + 6, begin / 8U | (more ? 0x2000U : 0));
  }
  packet.bytes.insert(packet.bytes.end(), whole.bytes.begin() + size + begin,
                      whole.bytes.begin() + size + end);
  if (ipv6) {
    put_be16(packet.bytes.data() + 4, static_cast<std::uint32_t>(packet.bytes.size() - 40));
  } else {
    put_be16(packet.bytes.data() + 2, static_cast<std::uint32_t>(packet.bytes.size()));
    mend(packet.bytes);
  }
  return packet;
}

struct Queues {
  Fragments fragments;
  Packet whole;
  Gathered put(const Packet& packet, std::uint64_t now_ns = 0) {
    return fragments.gather(packet, Fragments::User::Prerouting, 0, now_ns, whole);
  }
  What operator()(const Packet& packet, std::uint64_t now_ns = 0) {
    return put(packet, now_ns).what;
  }
};

TEST_CASE("the last part that was missing makes a datagram, whatever the order") {
  for (const bool ipv6 : {false, true}) {
    const Packet sent = datagram(ipv6);
    const Packet parts[] = {fragment(sent, 0, 32), fragment(sent, 32, 64), fragment(sent, 64, 92)};
    for (const auto& order : {std::vector{0, 1, 2}, {2, 1, 0}, {1, 2, 0}, {0, 2, 1}}) {
      Queues put;
      CHECK(put(parts[order[0]]) == What::Held);
      CHECK(put(parts[order[1]]) == What::Held);
      const Gathered last = put.put(parts[order[2]]);
      CHECK(last.what == What::Whole);
      CHECK(put.whole.bytes == sent.bytes);
      CHECK_EQ(last.fragment_size, ipv6 ? 40 + 8 + 32 : 20 + 32);
      if (ipv6) CHECK_EQ(last.first_size, 40 + 32);
      CHECK(put(parts[0]) == What::Held);  // of another, with the same number
    }
    Queues put;
    CHECK(put(sent) == What::Untouched);
  }
}

TEST_CASE("a duplicate changes nothing, an overlap gives the datagram up") {
  for (const bool ipv6 : {false, true}) {
    const Packet sent = datagram(ipv6);
    Queues put;
    CHECK(put(fragment(sent, 0, 32)) == What::Held);
    CHECK(put(fragment(sent, 0, 32)) == What::Discarded);
    CHECK(put(fragment(sent, 8, 24)) == What::Discarded);  // within what is there
    CHECK(put(fragment(sent, 32, 92)) == What::Whole);
    CHECK(put(fragment(sent, 0, 32)) == What::Held);
    CHECK(put(fragment(sent, 24, 64)) == What::Discarded);
    CHECK(put(fragment(sent, 32, 92)) == What::Held);  // alone again
    CHECK(put(fragment(sent, 0, 32)) == What::Whole);
    // What fills a gap is known apart from its neighbours: this overlaps two.
    CHECK(put(fragment(sent, 0, 16)) == What::Held);
    CHECK(put(fragment(sent, 32, 48)) == What::Held);
    CHECK(put(fragment(sent, 16, 32)) == What::Held);
    CHECK(put(fragment(sent, 8, 24)) == What::Discarded);
    CHECK(put(fragment(sent, 48, 92)) == What::Held);
  }
}

TEST_CASE("parts that contradict each other about the end: IPv4 gives all up, IPv6 that part") {
  for (const bool ipv6 : {false, true}) {
    const Packet sent = datagram(ipv6);
    Packet longer = sent;
    longer.bytes.resize(longer.bytes.size() + 8);
    Queues put;
    CHECK(put(fragment(sent, 32, 92)) == What::Held);
    CHECK(put(fragment(longer, 64, 100)) == What::Discarded);
    CHECK(put(fragment(sent, 0, 32)) == (ipv6 ? What::Whole : What::Held));
  }
}

TEST_CASE("a queue waits thirty seconds, IPv6's sixty, from its first fragment on") {
  for (const bool ipv6 : {false, true}) {
    const Packet sent = datagram(ipv6);
    const std::uint64_t timeout = (ipv6 ? 60 : 30) * kNsPerSecond;
    Queues put;
    CHECK(put(fragment(sent, 0, 32)) == What::Held);
    CHECK(put(fragment(sent, 32, 64), timeout - 1) == What::Held);
    CHECK(put(fragment(sent, 64, 92), timeout) == What::Held);
    CHECK(put(fragment(sent, 0, 64), timeout + 1) == What::Whole);
  }
}

TEST_CASE("of sixty-five others of the source in between, the oldest parts are forgotten") {
  const Packet sent = datagram();
  Packet other = fragment(sent, 0, 32);
  const auto with = [&](int others) {
    Queues put;
    CHECK(put(fragment(sent, 0, 32)) == What::Held);
    for (int i = 1; i <= others; ++i) {
      put_be16(other.bytes.data() + 4, static_cast<std::uint32_t>(0x4000 + i));
      CHECK(put(other) == What::Held);
    }
    return put(fragment(sent, 32, 92));
  };
  CHECK(with(63) == What::Whole);
  CHECK(with(64) == What::Held);
}

TEST_CASE("ECN: congestion is kept, what cannot be is dropped") {
  const auto with = [](std::uint8_t one, std::uint8_t two, bool ipv6) {
    const Packet sent = datagram(ipv6);
    Packet first = fragment(sent, 0, 32);
    Packet last = fragment(sent, 32, 92);
    for (auto& [packet, ecn] : {std::pair<Packet&, int>{first, one}, {last, two}}) {
      packet.bytes[1] |= static_cast<std::uint8_t>(ipv6 ? ecn << 4 : ecn);
      if (!ipv6) mend(packet.bytes);
    }
    Queues put;
    CHECK(put(first) == What::Held);
    if (put(last) != What::Whole) return -1;
    if (!ipv6) CHECK_EQ(internet_checksum(ByteSpan(put.whole.bytes).first(20)), 0);
    return ipv6 ? put.whole.bytes[1] >> 4 & 3 : put.whole.bytes[1] & 3;
  };
  for (const bool ipv6 : {false, true}) {
    CHECK_EQ(with(2, 3, ipv6), 3);
    CHECK_EQ(with(1, 3, ipv6), 3);
    CHECK_EQ(with(1, 2, ipv6), 1);
    CHECK_EQ(with(3, 3, ipv6), 3);
    CHECK_EQ(with(0, 3, ipv6), -1);
    CHECK_EQ(with(2, 0, ipv6), -1);
  }
}

TEST_CASE("\"don't fragment\" stays where the largest fragment bore it") {
  const Packet sent = datagram();
  const auto with = [&](bool on_large, bool on_small) {
    Packet large = fragment(sent, 0, 64);
    Packet small = fragment(sent, 64, 92);
    for (auto& [packet, on] : {std::pair<Packet&, bool>{large, on_large}, {small, on_small}}) {
      if (on) packet.bytes[6] |= 0x40;
      mend(packet.bytes);
    }
    Queues put;
    CHECK(put(large) == What::Held);
    CHECK(put(small) == What::Whole);
    return put.whole.bytes[6];
  };
  CHECK_EQ(with(true, false), 0x40);
  CHECK_EQ(with(false, true), 0);
}

TEST_CASE("a datagram of more than 65,535 bytes is none") {
  Packet sent = datagram();
  sent.bytes.resize(20 + 65528);
  Queues put;
  CHECK(put(fragment(sent, 0, 32768)) == What::Held);
  CHECK(put(fragment(sent, 32768, 65528)) == What::Discarded);
}

TEST_CASE("when the memory for fragments is full, nothing more is taken") {
  Packet sent = datagram();
  sent.bytes.resize(60000);
  Queues put;
  Packet part = fragment(sent, 0, 40000);
  int held = 0;
  while (held < 200) {
    part.bytes[15] = static_cast<std::uint8_t>(held);  // another source
    if (put(part) != What::Held) break;
    ++held;
  }
  CHECK_EQ(held, 103);  // 4 MiB
  CHECK(put(part) == What::Full);
  CHECK(put(part, 31 * kNsPerSecond) == What::Held);
}

TEST_CASE("IPv6: a whole datagram in one, and what is malformed") {
  const Bytes whole = build(fields6(17, 53)).bytes;
  Packet atomic = arriving(fields6(17, 53));
  atomic.bytes[6] = 44;
  const Bytes header{17, 0, 0, 0, 0, 0, 0, 1};
  atomic.bytes.insert(atomic.bytes.begin() + 40, header.begin(), header.end());
  const auto declare = [](Bytes& bytes, std::size_t size) {
    put_be16(bytes.data() + 4, static_cast<std::uint32_t>(size - 40));
  };
  declare(atomic.bytes, atomic.bytes.size());
  Queues put;
  CHECK(put(atomic) == What::Whole);
  CHECK(put.whole.bytes == whole);

  Packet broken = atomic;
  broken.bytes[43] = 1;  // more follow, yet it does not end on a multiple of eight
  broken.bytes.resize(broken.bytes.size() - 1);
  declare(broken.bytes, broken.bytes.size());
  CHECK(put(broken) == What::Untouched);
  broken.bytes.resize(48);
  broken.bytes[43] = 8;
  declare(broken.bytes, 48);
  CHECK(put(broken) == What::Discarded);  // a later one without data

  // A program may send a length that is not the packet's.
  put.fragments.clear();
  Packet lying = atomic;
  declare(lying.bytes, lying.bytes.size() + 8);
  CHECK(put(lying) == What::Held);
  put_be16(lying.bytes.data() + 4, 4);
  CHECK(put(lying) == What::Discarded);
}

// What the hooks make of it.

Ruleset ports_of(std::initializer_list<Chain> more) {
  std::vector<Chain> chains{base_chain({rule(then(destination_port_is(17, 53), accept()))})};
  chains.insert(chains.end(), more);
  return one_table(std::move(chains));
}

std::vector<Fate> fates(const Ruleset& rules, const std::vector<Packet>& packets,
                        bool keep_state = true) {
  const Host on = host();
  Evaluator evaluator(rules, on);
  std::vector<Fate> all;
  for (const Packet& packet : packets) {
    all.push_back(evaluator.arrive(packet, {.keep_state = keep_state}).fate());
  }
  return all;
}

TEST_CASE(
    "where state is kept, rules see the whole datagram and every fragment but the last waits") {
  const Chain tracks =
      base_chain({rule({load_ct(CtKey::State), is(Value::host_u32(ct_state::kNew)),
                        load_meta(MetaKey::Length), is_not(Value::host_u32(112)),
                        load_meta(MetaKey::Length), is_not(Value::host_u32(132)), drop()})},
                 Hook::Prerouting, 0, VerdictCode::Accept);
  for (const bool ipv6 : {false, true}) {
    const Packet sent = datagram(ipv6);
    const std::vector<Packet> parts{fragment(sent, 64, 92), fragment(sent, 0, 64)};
    CHECK(fates(ports_of({tracks}), parts) == std::vector{Fate::Held, Fate::Accept});
    CHECK(fates(ports_of({tracks}), parts, false) == std::vector{Fate::Held, Fate::Held});
  }
  // Without conntrack: IPv4 before input, and IPv6 behind it.
  const std::vector<Packet> ipv4{fragment(datagram(), 64, 92), fragment(datagram(), 0, 64)};
  CHECK(fates(ports_of({}), ipv4) == std::vector{Fate::Held, Fate::Accept});
  const std::vector<Packet> ipv6{fragment(datagram(true), 64, 92), fragment(datagram(true), 0, 64)};
  CHECK(fates(ports_of({}), ipv6) == std::vector{Fate::Drop, Fate::Accept});
}

TEST_CASE("the datagram bears the mark that a rule has given its first fragment") {
  const std::vector<Expr> mark_first{load_network(6, 2), is(Value::be16(0x2000)),
                                     Immediate{0, Value::host_u32(7)}, MetaSet{MetaKey::Mark, 0}};
  const Chain early = base_chain({rule(mark_first)}, Hook::Prerouting, -450, VerdictCode::Accept);
  const Chain tracks = base_chain(
      {rule({load_ct(CtKey::State), load_meta(MetaKey::Mark), is_not(Value::host_u32(7)), drop()})},
      Hook::Prerouting, 0, VerdictCode::Accept);
  const Packet sent = datagram();
  CHECK(fates(ports_of({early, tracks}), {fragment(sent, 0, 64), fragment(sent, 64, 92)}) ==
        std::vector{Fate::Held, Fate::Accept});
}

TEST_CASE("an IPv6 fragment from this host to itself has its flow already, and is refused") {
  const Chain tracks =
      base_chain({rule({load_ct(CtKey::State)})}, Hook::Prerouting, 0, VerdictCode::Accept);
  for (const bool ipv6 : {false, true}) {
    Packet part = fragment(datagram(ipv6), 64, 92);
    part.in_device = "lo";
    CHECK_EQ(fates(one_table({tracks}), {part}).front(), ipv6 ? Fate::Undecided : Fate::Held);
  }
}

TEST_CASE("a header whose length a rule has written over is no fragment that can be kept") {
  const Chain early = base_chain(
      {rule({Immediate{0, Value::u8(0x4f)}, PayloadWrite{PayloadBase::Network, 0, 1, 0}})},
      Hook::Prerouting, -450, VerdictCode::Accept);
  const Chain tracks =
      base_chain({rule({load_ct(CtKey::State)})}, Hook::Prerouting, 0, VerdictCode::Accept);
  const Packet part = fragment(datagram(), 64, 92);
  CHECK_EQ(fates(one_table({early, tracks}), {part}).front(), Fate::Stack);
}

TEST_CASE("a transparent proxy switches reassembly on, of its family") {
  const auto fate = [](std::uint8_t family, bool ipv6) {
    const Chain proxy = base_chain({rule({Tproxy{family, std::nullopt, 0}})}, Hook::Prerouting, 0,
                                   VerdictCode::Accept);
    const Chain drops = base_chain({rule({drop()})}, Hook::Prerouting, 1);
    return fates(one_table({proxy, drops}), {fragment(datagram(ipv6), 64, 92)}).front();
  };
  const auto ip = static_cast<std::uint8_t>(Family::Ip);
  const auto ip6 = static_cast<std::uint8_t>(Family::Ip6);
  CHECK_EQ(fate(ip, false), Fate::Held);
  CHECK_EQ(fate(ip6, false), Fate::Drop);
  CHECK_EQ(fate(0, false), Fate::Held);
  CHECK_EQ(fate(ip, true), Fate::Drop);
  CHECK_EQ(fate(ip6, true), Fate::Held);
  CHECK_EQ(fate(0, true), Fate::Held);
}

TEST_CASE("a way that is tried out takes no fragment") {
  const Ruleset rules = ports_of({});
  const Host on = host();
  Evaluator evaluator(rules, on);
  const Options kept{.keep_state = true};
  const Packet sent = datagram();
  const auto tried = [&](const Packet& packet) {
    return evaluator.outcomes(packet, Direction::Arrive, kept).ways.front().fate();
  };
  CHECK_EQ(tried(fragment(sent, 0, 64)), Fate::Held);
  CHECK_EQ(tried(fragment(sent, 64, 92)), Fate::Held);
  CHECK_EQ(evaluator.arrive(fragment(sent, 0, 64), kept).fate(), Fate::Held);
  CHECK_EQ(tried(fragment(sent, 64, 92)), Fate::Accept);
  CHECK_EQ(evaluator.arrive(fragment(sent, 64, 92), kept).fate(), Fate::Accept);
}

}  // namespace
}  // namespace rolewall::eval
