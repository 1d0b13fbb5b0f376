// Sets of ip_set in what the kernel's judges do not try: types that a kernel may lack, times, and
// what is not known.
#include <doctest/doctest.h>

#include <cstring>
#include <initializer_list>
#include <string>

#include "rules.h"
#include "ruleset/expr.h"
#include "ruleset/ipset.h"
#include "ruleset/ipset_words.h"

namespace rolewall::eval {
namespace {

using namespace ruleset;

constexpr std::uint8_t kSource = 2;  // of the first dimension, in xt_set_info's flags
constexpr std::uint8_t kBothSources = 2 | 4;

Host with_sets(std::initializer_list<std::string> lines) {
  Host on = host();
  on.ipsets = lines;
  std::uint16_t number = 0;
  for (const std::string& line : lines) {
    if (!line.starts_with("create ")) continue;
    on.ipset_numbers.push_back({line.substr(7, line.find(' ', 7) - 7), number++});
  }
  return on;
}

XtMatch set_match(std::uint16_t number, std::uint8_t dimensions, std::uint8_t flags) {
  XtMatch match{"set", 4, Bytes(48)};
  std::memcpy(match.info.data(), &number, 2);
  match.info[2] = dimensions;
  match.info[3] = flags;
  return match;
}

XtTarget add_to(std::uint16_t number, std::uint32_t timeout) {
  XtTarget target{"SET", 3, Bytes(24)};
  const std::uint16_t none = 0xffff;
  std::memcpy(target.info.data(), &number, 2);
  target.info[2] = 1;
  target.info[3] = kSource;
  std::memcpy(target.info.data() + 4, &none, 2);
  std::memcpy(target.info.data() + 8, &none, 2);
  std::memcpy(target.info.data() + 16, &timeout, 4);
  return target;
}

Fate set_answer(const XtMatch& match, const Packet& packet, const Host& on) {
  const Ruleset rules = input_rules({rule({match, accept()})});
  return Evaluator(rules, on).arrive(packet).fate();
}

std::size_t ways(const XtMatch& match, const Packet& packet, const Host& on) {
  const Ruleset rules = input_rules({rule({match, accept()})});
  return Evaluator(rules, on).outcomes(packet, Direction::Arrive).ways.size();
}

// The source of arriving(fields(6)), and one beside it.
std::string source() {
  return net::format(fields(6).source);
}

TEST_CASE("an element's counters decide, this packet among them") {
  const Host on =
      with_sets({"create n hash:net counters", "add n " + source() + " packets 2 bytes 100",
                 "add n 0.0.0.0/1 packets 9 bytes 100", "add n 128.0.0.0/1 packets 9 bytes 100",
                 "create p hash:ip", "add p " + source()});
  enum : std::uint8_t { kEqual = 1, kNotEqual = 2, kLess = 3, kGreater = 4 };
  const auto asks = [&](std::uint16_t set, std::uint8_t is, std::uint64_t value) {
    XtMatch match = set_match(set, 1, kSource);
    std::memcpy(match.info.data() + 8, &value, 8);
    match.info[16] = is;
    CHECK_EQ(ways(match, arriving(fields(6)), on), 1);
    return set_answer(match, arriving(fields(6)), on) == Fate::Accept;
  };
  CHECK(asks(0, kEqual, 3));
  CHECK(asks(0, kGreater, 2));
  CHECK_FALSE(asks(0, kLess, 3));
  CHECK(asks(0, kEqual, 10));  // of the wider network, where the narrower one has not as many
  CHECK_FALSE(asks(0, kEqual, 2));
  CHECK(asks(0, kNotEqual, 2));
  CHECK(asks(1, kEqual, 77));  // that set does not count
  // What an earlier rule has counted is counted, unless it was not to.
  XtMatch exactly = set_match(0, 1, kSource);
  exactly.info[8] = 4;
  exactly.info[16] = kEqual;
  XtMatch looks = set_match(0, 1, kSource);
  const auto after = [&] {
    const Ruleset rules = input_rules({rule({looks}), rule({exactly, accept()})});
    return Evaluator(rules, on).arrive(arriving(fields(6))).fate();
  };
  CHECK_EQ(after(), Fate::Accept);
  looks.info[40] = 8;  // ! --update-counters
  CHECK_EQ(after(), Fate::Drop);
}

TEST_CASE("what a saved set's lines say is read") {
  const std::vector<std::string> lines{
      "create a hash:ip family inet hashsize 1024 maxelem 65536 timeout 600 counters comment "
      "skbinfo",
      "add a 10.0.0.1 timeout 599 packets 0 bytes 0 comment \"two words\" skbmark 0x1/0xff skbprio "
      "1:10 skbqueue 3",
      "create p hash:ip,port family inet6 hashsize 64 maxelem 65536",
      "add p 2001:db8::1,ipv6-icmp:echo-request",
      "add p 2001:db8::1,nobodys:1",
      "create x future:type size 3",
  };
  const std::vector<IpSet> sets = read_ipsets(lines);
  REQUIRE_EQ(sets.size(), 2);
  const IpSet::Element& element = sets[0].elements.at(std::string("\x0a\x00\x00\x01", 4));
  CHECK_EQ(element.seconds_left, 599);
  CHECK_EQ(element.mark, 1);
  CHECK_EQ(element.mark_mask, 0xff);
  CHECK_EQ(element.priority, 0x10010);
  CHECK_EQ(sets[1].elements.size(), 1);
  CHECK_EQ(sets[1].unread, 1);
  CHECK_EQ(ipset_port("icmp:8/0")->number, 0x800);
  CHECK_EQ(ipset_port("47:0")->protocol, 47);
  CHECK_FALSE(ipset_port("tcp:http"));
}

TEST_CASE("a set that was read decides, one that was not is conditional") {
  const Host on = with_sets({"create a hash:ip family inet", "add a " + source()});
  CHECK_EQ(set_answer(set_match(0, 1, kSource), arriving(fields(6)), on), Fate::Accept);
  CHECK_EQ(ways(set_match(0, 1, kSource), arriving(fields(6)), on), 1);
  CHECK_EQ(set_answer(set_match(0, 1, 0), arriving(fields(6)), on), Fate::Drop);
  CHECK_EQ(ways(set_match(7, 1, kSource), arriving(fields(6)), on), 2);
  CHECK_EQ(ways(set_match(0, 1, kSource), arriving(fields(6)), host()), 2);
}

TEST_CASE("a list's own counters, and elements with words that are not known, are conditional") {
  Host on = with_sets({"create a hash:ip family inet counters", "add a " + source(),
                       "create l list:set counters", "add l a"});
  XtMatch counts = set_match(1, 1, kSource);
  counts.info[16] = 4;  // more packets than
  CHECK_EQ(ways(counts, arriving(fields(6)), on), 2);
  counts.info[3] = 0;  // the destination is not in it
  CHECK_EQ(ways(counts, arriving(fields(6)), on), 1);
  on = with_sets({"create a hash:ip family inet", "add a 192.0.2.77 future 1"});
  CHECK_EQ(ways(set_match(0, 1, kSource), arriving(fields(6)), on), 2);
}

TEST_CASE("an element ends when its time is over") {
  const Host on =
      with_sets({"create a hash:ip family inet timeout 10", "add a " + source() + " timeout 5"});
  const Ruleset rules = input_rules({rule({set_match(0, 1, kSource), accept()})});
  Evaluator evaluator(rules, on);
  const auto at = [&](std::uint64_t seconds) {
    const Options options{.keep_state = true, .now_ns = seconds * kSecond};
    return evaluator.next(arriving(fields(6)), Direction::Arrive, options).ways;
  };
  CHECK_EQ(at(1).front().fate(), Fate::Accept);
  CHECK_EQ(at(5).front().fate(), Fate::Accept);
  CHECK_EQ(at(6).size(), 2);  // the kernel tells whole seconds
  CHECK_EQ(at(9).front().fate(), Fate::Drop);
}

TEST_CASE("what a packet adds is there for the next, until its time is over") {
  const Host on = with_sets({"create a hash:ip family inet hashsize 64 maxelem 65536 timeout 10"});
  const Ruleset rules =
      input_rules({rule({set_match(0, 1, kSource), accept()}), rule({add_to(0, 3)})});
  Evaluator evaluator(rules, on);
  const auto at = [&](std::uint64_t seconds) {
    const Options options{.keep_state = true, .now_ns = seconds * kSecond};
    return evaluator.next(arriving(fields(6)), Direction::Arrive, options).ways.front().fate();
  };
  CHECK_EQ(at(1), Fate::Drop);
  CHECK_EQ(at(2), Fate::Accept);
  CHECK_EQ(at(6), Fate::Drop);
  CHECK_EQ(at(7), Fate::Accept);
}

TEST_CASE("what goes into networks, or where there may be no room, leaves the set conditional") {
  for (const char* set : {"create a hash:net family inet hashsize 64 maxelem 65536",
                          "create a hash:ip family inet hashsize 64 maxelem 0"}) {
    const Host on = with_sets({set});
    const Ruleset rules =
        input_rules({rule({add_to(0, 0)}), rule({set_match(0, 1, kSource), accept()})});
    CHECK_EQ(Evaluator(rules, on).outcomes(arriving(fields(6)), Direction::Arrive).ways.size(), 2);
  }
}

TEST_CASE("marks, MAC addresses and pairs of networks") {
  Host on =
      with_sets({"create a hash:ip,mark family inet markmask 0x000000ff",
                 "add a " + source() + ",0x00000005", "create b hash:net,net family inet",
                 "add b 0.0.0.0/0," + source() + "/8", "add b " + source() + "/8,0.0.0.0/0 nomatch",
                 "create c hash:mac", "add c 02:00:00:00:00:01"});
  Packet packet = arriving(fields(6));
  packet.mark = 0x105;
  CHECK_EQ(set_answer(set_match(0, 2, kBothSources), packet, on), Fate::Accept);
  packet.mark = 0x104;
  CHECK_EQ(set_answer(set_match(0, 2, kBothSources), packet, on), Fate::Drop);
  CHECK_EQ(set_answer(set_match(0, 1, kBothSources), packet, on), Fate::Drop);  // of one dimension
  // The longest of the first field's networks goes first.
  CHECK_EQ(set_answer(set_match(1, 2, kBothSources), packet, on), Fate::Drop);
  XtMatch excluded = set_match(1, 2, kBothSources);
  excluded.info[40] = 128;  // --return-nomatch
  CHECK_EQ(set_answer(excluded, packet, on), Fate::Accept);
  CHECK_EQ(ways(set_match(2, 1, kSource), packet, on), 2);
  packet.link = {2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1, 8, 0};
  CHECK_EQ(set_answer(set_match(2, 1, kSource), packet, on), Fate::Accept);
  CHECK_EQ(set_answer(set_match(2, 1, 0), packet, on), Fate::Drop);
}

TEST_CASE("--map-set gives what the element has") {
  const Host on = with_sets({"create a hash:ip family inet skbinfo",
                             "add a " + source() + " skbmark 0x7/0xff skbprio 1:2"});
  XtTarget target = add_to(0xffff, 0xffffffff);
  const std::uint16_t number = 0;
  const std::uint32_t flags = 0x100;  // --map-mark
  std::memcpy(target.info.data() + 8, &number, 2);
  target.info[10] = 1;
  target.info[11] = kSource;
  std::memcpy(target.info.data() + 12, &flags, 4);
  XtMatch mark{"mark", 1, Bytes(16)};
  const std::uint32_t seven = 7;
  const std::uint32_t all = 0xff;
  std::memcpy(mark.info.data(), &seven, 4);
  std::memcpy(mark.info.data() + 4, &all, 4);
  const Ruleset rules = input_rules({rule({target}), rule({mark, accept()})});
  CHECK_EQ(Evaluator(rules, on).arrive(arriving(fields(6))).fate(), Fate::Accept);
}

}  // namespace
}  // namespace rolewall::eval
