// The guard's two questions on rulesets written by hand, and what it asks about: in packets that no
// kernel sees. The answers of WireGuard, gre and ipip are as rtnetlink and its own family give
// them; no packet of theirs was seen in these tests.
#include "apply/guard.h"

#include <doctest/doctest.h>
#include <net/if_arp.h>

#include "apply/boundaries.h"
#include "guard_scene.h"
#include "net/protocol.h"
#include "ruleset/expr.h"

namespace rolewall::apply {
namespace {

using namespace scene;

TEST_CASE("our own table alone admits management, whatever others say") {
  CHECK(ask(ours({ssh()}), facts()).losses.empty());
  const GuardAnswer shut = ask(ours({}), facts());
  CHECK(is_said(shut.losses, "ssh from 198.51.100.1 (management)"));
  CHECK(is_said(shut.losses, R"(service = "ssh" and from = "management")"));
  // It is not compared with today.
  CHECK_FALSE(ask(ours({}), ours({}), facts()).losses.empty());
  // Others' rules deny today as well: a note that names them.
  const Table drops =
      theirs({base("c", Hook::Input, {rule("", with(port_is(6, 22), verdict(VerdictCode::Drop)))},
                   VerdictCode::Accept)});
  const GuardAnswer noted = ask(ours({ssh()}), facts(), {drops});
  CHECK(noted.losses.empty());
  CHECK(is_said(noted.notes, "table inet theirs"));
  CHECK(is_said(noted.notes, "today as well"));
}

TEST_CASE("what another program may translate is compared with today, answer for answer") {
  Chain moves = base("c", Hook::Prerouting, {}, VerdictCode::Accept);
  moves.base->type = ChainType::Nat;
  moves.base->priority = -100;
  std::vector<Expr> exprs{XtMatch{"bpf", 1, {}}};
  for (const Expr& expr : port_is(6, 22)) exprs.push_back(expr);
  exprs.push_back(Immediate{2, Value::be16(2022)});
  Redirect redirect;
  redirect.port_min = 2;
  redirect.flags = 2;
  exprs.push_back(redirect);
  moves.rules = {rule("", exprs)};
  const Rule also = rule("r.inbound.moved", with(port_is(6, 2022), verdict(VerdictCode::Accept)));
  GuardFacts about = facts();
  about.sessions = {{.client = address("198.51.100.7"),
                     .client_port = 40000,
                     .server = address("203.0.113.10"),
                     .server_port = 2022,
                     .sent_to = Endpoint{address("203.0.113.10"), 22}}};
  about.ssh_doors = {};
  about.management = {};
  const Table both = ours({ssh(), also});
  CHECK(ask(both, both, about, {theirs({moves})}).losses.empty());
  // If that rule matches, the session passes today and not afterwards.
  const GuardAnswer lost = ask(both, ours({ssh()}), about, {theirs({moves})});
  CHECK(is_said(lost.losses, "a new session from 198.51.100.7"));
  // Nor did it pass before: a note.
  const GuardAnswer never = ask(ours({ssh()}), ours({ssh()}), about, {theirs({moves})});
  CHECK(never.losses.empty());
  CHECK_FALSE(never.notes.empty());
}

TEST_CASE("each boundary that a rule draws within management is asked about") {
  const auto drop_of = [](Value value, Value mask) {
    return rule("r.inbound.no", {Payload{PayloadBase::Network, 12, 4, 0},
                                 BitwiseMask{0, 0, 4, mask, Value(std::vector<std::uint8_t>(4))},
                                 Cmp{CmpOp::Eq, 0, value}, verdict(VerdictCode::Drop)});
  };
  using Octets = std::vector<std::uint8_t>;
  const Table hole =
      ours({drop_of(Value(Octets{198, 51, 100, 192}), Value(Octets{255, 255, 255, 252})), ssh()});
  CHECK(is_said(ask(hole, facts()).losses, "198.51.100.19"));
  const net::AddressSet office = net::AddressSet::from({prefix("198.51.100.0/24")});
  const auto told = addresses_told_apart(hole, office);
  CHECK(told == std::vector<net::Address>{address("198.51.100.191"), address("198.51.100.192"),
                                          address("198.51.100.195"), address("198.51.100.196")});
  CHECK(addresses_told_apart(hole, net::AddressSet::from({prefix("10.0.0.0/8")})).empty());
  // The old ruleset's, too: who was told apart before may be forgotten now.
  Table set = ours({ssh()});
  Set named = test::address_set("net/some/4");
  test::add_address(named, {198, 51, 100, 77});
  set.sets = {named};
  CHECK(addresses_told_apart(set, office).size() == 3);
}

TEST_CASE("a device that does not ask for the route back is a way in") {
  GuardFacts about = facts();
  Interface second = about.machine.interfaces.front();
  second.name = second.device = "eth1";
  second.index = 3;
  about.machine.interfaces.push_back(second);
  about.machine.addresses.push_back(prefix("10.0.2.10"));
  about.machine.routes->push_back({.to = prefix("10.0.2.10"),
                                   .type = RouteType::Local,
                                   .device = "eth1",
                                   .gateway = {},
                                   .table = 255});
  const std::vector<Expr> on_eth0{
      Meta{MetaKey::IifName, 0},
      Cmp{CmpOp::Eq, 0, Value(std::string("eth0") + std::string(12, '\0'))}};
  const Table one_device = ours({ssh(on_eth0)});
  CHECK(is_said(ask(ours({ssh()}), one_device, about).losses, "by eth1"));
  CHECK(ask(ours({ssh()}), about).losses.empty());
  about.strict = {"eth0", "eth1"};
  CHECK(ask(ours({ssh()}), one_device, about).losses.empty());
  // What is behind one device is not to come by another: the policy says so.
  about.strict.clear();
  Rule spoofed = rule("(spoofed)", on_eth0);
  std::get<Cmp>(spoofed.exprs[1]).op = CmpOp::Neq;
  spoofed.exprs.push_back(verdict(VerdictCode::Drop));
  CHECK(ask(ours({ssh()}), ours({spoofed, ssh()}), about).losses.empty());
}

TEST_CASE("ssh is asked for where it listens, and nowhere else") {
  GuardFacts about = facts();
  about.machine.addresses.push_back(prefix("10.0.2.10"));
  const std::vector<Expr> to_one{
      Payload{PayloadBase::Network, 16, 4, 0},
      Cmp{CmpOp::Eq, 0, Value(std::string("\xcb\x00\x71\x0a", 4))}};  // 203.0.113.10
  const Table one_address = ours({ssh(to_one)});
  CHECK(is_said(ask(one_address, about).losses, "to 10.0.2.10"));
  about.ssh_doors = {{address("203.0.113.10"), 22}};
  CHECK(ask(one_address, about).losses.empty());
  about.ssh_doors = {{address("10.0.2.10"), 22}};
  CHECK(is_said(ask(one_address, about).losses, "to 10.0.2.10"));
}

TEST_CASE("where nobody listens all of management is let in, or none of it") {
  GuardFacts about = facts();
  about.ssh_doors.clear();
  const auto from = [](std::uint8_t host) -> std::vector<Expr> {
    return {Payload{PayloadBase::Network, 12, 4, 0},
            Cmp{CmpOp::Eq, 0, Value(std::vector<std::uint8_t>{198, 51, 100, host})}};
  };
  const Table all = ours({ssh()});
  const Table none = ours({});
  Table no_table;
  no_table.name = std::string(kOwnTable);
  Table holed = all;
  Chain early = base("prerouting", Hook::Prerouting, {}, VerdictCode::Accept);
  early.base->priority = -300;
  early.rules = {rule("r.early.one", with(from(77), verdict(VerdictCode::Drop)))};
  holed.chains.push_back(early);
  for (const Table& today : {no_table, all, none}) {
    const GuardAnswer answer = ask(today, holed, about);
    CHECK(is_said(answer.losses, "ssh from 198.51.100.77 (management) to 203.0.113.10 port 22"));
    CHECK(answer.losses.size() == 1);
    CHECK(ask(today, all, about).losses.empty());
    CHECK_FALSE(ask(today, ours({ssh(from(77))}), about).losses.empty());
  }
  // A host without ssh is none that loses it.
  CHECK(ask(no_table, none, about).losses.empty());
  CHECK(ask(none, none, about).losses.empty());
  CHECK(is_said(ask(all, none, about).losses, "ssh from 198.51.100.1 (management)"));
  // Where it will listen is not known: at one of the addresses, perhaps.
  about.machine.addresses.push_back(prefix("10.0.2.10"));
  const std::vector<Expr> to_one{
      Payload{PayloadBase::Network, 16, 4, 0},
      Cmp{CmpOp::Eq, 0, Value(std::string("\xcb\x00\x71\x0a", 4))}};  // 203.0.113.10
  CHECK(ask(no_table, ours({ssh(to_one)}), about).losses.empty());
}

TEST_CASE("a lease is renewed, and its answer comes in") {
  GuardFacts about = facts();
  about.leases = {{prefix("203.0.113.10"), "eth0"}};
  CHECK(is_said(ask(ours({ssh()}), about).losses, R"(use = ["dhcp-client"])"));
  const Rule asks = rule("r.outbound.dhcp", with(port_is(17, 67), verdict(VerdictCode::Accept)));
  CHECK(ask(ours({ssh()}, {asks}), about).losses.empty());
}

observe::OuterFlow flow(std::uint8_t protocol, std::uint16_t ours, std::uint16_t theirs) {
  return {.protocol = protocol,
          .local = net::Ipv4{},
          .remote = address("192.0.2.66"),
          .local_port = ours,
          .remote_port = theirs,
          .opened_by_peer = true};
}

GuardFacts through(const char* kind, std::vector<observe::OuterFlow> flows) {
  GuardFacts about = facts();
  Interface tunnel;
  tunnel.name = tunnel.device = "tun0";
  tunnel.index = 9;
  tunnel.hardware_type = ARPHRD_NONE;
  about.machine.interfaces.push_back(tunnel);
  about.machine.routes->push_back(
      {.to = prefix("198.51.100.0/24"), .device = "tun0", .gateway = {}});
  about.tunnels = {{.devices = {"tun0"}, .kind = kind, .flows = std::move(flows)}};
  return about;
}

TEST_CASE("what carries a tunnel is asked about, in both directions (not seen with packets)") {
  struct Kind {
    const char* kind;
    observe::OuterFlow flow;
    const char* service;
  };
  for (const Kind& each :
       {Kind{"wireguard", flow(17, 51820, 51820), "udp/51820"},
        Kind{"gre", flow(47, 0, 0), "protocol/47"}, Kind{"ipip", flow(4, 0, 0), "protocol/4"}}) {
    INFO(each.kind);
    const GuardFacts about = through(each.kind, {each.flow});
    std::vector<Expr> same{Meta{MetaKey::L4Proto, 0},
                           Cmp{CmpOp::Eq, 0, Value::u8(each.flow.protocol)}};
    const Rule in = rule("r.inbound.tunnel", with(same, verdict(VerdictCode::Accept)));
    const Rule out = rule("r.outbound.tunnel", with(same, verdict(VerdictCode::Accept)));
    CHECK(is_said(ask(ours({ssh()}), about).losses, each.service));
    const Table both = ours({ssh(), in}, {out});
    CHECK(is_said(ask(both, ours({ssh(), in}), about).losses, "first packet from this host"));
    CHECK(
        is_said(ask(both, ours({ssh()}, {out}), about).losses, "first packet from the other end"));
    CHECK(ask(both, about).losses.empty());
  }
}

TEST_CASE("what IPsec puts into ESP or UDP is asked about, and its keys (not seen with packets)") {
  netlink::Ipsec ipsec;
  ipsec.policies = {{.network = prefix("198.51.100.0/24"),
                     .local = address("203.0.113.10"),
                     .remote = address("192.0.2.66")}};
  const auto about = [&] {
    GuardFacts found = facts();
    observe::add_ipsec(found.tunnels, ipsec);
    return found;
  };
  const auto admitted = [](const char* id, std::vector<Expr> what) {
    return rule(id, with(std::move(what), verdict(VerdictCode::Accept)));
  };
  const std::vector<Expr> esp{Meta{MetaKey::L4Proto, 0}, Cmp{CmpOp::Eq, 0, Value::u8(50)}};
  const Rule esp_rule = admitted("r.esp", esp);
  const Rule ike = admitted("r.ike", port_is(17, 500));
  CHECK(is_said(ask(ours({ssh()}), about()).losses, "protocol/50 from 192.0.2.66"));
  CHECK(is_said(ask(ours({ssh(), esp_rule}, {esp_rule}), about()).losses, "udp/500"));
  CHECK(ask(ours({ssh(), esp_rule, ike}, {esp_rule, ike}), about()).losses.empty());
  ipsec.associations = {{.from = address("203.0.113.10"),
                         .to = address("192.0.2.66"),
                         .protocol = 17,
                         .from_port = 4500,
                         .to_port = 4500}};
  const Rule within_udp = admitted("r.udp", port_is(17, 4500));
  CHECK(is_said(ask(ours({ssh(), esp_rule, ike}, {esp_rule, ike}), about()).losses, "udp/4500"));
  CHECK(ask(ours({ssh(), within_udp}, {within_udp}), about()).losses.empty());
  // Who does not come through it does not depend on it.
  ipsec.policies.front().network = prefix("10.99.0.0/16");
  CHECK(ask(ours({ssh()}), about()).losses.empty());
}

TEST_CASE("of a smaller link on its way a session learns by ICMP errors alone") {
  GuardFacts about = facts();
  about.sessions = {{.client = address("198.51.100.7"),
                     .client_port = 40000,
                     .server = address("203.0.113.10"),
                     .server_port = 22}};
  CHECK(ask(ours({ssh()}), about).losses.empty());
  Table no_errors = ours({ssh()});
  std::vector<Rule>& input = no_errors.chains.front().rules;
  input.erase(input.begin() + 1);
  CHECK(is_said(ask(no_errors, about).losses, "path MTU discovery"));
}

TEST_CASE("where what carries it cannot be found, only what is undone by itself is let pass") {
  GuardFacts about = through("l2tp", {});
  CHECK(is_said(ask(ours({ssh()}), about).losses, "--confirm"));
  about.may_be_undone = true;
  const GuardAnswer armed = ask(ours({ssh()}), about);
  CHECK(armed.losses.empty());
  CHECK(is_said(armed.notes, "tun0"));
}

}  // namespace
}  // namespace rolewall::apply
