// What the kernel refuses is named: the rule, the expression, the element; and nothing is changed.
#include <doctest/doctest.h>

#include <cerrno>

#include "netlink/netlink.h"
#include "ruleset/expr.h"
#include "support/netns.h"
#include "unit/netlink/connect.h"
#include "unit/netlink/ruleset_builder.h"

namespace rolewall::netlink {
namespace {

using namespace test;
using rolewall::test::fresh_network;

// What the kernel says of `table`; `before` stays in force.
std::vector<Refusal> refusals_of(const Table& table) {
  Connection kernel = connect();
  const Table before = table_of({plain_chain("before", {rule("kept", {Counter{}})})});
  REQUIRE(kernel.replace_table(before, std::nullopt)->committed);
  const std::uint32_t generation = *kernel.generation();
  const auto result = kernel.replace_table(table, std::nullopt);
  if (!result) {
    FAIL(result.error().message);
    return {};
  }
  CHECK_FALSE(result->committed);
  CHECK_FALSE(result->generation_clash);
  CHECK(*kernel.generation() == generation);
  const auto live = kernel.dump_table(kOwnFamily, kOwnTable);
  REQUIRE(live->has_value());
  CHECK(same_configuration({{**live}}, {{before}}));
  return result->refusals;
}

Refusal only(const std::vector<Refusal>& refusals) {
  REQUIRE(refusals.size() == 1);
  CAPTURE(refusals[0].what);
  CHECK(refusals[0].os_errno != 0);
  CHECK(refusals[0].explanation != "");
  return refusals[0];
}

TEST_CASE("a rule that jumps to a chain that is not there") {
  fresh_network();
  const Refusal refusal = only(refusals_of(table_of({base_chain(
      "input", Hook::Input,
      {rule("fine", {Counter{}}),
       rule("web.inbound.https", {Counter{}, verdict(VerdictCode::Jump, "nowhere")})})})));
  CHECK(refusal.rule_id == "web.inbound.https");
  CHECK(refusal.what == "rule 2 of chain input: jump to chain nowhere");
  CHECK(refusal.explanation == "there is no chain nowhere");
  CHECK(refusal.os_errno == ENOENT);
  CHECK(refusal.exact);
}

TEST_CASE("a lookup in a set that is not there, and a value that the kernel does not take") {
  fresh_network();
  const auto refusals = refusals_of(table_of(
      {plain_chain("one", {rule("a", {Payload{PayloadBase::Network, 12, 4, 0},
                                      Lookup{"banned", 0, LookupResult::Membership, 0, false}})}),
       plain_chain("two", {rule("b", {Counter{}}),
                           rule("c", {Limit{LimitUnit::Packets, 0, 1, 5, false}})})}));
  // Every one of them is reported, not the first alone.
  REQUIRE(refusals.size() == 2);
  CHECK(refusals[0].what == "rule 1 of chain one: lookup in set banned");
  CHECK(refusals[0].explanation == "there is no set banned");
  CHECK(refusals[0].rule_id == "a");
  CHECK(refusals[1].what == "rule 2 of chain two: limit");
  CHECK(refusals[1].rule_id == "c");
  CHECK(refusals[1].exact);
}

TEST_CASE("an expression where its hook does not allow it") {
  fresh_network();
  const Refusal refusal =
      only(refusals_of(table_of({base_chain("raw", Hook::Prerouting,
                                            {rule("x", {Reject{RejectType::IcmpxUnreachable, 1}}),
                                             rule("y", {MetaSet{MetaKey::Length, 0}})})})));
  CHECK(refusal.rule_id == "y");
  CHECK(refusal.os_errno == EOPNOTSUPP);
}

TEST_CASE("an object that the kernel does not take") {
  fresh_network();
  Table table = table_of({});
  table.objects = {{.name = "helped",
                    .handle = 0,
                    .type = object_type::kCtHelper,
                    .body = CtHelper{"no-such-helper", 2, 6},
                    .comment = {}}};
  const Refusal refusal = only(refusals_of(table));
  CHECK(refusal.what == "object helped");
  CHECK(refusal.explanation == "the kernel has no connection tracking helper no-such-helper");
}

TEST_CASE("chains in a circle: no object is named, the nearest rule is") {
  fresh_network();
  const Refusal refusal = only(refusals_of(table_of(
      {base_chain("input", Hook::Input, {rule("start", {verdict(VerdictCode::Jump, "a")})}),
       plain_chain("a", {rule("there", {verdict(VerdictCode::Jump, "b")})}),
       plain_chain("b", {rule("and back", {verdict(VerdictCode::Jump, "a")})})})));
  CHECK(refusal.explanation.find("loop") != std::string::npos);
  CHECK_FALSE(refusal.exact);
}

TEST_CASE("a set that is too full, an element twice, a chain that an element lacks") {
  fresh_network();
  const auto using_set = [](const std::string& name, LookupResult result) {
    return plain_chain("c", {rule("db.inbound.writes", {Payload{PayloadBase::Network, 12, 4, 0},
                                                        Lookup{name, 0, result, 0, false}})});
  };
  Set full = make_set("sources", {kIpv4});
  full.size = 2;
  for (std::uint8_t i = 1; i <= 3; ++i) add_key(full, {192, 0, 2, i});
  Refusal refusal =
      only(refusals_of(table_of({using_set("sources", LookupResult::Membership)}, {full})));
  CHECK(refusal.what == "element 192.0.2.3 of set sources");
  CHECK(refusal.explanation == "the set is full (size 2)");
  CHECK(refusal.rule_id == "db.inbound.writes");

  Set twice = make_set("pairs", {kProtocol, kPort});
  add_key(twice, {6, 0, 0, 0, 1, 187, 0, 0});
  add_key(twice, {6, 0, 0, 0, 1, 187, 0, 0});
  refusal = only(refusals_of(table_of({}, {twice})));
  CHECK(refusal.what == "element 0x06 . 443 of set pairs");
  CHECK(refusal.os_errno == EEXIST);

  Set dispatch = make_set("dispatch", {kIpv4}, SetKind::VerdictMap);
  add_key(dispatch, {192, 0, 2, 1});
  dispatch.elements.verdicts = {{VerdictCode::Goto, "lost", 0}};
  refusal = only(refusals_of(table_of({using_set("dispatch", LookupResult::Verdict)}, {dispatch})));
  CHECK(refusal.what == "element 192.0.2.1 of set dispatch (goto to chain lost)");
  CHECK(refusal.explanation == "there is no chain lost");
}

TEST_CASE("a set of impossible flags, a chain on a device that is not there, a second chain") {
  fresh_network();
  Set odd = make_set("odd", {kIpv4});
  odd.constant = odd.has_timeout = true;
  Chain ingress = base_chain("ingress", Hook::Ingress, {rule("early", {Counter{}})});
  ingress.base->devices = {"nosuch0"};
  auto refusals = refusals_of(table_of({}, {odd}));
  REQUIRE_FALSE(refusals.empty());
  CHECK(refusals[0].what == "set odd");
  refusals = refusals_of(table_of({plain_chain("a"), plain_chain("a")}));
  REQUIRE_FALSE(refusals.empty());
  CHECK(refusals[0].what == "chain a");
  CHECK(refusals[0].os_errno == EEXIST);
  Table netdev = table_of({ingress});
  netdev.family = Family::Netdev;
  const auto result = connect().replace_table(netdev, std::nullopt);
  REQUIRE(result);
  // Kernels from 6.16 on take a device that may yet appear.
  if (!result->committed) {
    CHECK(result->refusals[0].what == "chain ingress");
    CHECK(result->refusals[0].rule_id == "early");
  }
}

TEST_CASE("thousands of errors at once are told as far as the socket holds them") {
  fresh_network();
  std::vector<Rule> rules;
  for (int i = 0; i < 20'000; ++i) {
    rules.push_back(rule("r" + std::to_string(i), {verdict(VerdictCode::Jump, "nowhere")}));
  }
  const auto refusals = refusals_of(table_of({plain_chain("c", rules)}));
  REQUIRE(refusals.size() > 100);
  CHECK(refusals[0].rule_id == "r0");
}

}  // namespace
}  // namespace rolewall::netlink
