#include <doctest/doctest.h>

#include <chrono>
#include <set>

#include "every_kind.h"
#include "print/print.h"
#include "ruleset/expr.h"
#include "ruleset/verify.h"

namespace rolewall::print {
namespace {

using namespace ruleset;  // NOLINT(google-build-using-namespace)

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  REQUIRE_MESSAGE(at != std::string::npos, from);
  return text.replace(at, from.size(), to);
}

TEST_CASE("the example holds every alternative") {
  std::set<std::size_t> seen;
  const Snapshot snapshot = every_kind();
  for (const Chain& chain : snapshot.ruleset.tables[0].chains) {
    for (const Rule& rule : chain.rules) {
      for (const Expr& expr : rule.exprs) seen.insert(expr.index());
    }
  }
  CHECK_EQ(seen.size(), std::variant_size_v<ruleset::ExprVariant>);
  const auto flaw = verify(snapshot.ruleset);
  CHECK_MESSAGE(!flaw, (flaw ? flaw->path + ": " + flaw->what : ""));
}

TEST_CASE("a snapshot survives JSON") {
  const Snapshot snapshot = every_kind();
  const std::string text = to_json(snapshot);
  const auto read = from_json(text);
  REQUIRE_MESSAGE(read, read.error().message);
  CHECK(*read == snapshot);
  CHECK_EQ(to_json(*read), text);

  const auto empty = from_json(to_json({}));
  REQUIRE_MESSAGE(empty, empty.error().message);
  CHECK(*empty == Snapshot{});
}

TEST_CASE("an expression stands on one line") {
  const std::string text = to_json(every_kind());
  CHECK(text.find("{\"type\": \"payload\", \"base\": \"network\", \"offset\": 12, \"length\": 4, "
                  "\"to\": 8}\n") != std::string::npos);
  CHECK(text.find("\"0a000000-0affffff\",\n") != std::string::npos);
  CHECK(text.find("\"jump web.inbound.https\"") != std::string::npos);
}

TEST_CASE("what is wrong is named by its path") {
  const std::string good = to_json(every_kind());
  struct Case {
    std::string_view from;
    std::string_view to;
    std::string_view message;
  };
  const Case cases[] = {
      {"rolewall-snapshot", "other", "not a snapshot: \"kind\" is not \"rolewall-snapshot\""},
      {"\"version\": 1", "\"version\": 2", "version: 2 is newer than this program"},
      {"\"version\": 1", "\"version\": \"1\"", "version: a number is expected"},
      {"\"version\": 1", "\"version\": 0", "version: there is no version 0"},
      {"\"priority\": -300", "\"priority\": 3000000000",
       "ruleset.tables[0].chains[1].base.priority: a whole number from -2147483648 to 2147483647"},
      {"\"priority\": -300", "\"priority\": 0.5", "base.priority: a whole number"},
      {"\"offset\": 12", "\"offset\": -1",
       "ruleset.tables[0].chains[1].rules[0].exprs[0].offset: a whole number from 0 to 4294967295"},
      {"\"offset\": 12, ", "", "exprs[0].offset: is missing"},
      {"\"offset\": 12", "\"offset\": 12, \"bits\": 3", "exprs[0].bits: there is no such key"},
      {"\"offset\": 12", "\"offset\": 12, \"offset\": 13",
       "the key \"offset\" is twice in one object"},
      {"\"to\": 8", "\"to\": 16", "exprs[0]: payload: there is no register 16"},
      {"\"to\": 8", "\"to\": 15, \"length\": 8", "is twice"},
      {"\"length\": 4, \"to\": 8", "\"length\": 36, \"to\": 8",
       "exprs[0]: payload: 36 bytes do not fit in the registers from 8 on"},
      {"\"hook\": \"input\"", "\"hook\": \"imput\"",
       "chains[1].base.hook: one of these is expected: ingress, prerouting, input"},
      {"\"type\": \"notrack\"", "\"type\": \"notrak\"",
       "exprs[0].type: \"notrak\" is not an expression"},
      {"\"42000000\"", "\"4200000\"", "value: bytes in hexadecimal digits"},
      {"\"42000000\"", "\"4200000g\"", "value: bytes in hexadecimal digits"},
      {"\"0a000000-0affffff\"", "\"0a000000-0affff\"",
       "sets[0].elements.ranges[0]: a key of 4 bytes"},
      {"\"0a000000-0affffff\"", "\"ff000000-0affffff\"",
       "sets[0]: element 0 ends before it begins"},
      {"\"0a000000-0affffff\"", "\"c1000000\"",
       "ruleset.tables[0].sets[0]: element 1 is out of order or a duplicate"},
      {"\"jump web.inbound.https\"", "\"jump nowhere\"", "sets[2]: there is no chain nowhere"},
      {"\"jump web.inbound.https\"", "\"jump input\"", "sets[2]: a jump to the base chain input"},
      {"\"jump web.inbound.https\"", "\"leap\"", "verdicts[0]: \"leap\" is not a verdict"},
      {"\"drop\"\n", "\"drop\", \"drop\"\n", "sets[2]: 3 verdicts for 2 elements"},
      {"\"set\": \"abusers\"", "\"set\": \"abuser\"", "exprs[0]: lookup: there is no set abuser"},
      {"\"set\": \"marks\", \"from\": 1", "\"set\": \"abusers\", \"from\": 1",
       "abusers does not map to values"},
      {"\"10.0.0.0-11.0.0.0\"", "\"11.0.0.0-10.0.0.0\"",
       "host.interfaces[1].behind[0]: \"11.0.0.0-10.0.0.0\" is not an address, prefix or range"},
      {"\"192.0.2.9\"", "\"192.0.2.9/8\"",
       "host.virtual_addresses[0]: an address or a prefix is expected"},
      {"\"line\": 12", "\"line\": null", "sources.web.inbound.https.line: a whole number"},
  };
  for (const Case& test : cases) {
    const auto read = from_json(replaced(good, test.from, test.to));
    REQUIRE_MESSAGE(!read, test.message);
    CHECK_MESSAGE(read.error().message.find(test.message) != std::string::npos,
                  read.error().message, " -- expected: ", test.message);
    CHECK(read.error().kind == ErrorKind::Usage);
  }
}

TEST_CASE("what is no JSON is an error with its place") {
  for (const char* text : {"", "{", "null", "[]", "{\"kind\": \"rolewall-snapshot\"", "\xff\xfe",
                           "{\"kind\": 1}", "1e999", "{\"a\": \"\\ud800\"}"}) {
    CHECK_FALSE(from_json(text));
  }
  const auto cut = from_json("{\"kind\":\n \"rolewall-snapshot\",\n");
  REQUIRE_FALSE(cut);
  CHECK(cut.error().message.starts_with("parse error at line 3, column 1"));

  const auto deep = from_json(std::string(1'000'000, '['));
  REQUIRE_FALSE(deep);
  const auto closed = from_json(std::string(100'000, '[') + std::string(100'000, ']'));
  REQUIRE_FALSE(closed);
  CHECK(closed.error().message.find("deep") != std::string::npos);
}

// Cut anywhere, or with any byte changed, a file is refused or it is a valid snapshot: never a
// crash. (The fuzz target goes on from here.) DAMAGE_STRIDE: so many bytes from one place to the
// next; a prime, so that the places are not those of one member.
TEST_CASE("damaged files") {
  const std::string good = to_json(every_kind());
  for (std::size_t size = 0; size + 2 < good.size(); size += DAMAGE_STRIDE) {
    CHECK_FALSE(from_json(std::string_view(good).substr(0, size)));
  }
  for (std::size_t at = 0; at < good.size(); at += DAMAGE_STRIDE) {
    for (const char byte : {'0', '9', '"', '}', 'f', '\x80'}) {
      std::string damaged = good;
      damaged[at] = byte;
      if (const auto read = from_json(damaged)) CHECK_FALSE(verify(read->ruleset));
    }
  }
}

TEST_CASE("large sets are compact and fast") {
  Snapshot snapshot;
  Table& table = snapshot.ruleset.tables.emplace_back();
  table.name = "rolewall";
  Set& set = table.sets.emplace_back();
  set.name = "blocked";
  set.key = {{DataType::Ipv4Address, 4}};
  set.elements.key_size = 4;
  constexpr std::uint32_t kCount = 200'000;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    for (const int shift : {24, 16, 8, 0}) {
      set.elements.keys.push_back(static_cast<std::uint8_t>((i * 7) >> shift));
    }
  }
  const auto begin = std::chrono::steady_clock::now();
  const std::string text = to_json(snapshot);
  CHECK(text.size() < kCount * 24);
  const auto read = from_json(text);
  REQUIRE_MESSAGE(read, read.error().message);
  CHECK(*read == snapshot);
  // Some 0.1 s optimised; the bound only tells linear from quadratic.
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20));
}

}  // namespace
}  // namespace rolewall::print
