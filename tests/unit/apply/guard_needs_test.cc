// What the guard asks no more of than is taken away today: devices that carry nobody, forwarding, a
// tunnel's other direction. And what it asks beside sshd: relays, containers, routing protocols.
#include <doctest/doctest.h>
#include <net/if_arp.h>

#include "apply/machine_facts.h"
#include "guard_scene.h"
#include "net/protocol.h"
#include "ruleset/load_size.h"

namespace rolewall::apply {
namespace {

using namespace scene;

std::vector<Expr> by(MetaKey key, const char* device) {
  std::string name(device);
  name.resize(kInterfaceNameSize, '\0');
  return {Meta{key, 0}, Cmp{CmpOp::Eq, 0, Value(name)}};
}
std::vector<Expr> is_protocol(std::uint8_t number) {
  return {Meta{MetaKey::L4Proto, 0}, Cmp{CmpOp::Eq, 0, Value::u8(number)}};
}
Rule accepts(const char* id, std::vector<Expr> what) {
  return rule(id, with(std::move(what), verdict(VerdictCode::Accept)));
}
std::vector<Expr> also(std::vector<Expr> first, const std::vector<Expr>& then) {
  first.insert(first.end(), then.begin(), then.end());
  return first;
}

TEST_CASE("a device that came since is no reason to refuse, as long as nothing is taken away") {
  const Table narrow = ours({ssh(by(MetaKey::IifName, "eth0"))});
  const Table wide = ours({ssh()});
  GuardFacts about = facts();
  add_device(about, "eth1", "10.0.2.10");
  CHECK(ask(narrow, narrow, about).losses.empty());
  CHECK(is_said(ask(wide, narrow, about).losses, "by eth1"));
  // Without a table of ours all passes today.
  Table none;
  none.name = std::string(kOwnTable);
  CHECK(is_said(ask(none, narrow, about).losses, "by eth1"));
  about.guests = {"eth1"};
  CHECK(ask(none, narrow, about).losses.empty());
  CHECK(is_said(ask(wide, narrow, about).losses, "by eth1"));
  about.guests.clear();
  about.ports = {"eth1"};
  CHECK(ask(wide, narrow, about).losses.empty());
}

// By its first port alone, and whatever it says of others.
Rule drops_from(std::uint16_t first, std::uint16_t last) {
  std::vector<Expr> what = port_is(6, 22);
  what.push_back(Payload{PayloadBase::Transport, 0, 2, 0});
  what.push_back(Range{false, 0, Value::be16(first), Value::be16(last)});
  return rule("r.inbound.some", with(std::move(what), verdict(VerdictCode::Drop)));
}

TEST_CASE("management is let in from each port that a client may draw") {
  const Table none = [] {
    Table table;
    table.name = std::string(kOwnTable);
    return table;
  }();
  for (const auto& [first, last] : {std::pair(1024, 39999), std::pair(50000, 65535),
                                    std::pair(40001, 65535), std::pair(33000, 33001)}) {
    const Table some = ours(
        {drops_from(static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(last)), ssh()});
    CHECK(is_said(ask(none, some, facts()).losses, "management"));
  }
  CHECK(ask(none, ours({drops_from(1, 1023), ssh()}), facts()).losses.empty());
  // Beside others' tables, which translate, all ports are not asked about at once.
  const Table beside = theirs(
      {base("nat", Hook::Prerouting,
            {rule("", {Meta{MetaKey::Mark, 0}, Cmp{CmpOp::Eq, 0, Value::host_u32(7)}, Notrack{}})},
            VerdictCode::Accept)});
  for (const auto& [first, last] : {std::pair(1024, 39999), std::pair(50000, 65535)}) {
    const Table some = ours(
        {drops_from(static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(last)), ssh()});
    CHECK(is_said(ask(none, some, facts(), {beside}).losses, "management"));
  }
}

TEST_CASE("neighbours are asked about where somebody comes") {
  GuardFacts about = facts();
  add_device(about, "veth1", "fe80::77");
  const Rule nd_in =
      accepts("r.in", also(by(MetaKey::IifName, "veth1"), is_protocol(net::protocol::kIcmpv6)));
  const Rule nd_out =
      accepts("r.out", also(by(MetaKey::OifName, "veth1"), is_protocol(net::protocol::kIcmpv6)));
  const Table without = ours({ssh()});
  const Table with_nd = ours({ssh(), nd_in}, {nd_out});
  CHECK(ask(without, without, about).losses.empty());
  CHECK(is_said(ask(with_nd, without, about).losses, "neighbour"));
  about.management.push_back(prefix("fe80::/10"));
  about.ssh_doors = {{address("203.0.113.10"), 22}};
  CHECK_FALSE(ask(with_nd, without, about).losses.empty());
}

TEST_CASE("who manages from a link's own address is let in by one of the links") {
  GuardFacts about = facts();
  add_device(about, "eth1", "fe80::1:1");
  add_device(about, "tap0", "fe80::2:2");
  about.guests = {"tap0"};
  about.management = {prefix("fe80::/10")};
  const Rule nd_in = accepts("r.in", is_protocol(net::protocol::kIcmpv6));
  const auto site = [&](Rule first) { return ours({std::move(first), nd_in}, {nd_in}); };
  const Table one = site(ssh(by(MetaKey::IifName, "eth1")));
  CHECK(ask(one, one, about).losses.empty());
  CHECK(is_said(ask(site(ssh()), one, about).losses, "by tap0"));
  const Table nobody = ours({nd_in}, {nd_in});
  CHECK(is_said(ask(nobody, nobody, about).losses, "(management)"));
  // A tunnel of which nobody is known to come through it.
  about.tunnels = {{.devices = {"tap0"}, .kind = "tun", .flows = {}}};
  CHECK(ask(one, one, about).losses.empty());
}

TEST_CASE("forwarding that our table drops today is taken from nobody") {
  GuardFacts about = facts();
  about.machine.forwards_ipv4 = true;
  const Table shut = ours({ssh()});
  Table none;
  none.name = std::string(kOwnTable);
  CHECK(is_said(ask(none, shut, about).losses, "[[forward]]"));
  const GuardAnswer since = ask(shut, shut, about);
  CHECK(since.losses.empty());
  CHECK(is_said(since.notes, "[[forward]]"));
  Table accepting = shut;
  accepting.chains.push_back(base("forward", Hook::Forward,
                                  {rule("(default)", {verdict(VerdictCode::Accept)})},
                                  VerdictCode::Drop));
  CHECK(ask(none, accepting, about).losses.empty());
  CHECK(is_said(ask(accepting, shut, about).losses, "[[forward]]"));
}

observe::OuterFlow udp(const char* remote, std::uint16_t port) {
  return {.protocol = net::protocol::kUdp,
          .local = address("203.0.113.10"),
          .remote = address(remote),
          .local_port = port,
          .remote_port = port,
          .opened_by_peer = true};
}

GuardFacts by_tunnel(const char* kind, std::vector<observe::OuterFlow> flows) {
  GuardFacts about = facts();
  add_device(about, "t0", "10.8.0.1");
  about.machine.interfaces.back().hardware_type = ARPHRD_NONE;
  about.machine.routes->push_back({.to = prefix("198.51.100.0/24"), .device = "t0", .gateway = {}});
  about.tunnels = {{.devices = {"t0"}, .kind = kind, .flows = std::move(flows)}};
  return about;
}

TEST_CASE("of a tunnel that either side may open one side will do, where it does today") {
  const GuardFacts about = by_tunnel("tun", {udp("192.0.2.66", 1194)});
  const Rule in = accepts("r.in", port_is(17, 1194));
  const Table both = ours({ssh(), in}, {in});
  const Table out_alone = ours({ssh()}, {in});
  const Table none = ours({ssh()});
  CHECK(ask(out_alone, out_alone, about).losses.empty());
  CHECK(is_said(ask(both, out_alone, about).losses, "first packet from the other end"));
  CHECK(is_said(ask(out_alone, none, about).losses, "first packet from this host"));
  CHECK_FALSE(ask(none, none, about).losses.empty());
}

TEST_CASE("a tunnel's group is sent to, and nothing comes from it") {
  observe::OuterFlow group = udp("239.1.1.1", 4789);
  group.draws_ports = true;
  group.device = "eth0";
  observe::OuterFlow peer = udp("203.0.113.2", 4789);
  peer.draws_ports = true;
  const GuardFacts about = by_tunnel("vxlan", {group, peer});
  const Rule any = accepts("r.any", port_is(17, 4789));
  const GuardAnswer both = ask(ours({ssh(), any}, {any}), about);
  for (const Loss& loss : both.losses) MESSAGE(loss.what << ": " << loss.how);
  CHECK(both.losses.empty());
  CHECK(is_said(ask(ours({ssh(), any}), about).losses, "to the group 239.1.1.1"));
  CHECK(is_said(ask(ours({ssh()}, {any}), about).losses, "from 203.0.113.2"));
}

TEST_CASE("what relays a session to sshd is asked about") {
  GuardFacts about = facts();
  about.machine.routes->push_back({.to = prefix("127.0.0.0/8"),
                                   .type = RouteType::Local,
                                   .device = "lo",
                                   .gateway = {},
                                   .table = 255});
  about.sessions = {{.client = address("127.0.0.1"),
                     .client_port = 40000,
                     .server = address("127.0.0.1"),
                     .server_port = 22}};
  observe::Relay relay{.what = "sslh, which relays the session",
                       .flows = {{.protocol = net::protocol::kTcp,
                                  .local = address("203.0.113.10"),
                                  .remote = address("198.51.100.9"),
                                  .local_port = 443,
                                  .remote_port = 50000,
                                  .opened_by_peer = true,
                                  .opened_here = false}},
                       .forwarded = {}};
  about.relays = {relay};
  const Rule web = accepts("r.web", port_is(6, 443));
  CHECK(ask(ours({ssh(), web}), about).losses.empty());
  CHECK(is_said(ask(ours({ssh()}), about).losses, "carried by tcp/443 from 198.51.100.9"));
  // Of several one carries it: those of management, and of these none may be lost.
  relay.flows.push_back(relay.flows.front());
  relay.flows.back().remote = address("192.0.2.44");
  about.relays = {relay};
  narrow_relays(about);
  REQUIRE(about.relays.front().flows.size() == 1);
  CHECK(about.relays.front().flows.front().remote == address("198.51.100.9"));
  about.management = {};
  about.relays = {relay};
  CHECK(is_said(ask(ours({web}), ours({}), about).losses, "192.0.2.44"));
  CHECK(is_said(ask(ours({}), ours({}), about).losses, "sslh"));
  // Of nothing that is seen, that is said.
  relay.flows.clear();
  about.relays = {relay};
  const GuardAnswer unseen = ask(ours({}), about);
  CHECK(unseen.losses.empty());
  CHECK(is_said(unseen.notes, "cannot be seen"));
}

TEST_CASE("what is forwarded to a container is asked about, as it arrives and as it goes on") {
  GuardFacts about = facts();
  add_device(about, "docker0", "172.17.0.1");
  about.machine.forwards_ipv4 = true;
  about.machine.routes->push_back(
      {.to = prefix("172.17.0.0/16"), .device = "docker0", .gateway = {}});
  about.relays = {{.what = "172.17.0.2, a container",
                   .flows = {},
                   .forwarded = {{.protocol = net::protocol::kTcp,
                                  .from = {address("198.51.100.7"), 50000},
                                  .to = {address("172.17.0.2"), 443},
                                  .comes_to = {address("172.17.0.2"), 443}}}}};
  const auto forwards = [&](std::vector<Rule> rules) {
    Table table = ours({ssh()});
    std::vector<Rule> all{established()};
    for (Rule& each : rules) all.push_back(std::move(each));
    table.chains.push_back(base("forward", Hook::Forward, std::move(all), VerdictCode::Drop));
    Chain dispatch;
    dispatch.name = "forwarding";
    table.chains.push_back(dispatch);
    return table;
  };
  const Table to_it = forwards({accepts("r.forward.web", port_is(6, 443))});
  CHECK(ask(to_it, about).losses.empty());
  CHECK(is_said(ask(to_it, forwards({}), about).losses, "from 198.51.100.7 to 172.17.0.2"));
}

TEST_CASE("what a routing protocol and VRRP need is asked about where they keep the way") {
  GuardFacts about = facts();
  about.machine.routes->push_back({.to = prefix("203.0.113.10"),
                                   .type = RouteType::Local,
                                   .device = "eth0",
                                   .gateway = {},
                                   .table = 255});
  about.routing.on_links = {{.name = "VRRP",
                             .protocol = 112,
                             .port = 0,
                             .device = "eth0",
                             .group = address("224.0.0.18"),
                             .is_of_address = true}};
  const Rule vrrp = accepts("r.vrrp", is_protocol(112));
  const Table both = ours({ssh(), vrrp}, {vrrp});
  CHECK(ask(both, about).losses.empty());
  CHECK(
      is_said(ask(both, ours({ssh(), vrrp}), about).losses, "VRRP on eth0, what this host tells"));
  CHECK(ask(ours({ssh()}), about).losses.size() <= 1);
  about.routing.on_links.front().is_of_address = false;
  about.routing.on_links.front().name = "OSPF";
  about.routing.on_links.front().protocol = 89;
  CHECK(ask(both, ours({ssh()}), about).losses.empty());  // nobody comes by what it tells
  const Rule ospf = accepts("r.ospf", is_protocol(89));
  const Table all = ours({ssh(), ospf}, {ospf});
  about.learned = {prefix("198.51.100.0/24")};
  CHECK(is_said(ask(all, ours({ssh()}), about).losses, "OSPF on eth0"));
  // One neighbour is enough, whoever he is.
  const Rule from_router =
      accepts("r.router", also({Payload{PayloadBase::Network, 12, 4, 0},
                                Cmp{CmpOp::Eq, 0, Value(std::string("\xcb\x00\x71\x01", 4))}},
                               is_protocol(89)));
  const Table one = ours({ssh(), from_router}, {ospf});
  CHECK(ask(one, one, about).losses.empty());
}

Rule accepts_from(const char* id, std::string address, std::uint8_t protocol) {
  return accepts(id, also({Payload{PayloadBase::Network, 12, 4, 0},
                           Cmp{CmpOp::Eq, 0, Value(std::move(address))}},
                          is_protocol(protocol)));
}

TEST_CASE("a neighbour that was heard is needed, whoever else is admitted") {
  GuardFacts about = facts();
  about.machine.routes->push_back({.to = prefix("203.0.113.0/24"),
                                   .type = RouteType::Unicast,
                                   .device = "eth0",
                                   .gateway = {},
                                   .table = 254});
  about.routing.on_links = {{.name = "VRRP",
                             .protocol = 112,
                             .port = 0,
                             .device = "eth0",
                             .group = address("224.0.0.18"),
                             .is_of_address = true}};
  const Rule vrrp = accepts("r.vrrp", is_protocol(112));
  const Table all = ours({ssh(), vrrp}, {vrrp});
  const Table one =
      ours({ssh(), accepts_from("r.one", std::string("\xcb\x00\x71\x01", 4), 112)}, {vrrp});
  CHECK(ask(all, one, about).losses.empty());
  about.routing.neighbours = {{.name = "VRRP", .address = address("203.0.113.3")}};
  CHECK(is_said(ask(all, one, about).losses, "VRRP on eth0, what 203.0.113.3 tells"));
  CHECK(ask(all, all, about).losses.empty());
  about.routing.neighbours.front().name = "OSPF";
  CHECK(ask(all, one, about).losses.empty());
}

TEST_CASE("a lease is renewed with who has lent it, as far as that passes today") {
  GuardFacts about = facts();
  about.leases = {{.address = {address("203.0.113.10"), 24}, .device = "eth0"}};
  about.lease_servers = {address("203.0.113.2")};
  const Rule asks = accepts("r.dhcp", port_is(17, 67));
  const Table open = ours({ssh()}, {asks});
  const auto to_all = also({Payload{PayloadBase::Network, 16, 4, 0},
                            Cmp{CmpOp::Eq, 0, Value(std::string("\xff\xff\xff\xff", 4))}},
                           port_is(17, 67));
  const Table narrow = ours({ssh()}, {accepts("r.all", to_all)});
  CHECK(is_said(ask(open, narrow, about).losses, "(renewed with 203.0.113.2)"));
  CHECK(ask(open, open, about).losses.empty());
  CHECK(ask(narrow, narrow, about).losses.empty());
}

TEST_CASE("what goes between a bridge's ports is forwarded where it is asked about") {
  GuardFacts about = facts();
  const auto with_forward = [](VerdictCode otherwise) {
    Table table = ours({ssh()});
    table.chains.push_back(base("forward", Hook::Forward, {rule("(default)", {verdict(otherwise)})},
                                VerdictCode::Drop));
    return table;
  };
  const Table closed = with_forward(VerdictCode::Drop);
  const Table open = with_forward(VerdictCode::Accept);
  CHECK(ask(open, closed, about).losses.empty());
  about.bridges = {"br0"};
  CHECK(is_said(ask(open, closed, about).losses, "between the ports of br0"));
  CHECK(ask(open, open, about).losses.empty());
  CHECK(ask(closed, closed, about).losses.empty());
  CHECK(is_said(ask(closed, closed, about).notes, "between the ports of br0"));
}

TEST_CASE("where a switch asks for listeners, who no longer answers is refused") {
  GuardFacts about = facts();
  about.machine.routes->push_back({.to = prefix("fe80::a"),
                                   .type = RouteType::Local,
                                   .device = "eth0",
                                   .gateway = {},
                                   .table = 255});
  about.machine.addresses.push_back(prefix("fe80::a"));
  const auto icmpv6 = [](const char* id, std::uint8_t type) {
    return accepts(id,
                   {Meta{MetaKey::L4Proto, 0}, Cmp{CmpOp::Eq, 0, Value::u8(58)},
                    Payload{PayloadBase::Transport, 0, 1, 0}, Cmp{CmpOp::Eq, 0, Value::u8(type)}});
  };
  const Rule query = icmpv6("r.query", 130);
  const Rule report = icmpv6("r.report", 143);
  const Rule ask_neighbour = icmpv6("r.ns", 135);
  const Rule tell_neighbour = icmpv6("r.na", 136);
  const std::vector<Rule> in{ssh(), ask_neighbour, tell_neighbour};
  const std::vector<Rule> out{ask_neighbour, tell_neighbour};
  const auto with_listeners = [&](bool queries, bool reports) {
    std::vector<Rule> inbound = in;
    std::vector<Rule> outbound = out;
    if (queries) inbound.push_back(query);
    if (reports) outbound.push_back(report);
    return ours(inbound, outbound);
  };
  const Table both = with_listeners(true, true);
  CHECK(ask(both, with_listeners(false, false), about).losses.empty());  // nobody asks
  about.queried = {"eth0"};
  CHECK(ask(both, both, about).losses.empty());
  CHECK(is_said(ask(both, with_listeners(true, false), about).losses, "(MLD), reports"));
  CHECK(is_said(ask(both, with_listeners(false, true), about).losses, "(MLD), queries"));
  CHECK(ask(with_listeners(false, false), with_listeners(false, false), about).losses.empty());
}

TEST_CASE("BFD's packets are asked about each way") {
  GuardFacts about = facts();
  about.learned = {prefix("198.51.100.0/24")};
  about.routing.peerings = {{.name = "BFD",
                             .flow = {.protocol = 17,
                                      .local = net::Ipv4{},
                                      .remote = address("203.0.113.1"),
                                      .local_port = 3784,
                                      .remote_port = 3784,
                                      .opened_by_peer = true,
                                      .draws_ports = true}}};
  const Rule bfd = accepts("r.bfd", port_is(17, 3784));
  const Table both = ours({ssh(), bfd}, {bfd});
  CHECK(ask(both, both, about).losses.empty());
  CHECK(is_said(ask(both, ours({ssh(), bfd}), about).losses,
                "BFD with 203.0.113.1, what this host tells"));
  CHECK(is_said(ask(both, ours({ssh()}, {bfd}), about).losses,
                "BFD with 203.0.113.1, what it tells"));
  CHECK(ask(ours({ssh()}), ours({ssh()}), about).losses.empty());  // it does not pass today
}

TEST_CASE("of routers farther away some may be shut out, not all") {
  GuardFacts about = facts();
  about.sessions = {{.client = address("198.51.100.7"),
                     .client_port = 40000,
                     .server = address("203.0.113.10"),
                     .server_port = 22}};
  const auto drops = [](std::uint8_t first, CmpOp op) {
    return rule("r.early", {Payload{PayloadBase::Network, 12, 1, 0}, Cmp{op, 0, Value::u8(first)},
                            Meta{MetaKey::L4Proto, 0}, Cmp{CmpOp::Eq, 0, Value::u8(1)},
                            verdict(VerdictCode::Drop)});
  };
  const auto early = [&](Rule first) {
    Table table = ours({ssh()});
    std::vector<Rule>& input = table.chains.front().rules;
    input.insert(input.begin(), std::move(first));
    return table;
  };
  CHECK(ask(early(drops(62, CmpOp::Eq)), about).losses.empty());
  CHECK(is_said(ask(early(drops(203, CmpOp::Neq)), about).losses, "routers farther away"));
}

}  // namespace
}  // namespace rolewall::apply
