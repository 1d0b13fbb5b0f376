// The names of our own table's chains and sets stay what kernels and records hold already.
#include "ruleset/own_table.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace rolewall::ruleset::own {
namespace {

TEST_CASE("what a rule owns begins with its id and a slash") {
  const std::string id = "web.inbound.app";
  CHECK(excess_chain(id) == "web.inbound.app/excess");
  CHECK(rate_set(id, true) == "web.inbound.app/rate4");
  CHECK(rate_set(id, false) == "web.inbound.app/rate6");
  CHECK(connections_set(id, true) == "web.inbound.app/connections4");
  CHECK(family(source_addresses(id), true) == "web.inbound.app/from/4");
  CHECK(family(destination_addresses(id), false) == "web.inbound.app/to/6");
}

TEST_CASE("sets of addresses") {
  CHECK(family(named_addresses("office"), true) == "net/office/4");
  CHECK(prefixes(family(named_addresses("office"), false)) == "net/office/6-prefixes");
  CHECK(family(addresses_behind(2), true) == "behind/2/4");
  CHECK(translated_chain(kInboundDispatch) == "inbound/translated");
}

TEST_CASE("a set of bans holds no openings") {
  for (const bool ipv4 : {true, false}) {
    CHECK(holds_bans(banned_set(ipv4)));
    CHECK(holds_bans(prefixes(banned_set(ipv4))));
    CHECK(!holds_openings(banned_set(ipv4)));
    CHECK(holds_openings(allowed_set(ipv4)));
    CHECK(!holds_bans(allowed_set(ipv4)));
  }
  CHECK(!holds_bans(kBannedInput));
  CHECK(!holds_bans("net/banned/4"));
}

TEST_CASE("a log line begins with the table, the rule and its fate") {
  CHECK(log_prefix("web.inbound.app", "accept") == "rolewall web.inbound.app accept: ");
  CHECK(log_prefix(step::kDefault, "inbound drop") == "rolewall (default) inbound drop: ");
}

TEST_CASE("a built-in step bears parentheses, which no rule's id can") {
  for (const std::string_view name : step::kAll) {
    CHECK(name.starts_with('('));
    CHECK(name.ends_with(')'));
    CHECK(std::ranges::count(step::kAll, name) == 1);
  }
}

}  // namespace
}  // namespace rolewall::ruleset::own
