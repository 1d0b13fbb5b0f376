// Two ways into the kernel, one ruleset: what netlink makes of each host of the example site, and
// what nft makes of its text, read back and compared with each other and with what was compiled.
#include <doctest/doctest.h>

#include "compile/compile.h"
#include "netlink/netlink.h"
#include "policy/load.h"
#include "print/print.h"
#include "ruleset/expr.h"
#include "support/netns.h"

namespace rolewall {
namespace {

constexpr policy::Date kDate{std::chrono::year(2026), std::chrono::month(6), std::chrono::day(1)};

netlink::Connection connect() {
  auto kernel = netlink::Connection::open();
  REQUIRE_MESSAGE(kernel, (kernel ? "" : kernel.error().message));
  return std::move(*kernel);
}

// Without what nft notes beside a set for its own listing.
ruleset::Ruleset read_back(netlink::Connection& kernel) {
  auto all = kernel.dump();
  REQUIRE_MESSAGE(all, (all ? "" : all.error().message));
  for (ruleset::Table& table : all->tables) {
    for (ruleset::Set& set : table.sets) set.notes.clear();
  }
  return std::move(*all);
}

ruleset::Ruleset by_netlink(const ruleset::Ruleset& compiled) {
  test::fresh_network();
  netlink::Connection kernel = connect();
  const auto put = kernel.replace_table(compiled.tables.at(0), std::nullopt);
  REQUIRE_MESSAGE(put, (put ? "" : put.error().message));
  REQUIRE(put->committed);
  return read_back(kernel);
}

ruleset::Ruleset by_nft(const ruleset::Ruleset& compiled) {
  const auto text = print::to_nft(compiled);
  REQUIRE_MESSAGE(text, (text ? "" : text.error().message));
  test::fresh_network();
  REQUIRE(test::load_nft(*text) == "");
  netlink::Connection kernel = connect();
  return read_back(kernel);
}

// The first thing in which two rulesets of the same shape differ, for the message.
std::string difference(const ruleset::Ruleset& a, const ruleset::Ruleset& b) {
  const ruleset::Table& first = a.tables.at(0);
  const ruleset::Table& second = b.tables.at(0);
  for (const ruleset::Set& set : first.sets) {
    const ruleset::Set* other = ruleset::find_set(second, set.name);
    if (other == nullptr) return "no set " + set.name;
    ruleset::Set same = *other;
    same.handle = set.handle;
    if (!(same == set)) return "set " + set.name;
  }
  for (const ruleset::Chain& chain : first.chains) {
    const ruleset::Chain* other = ruleset::find_chain(second, chain.name);
    if (other == nullptr) return "no chain " + chain.name;
    if (chain.rules.size() != other->rules.size()) return "rules of chain " + chain.name;
    for (std::size_t i = 0; i < chain.rules.size(); ++i) {
      if (chain.rules[i].exprs != other->rules[i].exprs) {
        return "rule " + std::to_string(i + 1) + " of chain " + chain.name;
      }
    }
  }
  return "";
}

TEST_CASE("the text of each host of the example site loads to what netlink makes") {
  Diagnostics diagnostics;
  const policy::Policy site =
      policy::load(ROLEWALL_SOURCE "/policies",
                   {.shipped_rules = ROLEWALL_SOURCE "/rules", .date = kDate}, diagnostics);
  REQUIRE_FALSE(diagnostics.has_errors());
  REQUIRE(site.hosts.size() >= 6);
  for (policy::Index host = 0; host < site.hosts.size(); ++host) {
    for (const bool optimise : {true, false}) {
      CAPTURE(site.hosts[host].name);
      CAPTURE(optimise);
      const auto compiled =
          compile::compile(site, host, {.date = kDate, .optimise = optimise}).ruleset;
      REQUIRE(compiled.tables.size() == 1);
      const ruleset::Ruleset first = by_netlink(compiled);
      const ruleset::Ruleset second = by_nft(compiled);
      CAPTURE(difference(first, second));
      CHECK(ruleset::same_configuration(first, second));
      CAPTURE(difference(compiled, second));
      CHECK(ruleset::same_configuration(compiled, second));
    }
  }
}

}  // namespace
}  // namespace rolewall
