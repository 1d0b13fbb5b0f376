// Which open connections a new ruleset no longer admits: on rulesets written by hand.
#include "apply/not_admitted.h"

#include <doctest/doctest.h>

#include "guard_scene.h"
#include "net/protocol.h"

namespace rolewall::apply {
namespace {

using namespace scene;
using netlink::Endpoint;

Rule outbound(const char* id, std::uint16_t port, std::vector<Expr> first = {}) {
  for (const Expr& expr : port_is(6, port)) first.push_back(expr);
  return rule(id, with(std::move(first), verdict(VerdictCode::Accept)));
}
Rule inbound(const char* id, std::uint16_t port) {
  return outbound(id, port);
}

OpenConnection between(const char* from, std::uint16_t from_port, const char* to,
                       std::uint16_t to_port) {
  OpenConnection open;
  open.protocol = net::protocol::kTcp;
  open.from = open.answered_to = {address(from), from_port};
  open.to = open.answered_by = {address(to), to_port};
  open.owner = 0;
  return open;
}

NotAdmitted judged(const Table& before, const Table& after, const GuardFacts& about,
                   const std::vector<OpenConnection>& open, std::vector<Table> others = {}) {
  InPart was;
  InPart will;
  was.add(before, {});
  will.add(after, {});
  for (const Table& other : others) {
    was.add(other, {});
    will.add(other, {});
  }
  return judge_open(was, will, open, about, 0);
}

const OpenConnection kOut = between("203.0.113.10", 40000, "192.0.2.7", 3306);
const OpenConnection kIn = between("192.0.2.7", 40000, "203.0.113.10", 80);

TEST_CASE("each is named by the rule that admits it and the one that denies it") {
  const Table before = ours({inbound("r.inbound.web", 80)}, {outbound("r.outbound.db", 3306)});
  CHECK(judged(before, before, facts(), {kOut, kIn}).all.empty());
  const NotAdmitted found =
      judged(before, ours({inbound("r.inbound.web", 80)}), facts(), {kIn, kOut, kOut});
  CHECK(found.open == 3);
  REQUIRE(found.groups.size() == 1);
  CHECK(found.groups[0].admitted_by == "r.outbound.db");
  CHECK(found.groups[0].denied_by == "(default)");
  CHECK(found.groups[0].connections.size() == 2);
  CHECK(found.all.size() == 2);
  // What an earlier policy has admitted.
  const NotAdmitted older = judged(ours({}), ours({}), facts(), {kIn});
  REQUIRE(older.groups.size() == 1);
  CHECK(older.groups[0].admitted_by.empty());
}

TEST_CASE("what is over, and what another connection has announced, is not denied") {
  OpenConnection over = kIn;
  over.is_over = true;
  OpenConnection expected = kIn;
  expected.is_expected = true;
  const NotAdmitted found = judged(ours({}), ours({}), facts(), {over, expected});
  CHECK(found.all.empty());
  CHECK(found.open == 1);
}

TEST_CASE("another program's word is not of this change") {
  const Table drops = theirs({base("c", Hook::Input, {}, VerdictCode::Drop)});
  const Table both = ours({inbound("r.inbound.web", 80)});
  CHECK(judged(both, both, facts(), {kIn}, {drops}).all.empty());
}

TEST_CASE("an administrator's is spared") {
  const OpenConnection session = between("198.51.100.7", 40000, "203.0.113.10", 22);
  NotAdmitted found = judged(ours({ssh()}), ours({}), facts(), {session, kIn});
  CHECK(found.spared.size() == 1);
  CHECK(found.all.size() == 1);
  // From elsewhere only the session that is known.
  const OpenConnection stranger = between("192.0.2.7", 40000, "203.0.113.10", 22);
  GuardFacts about = facts();
  CHECK_FALSE(is_administrators(stranger, about));
  about.sessions = {{.client = address("192.0.2.7"),
                     .client_port = 40000,
                     .server = address("203.0.113.10"),
                     .server_port = 22}};
  CHECK(is_administrators(stranger, about));
  // What carries a tunnel.
  about.tunnels = {{.devices = {"wg0"},
                    .kind = "wireguard",
                    .flows = {{.protocol = net::protocol::kTcp,
                               .local = address("203.0.113.10"),
                               .remote = address("192.0.2.7"),
                               .local_port = 80}}}};
  CHECK(is_administrators(kIn, about));
}

TEST_CASE("what is not known is unclear, by its reason, and never cut") {
  // Who sends it.
  const Rule of_root = outbound("r.outbound.db", 3306,
                                {Meta{MetaKey::SkUid, 0}, Cmp{CmpOp::Eq, 0, Value::host_u32(0)}});
  OpenConnection nobodys = kOut;
  nobodys.owner.reset();
  const Table table = ours({}, {of_root});
  NotAdmitted found = judged(table, table, facts(), {nobodys});
  CHECK(found.all.empty());
  CHECK(found.unclear == 1);
  REQUIRE(found.first_unclear.size() == 1);
  CHECK_FALSE(found.first_unclear[0].why.empty());
  CHECK(judged(table, table, facts(), {kOut}).unclear == 0);
  OpenConnection others = kOut;
  others.owner = 33;
  CHECK(judged(table, table, facts(), {others}).all.size() == 1);

  // By which device it came: the route's own denies it, another would not.
  GuardFacts about = facts();
  add_device(about, "eth1", "10.0.0.1");
  std::vector<Expr> by_eth1{Meta{MetaKey::IifName, 0},
                            Cmp{CmpOp::Eq, 0, Value(std::string("eth1") + std::string(12, '\0'))}};
  const Table other = ours({outbound("r.inbound.web", 80, by_eth1)});
  found = judged(other, other, about, {kIn});
  CHECK(found.unclear == 1);
  CHECK(found.all.empty());
}

TEST_CASE("what would be translated to another host is not admitted as it is") {
  const auto to = [](const char* destination) {
    Chain chain = base("dstnat", Hook::Prerouting, {}, VerdictCode::Accept);
    chain.base->type = ChainType::Nat;
    chain.base->priority = -100;
    Nat nat;
    nat.kind = NatKind::Destination;
    nat.family = 2;
    nat.address_min = 0;
    nat.address_max = 0;
    nat.flags = 1;
    chain.rules = {rule("", {Immediate{0, Value(net::to_bytes(address(destination)))}, nat})};
    Table table;
    table.name = std::string(kOwnTable);
    table.chains = {chain};
    return table;
  };
  GuardFacts about = facts();
  about.machine.forwards_ipv4 = true;
  about.machine.interfaces.front().settings = StackSettings{.forwards_ipv4 = true};
  OpenConnection open = kIn;
  open.answered_by = {address("192.0.2.8"), 80};
  const Table same = to("192.0.2.8");
  const Table another = to("192.0.2.9");
  CHECK(judged(same, same, about, {open}).all.empty());
  const NotAdmitted found = judged(same, another, about, {open});
  REQUIRE(found.groups.size() == 1);
  CHECK(found.groups[0].sent_to == "192.0.2.9:80");
}

}  // namespace
}  // namespace rolewall::apply
