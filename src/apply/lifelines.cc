#include "apply/lifelines.h"

#include <fmt/format.h>
#include <net/if_arp.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "apply/boundaries.h"
#include "apply/link_lifelines.h"
#include "apply/managers.h"
#include "apply/routing_lifelines.h"
#include "apply/tunnel_lifelines.h"
#include "apply/ways.h"
#include "eval/route.h"
#include "net/address_set.h"
#include "net/drawn_ports.h"
#include "net/protocol.h"
#include "ruleset/loads.h"

namespace rolewall::apply {
namespace {

// More questions than these and those about boundaries are thinned out, evenly.
constexpr std::size_t kMostQuestions = 1'500;
constexpr std::uint16_t kSshPort = 22;

class Administrators {
 public:
  Administrators(const GuardFacts& facts, const std::vector<const ruleset::Table*>& tables,
                 bool ours_decides, Lifelines& into)
      : facts_(facts),
        tables_(tables),
        ways_(facts),
        managers_(net::AddressSet::from(facts.management)),
        ours_decides_(ours_decides),
        into_(into) {}

  void add() {
    for (const Session& session : facts_.sessions) {
      first_session_ = &session == facts_.sessions.data();
      keep(session);
      learn_path_mtu(session);
      let_in_again(session);
    }
    admit_management();
  }

 private:
  static Endpoint sent_to(const Session& session) {
    return session.sent_to.value_or(Endpoint{session.server, session.server_port});
  }
  static Endpoint sent_from(const Session& session) {
    return session.sent_from.value_or(Endpoint{session.client, session.client_port});
  }

  void keep(const Session& session) {
    const std::string what =
        fmt::format("the session from {} port {} to port {}", net::format(session.client),
                    session.client_port, session.server_port);
    const Endpoint from = sent_from(session);
    const Endpoint there = sent_to(session);
    const std::vector<Way> ways = ways_.with(from.address, session.device);
    by_one_way_ = !is_any_certain(ways);
    for (const Way& way : ways) {
      Leg in{.arrives = true, .fields = {}, .device = way.in};
      in.fields.source = from.address;
      in.fields.destination = there.address;
      in.fields.source_port = from.port;
      in.fields.destination_port = there.port;
      in.fields.tcp_flags = tcp::kAck;
      Leg tracked = in;
      tracked.state = ruleset::ct_state::kEstablished;
      Leg as_delivered = tracked;
      as_delivered.fields.destination = session.server;
      as_delivered.fields.destination_port = session.server_port;
      const Leg answer = turned(as_delivered, way.out, tcp::kAck);
      put(what, way, {tracked});
      if (session.sent_to) put(what, way, {as_delivered});
      put(what + " (answers)", way, {answer});
      if (session.tracked) continue;
      const Leg out = turned(in, way.out, tcp::kAck);
      put(what + ", without a conntrack entry", way, {in, out});
      put(what + ", without a conntrack entry, where the server speaks first", way, {out, in});
    }
    by_one_way_ = false;
  }

  // RFC 1191, RFC 8201: of a smaller link on its way a session learns by ICMP alone; without it
  // what fills a packet never arrives. Of all the routers that may say so, the next one is known;
  // of those farther away some may be shut out on purpose, but not all.
  void learn_path_mtu(const Session& session) {
    const auto router = ways_.router_towards(sent_from(session).address);
    if (!router || net::is_ipv4(*router) != net::is_ipv4(session.server)) return;
    const std::string what =
        fmt::format("path MTU discovery of the session from {}", net::format(session.client));
    for (const Way& way : ways_.with(sent_from(session).address, session.device)) {
      if (way.off_route) continue;
      put(fmt::format("{} (ICMP errors from {})", what, net::format(*router)), way,
          {told_of_path(session, *router, way.in)});
      if (!first_session_) continue;
      for (const net::Address& farther : strangers(net::is_ipv4(session.server))) {
        Lifeline line{.what = fmt::format("{} (ICMP errors from routers farther away)", what),
                      .legs = {told_of_path(session, farther, way.in)}};
        line.need = Need::OneOfMany;
        line.one_of = line.what;
        rolewall::apply::put(into_, std::move(line), way);
      }
    }
  }

  static Leg told_of_path(const Session& session, const net::Address& router,
                          const std::string& device) {
    constexpr std::uint8_t kUnreachable = 3;
    constexpr std::uint8_t kFragmentationNeeded = 4;
    constexpr std::uint8_t kPacketTooBig = 2;
    const bool ipv4 = net::is_ipv4(session.server);
    Leg told{.arrives = true, .fields = {}, .device = device};
    told.fields.protocol = ipv4 ? net::protocol::kIcmp : net::protocol::kIcmpv6;
    told.fields.source = router;
    told.fields.destination = sent_to(session).address;
    told.fields.icmp_type = ipv4 ? kUnreachable : kPacketTooBig;
    told.fields.icmp_code = ipv4 ? kFragmentationNeeded : 0;
    told.state = ruleset::ct_state::kRelated;
    return told;
  }

  // From all over the internet: who is not meant by some list of unwanted networks.
  static std::vector<net::Address> strangers(bool ipv4) {
    std::vector<net::Address> found;
    for (const char* each :
         ipv4 ? std::array{"4.69.1.1", "62.115.8.1", "129.250.2.1", "184.104.1.1", "212.58.1.1"}
              : std::array{"2001:470::1", "2404:1::1", "2600:1::1", "2800:1::1", "2a02:1::1"}) {
      found.push_back(*net::parse_address(each));
    }
    return found;
  }

  void let_in_again(const Session& session) {
    const net::Address client = sent_from(session).address;
    const bool manager = managers_.contains(client);
    How how{.from = manager ? "management" : net::format(client),
            .link = session.device,
            .delivered_to = session.sent_to
                                ? std::optional(Endpoint{session.server, session.server_port})
                                : std::nullopt,
            .stands_for_all = first_session_};
    connect("a new session from " + net::format(client), client, sent_to(session), how);
    how.stands_for_all = false;
    for (const std::uint16_t port : net::kFurthestDrawnPorts) {
      how.port = port;
      connect(fmt::format("a new session from {} port {}", net::format(client), port), client,
              sent_to(session), how);
    }
  }

  struct How {
    std::string from;  // for the advice
    std::string link{};
    std::optional<Endpoint> delivered_to{};
    bool stands_for_all = false;
    std::string kind{};
    bool is_shut = false;
    std::uint16_t port = 0;  // the client's; 0: any one
  };
  void connect(const std::string& what, const net::Address& client, const Endpoint& server,
               const How& how) {
    const std::vector<Way> ways = ways_.with(client, how.link);
    // Of a link's own address nobody says on which link it is: then one of this host's will do.
    std::string one_of;
    if (!is_any_certain(ways)) {
      one_of = eval::is_link_local(client)
                   ? what
                   : fmt::format("{} to {}", what, net::format(server.address));
    }
    for (const Way& way : ways) {
      // A link's own addresses are met on that link alone.
      const auto there = ways_.own_on(way.in, true);
      if (eval::is_link_local(server.address) &&
          std::ranges::find(there, server.address) == there.end()) {
        continue;
      }
      Leg syn{.arrives = true, .fields = {}, .device = way.in};
      syn.fields.source = client;
      syn.fields.destination = server.address;
      syn.fields.destination_port = server.port;
      if (how.port != 0) syn.fields.source_port = how.port;
      syn.fields.tcp_flags = tcp::kSyn;
      Lifeline line{
          .what = fmt::format("{} to {} port {}", what, net::format(server.address), server.port),
          .legs = {syn, turned(syn, way.out, tcp::kSynAck)}};
      line.advice = fmt::format(
          R"(an [[inbound]] rule with service = "{}" and from = "{}" would)",
          service_of(net::protocol::kTcp, how.delivered_to ? how.delivered_to->port : server.port),
          how.from);
      line.delivered_to = how.delivered_to;
      line.stands_for_all = how.stands_for_all && !way.off_route;
      line.kind = how.kind;
      line.one_of = one_of;
      line.is_shut = how.is_shut;
      rolewall::apply::put(into_, std::move(line), way);
    }
  }

  static bool is_any_certain(const std::vector<Way>& ways) {
    return std::ranges::find(ways, Need::Certain, &Way::need) != ways.end();
  }

  // Nobody listens now: sshd may be about to start, or to be started again.
  bool is_shut() const { return facts_.ssh_doors.empty() && !facts_.ssh_within; }

  // To each of the host's addresses that sshd can be reached at, or could be.
  std::vector<Endpoint> doors(bool ipv6, bool of_link) const {
    static const std::vector<Endpoint> kUsual{{net::Ipv6{}, kSshPort}};
    std::vector<Endpoint> doors;
    for (const net::Prefix& own : facts_.machine.addresses) {
      if (net::is_ipv4(own.address) == ipv6 || eval::is_link_local(own.address) != of_link) {
        continue;
      }
      for (const Endpoint& door : is_shut() ? kUsual : facts_.ssh_doors) {
        const Endpoint here{own.address, door.port};
        // A socket of IPv6 takes IPv4, too.
        const bool is_open =
            door.address == own.address ||
            (net::is_unspecified(door.address) && (!ipv6 || !net::is_ipv4(door.address)));
        if (is_open && std::ranges::find(doors, here) == doors.end()) doors.push_back(here);
      }
    }
    return doors;
  }

  void admit_management() {
    if (facts_.ssh_within && !facts_.management.empty()) {
      into_.unasked.push_back(
          {.what = "ssh from management",
           .how = "the ssh server listens at the loopback alone: by which program's port "
                  "management comes in cannot be seen, and was not checked",
           .may_be_risked = true});
    }
    std::set<std::pair<net::Address, std::uint16_t>> asked;
    std::set<bool> families;
    const auto ask = [&](const net::Address& client, std::uint16_t port = 0) {
      const bool ipv6 = !net::is_ipv4(client);
      if (ways_.is_own(client) || !asked.insert({client, port}).second) return;
      const bool first = families.insert(ipv6).second;
      for (const Endpoint& door : doors(ipv6, eval::is_link_local(client))) {
        // The rule that denies it tells the port.
        connect(fmt::format("ssh from {} (management)", net::format(client)), client, door,
                {.from = "management",
                 .stands_for_all = first && !is_shut(),
                 .kind = "ssh from management",
                 .is_shut = is_shut(),
                 .port = port});
      }
    };
    for (const net::Prefix& prefix : facts_.management) {
      for (const net::Address& client : ends_of(prefix)) ask(client);
    }
    for (const net::Address& client : facts_.named) {
      if (managers_.contains(client)) ask(client);
    }
    const ManagersAsked all = ask_all();
    // Which way somebody comes, the routes say: within a range it changes where one of them ends.
    const auto beside = [&](const net::Address& client) {
      if (is_shut() && managers_.contains(client)) ask(client);
    };
    for (const ManagersAsked::Range& range : all.doubtful) {
      const auto within = [&](const net::Address& client) {
        if (range.first <= client && client <= range.last && managers_.contains(client)) {
          ask(client);
          ask(client, range.port);
        }
      };
      within(range.first);
      within(range.last);
      // On either side somebody may be let in.
      if (const auto next = next_to(range.first, true)) beside(*next);
      if (const auto next = next_to(range.last, false)) beside(*next);
      for (const ruleset::Route& route : routes()) {
        if (route.to.address.index() != range.first.index()) continue;
        within(net::first(route.to));
        within(net::last(route.to));
        if (const auto next = next_to(net::last(route.to), false)) within(*next);
        if (const auto next = next_to(net::first(route.to), true)) within(*next);
      }
    }
    if (all.complete) return;
    for (const net::Prefix& prefix : facts_.management) {
      for (const net::Address& client : ends_of(prefix)) {
        for (const std::uint16_t port : net::kFurthestDrawnPorts) ask(client, port);
      }
    }
    const std::vector<net::Address> told_apart = boundaries();
    const std::size_t doors_each =
        std::max<std::size_t>({1, doors(false, false).size(), doors(true, false).size()});
    const std::size_t most = std::max<std::size_t>(kMostQuestions / doors_each, 1);
    const std::size_t step = (told_apart.size() + most - 1) / most;
    if (step > 1) {
      into_.unasked.push_back(
          {.what = "ssh from management",
           .how = fmt::format(
               "the rules draw boundaries at {} addresses of management, of which "
               "one in {} was checked{}",
               told_apart.size(), step,
               all.unknown.empty() ? "" : "; all at once would take too long: " + all.unknown),
           .may_be_risked = true});
    }
    for (std::size_t i = 0; i < told_apart.size(); i += step) ask(told_apart[i]);
  }

  std::vector<ruleset::Route> routes() const {
    return facts_.machine.routes.value_or(facts_.possible_routes);
  }

  // Whoever manages from half of the internet does not mean each of its addresses.
  std::vector<net::Prefix> narrow_networks() const {
    std::vector<net::Prefix> narrow;
    for (const net::Prefix& prefix : facts_.management) {
      if (prefix.length > kWidest) narrow.push_back(prefix);
    }
    return narrow;
  }

  // Every address of management at once, by each device that some of it may come by.
  ManagersAsked ask_all() const {
    if (!ours_decides_) return {};
    net::AddressSet managers = net::AddressSet::from(narrow_networks());
    std::set<std::string> devices;
    const auto note_ways = [&](const net::Address& client) {
      for (const Way& way : ways_.with(client)) devices.insert({way.in, way.out});
    };
    for (const net::Prefix& prefix : narrow_networks()) {
      for (const net::Address& client : ends_of(prefix)) note_ways(client);
      for (const ruleset::Route& route : routes()) {
        if (managers.contains(net::first(route.to))) note_ways(net::first(route.to));
      }
      if (net::address_bits(prefix.address) - prefix.length <= 1) continue;
      const auto leave_out = [&](const net::Address& address) {
        managers = managers - net::AddressSet::from({{address, net::address_bits(address)}});
      };
      leave_out(net::first(prefix));
      if (net::is_ipv4(prefix.address)) leave_out(net::last(prefix));
    }
    for (const net::Prefix& own : facts_.machine.addresses) {
      managers = managers - net::AddressSet::from({{own.address, net::address_bits(own.address)}});
    }
    std::vector<Endpoint> all_doors = doors(false, false);
    for (const Endpoint& door : doors(true, false)) all_doors.push_back(door);
    return ask_all_managers(*tables_.back(), facts_.machine, managers, all_doors,
                            {devices.begin(), devices.end()});
  }

  // Within management, the networks' own addresses and their broadcasts left out.
  std::vector<net::Address> boundaries() const {
    const std::vector<net::Prefix> narrow = narrow_networks();
    const net::AddressSet within = net::AddressSet::from(narrow);
    std::set<net::Address> found;
    for (const ruleset::Table* table : tables_) {
      for (const net::Address& address : addresses_told_apart(*table, within)) {
        found.insert(address);
      }
    }
    for (const net::Prefix& prefix : narrow) {
      if (net::address_bits(prefix.address) - prefix.length <= 1) continue;
      found.erase(net::first(prefix));
      if (net::is_ipv4(prefix.address)) found.erase(net::last(prefix));
    }
    return {found.begin(), found.end()};
  }

  void put(const std::string& what, const Way& way, std::vector<Leg> legs) {
    Lifeline line{.what = what, .legs = std::move(legs)};
    line.stands_for_all = !way.off_route && first_session_;
    if (by_one_way_) line.one_of = what;
    rolewall::apply::put(into_, std::move(line), way);
  }

  const GuardFacts& facts_;
  const std::vector<const ruleset::Table*>& tables_;
  Ways ways_;
  net::AddressSet managers_;
  bool ours_decides_;
  bool first_session_ = true;
  bool by_one_way_ = false;  // of those that are asked about
  Lifelines& into_;
};

void add_loopback(Lifelines& into) {
  for (const char* own : {"127.0.0.1", "::1"}) {
    Leg out{.arrives = false, .fields = {}, .device = "lo"};
    out.fields.source = out.fields.destination = *net::parse_address(own);
    out.fields.source_port = 40000;
    out.fields.destination_port = 40001;
    Leg in = out;
    in.arrives = true;
    into.all.push_back(
        {.what = fmt::format("the loopback, {}", own), .legs = {out, in}, .stands_for_all = true});
  }
}

// Which program holds a socket is not known: at which ports ssh is served, by which sessions people
// have come, and what relays or tunnels carry these.
void add_unseen_processes(const GuardFacts& facts, Lifelines& all) {
  if (facts.sees_processes) return;
  all.unasked.push_back(
      {.what = "the ssh sessions that are open, and what carries them",
       .how = std::string("rolewall cannot see which programs hold them, for /proc is not mounted "
                          "(`mount -t proc proc /proc`)") +
              kUseTimer});
}

}  // namespace

std::string service_of(std::uint8_t protocol, std::uint16_t port) {
  if (protocol == net::protocol::kTcp && port == kSshPort) return "ssh";
  if (protocol == net::protocol::kTcp) return fmt::format("tcp/{}", port);
  if (protocol == net::protocol::kUdp) return fmt::format("udp/{}", port);
  return fmt::format("protocol/{}", protocol);
}

void put(Lifelines& into, Lifeline line, const Way& way) {
  line.off_route = way.off_route;
  if (way.off_route || way.need != Need::Certain) line.what += " by " + way.in;
  line.need = std::max(line.need, way.need);
  into.all.push_back(std::move(line));
}

Leg turned(Leg leg, const std::string& device, std::uint8_t tcp_flags) {
  leg.arrives = !leg.arrives;
  leg.device = device;
  std::swap(leg.fields.source, leg.fields.destination);
  std::swap(leg.fields.source_port, leg.fields.destination_port);
  leg.fields.tcp_flags = tcp_flags;
  return leg;
}

std::set<net::Address> ends_of(const net::Prefix& prefix) {
  const unsigned bits = net::address_bits(prefix.address);
  if (prefix.length >= bits) return {prefix.address};
  // The ends of the whole internet are nobody's: an address of RFC 5737 and RFC 3849 for all.
  if (prefix.length <= kWidest) {
    return {*net::parse_address(net::is_ipv4(prefix.address) ? "198.51.100.7" : "2001:db8::7")};
  }
  auto first = net::to_bytes(net::first(prefix));
  auto last = net::to_bytes(net::last(prefix));
  // Not the network's own address, nor its broadcast.
  if (bits - prefix.length > 1) {
    first.back() |= 1;
    last.back() = static_cast<std::uint8_t>(last.back() & 0xfeU);
  }
  const auto address = [&](const std::vector<std::uint8_t>& bytes) -> net::Address {
    if (net::is_ipv4(prefix.address)) return net::ipv4_from_bytes(bytes.data());
    return net::ipv6_from_bytes(bytes.data());
  };
  return {address(first), address(last)};
}

Lifelines lifelines(const GuardFacts& facts, const std::vector<const ruleset::Table*>& tables,
                    bool ours_decides) {
  Lifelines all;
  Administrators(facts, tables, ours_decides, all).add();
  add_unseen_processes(facts, all);
  add_loopback(all);
  add_link_lifelines(facts, tables, all);
  add_tunnel_lifelines(facts, tables, all);
  add_routing_lifelines(facts, tables, all);
  return all;
}

}  // namespace rolewall::apply
