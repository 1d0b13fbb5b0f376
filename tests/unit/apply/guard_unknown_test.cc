// What the guard says where it cannot know: routes that rules choose among, ends of tunnels that
// nobody has seen. What it does not ask of devices and of IPv6 that nobody uses. And with which
// address a packet leaves that something answers.
#include <doctest/doctest.h>

#include "guard_scene.h"
#include "net/protocol.h"

namespace rolewall::apply {
namespace {

using namespace scene;

const Table kNone = [] {
  Table none;
  none.name = std::string(kOwnTable);
  return none;
}();

GuardFacts beside_tunnel(const char* beyond, std::vector<observe::OuterFlow> flows) {
  GuardFacts about = facts();
  add_device(about, "t0", "10.8.0.1");
  about.machine.interfaces.back().hardware_type = ARPHRD_NONE;
  about.machine.routes->push_back({.to = prefix(beyond), .device = "t0", .gateway = {}});
  about.tunnels = {{.devices = {"t0"}, .kind = "tun", .flows = std::move(flows)}};
  return about;
}

TEST_CASE("without /proc whose sessions are open is not known, and a rollback must be armed") {
  const Table table = ours({ssh()});
  GuardFacts about = facts();
  about.sees_processes = false;
  CHECK(is_said(ask(table, about).losses, "/proc is not mounted"));
  about.may_be_undone = true;
  CHECK(ask(table, about).losses.empty());
  CHECK(is_said(ask(table, about).notes, "/proc is not mounted"));
}

TEST_CASE("where rules choose among routes, a tunnel that one leads by may be it") {
  const Table table = ours({ssh()});
  for (const auto& [beyond, carries] :
       {std::pair("198.51.100.0/24", true), std::pair("10.8.0.0/24", false)}) {
    GuardFacts about = beside_tunnel(beyond, {});
    CHECK(is_said(ask(table, about).losses, "--confirm") == carries);
    about.possible_routes = *about.machine.routes;
    about.possible_routes.push_back({.to = prefix("0.0.0.0/0"),
                                     .device = "eth0",
                                     .gateway = address("203.0.113.2"),
                                     .table = 100});
    about.machine.routes.reset();
    CHECK(is_said(ask(table, about).losses, "--confirm") == carries);
    about.may_be_undone = true;
    CHECK(ask(table, about).losses.empty());
  }
}

TEST_CASE("a device by which every table leads is the one") {
  GuardFacts about = facts();
  add_device(about, "eth1", "10.0.2.10");
  about.possible_routes = *about.machine.routes;
  about.possible_routes.front().gateway = address("203.0.113.2");
  about.possible_routes.push_back(about.machine.routes->front());
  about.machine.routes.reset();
  // Today nothing admits it, by whichever device.
  CHECK(is_said(ask(ours({}), about).losses, "ssh from 198.51.100.1"));
}

TEST_CASE("an end of a tunnel that is not known may be anybody") {
  const observe::OuterFlow anybody{.protocol = net::protocol::kUdp,
                                   .local = address("203.0.113.10"),
                                   .remote = address("198.51.100.7"),
                                   .local_port = 1194,
                                   .remote_port = 1194,
                                   .opened_by_peer = true,
                                   .anybody = true};
  GuardFacts about = beside_tunnel("198.51.100.0/24", {anybody});
  const auto udp = [](std::vector<Expr> first) {
    for (const Expr& expr : port_is(17, 1194)) first.push_back(expr);
    return rule("r.udp", with(std::move(first), verdict(VerdictCode::Accept)));
  };
  const auto from = [](std::size_t offset) {
    return std::vector<Expr>{
        Payload{PayloadBase::Network, static_cast<std::uint32_t>(offset), 3, 0},
        Cmp{CmpOp::Eq, 0, Value(std::string("\xc6\x33\x64", 3))}};
  };
  const Table all = ours({ssh(), udp({})}, {udp({})});
  const Table office = ours({ssh(), udp(from(12))}, {udp(from(16))});
  CHECK(ask(kNone, all, about).losses.empty());
  CHECK(is_said(ask(kNone, office, about).losses, "--confirm"));
  CHECK(is_said(ask(all, office, about).losses, "--confirm"));
  CHECK(ask(office, office, about).losses.empty());  // nothing is taken away
  about.may_be_undone = true;
  const GuardAnswer armed = ask(all, office, about);
  CHECK(armed.losses.empty());
  CHECK(is_said(armed.notes, "its other end cannot be found"));
  // A socket of another family at the same port carries nothing.
  about.may_be_undone = false;
  about.tunnels.front().flows.push_back(anybody);
  about.tunnels.front().flows.front().anybody = false;
  CHECK(ask(all, office, about).losses.empty());
}

Chain nat_to(std::uint16_t from, std::uint16_t to) {
  std::vector<Expr> exprs = port_is(6, from);
  exprs.push_back(Immediate{2, Value::be16(to)});
  Redirect redirect;
  redirect.port_min = 2;
  redirect.flags = 2;
  exprs.push_back(redirect);
  Chain chain = base("dstnat", Hook::Prerouting, {rule("r.nat.door", exprs)}, VerdictCode::Accept);
  chain.base->type = ChainType::Nat;
  chain.base->priority = -100;
  return chain;
}

TEST_CASE("what others draw does what it does today, where ours shows them the same") {
  const std::vector<Rule> draws(
      1000, rule("", {Numgen{NumgenKind::Random, 1000, 0, 1}, Cmp{CmpOp::Eq, 1, Value::host_u32(0)},
                      verdict(VerdictCode::Drop)}));
  const Table others = theirs({base("in", Hook::Input, draws, VerdictCode::Accept),
                               base("out", Hook::Output, draws, VerdictCode::Accept)});
  Table before = ours({ssh()});
  before.chains.push_back(nat_to(2022, 22));
  Table after = before;
  after.chains.front().rules.insert(
      after.chains.front().rules.end() - 1,
      rule("r.inbound.more", with(port_is(6, 8000), verdict(VerdictCode::Accept))));
  for (const auto& [was, will] :
       {std::pair(before, after), std::pair(kNone, after), std::pair(after, ours({ssh()}))}) {
    const GuardAnswer answer = ask(was, will, facts(), {others});
    CHECK(answer.losses.empty());
    CHECK(is_said(answer.notes, "table inet theirs"));
    CHECK_FALSE(is_said(answer.notes, "not every combination"));
  }
  // What we take away is lost, whatever they draw.
  CHECK(is_said(ask(before, ours({}), facts(), {others}).losses, "ssh from 198.51.100.1"));
}

TEST_CASE("of what was taken for given a reason names the first few") {
  const std::vector<Rule> draws(
      100, rule("", {Numgen{NumgenKind::Random, 1000, 0, 1}, Cmp{CmpOp::Eq, 1, Value::host_u32(0)},
                     Notrack{}, verdict(VerdictCode::Accept)}));
  Chain raw = base("raw", Hook::Prerouting, draws, VerdictCode::Accept);
  raw.base->priority = -300;
  Table closed = ours({});
  const GuardAnswer answer = ask(closed, ours({ssh()}), facts(), {theirs({raw})});
  for (const auto* said : {&answer.losses, &answer.notes}) {
    for (const Loss& each : *said) CHECK(each.how.size() < 600);
  }
}

TEST_CASE("a chain of a bridge's, of which nothing is run, is named as a whole") {
  GuardFacts about = facts();
  about.machine.interfaces.front().kind = "bridge";
  Table bridge = theirs(
      {base("c", Hook::Input, {rule("", {verdict(VerdictCode::Drop)})}, VerdictCode::Accept)});
  bridge.family = Family::Bridge;
  const GuardAnswer answer = ask(ours({ssh()}), about, {bridge});
  CHECK(answer.losses.empty());
  CHECK(is_said(answer.notes, "it may pass chain c, table bridge theirs"));
  CHECK_FALSE(is_said(answer.notes, "rule 0"));
}

TEST_CASE("what carries a session that comes from beyond a container has to be found, or undone") {
  GuardFacts about = facts();
  observe::Relay relay;
  relay.what = "172.17.0.2, a container by docker0, through which the session comes";
  for (const bool is_passed : {false, true}) {
    relay.is_passed = is_passed;
    about.relays = {relay};
    about.may_be_undone = false;
    const GuardAnswer answer = ask(ours({ssh()}), about);
    CHECK(is_said(answer.losses, "--confirm TIME") == is_passed);
    CHECK(is_said(answer.notes, "cannot be seen from here") != is_passed);
    about.may_be_undone = true;
    CHECK(ask(ours({ssh()}), about).losses.empty());
  }
}

TEST_CASE("all of management is asked about, however many boundaries the rules draw there") {
  GuardFacts about = facts();
  about.management = {prefix("10.5.0.0/16")};
  Table table = ours({ssh()});
  Set named = test::address_set("net/some/4");
  for (int i = 0; i < 2000; ++i) {
    test::add_address(named, {10, 5, static_cast<std::uint8_t>(i / 100),
                              static_cast<std::uint8_t>(2 * (i % 100) + 2)});
  }
  table.sets = {named};
  GuardAnswer answer = ask(table, about);
  CHECK(answer.losses.empty());
  CHECK_FALSE(is_said(answer.notes, "the rules draw boundaries at"));
  const Rule hole =
      rule("r.inbound.no", {Payload{PayloadBase::Network, 12, 4, 0},
                            Cmp{CmpOp::Eq, 0, Value(std::vector<std::uint8_t>{10, 5, 200, 17})},
                            verdict(VerdictCode::Drop)});
  Table holed = ours({hole, ssh()});
  holed.sets = {named};
  CHECK(is_said(ask(holed, about).losses, "10.5.200.17"));
  // More than can be asked before each apply.
  for (int i = 0; i < 50'000; ++i) {
    test::add_address(table.sets.front(),
                      {11, static_cast<std::uint8_t>(i / 65536), static_cast<std::uint8_t>(i / 256),
                       static_cast<std::uint8_t>(i)});
  }
  answer = ask(table, about);
  CHECK(answer.losses.empty());
  CHECK(is_said(answer.notes, "the rules draw boundaries at"));
  CHECK(is_said(answer.notes, "all at once would take too long"));
}

TEST_CASE("a lease by which nobody comes is asked about as far as it is renewed today") {
  GuardFacts about = facts();
  add_device(about, "eth1", "10.77.0.5");
  about.leases = {{prefix("10.77.0.5/32"), "eth1"}};
  const Rule dhcp = rule("r.dhcp", with(port_is(17, 67), verdict(VerdictCode::Accept)));
  const Table without = ours({ssh()});
  CHECK(ask(without, without, about).losses.empty());
  CHECK(is_said(ask(ours({ssh()}, {dhcp}), without, about).losses, "the DHCP lease of 10.77.0.5"));
  CHECK(is_said(ask(kNone, without, about).losses, "the DHCP lease of 10.77.0.5"));
  about.leases.front().device = "eth0";
  CHECK(is_said(ask(without, without, about).losses, "the DHCP lease"));
}

TEST_CASE("IPv6 that each link has by itself is nobody's") {
  GuardFacts about = facts();
  about.machine.addresses.push_back(prefix("fe80::a"));
  about.machine.routes->push_back({.to = prefix("fe80::a"),
                                   .type = RouteType::Local,
                                   .device = "eth0",
                                   .gateway = {},
                                   .table = 255});
  const Table table = ours({ssh()});
  CHECK(ask(kNone, table, about).losses.empty());
  const auto asks = [&](const auto& change) {
    GuardFacts other = about;
    change(other);
    return is_said(ask(kNone, table, other).losses, "neighbour");
  };
  CHECK(asks([](GuardFacts& f) { f.management.push_back(prefix("2001:db8::/64")); }));
  CHECK(asks([](GuardFacts& f) {
    f.machine.routes->push_back({.to = prefix("2001:db8:1::/64"), .device = "eth0", .gateway = {}});
  }));
  CHECK(asks([](GuardFacts& f) { f.machine.routes->front().gateway = address("fe80::1"); }));
}

TEST_CASE("what a container sends leaves with an address that is answered") {
  GuardFacts about = facts();
  add_device(about, "docker0", "172.17.0.1");
  about.machine.forwards_ipv4 = true;
  about.machine.routes->push_back(
      {.to = prefix("172.17.0.0/16"), .device = "docker0", .gateway = {}});
  about.machine.routes->push_back({.to = prefix("203.0.113.10"),
                                   .type = RouteType::Local,
                                   .device = "eth0",
                                   .gateway = {},
                                   .table = 255});
  about.relays = {{.what = "172.17.0.2, a container",
                   .flows = {},
                   .forwarded = {{.protocol = net::protocol::kTcp,
                                  .from = {address("172.17.0.2"), 50000},
                                  .to = {address("192.0.2.1"), 9999},
                                  .comes_to = {address("192.0.2.1"), 9999}}}}};
  Table routed = ours({ssh()});
  routed.chains.push_back(base("forward", Hook::Forward,
                               {rule("r.f", {verdict(VerdictCode::Accept)})}, VerdictCode::Drop));
  Table translated = routed;
  Rule masquerade =
      rule("r.nat", {Meta{MetaKey::OifName, 0},
                     Cmp{CmpOp::Eq, 0, Value(std::string("eth0") + std::string(12, '\0'))}});
  masquerade.exprs.emplace_back(Masquerade{});
  Chain nat = base("postrouting", Hook::Postrouting, {masquerade}, VerdictCode::Accept);
  nat.base->type = ChainType::Nat;
  nat.base->priority = 100;
  translated.chains.push_back(nat);
  CHECK(ask(translated, translated, about).losses.empty());
  CHECK(ask(routed, routed, about).losses.empty());
  CHECK(ask(routed, translated, about).losses.empty());
  CHECK(is_said(ask(translated, routed, about).losses, "source address 172.17.0.2"));
  CHECK(is_said(ask(translated, kNone, about).losses, "source address 172.17.0.2"));
  // Whoever else translates it.
  Table docker = theirs({nat});
  CHECK_FALSE(is_said(ask(translated, routed, about, {docker}).losses, "source address"));
}

}  // namespace
}  // namespace rolewall::apply
