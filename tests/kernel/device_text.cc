#include "device_text.h"

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "random.h"

namespace rolewall::kernel_judge {
namespace {

std::string guard() {
  return fmt::format("meta mark != 0x{:x} accept", kDeviceMark);
}

class Writer {
 public:
  explicit Writer(std::uint64_t seed) : random_(Random(seed).next()) {}

  RulesetText write() {
    RulesetText ruleset;
    ruleset.tables.push_back(of_devices());
    copies_ = random_.percent(40);
    if (random_.percent(60)) ruleset.tables.push_back(of_stack());
    if (copies_) ruleset.tables.push_back(of_copies());
    add_ends(ruleset);
    return ruleset;
  }

 private:
  std::string unless(std::string_view what, std::string_view value) {
    return fmt::format("{} {}{}", what, random_.percent(25) ? "!= " : "", value);
  }
  std::string address() {
    if (v6_) {
      return random_.of<const char*>({"2001:db8:9::1", "2001:db8::9", "2001:db8:9:1::/64",
                                      "2001:db8:9:1::5", "{ 2001:db8::/48, 2001:db8:9::1 }"});
    }
    return random_.of<const char*>(
        {"198.51.100.7", "192.0.2.9", "10.9.1.0/24", "10.9.1.5", "{ 192.0.2.0/25, 10.9.1.77 }"});
  }
  std::string port() {
    return random_.of<const char*>({"22", "53", "443", "1024-65535", "{ 22, 80-443 }"});
  }

  std::string route_match(std::string_view hook) {
    if (hook == "output" || hook == "postrouting" || random_.percent(20)) {
      const std::string type = random_.of<const char*>({"local", "unicast", "multicast"});
      return unless(hook == "output" || hook == "postrouting"
                        ? random_.of<const char*>({"fib daddr . oif type", "fib saddr . oif type"})
                        : random_.of<const char*>({"fib daddr . iif type", "fib saddr type"}),
                    type);
    }
    return random_.of<std::string>(
        {"fib saddr . iif oif exists", "fib saddr . iif oif missing", "fib saddr oif \"eth1\"",
         "fib daddr oifname \"eth1\"", "fib saddr oifname != \"eth0\"", "fib daddr oif exists",
         "fib saddr . mark . iif oifname \"eth0\"", "fib daddr . iif oif missing"});
  }

  // What the judge's frames bear. What a packet leaves with at egress the kernel alone knows.
  std::string link_match() {
    return unless(random_.of<const char*>({"ether daddr", "ether saddr"}),
                  random_.of<const char*>({"02:00:00:00:00:01", "02:00:00:00:00:02",
                                           "02:00:00:00:01:01", "02:00:00:00:01:02"}));
  }

  std::string match(std::string_view hook) {
    const bool of_stack = !hook.empty() && hook != "ingress" && hook != "egress";
    if (of_stack && random_.percent(20)) return route_match(hook);
    if (hook == "ingress" && random_.percent(8)) return link_match();
    switch (random_.weighted({25, 25, 12, 20, 18})) {
      case 0:
        return unless(
            fmt::format("{} {}", v6_ ? "ip6" : "ip", random_.of<const char*>({"saddr", "daddr"})),
            address());
      case 1:
        return unless(
            fmt::format("{} {}", protocol_, random_.of<const char*>({"dport", "dport", "sport"})),
            port());
      case 2:
        return protocol_ == "tcp"
                   ? random_.of<std::string>({"tcp flags syn", "tcp flags & (syn|ack) == syn",
                                              "tcp option maxseg exists", "tcp doff > 5"})
                   : random_.of<std::string>({"udp length > 16", "udp checksum != 0"});
      case 3:
        return random_.of<std::string>(
            {"meta length > 64", "meta length 20-100", "meta protocol ip", "meta protocol ip6",
             unless("meta l4proto", protocol_), "meta pkttype host", "meta pkttype != host",
             "@th,16,16 22", "@th,0,32 != 0", "@nh,0,8 & 0xf0 == 0x40", "meta priority 0"});
      default:
        if (hook == "egress" || hook == "output" || hook == "postrouting") {
          return random_.of<std::string>({"oifname \"eth0\"", "oif \"eth1\"", "oifname \"eth*\"",
                                          "iifname \"eth0\"", "iifname != \"eth1\"",
                                          "oiftype ether", "oifgroup 0"});
        }
        return random_.of<std::string>({"iifname \"eth0\"", "iif \"eth1\"", "iifname != \"eth1\"",
                                        "oifname \"eth1\"", "iiftype ether", "iifgroup 0"});
    }
  }

  std::string matches(std::string_view hook) {
    v6_ = only_v6_ || (!only_v4_ && random_.percent(40));
    protocol_ = random_.of<const char*>({"tcp", "tcp", "udp"});
    std::string text;
    for (std::uint32_t left = random_.weighted({15, 55, 30}); left > 0; --left) {
      text += match(hook) + " ";
    }
    return text;
  }

  std::string verdict() {
    return random_verdict(random_, {30, 22, 30, 8, 10}, [&]() -> std::string {
      return target_.empty() ? "continue" : random_.of({"jump ", "goto "}) + target_;
    });
  }

  // Past the stack, or as a copy; the address alone says which family it is for.
  std::string elsewhere(bool arrives) {
    switch (random_.below(arrives ? 4 : 3)) {
      case 0:
        return fmt::format("fwd to \"{}\"", kAside);
      case 1:
        return v6_ ? fmt::format("fwd ip6 to 2001:db8:9:2::9 device \"{}\"", kAside)
                   : fmt::format("fwd ip to 10.9.2.9 device \"{}\"", kAside);
      case 2:
        return fmt::format("dup to \"{}\"", kAside);
      default:
        return "reject";
    }
  }

  std::string device_rule(std::string_view hook) {
    std::string text = matches(hook) + "counter ";
    const bool may = hook == "ingress" || hook == "egress";
    return text + (may && random_.percent(30) ? elsewhere(hook == "ingress") : verdict());
  }

  TableText of_devices() {
    TableText table{"netdev", "dev", {}, {}};
    ChainText jumped{"aside", "", {}};
    for (std::uint32_t left = 1 + random_.below(3); left > 0; --left) {
      jumped.rules.push_back(device_rule(""));
    }
    table.chains.push_back(std::move(jumped));
    target_ = "aside";
    for (std::uint32_t i = 0; i < 1 + random_.below(4); ++i) {
      const bool arrives = random_.percent(55);
      add_device_chain(table, i, arrives ? "ingress" : "egress");
    }
    target_.clear();
    return table;
  }

  void add_device_chain(TableText& table, std::uint32_t number, std::string_view hook) {
    const char* device =
        random_.of({"device \"eth0\"", "device \"eth1\"", "devices = { eth0, eth1 }"});
    ChainText chain{fmt::format("{}{}", hook, number),
                    fmt::format("type filter hook {} {} priority {}; policy {};", hook, device,
                                random_.of({"-500", "-10", "0", "0", "10"}),
                                random_.percent(85) ? "accept" : "drop"),
                    {guard()}};
    // A policy that drops would take the host's own packets too, but they are none of ours.
    for (std::uint32_t left = 1 + random_.below(4); left > 0; --left) {
      chain.rules.push_back(table.family == "netdev" ? device_rule(hook)
                                                     : matches(hook) + "counter " + verdict());
    }
    table.chains.push_back(std::move(chain));
  }

  std::string stack_rule(std::string_view hook) {
    std::string text = matches(hook);
    if (hook == "prerouting" && random_.percent(35)) {
      const std::uint16_t to = random_.percent(60) ? kTransparentPort : kTransparentPort + 1;
      const char* family = only_v4_ || only_v6_ ? "" : v6_ ? "ip6 " : "ip ";
      if (*family != '\0') text = fmt::format("meta nfproto {} ", v6_ ? "ipv6" : "ipv4") + text;
      return fmt::format("{}meta l4proto {} tproxy {}to :{} counter {}", text, protocol_, family,
                         to, random_.of({"accept", "continue", "drop"}));
    }
    if ((hook == "input" || hook == "forward") && random_.percent(20)) {
      return text + "meta l4proto tcp counter synproxy mss 1460 wscale 7 timestamp sack-perm";
    }
    return text + "counter " + verdict();
  }

  // A copy leaves by the hooks of what the host sends: no chain of ours may be there.
  bool meets_copies(std::string_view hook) const {
    return copies_ && (hook == "output" || hook == "postrouting");
  }

  TableText of_stack() {
    TableText table{"inet", "in", {}, {}};
    if (random_.percent(60)) add_device_chain(table, 0, "ingress");
    for (const char* hook : {"prerouting", "input", "forward", "output", "postrouting"}) {
      if (!random_.percent(45) || meets_copies(hook)) continue;
      ChainText chain{
          hook,
          fmt::format("type filter hook {} priority {}; policy {};", hook,
                      random_.of({"-150", "0", "10"}), random_.percent(85) ? "accept" : "drop"),
          {guard()}};
      for (std::uint32_t left = 1 + random_.below(4); left > 0; --left) {
        chain.rules.push_back(stack_rule(hook));
      }
      table.chains.push_back(std::move(chain));
    }
    return table;
  }

  // A copy to a group would come back to this host, and be copied again.
  TableText of_copies() {
    TableText table{random_.of({"ip", "ip6"}), "copies", {}, {}};
    only_v4_ = table.family == "ip";
    only_v6_ = table.family == "ip6";
    for (const char* hook : {"prerouting", "input", "forward"}) {
      if (!random_.percent(70)) continue;
      ChainText chain{
          hook, fmt::format("type filter hook {} priority -20; policy accept;", hook), {guard()}};
      for (std::uint32_t left = 1 + random_.below(2); left > 0; --left) {
        chain.rules.push_back(fmt::format(
            "{}{} dup to {} device \"{}\" counter {}", matches(hook),
            only_v6_ ? "ip6 daddr != ff00::/8" : "ip daddr != { 224.0.0.0/4, 255.255.255.255 }",
            only_v6_ ? "2001:db8:9:2::9" : "10.9.2.9", kAside, verdict()));
      }
      table.chains.push_back(std::move(chain));
    }
    only_v4_ = only_v6_ = false;
    return table;
  }

  // What came through: the first and the last of every hook.
  void add_ends(RulesetText& ruleset) const {
    TableText devices{"netdev", "ends-of-devices", {}, {}};
    const std::string counts = "counter";
    for (const char* hook : {"ingress", "egress"}) {
      devices.chains.push_back(
          {fmt::format("last-{}", hook),
           fmt::format("type filter hook {} devices = {{ eth0, eth1 }} priority 1000; policy "
                       "accept;",
                       hook),
           {guard(), counts}});
    }
    TableText stack{"inet", "ends", {}, {}};
    for (const std::string_view hook :
         {"prerouting", "input", "forward", "output", "postrouting"}) {
      if (meets_copies(hook)) continue;
      for (const auto& [which, priority] : {std::pair("first", -1000), {"last", 1000}}) {
        stack.chains.push_back(
            {fmt::format("{}-{}", which, hook),
             fmt::format("type filter hook {} priority {}; policy accept;", hook, priority),
             {guard(), counts}});
      }
    }
    // What rules send out there, one by one.
    if (!copies_) {
      devices.chains.push_back(
          {kAside,
           fmt::format("type filter hook egress device \"{}\" priority 0; policy accept;", kAside),
           {guard(), counts}});
    }
    // What leaves comes in again at the far end of its cable, which is no part of the host.
    devices.chains.push_back(
        {"far-ends",
         "type filter hook ingress devices = { far-end-0, far-end-1, far-end-2 } priority -2000; "
         "policy drop;",
         {}});
    ruleset.tables.push_back(std::move(devices));
    ruleset.tables.push_back(std::move(stack));
  }

  Random random_;
  bool copies_ = false;
  std::string target_;  // a chain that rules may jump to
  bool only_v4_ = false;
  bool only_v6_ = false;
  // Of the rule that is being written.
  bool v6_ = false;
  std::string protocol_;
};

}  // namespace

RulesetText generate_device_ruleset(std::uint64_t seed) {
  return Writer(seed).write();
}

}  // namespace rolewall::kernel_judge
