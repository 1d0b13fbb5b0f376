// The way of a packet, read from what the trace tells of it.
#include "sandbox/observation.h"

#include <doctest/doctest.h>

#include <string_view>
#include <vector>

#include "observe/trace.h"
#include "ruleset/expr.h"
#include "sandbox/watch.h"

namespace rolewall::sandbox {
namespace {

using observe::TraceMessage;
using observe::TraceType;
using ruleset::VerdictCode;

// input: rule 1 (handle 11) jumps to `web`, rule 2 (handle 12) rejects; `web` has one rule (13).
ruleset::Ruleset two_chains() {
  ruleset::Chain input;
  input.name = "input";
  input.base = ruleset::BaseChain{};
  input.rules.resize(2);
  input.rules[0].handle = 11;
  input.rules[1].handle = 12;
  input.rules[1].exprs = {ruleset::Reject{}};
  ruleset::Chain web;
  web.name = "web";
  web.rules.resize(1);
  web.rules[0].handle = 13;
  ruleset::Table table;
  table.name = "rolewall";
  table.chains = {input, web};
  return {{table}};
}

TraceMessage told(std::string_view chain, std::uint64_t handle, VerdictCode code,
                  TraceType type = TraceType::Rule) {
  TraceMessage message;
  message.table = "rolewall";
  message.chain = chain;
  message.handle = handle;
  message.verdict.code = code;
  message.type = type;
  return message;
}

TraceMessage gate(std::string_view chain) {
  TraceMessage message;
  message.table = watch::kTable;
  message.chain = chain;
  message.type = TraceType::Policy;
  message.verdict.code = VerdictCode::Accept;
  message.begins_base_chain = true;
  return message;
}

TEST_CASE("a packet that a rule rejects after a chain that did not decide") {
  const auto seen =
      Reader(two_chains())
          .read(ruleset::Hook::Prerouting,
                std::vector{
                    gate("prerouting-first"), gate("prerouting-last"), gate("input-first"),
                    told("input", 11, VerdictCode::Jump), told("web", 13, VerdictCode::Continue),
                    told("web", 0, VerdictCode::Continue), told("input", 12, VerdictCode::Drop)});
  REQUIRE(seen);
  REQUIRE_EQ(seen->hooks.size(), 2);
  CHECK(seen->hooks[0].fate == Fate::Accept);
  CHECK(seen->hooks[0].path.empty());
  CHECK(seen->fate() == Fate::Reject);
  const auto& path = seen->hooks[1].path;
  REQUIRE_EQ(path.size(), 4);
  CHECK(path[0] == Step{0, 0, 0, {VerdictCode::Jump, "", 0}});
  CHECK(path[1] == Step{0, 1, 0, {VerdictCode::Continue, "", 0}});
  CHECK(path[2] == Step{0, 1, Step::kEnd, {VerdictCode::Return, "", 0}});
  CHECK(path[3] == Step{0, 0, 1, {VerdictCode::Drop, "", 0}});
}

TEST_CASE("a policy, and the watch's last chain after it") {
  const auto seen =
      Reader(two_chains())
          .read(ruleset::Hook::Prerouting,
                std::vector{gate("prerouting-first"), gate("prerouting-last"), gate("input-first"),
                            told("input", 0, VerdictCode::Continue),
                            told("input", 0, VerdictCode::Accept, TraceType::Policy),
                            gate("input-last")});
  REQUIRE(seen);
  CHECK(seen->fate() == Fate::Accept);
  REQUIRE_EQ(seen->hooks[1].path.size(), 1);
  CHECK(*seen->hooks[1].decision() == Step{0, 0, Step::kEnd, {VerdictCode::Accept, "", 0}});
}

TEST_CASE("of chains that all accept, the last rule decides, else the last policy") {
  HookObservation seen;
  seen.path = {{0, 0, 1, {VerdictCode::Accept, "", 0}},
               {0, 1, Step::kEnd, {VerdictCode::Accept, "", 0}}};
  CHECK_EQ(seen.decision(), seen.path.data());
  seen.path.push_back({0, 1, 0, {VerdictCode::Accept, "", 0}});
  CHECK_EQ(seen.decision(), &seen.path[2]);
  seen.path = {{0, 0, Step::kEnd, {VerdictCode::Accept, "", 0}},
               {0, 1, Step::kEnd, {VerdictCode::Accept, "", 0}}};
  CHECK_EQ(seen.decision(), &seen.path[1]);
}

TEST_CASE("what the stack discards") {
  const Reader reader(two_chains());
  SUBCASE("before any hook") {
    const auto seen = reader.read(ruleset::Hook::Prerouting, {});
    REQUIRE_EQ(seen->hooks.size(), 1);
    CHECK(seen->fate() == Fate::Stack);
  }
  SUBCASE("within prerouting: a fragment that waits for others") {
    const auto seen = reader.read(ruleset::Hook::Prerouting, std::vector{gate("prerouting-first")});
    REQUIRE_EQ(seen->hooks.size(), 1);
    CHECK(seen->fate() == Fate::Stack);
  }
  SUBCASE("between the hooks: a martian") {
    const auto seen = reader.read(ruleset::Hook::Prerouting,
                                  std::vector{gate("prerouting-first"), gate("prerouting-last")});
    REQUIRE_EQ(seen->hooks.size(), 2);
    CHECK(seen->hooks[0].fate == Fate::Accept);
    CHECK(seen->hooks[1].hook == ruleset::Hook::Input);
    CHECK(seen->fate() == Fate::Stack);
    CHECK_EQ(seen->hooks[1].decision(), nullptr);
  }
}

TEST_CASE("a rule that the ruleset has not is an error, not a guess") {
  const Reader reader(two_chains());
  CHECK_FALSE(
      reader.read(ruleset::Hook::Output, std::vector{told("input", 99, VerdictCode::Drop)}));
  // Handle 13 is a rule of another chain.
  CHECK_FALSE(
      reader.read(ruleset::Hook::Output, std::vector{told("input", 13, VerdictCode::Drop)}));
  CHECK_FALSE(reader.read(ruleset::Hook::Output, std::vector{told("nat", 11, VerdictCode::Drop)}));
}

TEST_CASE("a message that was not read whole is an error that names what it says") {
  const Reader reader(two_chains());
  std::vector<TraceMessage> way{gate("prerouting-first"), told("input", 11, VerdictCode::Jump),
                                told("web", 13, VerdictCode::Accept)};
  REQUIRE(reader.read(ruleset::Hook::Prerouting, way));
  CHECK(all_read(way));
  way[1].problem = "attribute 22 is unknown";
  const auto seen = reader.read(ruleset::Hook::Prerouting, way);
  REQUIRE_FALSE(seen);
  CHECK_EQ(
      seen.error().message,
      "the kernel's decision is unknown: its trace of table rolewall chain input rule 11 cannot "
      "be read (attribute 22 is unknown)");
  way[1].problem.clear();
  way[0].problem = "attribute 22 is unknown";  // the watch's own
  CHECK_FALSE(reader.read(ruleset::Hook::Prerouting, way));
}

}  // namespace
}  // namespace rolewall::sandbox
