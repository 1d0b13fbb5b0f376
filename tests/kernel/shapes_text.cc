#include "shapes_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "random.h"

namespace rolewall::kernel_judge {
namespace {

// One table. Chains jump only to chains behind them, so that there is no loop.
class ShapeWriter {
 public:
  ShapeWriter(Random& random, std::string family, std::string name) : random_(random) {
    table_.family = std::move(family);
    table_.name = std::move(name);
  }

  TableText write() {
    counts_ = random_.percent(12);
    add_sets();
    const std::uint32_t others = random_.below(3);
    for (std::uint32_t i = 0; i < others; ++i) targets_.push_back(fmt::format("c{}", i));
    for (const char* hook : {"prerouting", "input", "forward", "output", "postrouting"}) {
      const std::uint32_t chains = random_.weighted({45, 45, 10});
      for (std::uint32_t i = 0; i < chains; ++i) add_filter(hook, i);
    }
    for (const char* hook : {"prerouting", "output", "postrouting", "input"}) {
      const bool often = std::string_view(hook) == "prerouting" || hook[0] == 'p';
      if (random_.percent(often ? 60 : 20)) add_nat(hook);
    }
    for (std::uint32_t i = 0; i < others; ++i) {
      targets_.erase(targets_.begin());
      ChainText chain{fmt::format("c{}", i), "", {}};
      for (std::uint32_t left = 1 + random_.below(3); left > 0; --left) {
        chain.rules.push_back(filter_rule(""));
      }
      table_.chains.push_back(std::move(chain));
    }
    // nft wants a chain before what jumps to it.
    std::ranges::reverse(table_.chains);
    return std::move(table_);
  }

  // Chains on the devices, before and behind all that the others see. What leaves was noted before
  // them, so that they do not write there.
  TableText write_of_devices() {
    add_sets();
    for (const char* hook : {"ingress", "egress"}) {
      for (std::uint32_t left = random_.weighted({30, 50, 20}); left > 0; --left) {
        ChainText chain{
            fmt::format("{}{}", hook, left),
            fmt::format(
                "type filter hook {} {} priority {}; policy {};", hook,
                random_.of({"device \"eth0\"", "device \"eth1\"", "devices = { eth0, eth1 }"}),
                random_.of({-10, 0, 10}), random_.percent(90) ? "accept" : "drop"),
            {}};
        // The judge's own frames are of this protocol.
        chain.rules.emplace_back("ip protocol 59 accept");
        for (std::uint32_t rules = 1 + random_.below(4); rules > 0; --rules) {
          chain.rules.push_back(device_rule(hook));
        }
        table_.chains.push_back(std::move(chain));
      }
    }
    return std::move(table_);
  }

 private:
  bool has(bool v6) const { return table_.family != (v6 ? "ip" : "ip6"); }
  const char* ip() const { return v6_ ? "ip6" : "ip"; }
  int digit() const { return v6_ ? 6 : 4; }
  std::string unless(std::string_view what, std::string_view value) {
    return fmt::format("{} {}{}", what, random_.percent(25) ? "!= " : "", value);
  }

  // --- values ---

  const char* inside() {
    return v6_ ? random_.of({"2001:db8:9:1::5", "2001:db8:9:1::77"})
               : random_.of({"10.9.1.5", "10.9.1.77"});
  }
  const char* outside() {
    return v6_ ? random_.of({"2001:db8::9", "2001:db8:ffff::1"})
               : random_.of({"192.0.2.9", "203.0.113.200"});
  }
  const char* own() {
    return v6_ ? random_.of({"2001:db8:9::1", "2001:db8:9::8", "2001:db8:9:1::1"})
               : random_.of({"198.51.100.7", "198.51.100.8", "10.9.1.1"});
  }
  const char* address() {
    return random_.percent(40) ? inside() : random_.percent(60) ? outside() : own();
  }
  const char* network() {
    return v6_ ? random_.of({"2001:db8:9:1::/64", "2001:db8::/48", "2001:db8:9::/127"})
               : random_.of({"10.9.1.0/24", "192.0.2.0/25", "198.51.100.4-198.51.100.7"});
  }
  const char* port() { return random_.of({"22", "53", "80", "443", "40000", "300"}); }
  const char* ports() { return random_.of({"0-79", "40000-40010", "80-443", "1024-65535"}); }
  const char* direction() { return random_.of({"original", "reply"}); }
  const char* side() { return random_.of({"saddr", "daddr"}); }
  const char* port_side() { return random_.of({"dport", "dport", "sport"}); }
  std::string verdict() {
    return random_verdict(random_, {35, 15, 25, 8, 17}, [&]() -> std::string {
      return targets_.empty() ? "accept" : random_.of({"jump ", "goto "}) + random_.of(targets_);
    });
  }

  // --- matches ---

  std::string by_connection() {
    const std::string original = fmt::format("ct {} {} {}", direction(), ip(), side());
    switch (random_.below(14)) {
      case 0:
        return fmt::format("ct state vmap {{ new : {}, established : {}, related : {} }}",
                           verdict(), verdict(), verdict());
      case 1:
        return fmt::format("ct direction vmap {{ original : {}, reply : {} }}", verdict(),
                           verdict());
      case 2:
        return fmt::format(
            "ct state . meta l4proto vmap {{ new . tcp : {}, established . udp : {}, "
            "new . {} : {} }}",
            verdict(), verdict(), v6_ ? "ipv6-icmp" : "icmp", verdict());
      case 3:
        return fmt::format("ct mark vmap {{ 0x0 : {}, 0x1-0x7 : {} }}", verdict(), verdict());
      case 4:
        return fmt::format("{} . meta l4proto vmap {{ {} . {} : {}, {} . udp : {} }}", original,
                           inside(), protocol_, verdict(), outside(), verdict());
      case 5:
        return fmt::format("iifname . {} {} vmap {{ eth0 . {} : {}, eth1 . {} : {} }}", ip(),
                           side(), network(), verdict(), network(), verdict());
      case 6:
        return unless(fmt::format("{} . ct direction", original),
                      fmt::format("{{ {} . original, {} . reply }}", address(), network()));
      case 7:
        return unless("ct status & (snat | dnat)", random_.of({"0", "snat", "dnat"}));
      case 8:
        return fmt::format("ct packets {}", random_.of({"> 3", "< 3", "2-5"}));
      case 9:
        return fmt::format("ct {} avgpkt {}", direction(), random_.of({"> 50", "<= 40", "64"}));
      case 10:
        return unless("ct mark and 0xf0", random_.of({"0x10", "0x0"}));
      case 11:
        return unless("ct state",
                      random_.of({"new", "established", "related", "invalid", "untracked"}));
      case 12:
        return fmt::format("ct {} zone {}", direction(), random_.of({"0", "3", "!= 3"}));
      default:
        return fmt::format("ct status {}", random_.of({"seen-reply", "assured", "confirmed",
                                                       "!= confirmed", "dying", "expected"}));
    }
  }

  std::string by_packet() {
    switch (random_.below(9)) {
      case 0:
        return unless(fmt::format("{} {}", ip(), side()),
                      random_.percent(50) ? address() : network());
      case 1:
        return unless(fmt::format("{} {}", protocol_, port_side()),
                      random_.percent(50) ? port() : ports());
      case 2:
        return fmt::format("{} {} {}@pairs{}", fmt::format("{} saddr . {}", ip(), protocol_),
                           port_side(), random_.percent(25) ? "!= " : "", digit());
      case 3:
        return fmt::format("{} {} {}@to{}", ip(), side(), random_.percent(25) ? "!= " : "",
                           digit());
      case 4:
        return unless("meta mark", random_.of({"0x0", "0x7", "0x1-0x3"}));
      case 5:
        return fmt::format("{} {} . {} {} vmap {{ {} . {} : {}, {} . {} : {} }}", ip(), side(),
                           protocol_, port_side(), inside(), ports(), verdict(), outside(), port(),
                           verdict());
      case 6:
        return fmt::format("numgen inc mod 3 vmap {{ 0 : {}, 1 : {} }}", verdict(), verdict());
      case 7:
        return protocol_ == "tcp"
                   ? random_.of({"tcp flags & (fin|syn|rst|ack) == syn", "tcp flags { syn, ack }",
                                 "tcp flags rst", "tcp option sack-perm exists"})
                   : random_.of({"udp length > 8", "udp checksum != 0"});
      default:
        return fmt::format("jhash {} mod 3 seed 0x{:x} vmap {{ 0 : {}, 2 : {} }}",
                           v6_ ? "ip6 saddr" : "ip saddr . ip daddr", random_.below(99), verdict(),
                           verdict());
    }
  }

  // --- what remembers ---

  std::string remembering() {
    const std::string key = fmt::format("{} {}", ip(), side());
    const char* how = random_.of({"add", "update"});
    switch (random_.below(12)) {
      case 0:
        return fmt::format("{} @pairs{} {{ {} saddr . {} {} }}",
                           random_.of({"add", "update", "delete"}), digit(), ip(), protocol_,
                           port_side());
      case 1:
        return fmt::format("{} @to{} {{ {} saddr : {} daddr }}", how, digit(), ip(), ip());
      case 2:
        // Wider keys with data nft 1.0.6 does not write: it dies.
        if (v6_) return "counter name \"n0\"";
        return fmt::format("{} @marks{} {{ {} saddr . {} dport : {} }}", how, digit(), ip(),
                           protocol_, random_.of({"0x7", "meta mark", "ct mark"}));
      case 3:
        return fmt::format("meta mark set {} saddr . {} dport map @marks{}", ip(), protocol_,
                           digit());
      case 4:
        return fmt::format("{} @spent{} {{ {} quota {} {} bytes }}", how, digit(), key,
                           random_.of({"over", "until"}), random_.of({100, 300, 900}));
      case 5:
        return fmt::format("{} @limited{} {{ {} limit rate {}{}/hour burst {} packets }}", how,
                           digit(), key, random_.of({"", "over "}), 1 + random_.below(3),
                           1 + random_.below(4));
      case 6:  // this the kernel looks at once a tick, so that it takes its time
        if (!counts_) return fmt::format("{} @each{}", key, digit());
        return fmt::format("add @counted{} {{ {} ct count {}{} }}", digit(), key,
                           random_.of({"", "over "}), random_.below(3));
      case 7:
        return fmt::format("quota name ct state map {{ new : \"q0\", established : \"q1\" }}");
      case 8:
        return fmt::format("limit name {} {} map {{ 22 : \"l0\", 80-443 : \"l1\" }}", protocol_,
                           port_side());
      case 9:
        return fmt::format("ct mark set {} {} map {{ {} : 0x7, {} : 0x13 }}", ip(), side(),
                           inside(), outside());
      case 10:
        return random_.of({"ct mark set ct mark and 0xf0 or 0x3", "ct mark set meta mark",
                           "meta mark set ct mark", "ct mark set numgen inc mod 4",
                           "meta mark set ct mark and 0x7"});
      default:
        return fmt::format("counter name \"n0\" quota name \"q{}\"", random_.below(2));
    }
  }

  std::string change_of_header(bool before_tracking) {
    if (random_.percent(50)) {
      return protocol_ == "tcp"
                 ? random_.of({"tcp window set 100", "tcp option maxseg size set 100",
                               "tcp flags set ack", "reset tcp option sack-perm",
                               "reset tcp option window"})
                 : random_.of({"udp checksum set 0", "meta length > 0"});
    }
    if (!before_tracking) return fmt::format("{} {} set 9", ip(), v6_ ? "hoplimit" : "ttl");
    return random_.percent(50) ? fmt::format("{} dport set {}", protocol_, port())
                               : fmt::format("{} {} set {}", ip(), side(), address());
  }

  std::string rejection() {
    if (protocol_ == "tcp" && random_.percent(50)) return "meta l4proto tcp reject with tcp reset";
    if (random_.percent(40)) return "reject";
    if (table_.family == "inet") return "reject with icmpx type admin-prohibited";
    return v6_ ? "reject with icmpv6 type addr-unreachable"
               : "reject with icmp type host-prohibited";
  }

  // --- rules ---

  void begin_rule() {
    v6_ = has(true) && (!has(false) || random_.percent(35));
    protocol_ = random_.of({"tcp", "tcp", "udp"});
  }

  std::string filter_rule(std::string_view hook, int priority = 0) {
    begin_rule();
    const bool before_tracking = priority <= -300;
    std::string text;
    for (std::uint32_t left = random_.weighted({15, 50, 35}); left > 0; --left) {
      std::string match = !before_tracking && random_.percent(50) ? by_connection() : by_packet();
      if ((hook == "output" || hook == "postrouting") && match.starts_with("iifname")) {
        match.replace(0, 7, "oifname");
      }
      text += match + " ";
      if (match.find(" vmap ") != std::string::npos) return text;
    }
    if (before_tracking && hook != "" && random_.percent(20)) {
      return text +
             random_.of<std::string>(
                 {"ct zone set 3", "notrack", "ct original zone set 3", "ct reply zone set 3",
                  hook == "prerouting" ? "ct zone set iifname map { eth0 : 3, eth1 : 4 }"
                                       : "ct zone set oifname map { eth0 : 3 }"});
    }
    if (random_.percent(30))
      text += (before_tracking ? std::string("meta mark set 0x7") : remembering()) + " ";
    if (random_.percent(12)) text += change_of_header(before_tracking) + " ";
    if (hook == "prerouting" && random_.percent(8)) text += by_socket();
    if (hook != "" && hook != "postrouting" && random_.percent(8)) return text + rejection();
    return text + verdict();
  }

  std::string device_rule(std::string_view hook) {
    begin_rule();
    std::string text;
    for (std::uint32_t left = random_.weighted({15, 50, 35}); left > 0; --left) {
      const std::string match = by_packet();
      if (match.starts_with("meta mark")) continue;  // by which the judge tells its own
      text += match + " ";
      if (match.find(" vmap ") != std::string::npos) return text;
    }
    if (random_.percent(40)) {
      const std::string remembers = remembering();
      const bool of_stack = remembers.find("ct ") != std::string::npos ||
                            remembers.find("meta mark") != std::string::npos;
      text += of_stack ? "counter name \"n0\" quota name \"q1\" " : remembers + " ";
    }
    if (hook == "ingress" && random_.percent(15)) {
      text += change_of_header(random_.percent(40)) + " ";
    }
    return text + verdict();
  }

  // Where no program takes what is for others, neither finds a socket.
  std::string by_socket() {
    std::string text = table_.family == "inet" ? fmt::format("meta nfproto ipv{} ", digit()) : "";
    if (random_.percent(40)) return text + "socket transparent " + random_.of({"0 ", "1 "});
    return text + fmt::format("meta l4proto {} tproxy {}to :{} {} ", protocol_,
                              table_.family == "inet" ? std::string(ip()) + " " : "",
                              random_.of({"80", "8080"}), random_.of({"", "counter"}));
  }

  void add_filter(std::string_view hook, std::uint32_t number) {
    const bool early = hook == "prerouting" || hook == "output";
    // Between reassembly, tracking, both translations, helpers, and what confirms.
    const int priority = early ? random_.of({-450, -300, -250, -150, -150, -99, -101, 0, 10, 500})
                               : random_.of({-225, -150, 0, 0, 10, 99, 101, 250, 400});
    const bool routes = hook == "output" && random_.percent(30);
    ChainText chain{
        fmt::format("{}{}", hook, number),
        fmt::format("type {} hook {} priority {}; policy {};", routes ? "route" : "filter", hook,
                    priority, random_.percent(88) ? "accept" : "drop"),
        {}};
    for (std::uint32_t left = 1 + random_.below(4); left > 0; --left) {
      chain.rules.push_back(filter_rule(hook, priority));
    }
    table_.chains.push_back(std::move(chain));
  }

  // --- translations ---

  std::string flags() {
    return random_.percent(75) ? "" : random_.of({" persistent", " random", " fully-random"});
  }

  std::string source_translation(std::string_view hook, const std::string& to) {
    const std::string outer = v6_ ? "2001:db8:9::40" : "198.51.100.40";
    const std::string of_port = v6_ ? fmt::format("[{}]", outer) : outer;
    switch (random_.below(hook == "postrouting" ? 8 : 5)) {
      case 0:
        return "snat " + to + " to " + outer + flags();
      case 1:
        return fmt::format("meta l4proto {} snat {} to {}:{}{}", protocol_, to, of_port,
                           random_.of({"2000-2003", "5000", "1024-65535", "300-310"}), flags());
      case 2:
        return v6_ ? fmt::format(
                         "snat {} to ip6 saddr map {{ 2001:db8:9:1::5 : 2001:db8:9::41, "
                         "2001:db8::9 : 2001:db8:9::42 }}",
                         to)
                   : fmt::format(
                         "snat {} to ip saddr map {{ 10.9.1.5 : 198.51.100.41, 192.0.2.9 : "
                         "198.51.100.42 }}",
                         to);
      case 3:
        return v6_ ? "snat ip6 prefix to ip6 saddr map { 2001:db8:9:1::/64 : 2001:db8:8:1::/64 }"
                   : "snat ip prefix to ip saddr map { 10.9.1.0/24 : 198.51.101.0/24 }";
      case 4:
        return fmt::format("snat {} to {} saddr map @to{}", to, ip(), digit());
      case 5:
        return fmt::format("meta l4proto {} masquerade to :{}{}", protocol_,
                           random_.of({"5000-5003", "7000", "1024-65535"}), flags());
      default:
        return "masquerade" + flags();
    }
  }

  std::string target_translation(const std::string& to) {
    switch (random_.below(10)) {
      case 0:
        return fmt::format("dnat {} to {}{}", to, inside(), flags());
      case 1:
        return fmt::format("dnat {} to {} dport map {{ 22 : {}, 80 : {}, 443 : {} }}", to,
                           protocol_, inside(), inside(), outside());
      case 2:
        return fmt::format("dnat {} addr . port to {} dport map {{ 22 : {} . 443, 80 : {} . 22 }}",
                           to.empty() ? ip() : to, protocol_, inside(), outside());
      case 3:
        return fmt::format("dnat {} to numgen inc mod 2 map {{ 0 : {}, 1 : {} }}", to, inside(),
                           inside());
      case 4:
        return fmt::format("dnat {} to jhash {} saddr mod 2 seed 0x{:x} map {{ 0 : {}, 1 : {} }}",
                           to, ip(), random_.below(99), inside(), outside());
      case 5:
        return v6_ ? "dnat ip6 prefix to ip6 daddr map { 2001:db8:9::/64 : 2001:db8:9:1::/64 }"
                   : "dnat ip prefix to ip daddr map { 198.51.100.0/24 : 10.9.1.0/24 }";
      case 6:
        return fmt::format(
            "meta l4proto {0} redirect to :{0} dport map {{ 22 : 2222, 80 : 443, 53 : 5353 }}",
            protocol_);
      case 7:
        return fmt::format("meta l4proto {} redirect to :{}{}", protocol_,
                           random_.of({"8000-8003", "80"}), flags());
      case 8:
        return fmt::format("dnat {} to {} saddr map @to{}", to, ip(), digit());
      default:
        return fmt::format("meta l4proto {} dnat {} to {}:{}{}", protocol_, to,
                           v6_ ? fmt::format("[{}]", inside()) : inside(),
                           random_.of({"80-82", "443", "1000-1010"}), flags());
    }
  }

  std::string nat_rule(std::string_view hook) {
    begin_rule();
    std::string text = table_.family == "inet" ? fmt::format("meta nfproto ipv{} ", digit()) : "";
    if (random_.percent(45))
      text +=
          unless(fmt::format("{} {}", ip(), side()), random_.percent(50) ? address() : network()) +
          " ";
    if (random_.percent(15)) text += unless("ct mark", random_.of({"0x0", "0x7"})) + " ";
    if (random_.percent(15)) text += remembering() + " ";
    const std::string to = table_.family == "inet" ? ip() : "";
    if (random_.percent(10)) return text + verdict();
    const bool of_sources = hook == "postrouting" || hook == "input";
    return text + (of_sources ? source_translation(hook, to) : target_translation(to));
  }

  void add_nat(std::string_view hook) {
    const bool of_sources = hook == "postrouting" || hook == "input";
    const int priority =
        of_sources ? random_.of({100, 100, 90, 120}) : random_.of({-100, -100, -110, -50});
    ChainText chain{fmt::format("nat-{}", hook),
                    fmt::format("type nat hook {} priority {}; policy accept;", hook, priority),
                    {}};
    const std::vector<std::string> kept = std::move(targets_);
    targets_.clear();
    for (std::uint32_t left = 1 + random_.below(3); left > 0; --left) {
      chain.rules.push_back(nat_rule(hook));
    }
    targets_ = kept;
    table_.chains.push_back(std::move(chain));
  }

  void add_sets() {
    for (const bool v6 : {false, true}) {
      if (!has(v6)) continue;
      const int n = v6 ? 6 : 4;
      const std::string type = fmt::format("ipv{}_addr", n);
      const char* in = v6 ? "2001:db8:9:1::5" : "10.9.1.5";
      const char* out = v6 ? "2001:db8::9" : "192.0.2.9";
      const auto size = [&] { return 2 + random_.below(5); };
      table_.sets.push_back(
          fmt::format("set pairs{} {{ type {} . inet_service; flags dynamic; size {}; elements = "
                      "{{ {} . 22, {} . 40000 }} }}",
                      n, type, size(), in, out));
      table_.sets.push_back(fmt::format(
          "map to{} {{ type {} : {}; flags dynamic; size {}; elements = {{ {} : {} }} }}", n, type,
          type, size(), out, in));
      table_.sets.push_back(
          fmt::format("map marks{} {{ type {} . inet_service : mark; flags dynamic; size {}; "
                      "elements = {{ {} . 80 : 0x3 }} }}",
                      n, type, size(), in));
      table_.sets.push_back(fmt::format(
          "set each{} {{ type {}; {}; elements = {{ {}, {} }} }}", n, type,
          random_.of({"counter", "quota over 200 bytes", "limit rate 2/hour burst 2 packets",
                      "quota 500 bytes", "limit rate over 1/hour burst 3 packets"}),
          in, out));
      table_.sets.push_back(
          fmt::format("set spent{} {{ type {}; flags dynamic; size {}; }}", n, type, size()));
      table_.sets.push_back(
          fmt::format("set limited{} {{ type {}; flags dynamic; size {}; }}", n, type, size()));
      table_.sets.push_back(
          fmt::format("set counted{} {{ type {}; flags dynamic; size {}; }}", n, type, size()));
    }
    table_.sets.emplace_back("counter n0 { }");
    table_.sets.emplace_back("quota q0 { over 300 bytes }");
    table_.sets.emplace_back("quota q1 { 700 bytes used 100 bytes }");
    table_.sets.emplace_back("limit l0 { rate 3/hour burst 2 packets }");
    table_.sets.emplace_back("limit l1 { rate over 2/hour burst 3 packets }");
  }

  Random& random_;
  TableText table_;
  std::vector<std::string> targets_;
  bool counts_ = false;  // connections, in elements
  // Of the rule that is being written.
  bool v6_ = false;
  std::string protocol_;
};

}  // namespace

RulesetText generate_shapes(std::uint64_t seed) {
  Random random(Random(seed).next());
  RulesetText ruleset;
  const std::uint32_t count = 1 + random.below(3);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string family = random.of<const char*>({"inet", "inet", "ip", "ip", "ip6"});
    ruleset.tables.push_back(ShapeWriter(random, family, fmt::format("t{}", i)).write());
  }
  if (random.percent(30)) {
    ruleset.tables.push_back(ShapeWriter(random, "netdev", "links").write_of_devices());
  }
  return ruleset;
}

}  // namespace rolewall::kernel_judge
