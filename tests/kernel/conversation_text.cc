#include "conversation_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <tuple>

#include "random.h"

namespace rolewall::kernel_judge {
namespace {

class Writer {
 public:
  explicit Writer(std::uint64_t seed) : random_(Random(seed).next()) {}

  RulesetText write() {
    table_.family = random_.of<const char*>({"inet", "inet", "ip", "ip6"});
    table_.name = "talk";
    counts_ = random_.percent(6);
    times_ = random_.percent(10);
    draws_ = random_.percent(25);
    ages_ = random_.percent(5);
    if (ages_) add_sets();
    if (times_) add_timeouts();
    for (const char* hook : {"prerouting", "input", "forward", "output", "postrouting"}) {
      if (random_.percent(75)) add_filter(hook);
    }
    if (random_.percent(70)) {
      for (const char* hook : {"prerouting", "output", "postrouting", "input"}) {
        const bool often = std::string_view(hook) != "input" && std::string_view(hook) != "output";
        if (random_.percent(often ? 85 : 35)) add_nat(hook);
      }
    }
    RulesetText ruleset;
    ruleset.tables.push_back(std::move(table_));
    return ruleset;
  }

 private:
  std::string unless(std::string_view what, std::string_view value) {
    return fmt::format("{} {}{}", what, random_.percent(25) ? "!= " : "", value);
  }
  const char* state() {
    return random_.of<const char*>({"new", "established", "related", "invalid", "untracked",
                                    "new,established", "established,related"});
  }
  std::string address() {
    if (v6_) {
      return random_.of<const char*>({"2001:db8:9::1", "2001:db8::9", "2001:db8:9:1::/64",
                                      "2001:db8:9:1::5", "2001:db8:ffff::1"});
    }
    return random_.of<const char*>(
        {"198.51.100.7", "192.0.2.9", "10.9.1.0/24", "10.9.1.5", "203.0.113.200"});
  }
  const char* port() { return random_.of<const char*>({"22", "53", "80", "443", "40000", "8080"}); }
  const char* direction() { return random_.of<const char*>({"original", "reply"}); }
  const char* end() { return random_.of<const char*>({"saddr", "daddr"}); }

  std::string ct_match() {
    if (times_ && random_.percent(40)) {
      return fmt::format("ct expiration {} {}s", random_.of<const char*>({"<", ">=", "!="}),
                         random_.of({20, 29, 31, 100, 119, 121, 100000}));
    }
    switch (random_.weighted({30, 18, 8, 12, 10, 6, 8, 8, 4})) {
      case 0:
        return unless("ct state", state());
      case 1:
        return unless("ct status",
                      random_.of<const char*>({"seen-reply", "assured", "confirmed", "snat", "dnat",
                                               "seen-reply,assured", "snat,dnat"}));
      case 2:
        return unless("ct direction", direction());
      case 3:
        return unless(fmt::format("ct {} {} {}", direction(), v6_ ? "ip6" : "ip", end()),
                      address());
      case 4:
        return fmt::format("meta l4proto {} ", protocol_) +
               unless(fmt::format("ct {} {}", direction(),
                                  random_.of<const char*>({"proto-src", "proto-dst"})),
                      port());
      case 5:
        return unless("ct mark", random_.of<const char*>({"0x0", "0x7"}));
      case 6:
        return fmt::format("ct {} packets {} {}", direction(), random_.of<const char*>({">", "<="}),
                           random_.below(6));
      case 8:
        return unless("ct zone", random_.of<const char*>({"0", "3"}));
      default:
        return fmt::format("ct {} {}", random_.percent(50) ? "bytes" : "original bytes",
                           random_.of<const char*>({"> 100", "< 1000", "> 2000"}));
    }
  }

  std::string packet_match() {
    const std::string ip = v6_ ? "ip6" : "ip";
    switch (random_.weighted({30, 20, 20, 15, 15, 8})) {
      case 5:
        return unless("meta mark", random_.of<const char*>({"0x7", "0x17", "0x0"}));
      case 0:
        return unless(fmt::format("{} {}", ip, end()), address());
      case 1:
        return unless(fmt::format("{} dport", protocol_), port());
      case 2:
        return unless("meta l4proto", protocol_);
      case 3:
        if (protocol_ != "tcp") return "meta length > 100";
        return random_.of<const char*>({"tcp flags syn", "tcp flags & (fin|rst) != 0",
                                        "tcp flags & (syn|ack) == ack", "meta length > 100"});
      default:
        return unless("iifname", random_.of<const char*>({"eth0", "eth1"}));
    }
  }

  std::string matches(unsigned ct_chance, std::string_view hook) {
    std::string text;
    for (std::uint32_t left = random_.weighted({10, 55, 35}); left > 0; --left) {
      std::string match = random_.percent(ct_chance) ? ct_match() : packet_match();
      if ((hook == "output" || hook == "postrouting") && match.starts_with("iifname")) {
        match.replace(0, 7, "oifname");
      }
      text += match + " ";
    }
    return text;
  }

  void begin_rule() {
    v6_ = table_.family == "ip6" || (table_.family == "inet" && random_.percent(35));
    protocol_ = random_.of<const char*>({"tcp", "tcp", "udp"});
  }

  std::string filter_rule(std::string_view hook, bool early) {
    begin_rule();
    std::string text = matches(75, hook);
    // Of a datagram's fragments, the rules before reassembly know one from the other.
    if (early && random_.percent(40)) {
      text =
          v6_ ? random_.of<const char*>(
                    {"frag frag-off 0 ", "frag frag-off != 0 ", "frag more-fragments 1 "})
              : random_.of<const char*>({"ip frag-off & 0x1fff == 0 ", "ip frag-off & 0x1fff != 0 ",
                                         "ip frag-off & 0x2000 != 0 "});
    }
    if (random_.percent(15)) {
      text += random_.of<const char*>({"ct mark set 0x7 ", "ct mark set ct mark or 0x10 ",
                                       "counter ", "meta mark set ct mark "});
    }
    if (early && random_.percent(25)) return text + "notrack";
    // Behind connection tracking, where it comes too late.
    if (!early && (hook == "prerouting" || hook == "output") && random_.percent(10)) {
      text += random_.of<const char*>(
          {"notrack ", "notrack ct state untracked ", "notrack ct state != untracked "});
    }
    if (early && random_.percent(40)) {
      return text + random_.of<const char*>({"meta mark set 0x7", "meta mark set 0x17",
                                             "ct zone set 3", "meta priority set 1:2"});
    }
    if (counts_ && random_.percent(40)) {
      text += fmt::format("ct count {}{} ", random_.percent(60) ? "over " : "", random_.below(3));
    }
    if (draws_ && random_.percent(50)) text += chance();
    if (ages_ && random_.percent(60)) text += aged();
    if (times_ && !early && random_.percent(25)) {
      text +=
          fmt::format("ct timeout set \"{}\" ", random_.of<const char*>({"tcp0", "tcp1", "udp0"}));
    }
    const bool may_reject = hook == "input" || hook == "forward" || hook == "output";
    if (may_reject && random_.percent(8)) {
      return text + (protocol_ == "tcp" ? "meta l4proto tcp reject with tcp reset" : "reject");
    }
    return text + random_.of<const char*>({"accept", "accept", "drop", "continue", "counter"});
  }

  // Elements that last for less than a conversation, and some that packets may make last less.
  void add_sets() {
    for (const bool v6 : {false, true}) {
      if (table_.family == (v6 ? "ip" : "ip6")) continue;
      const std::string lasts = random_.percent(40) ? "timeout 200ms; " : "";
      table_.sets.push_back(
          fmt::format("set aged{} {{ type ipv{}_addr; flags dynamic,timeout; size {}; {}elements = "
                      "{{ {} }}; }}",
                      v6 ? 6 : 4, v6 ? 6 : 4, 2 + random_.below(4), lasts,
                      v6 ? "2001:db8::9 timeout 1h, 2001:db8:9:1::5 timeout 100s"
                         : "192.0.2.9 timeout 1h, 10.9.1.5 timeout 100s"));
    }
  }

  // What connections may be given in place of the kernel's times.
  void add_timeouts() {
    const char* family = table_.family == "ip6" ? "ip6" : "ip";
    for (const auto& [name, protocol, policy] :
         {std::tuple("tcp0", "tcp",
                     "syn_sent : 25, syn_recv : 33, established : 110, fin_wait : 24"),
          std::tuple("tcp1", "tcp", "established : 200000, close : 40, last_ack : 200"),
          std::tuple("udp0", "udp", "unreplied : 25, replied : 105")}) {
      table_.sets.push_back(
          fmt::format("ct timeout {} {{ protocol {}; l3proto {}; policy = {{ {} }}; }}", name,
                      protocol, family, policy));
    }
  }

  std::string aged() {
    const char* ip = v6_ ? "ip6" : "ip";
    const char* which = random_.percent(70) ? "saddr" : "daddr";
    if (random_.percent(40)) {
      return fmt::format("{} {} {}@aged{} ", ip, which, random_.percent(30) ? "!= " : "",
                         v6_ ? 6 : 4);
    }
    const char* timeout = random_.of<const char*>({" timeout 60ms", " timeout 300ms", ""});
    return fmt::format("{} @aged{} {{ {} {}{} }} ",
                       random_.of<const char*>({"add", "update", "update", "delete"}), v6_ ? 6 : 4,
                       ip, which, timeout);
  }

  void add_filter(std::string_view hook) {
    const bool may_be_early = hook == "prerouting" || hook == "output";
    const bool early = may_be_early && random_.percent(40);
    // Before connection tracking, and before fragments are put together.
    const char* priority = early ? random_.of<const char*>({"-300", "-450"})
                                 : random_.of<const char*>({"-150", "0", "0", "10", "110"});
    ChainText chain{fmt::format("{}", hook),
                    fmt::format("type filter hook {} priority {}; policy {};", hook, priority,
                                random_.percent(85) ? "accept" : "drop"),
                    {}};
    const std::uint32_t rules = 1 + random_.below(5);
    for (std::uint32_t i = 0; i < rules; ++i) chain.rules.push_back(filter_rule(hook, early));
    table_.chains.push_back(std::move(chain));
  }

  // A family is named where the table has both, and ports where the protocol has any.
  std::string nat_rule(std::string_view hook) {
    begin_rule();
    const bool ports = random_.percent(30);
    const bool of_sources = hook == "postrouting" || hook == "input";
    std::string text = matches(15, hook);
    if (ports) text += fmt::format("meta l4proto {} ", protocol_);
    const std::string ip = table_.family == "inet" ? (v6_ ? "ip6 " : "ip ") : "";
    if (table_.family == "inet") text = (v6_ ? "meta nfproto ipv6 " : "meta nfproto ipv4 ") + text;
    const std::string to_port = ports ? fmt::format(":{}", port()) : "";
    const auto addressed = [&](std::string_view what, const std::string& address) {
      const bool brackets = v6_ && ports;
      return fmt::format("{}{} {}to {}{}{}{}", text, what, ip, brackets ? "[" : "", address,
                         brackets ? "]" : "", to_port);
    };
    if (of_sources) {
      if (random_.percent(35) && hook == "postrouting") return text + "masquerade";
      const std::string single = v6_ ? random_.of<const char*>({"2001:db8:9::1", "2001:db8:9::40"})
                                     : random_.of<const char*>({"198.51.100.7", "198.51.100.40"});
      const std::string pool =
          v6_ ? "2001:db8:9::40-2001:db8:9::47" : "198.51.100.40-198.51.100.47";
      return addressed("snat", !ports && random_.percent(25) ? pool : single);
    }
    if (random_.percent(25)) return text + "redirect" + (ports ? " to " + to_port : "");
    const std::string single =
        v6_ ? random_.of<const char*>({"2001:db8:9:1::5", "2001:db8::9"})
            : random_.of<const char*>({"10.9.1.5", "10.9.1.77", "192.0.2.9"});
    const std::string pool = v6_ ? "2001:db8:9:1::40-2001:db8:9:1::43" : "10.9.1.40-10.9.1.43";
    return addressed("dnat", !ports && random_.percent(25) ? pool : single);
  }

  void add_nat(std::string_view hook) {
    const bool of_sources = hook == "postrouting" || hook == "input";
    ChainText chain{fmt::format("nat-{}", hook),
                    fmt::format("type nat hook {} priority {};", hook, of_sources ? 100 : -100),
                    {}};
    const std::uint32_t rules = 1 + random_.below(3);
    for (std::uint32_t i = 0; i < rules; ++i) chain.rules.push_back(nat_rule(hook));
    table_.chains.push_back(std::move(chain));
  }

  Random random_;
  // What the kernel draws, before something that remembers it.
  std::string chance() {
    const std::string drawn = random_.percent(60) ? "numgen random mod 2 0 " : "";
    return drawn + random_.of<const char*>({"limit rate 3/hour burst 2 packets ",
                                            "limit rate over 3/hour burst 2 packets ",
                                            "quota 400 bytes ", "quota over 300 bytes ",
                                            "ct mark set 0x7 ", "numgen inc mod 3 0 "});
  }

  TableText table_;
  bool draws_ = false;   // what only the kernel knows, and remembers
  bool ages_ = false;    // elements end
  bool times_ = false;   // how long connections still have
  bool counts_ = false;  // connections, which takes its time: the kernel looks once a tick
  // Of the rule that is being written.
  bool v6_ = false;
  std::string protocol_;
};

}  // namespace

RulesetText generate_conversation_ruleset(std::uint64_t seed) {
  return Writer(seed).write();
}

ruleset::ConntrackSettings generate_conntrack_settings(std::uint64_t seed) {
  Random random(Random(seed + 7).next());
  ruleset::ConntrackSettings settings;
  settings.tcp_loose = !random.percent(30);
  settings.tcp_be_liberal = random.percent(15);
  settings.tcp_ignore_invalid_rst = random.percent(15);
  settings.checksum = !random.percent(25);
  return settings;
}

}  // namespace rolewall::kernel_judge
