#include "apply/guard.h"

#include <fmt/format.h>
#include <net/if_arp.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "eval/build.h"
#include "eval/eval.h"
#include "eval/route.h"
#include "net/protocol.h"
#include "ruleset/names.h"
#include "ruleset/own_table.h"

namespace rolewall::apply {
namespace {

using eval::PacketFields;

constexpr std::uint8_t kSyn = 0x02;
constexpr std::uint8_t kSynAck = 0x12;
constexpr std::uint8_t kAck = 0x10;
constexpr const char* kLoopback = "lo";

// One packet that this host receives or sends.
struct Leg {
  bool arrives = true;
  PacketFields fields;
  std::string device;
  std::optional<std::uint32_t> state{};  // absent: what conntrack makes of it
};

Leg turned(Leg leg, std::uint8_t flags) {
  leg.arrives = !leg.arrives;
  std::swap(leg.fields.source, leg.fields.destination);
  std::swap(leg.fields.source_port, leg.fields.destination_port);
  leg.fields.tcp_flags = flags;
  return leg;
}

class Guard {
 public:
  Guard(const ruleset::Ruleset& after, const GuardFacts& facts, eval::PartialSets& partial)
      : after_(after),
        facts_(facts),
        routes_(facts.machine),
        evaluator_(after, facts.machine, &partial) {}

  std::vector<Loss> take() {
    for (const Session& session : facts_.sessions) keep(session);
    admit_management();
    loopback();
    neighbours();
    if (facts_.leases_ipv4) lease();
    forwarding();
    return std::move(losses_);
  }

 private:
  void keep(const Session& session) {
    const std::string what =
        fmt::format("the session from {} port {} to port {}", net::format(session.client),
                    session.client_port, session.server_port);
    for (const std::string& device : devices_towards(session.client)) {
      Leg in{.arrives = true, .fields = {}, .device = device};
      in.fields.source = session.client;
      in.fields.destination = session.server;
      in.fields.source_port = session.client_port;
      in.fields.destination_port = session.server_port;
      in.fields.tcp_flags = kAck;
      Leg in_tracked = in;
      in_tracked.state = ruleset::ct_state::kEstablished;
      must_pass(what, {in_tracked});
      must_pass(what + " (answers)", {turned(in_tracked, kAck)});
      if (session.tracked) continue;
      must_pass(what + ", without a conntrack entry", {in, turned(in, kAck)});
      must_pass(what + ", without a conntrack entry, if the server sends first",
                {turned(in, kAck), in});
    }
    connect("a new session from " + net::format(session.client), session.client, session.server,
            session.server_port);
  }

  void connect(const std::string& what, const net::Address& client, const net::Address& server,
               std::uint16_t port) {
    for (const std::string& device : devices_towards(client)) {
      Leg syn{.arrives = true, .fields = {}, .device = device};
      syn.fields.source = client;
      syn.fields.destination = server;
      syn.fields.destination_port = port;
      syn.fields.tcp_flags = kSyn;
      must_pass(fmt::format("{} to {} port {}", what, net::format(server), port),
                {syn, turned(syn, kSynAck)});
    }
  }

  // From the ends of each network, to each of the host's addresses that sshd can be reached at.
  void admit_management() {
    for (const net::Prefix& prefix : facts_.management) {
      for (const net::Address& client : ends_of(prefix)) {
        if (is_own(client)) continue;
        for (const net::Prefix& own : facts_.machine.addresses) {
          if (net::is_ipv4(own.address) != net::is_ipv4(client) ||
              eval::is_link_local(own.address)) {
            continue;
          }
          for (const std::uint16_t port : facts_.ssh_ports) {
            connect(fmt::format("ssh from {} (management)", net::format(client)), client,
                    own.address, port);
          }
        }
      }
    }
  }

  static std::set<net::Address> ends_of(const net::Prefix& prefix) {
    const unsigned bits = net::address_bits(prefix.address);
    if (prefix.length >= bits) return {prefix.address};
    // The ends of the whole internet are nobody's: an address of RFC 5737 and RFC 3849 for all.
    constexpr unsigned kWidest = 7;
    if (prefix.length <= kWidest) {
      return {*net::parse_address(net::is_ipv4(prefix.address) ? "198.51.100.7" : "2001:db8::7")};
    }
    auto first = net::to_bytes(prefix.address);
    auto last = first;
    for (unsigned bit = prefix.length; bit < bits; ++bit) {
      last[bit / 8] = static_cast<std::uint8_t>(last[bit / 8] | 0x80U >> bit % 8);
    }
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

  void loopback() {
    for (const char* own : {"127.0.0.1", "::1"}) {
      Leg out{.arrives = false, .fields = {}, .device = kLoopback};
      out.fields.source = out.fields.destination = *net::parse_address(own);
      out.fields.source_port = 40000;
      out.fields.destination_port = 40001;
      Leg in = out;
      in.arrives = true;
      must_pass(fmt::format("loopback traffic of {}", own), {out, in});
    }
  }

  // RFC 4861: without it no IPv6 packet finds its way over the link. To and from a neighbour.
  void neighbours() {
    constexpr std::uint8_t kSolicitation = 135;
    constexpr std::uint8_t kAdvertisement = 136;
    constexpr std::uint8_t kHopLimit = 255;
    for (const ruleset::Interface& interface : facts_.machine.interfaces) {
      const auto own = routes_.addresses_on(interface.device, true);
      if (interface.hardware_type != ARPHRD_ETHER || own.empty()) continue;
      for (const std::uint8_t type : {kSolicitation, kAdvertisement}) {
        Leg in{.arrives = true, .fields = {}, .device = interface.device};
        in.fields.protocol = net::protocol::kIcmpv6;
        in.fields.source = *net::parse_address("fe80::2");
        in.fields.destination = own.front();
        in.fields.icmp_type = type;
        in.fields.ttl = kHopLimit;
        const char* name = type == kSolicitation ? "solicitations" : "advertisements";
        const std::string what = fmt::format("IPv6 neighbour {} on {}", name, interface.device);
        must_pass(what, {in});
        must_pass(what + " (sent)", {turned(in, 0)});
      }
    }
  }

  // RFC 2131, 4.4.5: the lease is renewed from the address that it gave.
  void lease() {
    for (const net::Prefix& own : facts_.machine.addresses) {
      if (!net::is_ipv4(own.address)) continue;
      for (const ruleset::Interface& interface : facts_.machine.interfaces) {
        const auto there = routes_.addresses_on(interface.device, false);
        if (std::ranges::find(there, own.address) == there.end()) continue;
        const std::string& device = interface.device;
        Leg out{.arrives = false, .fields = {}, .device = device};
        out.fields.protocol = net::protocol::kUdp;
        out.fields.source = own.address;
        out.fields.destination = *net::parse_address("255.255.255.255");
        out.fields.source_port = 68;
        out.fields.destination_port = 67;
        must_pass(fmt::format("renewal of the DHCP lease of {}", net::format(own.address)), {out});
      }
    }
  }

  // What was routed so far would be dropped by a policy that never speaks of it.
  void forwarding() {
    if (!facts_.machine.forwards_ipv4 && !facts_.machine.forwards_ipv6) return;
    const auto own = std::ranges::find_if(after_.tables, ruleset::is_own);
    if (own == after_.tables.end() ||
        ruleset::find_chain(*own, ruleset::own::kForwardDispatch) != nullptr)
      return;
    losses_.push_back({.what = "what this host forwards between networks",
                       .how = "it forwards today, but its policy has no [[forward]] rule (add "
                              "one, or turn net.*.forwarding off)",
                       .rule = ""});
  }

  bool is_own(const net::Address& address) const {
    return std::ranges::any_of(facts_.machine.addresses,
                               [&](const net::Prefix& own) { return own.address == address; });
  }

  // By the routes; where they are not known, each device may be the one.
  std::set<std::string> devices_towards(const net::Address& address) const {
    if (is_own(address) || (routes_.known() && routes_.leads_here(address))) return {kLoopback};
    if (routes_.known()) {
      const auto answer = routes_.towards(address);
      if (answer.route == nullptr) return {};
      return {answer.route->device};
    }
    std::set<std::string> all;
    for (const ruleset::Interface& interface : facts_.machine.interfaces) {
      all.insert(interface.device);
    }
    return all;
  }

  // The legs are one conversation, begun with nothing known.
  void must_pass(const std::string& what, const std::vector<Leg>& legs) {
    evaluator_.reset();
    for (const Leg& leg : legs) {
      eval::Packet packet = eval::build(leg.fields);
      (leg.arrives ? packet.in_device : packet.out_device) = leg.device;
      packet.ct_state = leg.state;
      const eval::Options how{.steps = false, .keep_state = true};
      const auto ways = evaluator_.outcomes(
          packet, leg.arrives ? eval::Direction::Arrive : eval::Direction::Send, how);
      for (const eval::Journey& way : ways.ways) {
        if (way.fate() == eval::Fate::Accept) continue;
        say(what, way, &leg == legs.data() ? needed(leg) : "");
        return;
      }
      // The first way goes on, as one of those that pass.
      leg.arrives ? evaluator_.arrive(packet, how) : evaluator_.send(packet, how);
    }
  }

  // The rule that a policy lacks which leaves the first packet to its default.
  static std::string needed(const Leg& leg) {
    const PacketFields& fields = leg.fields;
    std::string service = "ndp";
    if (fields.protocol != net::protocol::kIcmpv6) {
      service = fmt::format("{}/{}", fields.protocol == net::protocol::kTcp ? "tcp" : "udp",
                            fields.destination_port);
    }
    return fmt::format(R"(; no rule admits it: an {} rule with service = "{}" and {} = "{}" would)",
                       leg.arrives ? "[[inbound]]" : "[[outbound]]", service,
                       leg.arrives ? "from" : "to",
                       net::format(leg.arrives ? fields.source : fields.destination));
  }

  // `otherwise`: what would help where no rule of ours decided.
  void say(const std::string& what, const eval::Journey& way, const std::string& otherwise) {
    const bool known = std::ranges::any_of(losses_, [&](const Loss& l) { return l.what == what; });
    if (known || way.hooks.empty()) return;
    const eval::HookResult& last = way.hooks.back();
    Loss loss{.what = what, .how = std::string(name_of(last.hook)), .rule = ""};
    if (last.decided) {
      const ruleset::Table& table = after_.tables[last.decision.table];
      const ruleset::Chain& chain = table.chains[last.decision.chain];
      std::string by = fmt::format("the policy of chain {}", chain.name);
      if (last.decision.rule != eval::Decision::kPolicy) {
        loss.rule = chain.rules[last.decision.rule].comment;
        by = loss.rule.empty()
                 ? fmt::format("rule {} of chain {}", last.decision.rule + 1, chain.name)
                 : fmt::format("rule {} in chain {}", loss.rule, chain.name);
      }
      loss.how = fmt::format("{} in {} by {}, table {} {}", eval::name_of(last.fate), loss.how, by,
                             name_of(table.family), table.name);
      if (loss.rule == ruleset::own::step::kDefault && ruleset::is_own(table))
        loss.how += otherwise;
    } else {
      loss.how = fmt::format("{} in {}", eval::name_of(last.fate), loss.how);
    }
    if (!last.reason.empty()) loss.how += ": " + last.reason;
    for (const eval::Condition& condition : way.conditions) {
      loss.how += fmt::format(", if {}: {}", condition.about, condition.is);
    }
    losses_.push_back(std::move(loss));
  }

  const ruleset::Ruleset& after_;
  const GuardFacts& facts_;
  eval::Routes routes_;
  eval::Evaluator evaluator_;
  std::vector<Loss> losses_;
};

}  // namespace

std::vector<Loss> losses(const ruleset::Ruleset& after, const GuardFacts& facts,
                         eval::PartialSets& partial) {
  return Guard(after, facts, partial).take();
}

}  // namespace rolewall::apply
