// A plan in the policy's own words, from what two applies wrote down.
#include "apply/policy_change.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <vector>

namespace rolewall::apply {
namespace {

using ruleset::Written;

Written written(std::string name, std::vector<WrittenKey> keys = {}) {
  return {.kind = "rule",
          .name = std::move(name),
          .file = "r.toml",
          .line = 3,
          .keys = std::move(keys)};
}

Written network(std::string name, std::vector<std::string> addresses) {
  return {.kind = "network",
          .name = std::move(name),
          .file = "site.toml",
          .line = 9,
          .keys = {{"addresses", std::move(addresses)}}};
}

// "changed web.inbound.a from [x]->[y]", a line each.
std::vector<std::string> lines(const std::vector<Written>& before,
                               const std::vector<Written>& after) {
  constexpr const char* kKinds[] = {"added", "removed", "changed", "moved"};
  std::vector<std::string> lines;
  for (const PolicyChange& change : policy_changes(before, after)) {
    std::string line =
        fmt::format("{} {}", kKinds[static_cast<std::size_t>(change.kind)], change.name);
    for (const KeyChange& key : change.keys) {
      line +=
          fmt::format(" {} {}->{}", key.key, fmt::join(key.before, ","), fmt::join(key.after, ","));
    }
    if (!change.used_by.empty()) line += fmt::format(" for {}", fmt::join(change.used_by, ","));
    lines.push_back(std::move(line));
  }
  return lines;
}

TEST_CASE("addresses are compared as sets") {
  const auto changes = policy_changes({network("n", {"192.0.2.66", "2001:db8::/32"})},
                                      {network("n", {"192.0.2.66/31"})});
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].keys[0].more == std::vector<std::string>{"192.0.2.67"});
  CHECK(changes[0].keys[0].less == std::vector<std::string>{"2001:db8::/32"});
  CHECK(changes[0].keys[0].some_stays);
}

using Lines = std::vector<std::string>;

TEST_CASE("what is the same is no change") {
  const std::vector<Written> all = {written("w.inbound.a", {{"from", {"lb"}}}),
                                    network("lb", {"10.0.0.1"})};
  CHECK(lines(all, all).empty());
}

TEST_CASE("keys that come, go and change") {
  CHECK(lines({written("w.inbound.a", {{"service", {"http"}}, {"limit", {"1/second"}}})},
              {written("w.inbound.a", {{"service", {"http", "https"}}, {"from", {"lb"}}})}) ==
        Lines{"changed w.inbound.a service http->http,https from ->lb limit 1/second->"});
}

TEST_CASE("rules that come and go, and those that only move") {
  const Written a = written("w.inbound.a");
  const Written b = written("w.inbound.b");
  const Written c = written("w.inbound.c");
  const Written out = written("w.outbound.a");
  CHECK(lines({a}, {b}) == Lines{"added w.inbound.b", "removed w.inbound.a"});
  CHECK(lines({a, b, c, out}, {out, c, a, b}) == Lines{"moved w.inbound.c"});
  CHECK(lines({a, b, c}, {c, b, a}).size() == 2);
  CHECK(lines({a, b}, {a, c, b}) == Lines{"added w.inbound.c"});
}

TEST_CASE("a name that stands for something else, and who says it") {
  const Written says = written("w.inbound.says", {{"from", {"!net:office"}}});
  const Written other = written("w.inbound.other", {{"from", {"site"}}, {"service", {"office"}}});
  CHECK(lines({says, other, network("office", {"192.0.2.1"})},
              {says, other, network("office", {"192.0.2.1", "192.0.2.2"})}) ==
        Lines{"changed office addresses 192.0.2.1->192.0.2.1,192.0.2.2 for w.inbound.says"});
  // What a rule begins to say is told by the rule.
  CHECK(lines({written("w.inbound.r")},
              {written("w.inbound.r", {{"from", {"office"}}}), network("office", {"192.0.2.1"})}) ==
        Lines{"changed w.inbound.r from ->office"});
}

}  // namespace
}  // namespace rolewall::apply
