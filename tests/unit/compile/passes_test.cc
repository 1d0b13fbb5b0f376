// What each pass of the compiler gives, of a site in memory whose rules have every condition.
#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "compile/compile.h"
#include "compile/lower.h"
#include "compile/lowered_text.h"
#include "policy/effective.h"
#include "policy/load.h"
#include "ruleset/own_table.h"
#include "ruleset/verify.h"
#include "support/memory_files.h"

namespace rolewall::compile {
namespace {

namespace own = ruleset::own;

constexpr policy::Date kDay{std::chrono::year{2026}, std::chrono::month{11}, std::chrono::day{21}};

policy::Policy site() {
  const policy::MemoryFiles files({{"site/site.toml", R"([site]
name = "one"
internal = "inside"
[networks]
inside = ["10.0.0.0/8", "fd00::/8"]
[hosts.h]
role = "r"
addresses = ["10.0.0.1", "fd00::1"]
interfaces = { lan = "eth1", wan = ["eth0", "ppp*"] }
)"},
                                   {"site/r.toml", R"(role = "r"
[[inbound]]
id      = "every"
service = ["tcp/443", "icmp/echo-request"]
from    = "inside"
to      = "10.0.0.1"
in      = "wan"
limit   = "10/second"
log     = true
[[inbound]]
id     = "none"
action = "drop"
[[outbound]]
id   = "sends"
user = 17
to   = ["192.0.2.1", "192.0.2.3", "192.0.2.5", "192.0.2.7", "192.0.2.9", "192.0.2.11",
        "192.0.2.13", "192.0.2.15", "192.0.2.17"]
[[forward]]
id      = "on"
service = ["tcp/25", "udp/53"]
in      = "lan"
mss     = 1400
[[nat]]
id              = "web"
service         = "tcp/80"
in              = "wan"
new-destination = "10.0.0.9:8080"
)"}});
  Diagnostics diagnostics;
  policy::Policy policy = policy::load("site", {"", kDay}, files, diagnostics);
  for (const auto& d : diagnostics.all()) {
    if (d.severity == Severity::Error) FAIL(policy.sources.format(d.span), ": ", d.message);
  }
  return policy;
}

TEST_CASE("lower gives the rules without names, and each of their conditions") {
  const policy::Policy policy = site();
  const auto lowered = compile_until(policy, 0, {kDay, true}, passes().front());
  REQUIRE(std::holds_alternative<std::string>(lowered));
  CHECK(std::get<std::string>(lowered) ==
        "inbound:\n"
        "  r.inbound.every  service {icmp/8 (ipv4), tcp/443}"
        "  from inside{10.0.0.0-10.255.255.255, fd00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff}"
        "  to {10.0.0.1}  in {eth0, ppp*}  limit 10/1s burst 10  log  accept\n"
        "  r.inbound.none  drop\n"
        "outbound:\n"
        "  r.outbound.sends  to {192.0.2.1, 192.0.2.3, 192.0.2.5, 192.0.2.7, 192.0.2.9, "
        "192.0.2.11, 192.0.2.13, 192.0.2.15, 1 more}  user 17  accept\n"
        "forward:\n"
        "  r.forward.on  service {tcp/25, udp/53}  in {eth1}  mss 1400  accept\n"
        "new destination:\n"
        "  r.nat.web  service {tcp/80}  from {0.0.0.0-255.255.255.255}  in {eth0, ppp*}"
        "  new-destination 10.0.0.9 port 8080\n");
}

TEST_CASE("what is lowered is whole without the policy") {
  auto policy = std::make_unique<policy::Policy>(site());
  const LoweredPolicy lowered = lower(*policy, policy::effective_policy(*policy, 0, kDay));
  const std::string before = text_of(lowered);
  policy.reset();
  CHECK(text_of(lowered) == before);
  CHECK(lowered.sources.at("r.nat.web").file == "site/r.toml");
}

TEST_CASE("after each pass the table is whole, and holds more than before") {
  const policy::Policy policy = site();
  std::size_t chains = 0;
  for (const Pass& pass : passes().subspan(1)) {
    CAPTURE(pass.name);
    const auto result = compile_until(policy, 0, {kDay, true}, pass);
    REQUIRE(std::holds_alternative<ruleset::Snapshot>(result));
    const auto& ruleset = std::get<ruleset::Snapshot>(result).ruleset;
    CHECK(!ruleset::verify(ruleset));
    CHECK(ruleset.tables.at(0).chains.size() > chains);
    chains = ruleset.tables[0].chains.size();
  }
  const auto last = compile_until(policy, 0, {kDay, true}, passes().back());
  CHECK(std::get<ruleset::Snapshot>(last) == compile(policy, 0, {kDay, true}));
}

TEST_CASE("only the last passes hang chains on hooks") {
  const policy::Policy policy = site();
  std::vector<std::string> hooked;
  for (const Pass& pass : passes().subspan(1)) {
    const auto result = compile_until(policy, 0, {kDay, true}, pass);
    std::string names(pass.name);
    for (const auto& chain : std::get<ruleset::Snapshot>(result).ruleset.tables.at(0).chains) {
      if (chain.base) names += " " + chain.name;
    }
    hooked.push_back(names);
  }
  CHECK(hooked == std::vector<std::string>{"rules", "dispatch", "nat dstnat", "mss dstnat mss",
                                           "hooks dstnat forward input mss output"});
}

}  // namespace
}  // namespace rolewall::compile
