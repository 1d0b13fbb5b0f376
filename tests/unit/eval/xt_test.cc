// Matches and targets of iptables of which the kernel's judge (ruleset_judge --from iptables) can
// only say that one of the ways is its own, or which need a machine that says more.
#include <doctest/doctest.h>

#include <cstring>

#include "eval/checksum.h"
#include "rules.h"
#include "ruleset/expr.h"

namespace rolewall::eval {
namespace {

using namespace ruleset;

// Accepts what the match takes, and drops the rest.
Ruleset accepting(const XtMatch& match) {
  return input_rules({rule({match, accept()})});
}

Fate answer(const XtMatch& match, const Packet& packet, const Host& on = host()) {
  const Ruleset rules = accepting(match);
  Evaluator evaluator(rules, on);
  return evaluator.arrive(packet).fate();
}

std::size_t ways(const Ruleset& rules, const Host& on) {
  return Evaluator(rules, on).outcomes(arriving(fields(6)), Direction::Arrive).ways.size();
}

XtMatch recent(std::uint8_t does, std::uint32_t hits) {
  XtMatch match{"recent", 1, Bytes(232)};
  std::memcpy(match.info.data() + 4, &hits, sizeof hits);
  match.info[8] = does;
  std::memcpy(match.info.data() + 10, "ssh", 3);
  std::memset(match.info.data() + 212, 0xff, 16);
  return match;
}
constexpr std::uint8_t kSyn = 2;
constexpr std::uint8_t kRst = 4;
constexpr std::uint8_t kAck = 16;
constexpr std::uint8_t kCheck = 1;
constexpr std::uint8_t kSet = 2;

TEST_CASE("a recent list decides where it was read from the machine") {
  const Ruleset rules = accepting(recent(kCheck, 0));
  CHECK_EQ(ways(rules, host()), 2);  // it was not
  Host read = host();
  read.xt_tables = {{"xt_recent/ssh", {"src=203.0.113.99 ttl: 64 last_seen: 1 oldest_pkt: 1 1"}}};
  CHECK_EQ(ways(rules, read), 1);
  CHECK_EQ(answer(recent(kCheck, 0), arriving(fields(6)), read), Fate::Drop);
  // What an earlier rule of the same packet has noted is there.
  const Ruleset notes = input_rules({rule({recent(kSet, 0)}), rule({recent(kCheck, 0), accept()})});
  CHECK_EQ(Evaluator(notes, read).arrive(arriving(fields(6))).fate(), Fate::Accept);
  const Ruleset twice = input_rules({rule({recent(kSet, 0)}), rule({recent(kCheck, 2), accept()})});
  CHECK_EQ(Evaluator(twice, read).arrive(arriving(fields(6))).fate(), Fate::Drop);
}

TEST_CASE("an address that a recent list holds decides, too, by how often and when it was seen") {
  const std::string source = net::format(fields(6).source);
  Host read = host();
  read.xt_tables = {
      {"xt_recent/ssh",
       {"src=" + source + " ttl: 64 last_seen: 9000 oldest_pkt: 3 1000, 8000, 9000"}}};
  CHECK_EQ(answer(recent(kCheck, 0), arriving(fields(6)), read), Fate::Accept);
  CHECK_EQ(answer(recent(kCheck, 3), arriving(fields(6)), read), Fate::Accept);
  CHECK_EQ(answer(recent(kCheck, 4), arriving(fields(6)), read), Fate::Drop);
  // Of the last ten seconds, where the kernel's clock is known.
  XtMatch lately = recent(kCheck, 2);
  lately.info[0] = 10;
  CHECK_EQ(ways(accepting(lately), read), 2);
  read.ticks = Ticks{.now = 9500, .per_second = 250};
  CHECK_EQ(ways(accepting(lately), read), 1);
  CHECK_EQ(answer(lately, arriving(fields(6)), read), Fate::Accept);
  read.ticks->now = 10500;  // one of them is ten seconds old
  CHECK_EQ(ways(accepting(lately), read), 2);
  read.ticks->now = 11000;
  CHECK_EQ(answer(lately, arriving(fields(6)), read), Fate::Drop);
  CHECK_EQ(ways(accepting(lately), read), 1);
  // What a rule takes away is not there for the next.
  const Ruleset removes = input_rules({rule({recent(8, 0)}), rule({recent(kCheck, 0), accept()})});
  CHECK_EQ(Evaluator(removes, read).arrive(arriving(fields(6))).fate(), Fate::Drop);
}

TEST_CASE("a hashlimit's list decides of the first packet of an entry") {
  const std::string source = net::format(fields(6).source);
  XtMatch match{"hashlimit", 3, Bytes(312)};
  const std::uint64_t period = 60'000'000;  // one a minute
  const std::uint64_t burst = 5;
  const std::uint32_t by_source = 4;
  std::memcpy(match.info.data(), "web", 3);
  std::memcpy(match.info.data() + 256, &period, 8);
  std::memcpy(match.info.data() + 264, &burst, 8);
  std::memcpy(match.info.data() + 272, &by_source, 4);
  match.info[296] = match.info[297] = 32;
  CHECK_EQ(ways(accepting(match), host()), 2);
  Host read = host();
  read.xt_tables = {{"ipt_hashlimit/web", {}}};
  CHECK_EQ(ways(accepting(match), read), 1);
  CHECK_EQ(answer(match, arriving(fields(6)), read), Fate::Accept);
  read.xt_tables = {{"ipt_hashlimit/web", {"59 " + source + ":0->0.0.0.0:0 100 160000 32000"}}};
  CHECK_EQ(answer(match, arriving(fields(6)), read), Fate::Drop);
  read.xt_tables[0].lines[0] = "59 " + source + ":0->0.0.0.0:0 33000 160000 32000";
  CHECK_EQ(answer(match, arriving(fields(6)), read), Fate::Accept);
  read.xt_tables[0].lines[0] = "59 " + source + ":0->0.0.0.0:0 31900 160000 32000";
  CHECK_EQ(ways(accepting(match), read), 2);  // in less than a second it has the rest
}

TEST_CASE("connlimit drops the packet that ends the only connection it counts") {
  XtMatch match{"connlimit", 1, Bytes(32)};
  std::memset(match.info.data(), 0xff, 4);  // each source
  match.info[16] = 9;
  match.info[20] = 1;  // up to
  const Ruleset rules = input_rules({rule({match, accept()})});
  const Host on = host();
  Evaluator evaluator(rules, on);
  const auto says = [&](std::uint8_t flags, bool client) {
    PacketFields packet = fields(6, 80);
    packet.tcp_flags = flags;
    if (!client) {
      std::swap(packet.source, packet.destination);
      std::swap(packet.source_port, packet.destination_port);
    }
    Packet built = client ? arriving(packet) : build(packet);
    if (client) return evaluator.arrive(built, {.keep_state = true}).fate();
    built.out_device = "eth0";
    return evaluator.send(built, {.keep_state = true}).fate();
  };
  CHECK_EQ(says(kSyn, true), Fate::Accept);
  CHECK_EQ(says(kSyn | kAck, false), Fate::Accept);
  CHECK_EQ(says(kAck, true), Fate::Accept);
  CHECK_EQ(says(kRst, true), Fate::Drop);
}

XtMatch hashlimit(const char* name, std::uint64_t period, std::uint64_t burst) {
  XtMatch match{"hashlimit", 3, Bytes(312)};
  const std::uint32_t by_source = 4;
  std::memcpy(match.info.data(), name, std::strlen(name));
  std::memcpy(match.info.data() + 256, &period, 8);
  std::memcpy(match.info.data() + 264, &burst, 8);
  std::memcpy(match.info.data() + 272, &by_source, 4);
  match.info[296] = match.info[297] = 32;
  return match;
}

TEST_CASE(
    "an entry of a hashlimit that a packet begins has all its tokens, whichever rule spends them") {
  constexpr std::uint64_t kMinute = 60'000'000;
  Host read = host();
  read.xt_tables = {{"ipt_hashlimit/web", {}}};
  const XtMatch two = hashlimit("web", kMinute, 2);
  const Ruleset spent = input_rules({rule({two}), rule({two}), rule({two, accept()})});
  CHECK_EQ(Evaluator(spent, read).arrive(arriving(fields(6))).fate(), Fate::Drop);
  CHECK_EQ(ways(spent, read), 1);
  const Ruleset left = input_rules({rule({two}), rule({two, accept()})});
  CHECK_EQ(Evaluator(left, read).arrive(arriving(fields(6))).fate(), Fate::Accept);
  // Which of two rules has made the list is not known.
  const Ruleset disputed =
      input_rules({rule({two}), rule({hashlimit("web", kMinute, 3), accept()})});
  CHECK(ways(disputed, read) > 1);
}

TEST_CASE("where a hashlimit's table is full, the packet is dropped") {
  XtMatch match = hashlimit("web", 60'000'000, 5);
  match.info[276] = match.info[280] = 1;  // buckets, entries
  Host read = host();
  read.xt_tables = {{"ipt_hashlimit/web", {}}};
  CHECK_EQ(ways(accepting(match), read), 1);
  CHECK_EQ(answer(match, arriving(fields(6)), read), Fate::Accept);
  read.xt_tables[0].lines = {"59 203.0.113.77:0->0.0.0.0:0 100 160000 32000"};
  const Ruleset rules = input_rules({rule({match}), rule({accept()})});
  CHECK_EQ(Evaluator(rules, read).arrive(arriving(fields(6))).fate(), Fate::Drop);
  // By the machine's memory it may have more room.
  match.info[276] = match.info[280] = 0;
  for (int i = 0; i < 128; ++i) read.xt_tables[0].lines.push_back(read.xt_tables[0].lines[0]);
  CHECK_EQ(ways(input_rules({rule({match}), rule({accept()})}), read), 2);
}

TEST_CASE("of 0.0.0.0/8 the first address alone needs no way back to it") {
  const XtMatch rpfilter{"rpfilter", 0, Bytes(8)};
  Host on = host();
  on.routes = {{prefix("0.0.0.0/8"), RouteType::Unreachable, "", {}}};
  PacketFields broadcast = fields(17);
  broadcast.destination = address("255.255.255.255");
  broadcast.source = address("0.0.0.0");
  CHECK_EQ(answer(rpfilter, arriving(broadcast), on), Fate::Accept);
  broadcast.source = address("0.0.0.1");
  CHECK_EQ(answer(rpfilter, arriving(broadcast), on), Fate::Drop);
}

TEST_CASE("a header that is cut off drops the packet, even in a rule that accepts the rest") {
  XtMatch tcp{"tcp", 0, Bytes(16)};
  tcp.info[2] = tcp.info[3] = tcp.info[6] = tcp.info[7] = 0xff;  // all ports
  CHECK_EQ(answer(tcp, arriving(fields(6))), Fate::Accept);
  Packet cut = arriving(fields(6));
  cut.bytes.resize(30);
  cut.bytes[3] = 30;
  cut.bytes[10] = cut.bytes[11] = 0;
  put_be16(cut.bytes.data() + 10, internet_checksum(ByteSpan(cut.bytes).first(20)));
  const Ruleset rules = input_rules({rule({tcp}), rule({accept()})});
  const Host on = host();
  Evaluator evaluator(rules, on);
  CHECK_EQ(evaluator.arrive(cut).fate(), Fate::Drop);
}

XtMatch finding(const char* text, const char* algorithm) {
  XtMatch match{"string", 1, Bytes(160)};
  match.info[2] = match.info[3] = 0xff;  // to the end
  std::memcpy(match.info.data() + 4, algorithm, std::strlen(algorithm));
  std::memcpy(match.info.data() + 20, text, std::strlen(text));
  match.info[148] = static_cast<std::uint8_t>(std::strlen(text));
  return match;
}

TEST_CASE(
    "--algo bm finds nothing that lies across two pieces of a packet, as it may in a large one") {
  const auto conditions = [](const char* algorithm, std::size_t size) {
    PacketFields made = fields(17, 53);
    made.length = static_cast<std::uint32_t>(size);
    Packet packet = arriving(made);
    std::memcpy(packet.bytes.data() + size / 2, "needle", 6);
    const Ruleset rules = accepting(finding("needle", algorithm));
    const Journey journey = Evaluator(rules, host()).arrive(packet);
    return journey.conditions.size();
  };
  CHECK_EQ(conditions("bm", 100), 0);
  CHECK_EQ(conditions("bm", 3000), 1);
  CHECK_EQ(conditions("kmp", 3000), 0);
}

TEST_CASE("of a rule that only notes something, no question in words hangs on what it asks") {
  const XtMatch cpu{"cpu", 0, Bytes(8)};
  const XtMatch unknown{"bpf", 1, Bytes(8)};
  const XtTarget log{"LOG", 0, Bytes(32)};
  const XtTarget mark{"MARK", 2, Bytes(8)};
  const auto asked = [](std::vector<Expr> exprs) {
    const Ruleset rules =
        one_table({base_chain({rule(std::move(exprs))}, Hook::Input, 0, VerdictCode::Accept)});
    Options options;
    options.note_reads = options.explain = true;
    return Evaluator(rules, host()).arrive(arriving(fields(6)), options);
  };
  for (const XtMatch& match : {cpu, unknown}) {
    const Journey noted = asked({match, log});
    CHECK_EQ(noted.fate(), Fate::Accept);
    CHECK(noted.conditions.empty());
    CHECK(noted.hooks.back().steps.front().why.ends_with("not known, and nothing hangs on it"));
    CHECK(asked({match}).conditions.empty());
  }
  CHECK_EQ(asked({cpu, mark}).conditions.size(), 1);  // a later rule may read it
  CHECK_EQ(asked({cpu, drop()}).conditions.size(), 1);
  CHECK_EQ(asked({unknown, drop()}).fate(), Fate::Undecided);
}

TEST_CASE("what is not modelled is undecided, by its name") {
  const Ruleset rules = accepting({"bpf", 1, {}});
  const Host on = host();
  const Journey journey = Evaluator(rules, on).arrive(arriving(fields(6)));
  CHECK_EQ(journey.fate(), Fate::Undecided);
  CHECK(journey.hooks.back().reason.find("iptables' match `bpf`: it is not modelled") !=
        std::string::npos);
}

TEST_CASE("the time is the question's, by UTC") {
  XtMatch time{"time", 0, Bytes(24)};
  const std::uint32_t always = 0xffffffff;
  const std::uint32_t from = 8 * 3600;
  const std::uint32_t to = 20 * 3600;
  const std::uint32_t month_days = 0xfffffffe;
  std::memcpy(time.info.data() + 4, &always, 4);
  std::memcpy(time.info.data() + 8, &from, 4);
  std::memcpy(time.info.data() + 12, &to, 4);
  std::memcpy(time.info.data() + 16, &month_days, 4);
  time.info[20] = 0xfe;
  Packet packet = arriving(fields(6));
  CHECK_EQ(ways(accepting(time), host()), 2);
  // 2024-02-29, a Thursday, at noon and at midnight
  constexpr std::uint64_t kNoon = 1709208000;
  packet.time_ns = kNoon * 1'000'000'000;
  CHECK_EQ(answer(time, packet), Fate::Accept);
  packet.time_ns = (kNoon + 43200) * 1'000'000'000;
  CHECK_EQ(answer(time, packet), Fate::Drop);
  packet.time_ns = kNoon * 1'000'000'000;
  time.info[20] = 1 << 4;  // Thursdays
  CHECK_EQ(answer(time, packet), Fate::Accept);
  time.info[20] = 1 << 5;
  CHECK_EQ(answer(time, packet), Fate::Drop);
  time.info[20] = 0xfe;
  const std::uint32_t on_29 = 1U << 29;
  std::memcpy(time.info.data() + 16, &on_29, 4);
  CHECK_EQ(answer(time, packet), Fate::Accept);
}

TEST_CASE("a SYN proxy of iptables takes a SYN alone, and lets what answers one go on") {
  const Host on = host();
  const Ruleset rules = input_rules({rule({XtTarget{"SYNPROXY", 0, Bytes(8)}}), rule({accept()})});
  PacketFields flags = fields(6);
  CHECK_EQ(Evaluator(rules, on).arrive(arriving(flags)).fate(), Fate::Stack);
  for (const std::uint8_t others : Octets{0x12, 0x14, 0x11, 0x04}) {
    flags.tcp_flags = others;
    CHECK_EQ(Evaluator(rules, on).arrive(arriving(flags)).fate(), Fate::Accept);
  }
}

TEST_CASE("a queue's program decides; a transparent socket takes, or the packet is dropped") {
  const Host on = host();
  XtTarget queue{"NFQUEUE", 3, Bytes(8)};
  CHECK_EQ(Evaluator(input_rules({rule({queue})}), on).arrive(arriving(fields(6))).fate(),
           Fate::Undecided);
  Ruleset notes = input_rules({rule({XtTarget{"LOG", 0, Bytes(32)}}), rule({accept()})});
  CHECK_EQ(Evaluator(notes, on).arrive(arriving(fields(6))).fate(), Fate::Accept);
  Ruleset rejects = input_rules({rule({XtTarget{"REJECT", 0, Bytes(8)}})});
  CHECK_EQ(Evaluator(rejects, on).arrive(arriving(fields(6))).fate(), Fate::Reject);
}

}  // namespace
}  // namespace rolewall::eval
