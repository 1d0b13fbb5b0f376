#include "ruleset_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "random.h"

namespace rolewall::kernel_judge {
namespace {

// One table, as it is written. Chains jump only to chains behind them, so that there is no loop.
class TableWriter {
 public:
  // `tracks`: may use conntrack, which holds fragments back from every rule.
  TableWriter(Random& random, std::string family, std::string name, bool tracks)
      : random_(random), tracks_(tracks) {
    table_.family = std::move(family);
    table_.name = std::move(name);
  }

  TableText write() {
    add_sets();
    const std::uint32_t bases = 1 + random_.below(3);
    const std::uint32_t others = random_.below(4);
    for (std::uint32_t i = 0; i < others; ++i) targets_.push_back(fmt::format("c{}", i));
    for (std::uint32_t i = 0; i < bases; ++i) add_base_chain(i);
    for (std::uint32_t i = 0; i < others; ++i) {
      targets_.erase(targets_.begin());
      ChainText chain{fmt::format("c{}", i), "", {}};
      fill(chain, 1 + random_.below(4));
      table_.chains.push_back(std::move(chain));
    }
    // nft wants a chain before what jumps to it.
    std::ranges::reverse(table_.chains);
    return std::move(table_);
  }

 private:
  bool has_ipv4() const { return table_.family != "ip6"; }
  bool has_ipv6() const { return table_.family != "ip"; }

  // --- values ---

  std::string ipv4() {
    return random_.of<const char*>({"10.9.0.1", "10.9.1.5", "10.9.1.77", "192.0.2.1", "192.0.2.9",
                                    "198.51.100.7", "203.0.113.200", "224.0.0.1", "127.0.0.1"});
  }
  std::string ipv4_prefix() {
    return random_.of<const char*>({"10.0.0.0/8", "10.9.0.0/16", "10.9.1.0/24", "192.0.2.0/25",
                                    "198.51.100.4/30", "203.0.113.128/26", "224.0.0.0/4",
                                    "0.0.0.0/1"});
  }
  std::string ipv4_range() {
    return random_.of<const char*>({"10.9.1.5-10.9.1.77", "192.0.2.1-192.0.2.130",
                                    "9.255.255.255-10.9.0.1", "198.51.100.0-203.0.113.7"});
  }
  std::string ipv6() {
    return random_.of<const char*>({"2001:db8:9::1", "2001:db8:9:1::5", "2001:db8::9", "fe80::1",
                                    "ff02::1", "::1", "2001:db8:ffff::1"});
  }
  std::string ipv6_prefix() {
    return random_.of<const char*>({"2001:db8::/32", "2001:db8:9:1::/64", "fe80::/10", "ff00::/8",
                                    "2001:db8:9::/127", "2000::/3"});
  }
  std::string port() {
    return random_.of<const char*>({"22", "53", "80", "443", "1024", "3306", "40000", "65535"});
  }
  std::string port_range() {
    return random_.of<const char*>({"0-1023", "1024-65535", "53-80", "443-3306", "40000-40001"});
  }
  std::string device() { return random_.of<const char*>({"eth0", "eth1", "lo"}); }
  std::string state() {
    return random_.of<const char*>({"new", "invalid", "untracked", "established", "related",
                                    "new,untracked", "established,related"});
  }
  std::string verdict() {
    return random_verdict(random_, {30, 27, 17, 8, 18}, [&]() -> std::string {
      return targets_.empty() ? "accept" : "jump " + random_.of(targets_);
    });
  }
  // "{ a, b, c }" of distinct values.
  template <class Make>
  std::string list(Make make) {
    std::vector<std::string> values;
    for (std::uint32_t left = 1 + random_.below(3); left > 0; --left) {
      std::string value = make();
      if (std::ranges::find(values, value) == values.end()) values.push_back(std::move(value));
    }
    return fmt::format("{{ {} }}", fmt::join(values, ", "));
  }
  std::string unless(std::string_view what, const std::string& value) {
    return fmt::format("{} {}{}", what, random_.percent(25) ? "!= " : "", value);
  }
  template <class Single, class Wide>
  std::string one_of(std::string_view what, Single single, Wide wide) {
    switch (random_.weighted({45, 30, 25})) {
      case 0:
        return unless(what, single());
      case 1:
        return unless(what, wide());
      default:
        return unless(what, list(single));
    }
  }

  // --- matches ---

  // nft refuses a rule whose matches contradict each other, so each rule is about one version and
  // one transport protocol (which it need not name).
  std::string address_match() {
    const bool v6 = v6_;
    const bool source = random_.percent(50);
    const std::string what = fmt::format("{} {}", v6 ? "ip6" : "ip", source ? "saddr" : "daddr");
    if (random_.percent(20)) return unless(what, v6 ? "@six" : "@four");
    if (random_.percent(15)) return unless(what, v6 ? "@nets6" : "@nets4");
    if (random_.percent(8) && !v6) return fmt::format("{} & 255.255.0.255 == 10.9.0.5", what);
    if (v6) return one_of(what, [&] { return ipv6(); }, [&] { return ipv6_prefix(); });
    return one_of(
        what, [&] { return ipv4(); },
        [&] { return random_.percent(50) ? ipv4_prefix() : ipv4_range(); });
  }

  std::string header_match() {
    if (v6_) {
      return random_.of<std::string>({unless("ip6 nexthdr", protocol_), "ip6 hoplimit < 64",
                                      "ip6 length > 40", "ip6 flowlabel 0", "ip6 dscp != cs0",
                                      "ip6 version 6", "ip6 hoplimit { 1, 64, 255 }"});
    }
    return random_.of<std::string>({unless("ip protocol", protocol_), "ip ttl < 64", "ip ttl 1-63",
                                    "ip length > 60", "ip id 0", "ip dscp cs1", "ip dscp != cs0",
                                    "ip frag-off & 0x1fff != 0", "ip frag-off & 0x2000 == 0x2000",
                                    "ip hdrlength > 5", "ip version 4", "ip checksum != 0"});
  }

  std::string port_match() {
    const std::string what =
        fmt::format("{} {}", protocol_, random_.of<const char*>({"dport", "sport"}));
    if (random_.percent(15)) return unless(what, "@ports");
    return one_of(what, [&] { return port(); }, [&] { return port_range(); });
  }

  std::string transport_match() {
    if (random_.percent(20)) {
      return random_.of<std::string>({"@th,0,16 > 1024", "@th,16,16 != 80", "@th,0,32 0x9c400050",
                                      "@th,104,8 & 2 == 2", "@nh,0,8 & 0xf0 == 0x40", "@nh,64,8 64",
                                      "@th,0,64 != 0", "@th,8,24 > 5"});
    }
    if (protocol_ == "icmp") {
      return random_.of<std::string>({"icmp type { echo-request, echo-reply }", "icmp code 0",
                                      "icmp type != echo-request", "icmp id > 5"});
    }
    if (protocol_ == "icmpv6") {
      return random_.of<std::string>({"icmpv6 type != echo-request", "icmpv6 code 0",
                                      "icmpv6 type { nd-neighbor-solicit, echo-request }"});
    }
    if (random_.percent(50)) return port_match();
    if (random_.percent(15)) {
      return fmt::format("th {} {}", random_.of<const char*>({"dport", "sport"}),
                         random_.percent(50) ? port() : port_range());
    }
    if (protocol_ == "udp") {
      return random_.of<std::string>({"udp length > 16", "udp checksum 0", "udp length 8-20"});
    }
    if (protocol_ == "sctp") {
      return random_.of<std::string>({"sctp vtag 0", "sctp checksum != 0"});
    }
    return random_.of<std::string>(
        {"tcp flags syn", "tcp flags { syn, ack }", "tcp flags & (fin|syn|rst|ack) == syn",
         "tcp flags & (syn|rst) == 0", "tcp flags != syn", "tcp flags syn / fin,syn,rst,ack",
         "tcp doff > 5", "tcp window 0-1000", "tcp sequence 0", "tcp urgptr 0", "tcp ackseq != 0",
         "tcp checksum != 1"});
  }

  std::string meta_match() {
    if (!readers_.empty() && random_.percent(40)) return random_.of(readers_);
    return random_.of<std::string>(
        {unless("meta l4proto", protocol_), "meta length > 64", "meta length 20-100",
         "meta protocol ip", unless("meta mark", "0x5"), "meta mark & 0xf0 == 0x10",
         unless("iifname", device()), unless("oifname", device()), "iifname \"eth*\"",
         "iifname { eth0, lo }", unless("meta pkttype", "host"), "meta pkttype multicast",
         "meta skuid 0", "meta skuid 1-1000", "meta priority 0"});
  }

  std::string ct_match() {
    return random_.of<std::string>(
        {unless("ct state", state()), "ct state { new, untracked }",
         "ct state vmap { invalid : accept, new : continue }", "ct direction original",
         "ct status snat", "ct mark 0x7", "ct mark != 0x7", unless("ct l3proto", "ipv4"),
         "ct protocol " + protocol_,
         v6_ ? "ct original ip6 daddr 2001:db8:9::1" : "ct original ip saddr 10.9.1.0/24",
         "ct status & (seen-reply|assured) == 0"});
  }

  // What is found by its type, and there or not.
  std::string option_match() {
    if (protocol_ == "tcp" && random_.percent(60)) {
      return random_.of<std::string>({"tcp option maxseg exists", "tcp option maxseg size > 1000",
                                      "tcp option maxseg missing", "tcp option sack-perm exists",
                                      "tcp option window missing", "tcp option timestamp exists",
                                      "tcp option window count 0-8"});
    }
    if (protocol_ == "sctp" && random_.percent(60)) {
      return random_.of<std::string>({"sctp chunk init exists", "sctp chunk data missing",
                                      "sctp chunk init flags 0", "sctp chunk init initial-tsn 0",
                                      "sctp chunk cookie-ack exists"});
    }
    if (v6_) {
      return random_.of<std::string>(
          {"exthdr frag exists", "exthdr frag missing", "exthdr hbh exists", "exthdr dst missing",
           "exthdr rt exists", "frag more-fragments 1", "frag frag-off 0", "frag id > 5",
           "hbh hdrlength 0", "dst nexthdr tcp", "rt type 0",
           // of headers that end in nothing, too
           "meta l4proto != " + protocol_, "meta l4proto < 6", "meta l4proto != { tcp, udp }"});
    }
    return random_.of<std::string>({"ip option lsrr exists", "ip option rr missing",
                                    "ip option ra exists", "ip option ssrr missing",
                                    "ip option ra value 0", "ip option rr ptr 4"});
  }

  // What the host knows; of what it draws, the judge takes the way that the kernel went.
  std::string host_match(std::string_view hook) {
    const bool arrives = hook == "prerouting" || hook == "input";
    if (!arrives && (hook == "output" || hook == "postrouting") && random_.percent(20)) {
      return random_.of<std::string>({"fib daddr . oif type local", "fib saddr . oif type local",
                                      "fib daddr . oif type != unicast",
                                      "fib saddr . mark . oif type local"});
    }
    if (hook == "prerouting" && random_.percent(15)) return "iifname != \"lo\" rt ipsec missing";
    switch (random_.below(arrives ? 8 : 6)) {
      case 0:
        return unless(random_.of<const char*>({"fib daddr type", "fib saddr type"}),
                      random_.of<const char*>({"local", "unicast", "multicast", "broadcast"}));
      case 1:
        return unless(fmt::format("jhash {} mod 4 seed 0x{:x}", v6_ ? "ip6 saddr" : "ip saddr",
                                  random_.below(1000)),
                      std::to_string(random_.below(4)));
      case 2:
        return unless("numgen random mod 3", std::to_string(random_.below(3)));
      case 3:
        return random_.of<std::string>({"numgen inc mod 2 0", "numgen inc mod 3 offset 5 != 6",
                                        "numgen inc mod 7 offset 3 3", "numgen inc mod 4 != 0"});
      case 4:
        return random_.of<std::string>({"meta random < 2000000000", "meta cpu 0",
                                        "meta hour \"08:00\"-\"20:00\"", "meta day != \"Monday\"",
                                        "oif \"eth0\"", "iifgroup 0", "oiftype ether"});
      case 5:  // what is put on the loopback lacks the route that a packet of its own has
        return random_.of<std::string>(
            {"iifname != \"lo\" rt ipsec missing", "iifname != \"lo\" rt ipsec exists"});
      case 6:
        return random_.of<std::string>(
            {"fib saddr . iif oif exists", "fib saddr . iif oif missing",
             "fib daddr . iif type local", "fib saddr oifname \"eth0\"",
             "fib daddr . iif type { local, broadcast, multicast }", "fib saddr oif \"eth1\"",
             "fib saddr oif != \"eth0\"", "fib daddr oif exists", "fib daddr oifname \"eth*\"",
             "fib saddr . mark oif \"eth0\"", "fib saddr . mark . iif oif missing",
             "fib saddr . iif type != local",
             "fib daddr . mark . iif type vmap { unicast : continue, local : accept }",
             "fib saddr . iif oifname { \"eth0\", \"lo\" }"});
      default:
        return random_.of<std::string>(
            {"socket transparent 1", "socket wildcard 0", "socket mark 0x5"});
    }
  }

  // What a concatenation can be made of, and values of it that do not overlap: those of the host's
  // byte order and of one byte too, which nft swaps where there are ranges.
  struct Part {
    std::string key;
    std::vector<std::string> values;
  };
  std::vector<Part> parts(std::string_view hook) const {
    std::vector<Part> all{
        {"meta l4proto", {"tcp", "udp", "sctp", "icmp", "ipv6-icmp", "50-103"}},
        {"th dport", {"22", "53-80", "443", "1024-65535"}},
        {"th sport", {"22", "53", "80-443", "40000"}},
        {"meta mark", {"0x0", "0x5", "0x6-0x10", "0x11"}},
        {"meta length", {"20-63", "64", "65-1500"}},
        {"meta priority", {"0", "1-9"}},
        {"meta protocol", {"ip", "ip6"}},
        {"meta pkttype", {"host", "broadcast", "multicast", "other"}},
        {"iifname", {"eth0", "eth1", "lo"}},
        {"meta iifgroup", {"0", "1-5"}},
        {"iiftype", {"ether", "loopback"}},
        {"meta cpu", {"0", "1", "2-9"}},
    };
    if (table_.family == "inet") all.push_back({"meta nfproto", {"ipv4", "ipv6"}});
    const auto add = [&](std::initializer_list<Part> more) { all.insert(all.end(), more); };
    if (hook == "output" || hook == "postrouting") {
      add({{"oifname", {"eth0", "eth1", "lo"}}, {"meta skuid", {"0", "1-999", "1000"}}});
    }
    if (tracks_) {
      add({{"ct state", {"new", "invalid", "untracked", "established"}},
           {"ct mark", {"0x0", "0x7", "0x8-0x20"}},
           {"ct direction", {"original", "reply"}}});
    }
    if (v6_) {
      add({{"ip6 saddr", {"2001:db8:9:1::/64", "2001:db8::9", "fe80::/10", "::-2001:db7::"}},
           {"ip6 daddr", {"2001:db8:9::1", "2001:db8:ffff::/48", "ff00::/8"}},
           {"ip6 hoplimit", {"1", "64", "65-255"}},
           {"ip6 length", {"0-23", "24", "25-1460"}},
           {"ip6 nexthdr", {"tcp", "udp", "sctp", "ipv6-icmp"}}});
    } else {
      add({{"ip saddr", {"10.9.1.0/24", "192.0.2.9", "198.51.100.0-198.51.100.80"}},
           {"ip daddr", {"10.9.0.1", "198.51.100.0/25", "224.0.0.0/4"}},
           {"ip ttl", {"1", "64", "65-255"}},
           {"ip id", {"0", "1-65535"}},
           {"ip length", {"20-63", "64", "65-1500"}},
           {"ip dscp", {"cs0", "cs1", "16-40"}},
           {"ip protocol", {"tcp", "udp", "sctp", "icmp"}}});
    }
    if (protocol_ == "tcp") {
      // Not "syn | ack": there nft 1.0.6 uses memory that it has freed.
      add({{"tcp flags", {"syn", "ack"}}, {"tcp window", {"0-1000", "1001-65535"}}});
    } else if (protocol_ == "udp") {
      add({{"udp length", {"8-20", "21-44", "45-65535"}}});
    } else if (protocol_ == "icmp") {
      add({{"icmp type", {"echo-request", "echo-reply"}}, {"icmp code", {"0", "1-9"}}});
    } else if (protocol_ == "icmpv6") {
      add({{"icmpv6 type", {"echo-request", "echo-reply", "nd-neighbor-solicit"}}});
    }
    return all;
  }

  struct Joined {
    std::string keys;
    std::vector<std::string> elements;
  };
  Joined joined(std::string_view hook) {
    std::vector<Part> all = parts(hook);
    std::vector<Part> chosen;
    for (std::uint32_t left = 2 + random_.below(3); left > 0; --left) {
      const std::uint32_t at = random_.below(static_cast<std::uint32_t>(all.size()));
      chosen.push_back(std::move(all[at]));
      all.erase(all.begin() + at);
    }
    Joined made;
    for (const Part& part : chosen) made.keys += (made.keys.empty() ? "" : " . ") + part.key;
    const std::size_t most = 1 + random_.below(3);
    for (std::size_t i = 0; i < std::min(chosen[0].values.size(), most); ++i) {
      std::string element = chosen[0].values[i];
      for (std::size_t p = 1; p < chosen.size(); ++p)
        element += " . " + random_.of(chosen[p].values);
      made.elements.push_back(std::move(element));
    }
    return made;
  }

  std::string concatenation(std::string_view hook) {
    const bool v6 = v6_;
    const std::string key = v6 ? "ip6 saddr . tcp dport" : "ip saddr . tcp dport";
    if (protocol_ == "tcp" && random_.percent(25)) return unless(key, v6 ? "@pairs6" : "@pairs4");
    const Joined made = joined(hook);
    return unless(made.keys, fmt::format("{{ {} }}", fmt::join(made.elements, ", ")));
  }

  std::string match(std::string_view hook) {
    switch (random_.weighted({26, 10, 28, 15, 10, 9, 8, 8})) {
      case 0:
        return address_match();
      case 1:
        return header_match();
      case 2:
        return transport_match();
      case 3:
        return meta_match();
      case 4:
        return tracks_ ? ct_match() : transport_match();
      case 5:
        return concatenation(hook);
      case 6:
        return option_match();
      default:
        return host_match(hook);
    }
  }

  // Writes, of which some change the way that the packet takes: but what is put on the loopback,
  // which lacks the route that a packet of its own has.
  std::string payload_write(std::string_view hook) {
    if (hook == "output" && random_.percent(30)) {
      return v6_ ? random_.of<std::string>({"ip6 daddr set 2001:db8:9:1::5",
                                            "ip6 daddr set 2001:db8::9", "ip6 hoplimit set 9"})
                 : random_.of<std::string>({"ip daddr set 10.9.1.5", "ip daddr set 192.0.2.9",
                                            "ip daddr set 10.9.0.1"});
    }
    if (protocol_ == "tcp" && random_.percent(50)) {
      return random_.of<std::string>({"tcp dport set 22", "tcp sport set 443", "tcp flags set syn",
                                      "tcp window set 5", "tcp option maxseg size set 900",
                                      "tcp option maxseg size set 1200",
                                      "tcp option maxseg size set rt mtu",
                                      "reset tcp option timestamp", "reset tcp option sack-perm"});
    }
    if (protocol_ == "udp" && random_.percent(50)) {
      return random_.of<std::string>({"udp dport set 53", "udp sport set 22"});
    }
    if (v6_) {
      return random_.of<std::string>({"ip6 hoplimit set 9", "ip6 dscp set cs1",
                                      "ip6 flowlabel set 3", "ip6 saddr set 2001:db8:9:1::5",
                                      "iifname != \"lo\" ip6 daddr set 2001:db8:9:1::5"});
    }
    return random_.of<std::string>({"ip ttl set 9", "ip dscp set cs1", "ip saddr set 10.9.1.5",
                                    "iifname != \"lo\" ip daddr set 10.9.1.5",
                                    "iifname != \"lo\" ip daddr set 192.0.2.9"});
  }

  // The packets' segment sizes lie on both sides of these.
  std::string tcp_option_write() {
    return random_.of<std::string>(
        {"tcp option maxseg size set 900", "tcp option maxseg size set 1200",
         "tcp option maxseg size set 1450", "reset tcp option timestamp",
         "reset tcp option sack-perm", "reset tcp option maxseg", "reset tcp option window"});
  }

  // What remembers: named objects, which rules share, and sets that packets fill.
  std::string remembering() {
    const std::string key = v6_ ? "ip6 saddr" : "ip saddr";
    const char* set = v6_ ? "@seen6" : "@seen4";
    switch (random_.weighted({1, 1, 1, 1, 1, 1, 1, 3, tracks_ ? 1U : 0U})) {
      case 0:
        return "counter name \"c0\"";
      case 1:
        return random_.of<std::string>({"quota name \"q0\"", "quota name \"q1\""});
      case 2:  // one after the other: each has tokens of its own
        return random_.of<std::string>(
            {"limit name \"l0\"", "limit name \"l1\"", "limit name \"l1\" limit name \"l0\""});
      case 3:
        return protocol_ == "tcp" ? "counter name tcp dport map @counters" : "counter";
      case 4:
        return fmt::format("add {} {{ {} }}", set, key);
      case 5:
        return fmt::format("update {} {{ {} limit rate 2/hour burst 1 packets }}", set, key);
      case 6:
        return fmt::format("{} {}", key, set);
      case 7:
        return taken_away();
      default:
        return fmt::format("ct count {}{}", random_.percent(50) ? "over " : "", random_.below(2));
    }
  }

  // Behind it what was there is there no more.
  std::string taken_away() const {
    const std::string key = v6_ ? "ip6 saddr" : "ip saddr";
    const char* set = v6_ ? "@seen6" : "@seen4";
    const std::string deleted = fmt::format("delete {} {{ {} }}", set, key);
    if (random_.percent(25)) return deleted;
    const char* with = random_.percent(50) ? (v6_ ? "ip6 saddr @six " : "ip saddr @nets4 ") : "";
    return fmt::format("{}{} {} != {}", with, deleted, key, set);
  }

  // --- statements ---

  // What a rule has written the rest of it reads, or a later rule: else nobody sees what it did.
  std::string read_back(std::string write, const std::string& reader) {
    readers_.push_back(reader);
    return random_.percent(50) ? write + " " + reader : write;
  }

  std::string mark_write() {
    switch (random_.below(4)) {
      case 0:
        return read_back("meta mark set 0x5", unless("meta mark", "0x5"));
      case 1:
        return read_back("meta mark set 0x10", random_.percent(75) ? "meta mark & 0xf0 == 0x10"
                                                                   : "meta mark & 0xf0 != 0x10");
      case 2:
        return read_back("meta mark set meta mark | 0x5", unless("meta mark", "0x5"));
      default:
        return read_back("meta mark set meta mark ^ 0x3", unless("meta mark", "0x3"));
    }
  }

  std::string statement(std::string_view hook) {
    switch (random_.weighted({20, 14, 8, 6, 7, 6, 5, 6, 12, 14, 18})) {
      case 0:
        return "counter";
      case 1:
        // The kernel lets a rule change it there alone.
        if (hook == "prerouting" && random_.percent(35)) {
          const char* type = random_.of({"host", "broadcast", "multicast"});
          return read_back(fmt::format("meta pkttype set {}", type), unless("meta pkttype", type));
        }
        return mark_write();
      case 2:
        if (!tracks_) return "counter";
        if (random_.percent(50)) return read_back("ct mark set 0x7", unless("ct mark", "0x7"));
        return random_.of<std::string>({"ct mark set meta mark", "meta mark set ct mark"});
      case 3:
        return random_.of<std::string>(
            {"limit rate 3/hour burst 1 packets", "limit rate 3/hour burst 2 packets",
             "limit name \"l1\" limit name \"l0\"", "limit rate over 3/hour burst 3 packets",
             "limit rate 100 bytes/day burst 120 bytes"});
      case 4:
        if (protocol_ != "tcp") return "counter";
        return read_back("meta mark set tcp dport map @marks",
                         unless("meta mark", random_.of<const char*>({"0x5", "0x7", "0x10"})));
      case 5:
        return protocol_ == "udp"
                   ? "meta mark set udp dport map { 22 : 0x16, 80-90 : 0x5, 443 : 0x10 }"
                   : "counter";
      case 6:
        return tracks_ && (hook == "prerouting" || hook == "output") ? "notrack" : "counter";
      case 7:
        return random_.of<std::string>(
            {"quota over 150 bytes", "quota over 400 bytes used 320 bytes",
             // Most packets are 64 bytes long: just over, or just within.
             "quota over 63 bytes", "quota over 64 bytes", "quota until 200 bytes used 137 bytes",
             "quota 63 bytes"});
      case 8:
        return payload_write(hook);
      case 9:
        return protocol_ == "tcp" ? tcp_option_write() : "counter";
      default:
        return remembering();
    }
  }

  std::string vmap(std::string_view hook) {
    if (random_.percent(25)) {
      const Joined made = joined(hook);
      std::string text;
      for (const std::string& element : made.elements) {
        text += fmt::format("{}{} : {}", text.empty() ? "" : ", ", element, verdict());
      }
      return fmt::format("{} vmap {{ {} }}", made.keys, text);
    }
    switch (protocol_ == "tcp" ? random_.below(5) : 2 + 2 * random_.below(2)) {
      case 0:
        return fmt::format("tcp dport vmap {{ {} : {}, {} : {} }}", "22", verdict(), "1024-2048",
                           verdict());
      case 1:
        return fmt::format("meta l4proto vmap {{ tcp : {}, udp : {} }}", verdict(), verdict());
      case 2:
        return fmt::format("iifname vmap {{ eth0 : {}, lo : {} }}", verdict(), verdict());
      case 3:
        return "tcp dport vmap @fates";
      default:
        return v6_ ? fmt::format("ip6 saddr vmap {{ 2001:db8:9:1::/64 : {}, 2001:db8::9 : {} }}",
                                 verdict(), verdict())
                   : fmt::format("ip saddr vmap {{ 10.9.1.0/24 : {}, 192.0.2.9 : {} }}", verdict(),
                                 verdict());
    }
  }

  // The word that ends the rule.
  std::string ending(std::string_view hook) {
    if (random_.percent(20)) return vmap(hook);
    const bool may_reject = hook == "input" || hook == "output";
    if (may_reject && random_.percent(10)) {
      return protocol_ == "tcp" ? "meta l4proto tcp reject with tcp reset" : "reject";
    }
    if (!targets_.empty() && random_.percent(6)) return "goto " + random_.of(targets_);
    return verdict();
  }

  std::string rule(std::string_view hook) {
    v6_ = has_ipv6() && (!has_ipv4() || random_.percent(50));
    protocol_ = random_.of<const char*>({"tcp", "tcp", "udp", "sctp", v6_ ? "icmpv6" : "icmp"});
    std::string text;
    const auto add = [&](const std::string& part) {
      if (part.empty()) return;
      if (!text.empty()) text += ' ';
      text += part;
    };
    for (std::uint32_t left = random_.weighted({10, 50, 30, 10}); left > 0; --left)
      add(match(hook));
    if (random_.percent(30)) add(statement(hook));
    add(ending(hook));
    return text.empty() ? "counter" : text;
  }

  void fill(ChainText& chain, std::uint32_t rules, std::string_view hook = "") {
    for (std::uint32_t i = 0; i < rules; ++i) chain.rules.push_back(rule(hook));
  }

  void add_base_chain(std::uint32_t number) {
    const std::string hook =
        random_.of<const char*>({"prerouting", "input", "input", "output", "postrouting"});
    const std::string priority =
        random_.of<const char*>({"-400", "-300", "-200", "-150", "-10", "0", "0", "10", "100"});
    const char* policy = random_.percent(70) ? "accept" : "drop";
    // Behind one of these the kernel may look for the way again.
    const char* type = hook == "output" && random_.percent(35) ? "route" : "filter";
    ChainText chain{
        fmt::format("b{}", number),
        fmt::format("type {} hook {} priority {}; policy {};", type, hook, priority, policy),
        {}};
    fill(chain, 1 + random_.below(6), hook);
    table_.chains.push_back(std::move(chain));
  }

  void add_sets() {
    if (has_ipv4()) {
      set("four", "type ipv4_addr; elements = " + list([&] { return ipv4(); }));
      set("nets4", "type ipv4_addr; flags interval; elements = { 10.9.1.0/24, 192.0.2.0/30, " +
                       std::string("198.51.100.5-198.51.100.9 }"));
      set("pairs4",
          fmt::format("type ipv4_addr . inet_service; flags interval; elements = {{ 10.9.1.0/24 . "
                      "{}, 192.0.2.9 . {}, 198.51.100.0-198.51.100.80 . 22 }}",
                      port_range(), port()));
    }
    if (has_ipv6()) {
      set("six", "type ipv6_addr; elements = " + list([&] { return ipv6(); }));
      set("nets6",
          "type ipv6_addr; flags interval; elements = { 2001:db8:9:1::/64, fe80::/10, "
          "2001:db8::8-2001:db8::a }");
      set("pairs6", fmt::format("type ipv6_addr . inet_service; flags interval; elements = {{ "
                                "2001:db8:9:1::/64 . {}, 2001:db8::9 . {} }}",
                                port_range(), port()));
    }
    if (has_ipv4()) set("seen4", "type ipv4_addr; " + filled({"10.9.1.5", "192.0.2.9"}));
    if (has_ipv6()) set("seen6", "type ipv6_addr; " + filled({"2001:db8:9:1::5", "2001:db8::9"}));
    table_.sets.emplace_back("counter c0 { }");
    table_.sets.emplace_back("counter c1 { }");
    table_.sets.emplace_back(random_.percent(50) ? "quota q0 { over 150 bytes }"
                                                 : "quota q0 { over 400 bytes used 320 bytes }");
    table_.sets.emplace_back("quota q1 { 200 bytes used 137 bytes }");
    table_.sets.emplace_back("limit l0 { rate 3/hour burst 2 packets }");
    table_.sets.emplace_back("limit l1 { rate 2/hour burst 1 packets }");
    table_.sets.emplace_back(
        "map counters { type inet_service : counter; elements = { 22 : \"c0\", 443 : \"c1\" } }");
    set("ports", "type inet_service; flags interval; elements = { 22, 53-80, 40000 }");
    table_.sets.push_back(
        "map marks { type inet_service : mark; elements = { 22 : 0x5, 443 : 0x10, * : 0x7 } }");
    table_.sets.push_back(
        "map fates { type inet_service : verdict; flags interval; elements = { 22 : accept, "
        "80-443 : drop, 3306 : continue } }");
  }
  // Of a set that packets fill, and that may be full of what it begins with.
  std::string filled(const std::array<const char*, 2>& first) {
    const std::uint32_t declared = random_.weighted({20, 30, 50});
    const std::uint32_t size = std::max(declared, random_.of<std::uint32_t>({1, 2, 3, 8}));
    std::string text = fmt::format("flags dynamic; size {};", size);
    if (declared == 1) text += fmt::format(" elements = {{ {} }}", first[0]);
    if (declared == 2) text += fmt::format(" elements = {{ {}, {} }}", first[0], first[1]);
    return text;
  }
  void set(std::string_view name, const std::string& body) {
    table_.sets.push_back(fmt::format("set {} {{ {} }}", name, body));
  }

  Random& random_;
  bool tracks_;
  TableText table_;
  std::vector<std::string> targets_;
  std::vector<std::string> readers_;  // of what rules have written
  // Of the rule that is being written.
  bool v6_ = false;
  std::string protocol_;
};

}  // namespace

RulesetText generate_ruleset(std::uint64_t seed) {
  Random random(Random(seed).next());
  RulesetText ruleset;
  const std::uint32_t count = 1 + random.below(3);
  const bool tracks = random.percent(50);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string family = random.of<const char*>({"inet", "inet", "ip", "ip6"});
    ruleset.tables.push_back(TableWriter(random, family, fmt::format("t{}", i), tracks).write());
  }
  // Between tables the order of chains is then another than the ruleset's.
  for (TableText& table : ruleset.tables) {
    for (ChainText& chain : table.chains) chain.late = !chain.base.empty() && random.percent(25);
  }
  return ruleset;
}

namespace {

void render_chain(const ChainText& chain, std::string& text) {
  text += fmt::format("\tchain {} {{\n", chain.name);
  if (!chain.base.empty()) text += "\t\t" + chain.base + "\n";
  for (const std::string& rule : chain.rules) text += "\t\t" + rule + "\n";
  text += "\t}\n";
}

}  // namespace

std::string render(const RulesetText& ruleset) {
  std::string text;
  for (const TableText& table : ruleset.tables) {
    const std::string name = table.family + " " + table.name;
    text += fmt::format("table {0}\ndelete table {0}\ntable {0} {{\n", name);
    for (const std::string& set : table.sets) text += "\t" + set + "\n";
    for (const ChainText& chain : table.chains) {
      if (!chain.late) render_chain(chain, text);
    }
    text += "}\n";
  }
  for (const TableText& table : ruleset.tables) {
    for (const ChainText& chain : table.chains) {
      if (!chain.late) continue;
      text += fmt::format("table {} {} {{\n", table.family, table.name);
      render_chain(chain, text);
      text += "}\n";
    }
  }
  return text;
}

}  // namespace rolewall::kernel_judge
