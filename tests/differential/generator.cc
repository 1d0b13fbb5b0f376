#include "differential/generator.h"

#include <fmt/format.h>

namespace rolewall::differential {
namespace {

using policy::Direction;
using policy::FlowState;
using reference::Packet;

constexpr std::string_view kSite = R"(
[site]
management = "office"
internal   = ["office", "inside"]

[networks]
office = ["198.51.100.0/29", "2001:db8:f::/125"]
inside = ["10.0.0.0/24", "fd00::/64"]
odd    = ["192.0.2.1", "192.0.2.3", "192.0.2.4", "2001:db8::3"]
v4     = "203.0.113.0/30"
v6     = "2001:db8:6::/127"

[services]
web-ports = ["tcp/80", "tcp/443", "udp/443"]
names     = ["udp/53", "tcp/53"]
ping      = ["icmp/8", "icmpv6/128"]

[interfaces.public]
device = "eth0"

[interfaces.private]
device = "eth1"
behind = "inside"

[interfaces.tunnels]
device = "br-*"
behind = "172.16.0.0/30"

[hosts.edge-1]
role       = "edge"
addresses  = ["203.0.113.1", "10.0.0.1", "fd00::1"]
virtual    = ["203.0.113.2"]
interfaces = ["public", "private"]

[hosts.core-1]
role       = ["edge", "core"]
tags       = "primary"
addresses  = ["10.0.0.2", "fd00::2"]
interfaces = ["private", "tunnels"]

[hosts.core-2]
role      = "core"
addresses = ["10.0.0.3", "2001:db8:6::1"]
)";

constexpr std::initializer_list<const char*> kServices = {
    "tcp/22",      "tcp/20-25",      "tcp/443",      "tcp",
    "udp/53",      "udp/50-60",      "udp",          "tcp/80 from 1000-2000",
    "ping",        "udp/68 from 67", "tcp/0-79",     "tcp/81-65535",
    "icmp",        "icmp/8",         "icmpv6/128",   "icmpv6",
    "icmp/3",      "icmpv6/135",     "protocol/47",  "protocol/1",
    "protocol/58", "protocol/6",     "sctp/22-30",   "sctp",
    "web-ports",   "names",          "protocol/112", "udp/443 from 443"};

constexpr std::initializer_list<const char*> kTerms = {"any",
                                                       "internet",
                                                       "site",
                                                       "self",
                                                       "management",
                                                       "link-local",
                                                       "edge-1",
                                                       "core-1",
                                                       "core-2",
                                                       "role:edge",
                                                       "role:core",
                                                       "primary",
                                                       "office",
                                                       "inside",
                                                       "odd",
                                                       "v4",
                                                       "v6",
                                                       "203.0.113.3",
                                                       "198.51.100.4/30",
                                                       "10.0.0.0/8",
                                                       "fd00::/65",
                                                       "2001:db8::3",
                                                       "172.16.0.0/31",
                                                       "fe80::1",
                                                       "192.0.2.0/29",
                                                       "224.0.0.1",
                                                       "ff02::1",
                                                       "0.0.0.0/1",
                                                       "2001:db8:f::4/126"};

// Addresses in and just outside of all that the terms stand for.
constexpr std::initializer_list<const char*> kIpv4 = {
    "198.51.99.255",  "198.51.100.0",  "198.51.100.3", "198.51.100.4", "198.51.100.7",
    "198.51.100.8",   "9.255.255.255", "10.0.0.0",     "10.0.0.1",     "10.0.0.2",
    "10.0.0.3",       "10.0.0.4",      "10.0.0.255",   "10.0.1.0",     "10.255.255.254",
    "11.0.0.0",       "192.0.2.0",     "192.0.2.1",    "192.0.2.2",    "192.0.2.3",
    "192.0.2.4",      "192.0.2.5",     "192.0.2.7",    "192.0.2.8",    "203.0.112.255",
    "203.0.113.0",    "203.0.113.1",   "203.0.113.2",  "203.0.113.3",  "203.0.113.4",
    "172.15.255.255", "172.16.0.0",    "172.16.0.1",   "172.16.0.2",   "172.16.0.3",
    "172.16.0.4",     "169.254.0.1",   "126.0.0.1",    "128.0.0.1",    "8.8.8.8"};
constexpr std::initializer_list<const char*> kIpv6 = {
    "2001:db8:f::",     "2001:db8:f::3",
    "2001:db8:f::4",    "2001:db8:f::7",
    "2001:db8:f::8",    "fd00::",
    "fd00::1",          "fd00::2",
    "fd00::3",          "fd00::7fff:ffff:ffff:ffff",
    "fd00::8000:0:0:0", "fd00::ffff:ffff:ffff:ffff",
    "fd00:0:0:1::",     "2001:db8::2",
    "2001:db8::3",      "2001:db8::4",
    "2001:db8:6::",     "2001:db8:6::1",
    "2001:db8:6::2",    "fe80::1",
    "fe80::2",          "fec0::1",
    "2606:4700::1"};

constexpr std::initializer_list<std::uint16_t> kPorts = {
    1,  19, 20, 21, 22, 23,  25,  26,  30,  31,   49,   50,   53,   60,    61,
    67, 68, 79, 80, 81, 442, 443, 444, 999, 1000, 1500, 2000, 2001, 40000, 65535};
constexpr std::initializer_list<std::uint8_t> kProtocols = {6,  6,  6,   17,  17, 1,
                                                            58, 47, 132, 112, 2};
constexpr std::initializer_list<std::uint8_t> kIcmpTypes = {
    3, 7, 8, 9, 127, 128, 129, 129, 130, 132, 133, 134, 135, 136, 137, 142, 143, 144};
constexpr std::initializer_list<const char*> kDevices = {"eth0", "eth1",  "eth10", "br-0",
                                                         "br-",  "br-77", "br",    "lo"};

std::string quoted_list(const std::vector<std::string>& items) {
  return fmt::format("[\"{}\"]", fmt::join(items, "\", \""));
}

// `count` different ones.
std::vector<std::string> some_of(Random& random, std::initializer_list<const char*> items,
                                 std::size_t count) {
  std::vector<std::string> chosen;
  while (chosen.size() < count) {
    const std::string item = random.of(items);
    if (std::ranges::find(chosen, item) == chosen.end()) chosen.push_back(item);
  }
  return chosen;
}

std::string random_selectors(Random& random) {
  std::vector<std::string> terms = some_of(random, kTerms, 1 + random.weighted({60, 25, 15}));
  for (std::string& term : terms) {
    if (random.percent(terms.size() > 1 ? 30 : 10)) term.insert(0, 1, '!');
  }
  return quoted_list(terms);
}

// No host sends from a group: that is an error. To leave one out is none.
std::string random_sources(Random& random) {
  while (true) {
    std::string text = random_selectors(random);
    const bool holds_group =
        text.find("\"224.") != std::string::npos || text.find("\"ff02:") != std::string::npos;
    if (!holds_group) return text;
  }
}

// `host`: one that bears the rules.
std::string random_rule(Random& random, std::size_t number, std::string_view host) {
  const bool inbound = random.percent(60);
  std::string text =
      fmt::format("\n[[{}]]\nid = \"r{}\"\n", inbound ? "inbound" : "outbound", number);
  const auto add = [&](std::string_view key, const std::string& value) {
    text += fmt::format("{} = {}\n", key, value);
  };
  if (random.percent(85)) {
    add("service", quoted_list(some_of(random, kServices, 1 + random.weighted({60, 25, 15}))));
  }
  if (random.percent(65)) add("from", random_sources(random));
  if (random.percent(inbound ? 25 : 65)) add("to", random_selectors(random));
  if (random.percent(20)) {
    add(inbound ? "in" : "out",
        quoted_list(some_of(random, {"public", "private", "tunnels"}, 1 + random.below(2))));
  }
  if (random.percent(10)) {
    add("on", random.percent(50) ? "\"primary\"" : fmt::format("\"{}\"", host));
  }
  const unsigned action = random.weighted({55, 25, 20});
  if (action != 0) add("action", action == 1 ? "\"drop\"" : "\"reject\"");
  const bool early = inbound && action == 1 && random.percent(40);
  if (early) add("early", "true");
  if (!early && random.percent(12)) {
    add("limit", random.of({"\"10/minute\"", "\"1000/second in all\"", "\"5/hour burst 2\""}));
  }
  if (!early && random.percent(8)) add("connections", "3");
  if (random.percent(15)) add("log", "true");
  if (!inbound && random.percent(20)) add("user", random.of({"0", "33", "\"root\""}));
  if (random.percent(4)) add("enabled", "false");
  if (random.percent(5)) add("expires", random.of({"2026-01-01", "2030-01-01"}));
  return text;
}

std::string random_interfaces(Random& random) {
  return quoted_list(some_of(random, {"public", "private", "tunnels"}, 1 + random.below(2)));
}

std::string random_forward_rule(Random& random, std::size_t number) {
  std::string text = fmt::format("\n[[forward]]\nid = \"f{}\"\n", number);
  const auto add = [&](std::string_view key, const std::string& value) {
    text += fmt::format("{} = {}\n", key, value);
  };
  if (random.percent(80)) {
    add("service", quoted_list(some_of(random, kServices, 1 + random.weighted({60, 25, 15}))));
  }
  if (random.percent(50)) add("from", random_sources(random));
  if (random.percent(50)) add("to", random_selectors(random));
  if (random.percent(25)) add("in", random_interfaces(random));
  if (random.percent(25)) add("out", random_interfaces(random));
  const unsigned action = random.weighted({60, 25, 15});
  if (action != 0) add("action", action == 1 ? "\"drop\"" : "\"reject\"");
  if (random.percent(10)) add("limit", "\"10/minute\"");
  return text;
}

std::string random_translation(Random& random, std::size_t number) {
  static constexpr std::initializer_list<const char*> kPortServices = {
      "tcp/22", "tcp/20-25", "tcp/443", "tcp", "udp/53", "tcp/80 from 1000-2000", "web-ports"};
  std::string text = fmt::format("\n[[nat]]\nid = \"n{}\"\n", number);
  const auto add = [&](std::string_view key, const std::string& value) {
    text += fmt::format("{} = {}\n", key, value);
  };
  if (random.percent(40)) add("from", random_sources(random));
  if (random.percent(30)) {
    if (random.percent(60)) add("service", quoted_list(some_of(random, kServices, 1)));
    if (random.percent(40)) add("to", random_selectors(random));
    if (random.percent(40)) add("out", random_interfaces(random));
    // Not "masquerade": the policy does not say which address a device has.
    add("new-source", random.of({"\"203.0.113.2\"", "\"fd00::1\"", "\"10.0.0.77\""}));
    return text;
  }
  if (random.percent(40)) add("to", random.percent(50) ? "\"self\"" : random_selectors(random));
  if (random.percent(40)) add("in", random_interfaces(random));
  // Which of its addresses "self" becomes the policy does not know: a port that no packet asks for
  // makes it a change.
  const bool new_port = random.percent(50);
  if (new_port || random.percent(60)) {
    add("service", quoted_list(some_of(random, new_port ? kPortServices : kServices, 1)));
  }
  const char* target = new_port ? random.of({"core-2:443", "10.0.0.9:22", "[fd00::9]:22",
                                             "self:3128", "edge-1:80", "core-1:53"})
                                : random.of({"core-2", "10.0.0.9", "fd00::9", "edge-1"});
  add("new-destination", fmt::format("\"{}\"", target));
  return text;
}

std::string random_passage(Random& random, std::size_t first_number) {
  std::string text;
  const std::size_t rules = random.below(5);
  for (std::size_t i = 0; i < rules; ++i) text += random_forward_rule(random, first_number + i);
  const std::size_t translations = random.below(4);
  for (std::size_t i = 0; i < translations; ++i) {
    text += random_translation(random, first_number + i);
  }
  return text;
}

std::string random_rules(Random& random, std::size_t most, std::size_t first_number,
                         std::string_view host) {
  std::string text;
  const std::size_t count = random.below(most + 1);
  for (std::size_t i = 0; i < count; ++i) text += random_rule(random, first_number + i, host);
  return text;
}

net::Address address(const char* text) {
  return *net::parse_address(text);
}

net::Address random_address(Random& random, bool ipv4) {
  return address(ipv4 ? random.of(kIpv4) : random.of(kIpv6));
}

// One of the host's own, of the family; a prefix's first.
std::optional<net::Address> own_address(Random& random, const policy::Host& host, bool ipv4) {
  std::vector<net::Address> own;
  for (const auto* list : {&host.addresses, &host.virtual_addresses}) {
    for (const net::Prefix& prefix : *list) {
      if (net::is_ipv4(prefix.address) == ipv4) own.push_back(prefix.address);
    }
  }
  if (own.empty()) return std::nullopt;
  return random.of(own);
}

}  // namespace

SiteFiles site_with(const std::string& site_defaults, const std::string& edge_rules,
                    const std::string& core_rules, const std::string& block_rules) {
  SiteFiles files;
  files["site.toml"] = std::string(kSite) + site_defaults;
  files["edge.toml"] = "role = \"edge\"\nuse = [\"shared\"]\n" + edge_rules;
  files["core.toml"] = "role = \"core\"\nuse = [\"shared\"]\n" + core_rules;
  files["rules/shared.toml"] = "description = \"for both roles\"\n" + block_rules;
  return files;
}

SiteFiles random_site(Random& random, unsigned passing) {
  std::string defaults = "\n[defaults]\n";
  defaults += fmt::format("inbound = \"{}\"\n", random.of({"drop", "drop", "reject", "accept"}));
  defaults += fmt::format("outbound = \"{}\"\n", random.of({"drop", "reject", "reject", "accept"}));
  if (random.percent(10)) defaults += "mode = \"audit\"\n";
  defaults += fmt::format("forward = \"{}\"\n", random.of({"drop", "drop", "reject", "accept"}));
  const auto rules = [&](std::size_t most, std::size_t first_number, std::string_view host,
                         bool passes_on) {
    std::string text = random_rules(random, most, first_number, host);
    if (passes_on) text += random_passage(random, first_number);
    return text;
  };
  const bool passes_on = random.percent(passing);
  const std::string edge = rules(8, 0, "edge-1", passes_on);
  const std::string core = rules(8, 20, "core-2", passes_on);
  return site_with(defaults, edge, core, rules(4, 40, "edge-1", passes_on && random.percent(50)));
}

test::RunTime random_run_time(Random& random) {
  test::RunTime run_time;
  if (random.percent(50)) return run_time;
  const auto add = [](auto& to, const auto& entry) {
    if (std::ranges::find(to, entry) == to.end()) to.push_back(entry);
  };
  const std::size_t bans = random.below(4);
  for (std::size_t i = 0; i < bans; ++i) {
    const net::Address one = random_address(random, random.percent(50));
    add(run_time.banned, net::Prefix{one, net::address_bits(one)});
  }
  // Apart from each other, as the kernel wants them.
  for (const char* prefix : {"192.0.2.0/29", "198.51.100.4/30", "10.0.0.0/24", "2001:db8:f::4/126",
                             "fd00::/65", "fe80::/10"}) {
    if (random.percent(10)) run_time.banned.push_back(*net::parse_prefix(prefix));
  }
  const std::size_t openings = random.below(4);
  for (std::size_t i = 0; i < openings; ++i) {
    test::Opening opening;
    opening.protocol = random.percent(70) ? 6 : 17;
    opening.port = random.percent(50) ? 22 : 443;
    opening.from = random_address(random, random.percent(50));
    add(run_time.allowed, opening);
  }
  return run_time;
}

Packet random_packet(Random& random, const policy::Host& host) {
  Packet packet;
  bool ipv4 = random.percent(50);
  auto own = own_address(random, host, ipv4);
  if (!own) {
    ipv4 = !ipv4;
    own = own_address(random, host, ipv4);
  }
  packet.direction = random.percent(60) ? Direction::Inbound : Direction::Outbound;
  const bool inbound = packet.direction == Direction::Inbound;
  net::Address other = random_address(random, ipv4);
  packet.device = random.of(kDevices);
  if (inbound) packet.out_device = random.of({"eth0", "eth1", "eth10", "br-0", "br-77"});
  // What looks like the host itself from outside the stack discards.
  if (inbound && packet.device != "lo") {
    while (host.all_addresses().contains(other)) other = random_address(random, ipv4);
  }
  if (random.percent(5)) {
    const net::Address group = address(ipv4 ? "224.0.0.1" : "ff02::1");
    (inbound ? *own : other) = group;
  }
  packet.source = inbound ? other : *own;
  packet.destination = inbound ? *own : other;
  // What is for another, and comes by a network.
  if (inbound && packet.device != "lo" && random.percent(40)) {
    packet.destination = random_address(random, ipv4);
  }
  packet.protocol = random.of(kProtocols);
  packet.source_port = random.of(kPorts);
  packet.destination_port = random.of(kPorts);
  packet.icmp_type = random.of(kIcmpTypes);
  packet.state = random.percent(60) ? FlowState::New
                                    : random.of({FlowState::Related, FlowState::Untracked,
                                                 FlowState::Invalid, FlowState::Established});
  if (!inbound && random.percent(70)) packet.user = random.of({0u, 33u, 34u, 1000u});
  return packet;
}

std::vector<Packet> packet_grid(const policy::Host& host) {
  struct Transport {
    std::uint8_t protocol;
    std::uint16_t source_port;
    std::uint16_t destination_port;
    std::uint8_t icmp_type;
  };
  const std::vector<Transport> transports = {
      {6, 40000, 22, 0},  {6, 40000, 443, 0}, {6, 1500, 80, 0}, {6, 40000, 80, 0},
      {17, 40000, 53, 0}, {17, 67, 68, 0},    {1, 0, 0, 8},     {58, 0, 0, 128},
      {1, 0, 0, 3},       {47, 0, 0, 0}};
  const std::vector<std::pair<const char*, const char*>> others = {
      {"198.51.100.3", "2001:db8:f::3"},
      {"10.0.0.9", "fd00::9"},
      {"8.8.8.8", "2606:4700::1"},
      {"192.0.2.3", "2001:db8::3"}};
  std::vector<Packet> grid;
  for (const Direction direction : {Direction::Inbound, Direction::Outbound}) {
    for (const auto& [ipv4, ipv6] : others) {
      for (const char* text : {ipv4, ipv6}) {
        Random any(1);
        const net::Address other = address(text);
        const auto own = own_address(any, host, net::is_ipv4(other));
        if (!own) continue;
        for (const Transport& transport : transports) {
          for (const char* device : {"eth0", "eth1", "br-5"}) {
            for (const FlowState state : {FlowState::New, FlowState::Related}) {
              // One protocol with ports stands for all in the rarer state.
              if (state == FlowState::Related && transport.destination_port > 22) continue;
              const bool inbound = direction == Direction::Inbound;
              Packet packet;
              packet.direction = direction;
              packet.source = inbound ? other : *own;
              packet.destination = inbound ? *own : other;
              packet.protocol = transport.protocol;
              packet.source_port = transport.source_port;
              packet.destination_port = transport.destination_port;
              packet.icmp_type = transport.icmp_type;
              packet.device = device;
              packet.state = state;
              if (!inbound) packet.user = 0;
              grid.push_back(packet);
            }
          }
        }
      }
    }
  }
  return grid;
}

std::string format(const SiteFiles& files) {
  std::string text;
  for (const auto& [name, content] : files) text += fmt::format("--- {}\n{}\n", name, content);
  return text;
}

}  // namespace rolewall::differential
