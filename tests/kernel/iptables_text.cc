#include "iptables_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "random.h"

namespace rolewall::kernel_judge {
namespace {

// Where a rule stands: what it may ask and do depends on it. A chain of a user may be met from any
// hook of its table.
struct Place {
  std::string table;
  std::string hook;  // "INPUT"; "" in a chain of a user
  bool is(std::string_view name) const { return hook == name; }
  bool arrives() const { return is("PREROUTING") || is("INPUT") || is("FORWARD"); }
  bool leaves() const { return is("OUTPUT") || is("POSTROUTING"); }
};

class IptablesWriter {
 public:
  IptablesWriter(Random& random, bool ipv6, bool tracks, bool remembers)
      : random_(random), v6_(ipv6), tracks_(tracks), remembers_(remembers) {}

  IptablesText::Table write(const std::string& name) {
    IptablesText::Table table{.ipv6 = v6_, .name = name, .chains = {}};
    const std::uint32_t others = random_.below(3);
    targets_.clear();
    for (std::uint32_t i = 0; i < others; ++i) targets_.push_back(fmt::format("c{}", i));
    for (const std::string& hook : hooks_of(name)) {
      const bool drops = name == "filter" && random_.percent(25);
      IptablesText::Chain chain{hook, drops ? "DROP" : "ACCEPT", {}};
      const std::uint32_t count = random_.percent(35) ? 0 : 1 + random_.below(5);
      if (name == "mangle" && random_.percent(20)) add_marks(chain, hook);
      for (std::uint32_t i = 0; i < count; ++i) chain.rules.push_back(rule({name, hook}));
      table.chains.push_back(std::move(chain));
    }
    for (std::uint32_t i = 0; i < others; ++i) {
      targets_.erase(targets_.begin());
      IptablesText::Chain chain{fmt::format("c{}", i), "-", {}};
      for (std::uint32_t left = 1 + random_.below(3); left > 0; --left) {
        chain.rules.push_back(rule({name, ""}));
      }
      table.chains.push_back(std::move(chain));
    }
    return table;
  }

 private:
  using Words = std::initializer_list<std::string>;

  static std::vector<std::string> hooks_of(const std::string& table) {
    if (table == "raw") return {"PREROUTING", "OUTPUT"};
    if (table == "filter") return {"INPUT", "FORWARD", "OUTPUT"};
    if (table == "nat") return {"PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"};
    return {"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"};
  }

  // --- values ---

  std::string pick(Words words) { return random_.of(std::vector<std::string>(words)); }
  std::string inverted(unsigned percent = 25) { return random_.percent(percent) ? "! " : ""; }
  std::string address() {
    if (v6_) {
      return pick({"2001:db8:9::1", "2001:db8:9:1::5", "2001:db8::9", "fe80::/10", "ff02::/16",
                   "::1", "2001:db8::/32", "2001:db8:9:1::/64"});
    }
    return pick({"10.9.0.1", "10.9.1.5", "10.9.1.0/24", "10.0.0.0/8", "192.0.2.0/25",
                 "198.51.100.7", "203.0.113.200", "224.0.0.0/4", "127.0.0.1", "0.0.0.0/1"});
  }
  std::string port() { return pick({"22", "53", "80", "443", "1024", "3306", "40000", "65535"}); }
  std::string ports() {
    return random_.percent(50) ? port() : pick({"0:1023", "1024:65535", "53:80", "443:3306"});
  }
  std::string port_list() {
    std::string list = ports();
    for (std::uint32_t left = random_.below(3); left > 0; --left) list += "," + ports();
    return list;
  }
  std::string range() {
    return v6_ ? pick({"2001:db8:9:1::5-2001:db8:9:1::77", "::1-2001:db8:9::1", "fe80::-fe80::ff"})
               : pick({"10.9.1.5-10.9.1.77", "192.0.2.1-192.0.2.130", "9.255.255.255-10.9.0.1"});
  }
  std::string states() {
    return pick({"NEW", "ESTABLISHED,RELATED", "INVALID", "UNTRACKED", "NEW,UNTRACKED",
                 "RELATED,ESTABLISHED,NEW"});
  }
  std::string mark() { return pick({"0x5", "0x10/0xf0", "0x0/0x1", "7", "0x0"}); }

  // --- matches of a protocol ---

  std::string protocol_match() {
    if (protocol_ == "tcp") {
      std::string text = " -m tcp";
      if (random_.percent(40)) text += fmt::format(" {}--sport {}", inverted(), ports());
      if (random_.percent(60)) text += fmt::format(" {}--dport {}", inverted(), ports());
      if (random_.percent(30)) {
        text += " " + inverted() +
                pick({"--tcp-flags SYN,RST SYN", "--tcp-flags FIN,SYN,RST,ACK SYN",
                      "--tcp-flags ALL NONE", "--tcp-flags ACK ACK", "--syn"});
      }
      if (random_.percent(20)) {
        text += fmt::format(" {}--tcp-option {}", inverted(), pick({"2", "4", "8", "3", "77"}));
      }
      return text;
    }
    if (protocol_ == "udp") {
      return fmt::format(" -m udp {}--{} {}", inverted(), pick({"sport", "dport"}), ports());
    }
    if (protocol_ == "sctp") {
      return " -m sctp " +
             (random_.percent(50)
                  ? fmt::format("{}--{} {}", inverted(), pick({"sport", "dport"}), ports())
                  : inverted() + "--chunk-types " +
                        pick({"any DATA", "all INIT", "only DATA,INIT", "any INIT,COOKIE_ACK",
                              "only DATA:Be", "any ABORT:t", "all DATA,SACK"}));
    }
    if (protocol_ == "dccp") {
      return " -m dccp " +
             (random_.percent(50)
                  ? fmt::format("{}--dport {}", inverted(), ports())
                  : inverted() + pick({"--sport 1024:65535", "--dccp-types REQUEST,DATA",
                                       "--dccp-types RESET", "--dccp-option 1"}));
    }
    if (protocol_ == "icmp") {
      return " -m icmp " + inverted() + "--icmp-type " +
             pick({"8", "0", "3", "3/1", "echo-request", "any", "11/0"});
    }
    if (protocol_ == "icmpv6") {
      return " -m icmp6 " + inverted() + "--icmpv6-type " +
             pick({"128", "129", "1", "1/4", "135", "echo-request"});
    }
    if (protocol_ == "mobility-header") {
      return " -m mh " + inverted() + "--mh-type " + pick({"1", "0:3", "5", "2:255"});
    }
    if (protocol_ == "esp")
      return " -m esp " + inverted() + "--espspi " + pick({"1", "0:500", "7"});
    if (protocol_ == "ah") return " -m ah " + inverted() + "--ahspi " + pick({"1", "0:500", "7"});
    return "";
  }

  bool has_ports() const {
    return protocol_ == "tcp" || protocol_ == "udp" || protocol_ == "sctp" || protocol_ == "dccp";
  }

  // --- the others, "" where it does not fit ---

  std::string limited_to_device(const Place& at) {
    if (!random_.percent(20)) return "";
    if (at.is("PREROUTING") || at.is("INPUT")) return " --limit-iface-in";
    return at.leaves() ? " --limit-iface-out" : "";
  }

  std::string header_match(const Place& at) {
    switch (random_.below(11)) {
      case 0:
        return fmt::format(" -m iprange {}--{}-range {}", inverted(), pick({"src", "dst"}),
                           range());
      case 1:
        return " -m length " + inverted() + "--length " + pick({"0:64", "60", "40:1500", "65:200"});
      case 2:
        return " -m tos " + inverted() + "--tos " +
               pick({"0x00", "0x10/0x3f", "0x20/0xe0", "0x08"});
      case 3:
        return " -m dscp " + inverted() + pick({"--dscp 0x00", "--dscp-class CS1", "--dscp 0x08"});
      case 4:
        return v6_ ? " -m hl " + pick({"--hl-eq 64", "! --hl-eq 64", "--hl-lt 64", "--hl-gt 1"})
                   : " -m ttl " +
                         pick({"--ttl-eq 64", "! --ttl-eq 64", "--ttl-lt 64", "--ttl-gt 1"});
      case 5:
        if (protocol_ == "tcp" && random_.percent(60)) {
          return " -m ecn " + inverted() + pick({"--ecn-tcp-ece", "--ecn-tcp-cwr"});
        }
        return " -m ecn " + inverted() + "--ecn-ip-ect " + pick({"0", "1", "2", "3"});
      case 6:
        return protocol_ == "tcp"
                   ? " -m tcpmss " + inverted() + "--mss " + pick({"1460", "0:1000", "536:1460"})
                   : "";
      case 7:
        return " -m u32 " + inverted() + "--u32 " +
               pick({"\"0&0xf0000000=0x40000000\"", "\"6&0xff=6,17\"", "\"0>>22&0x3c@0>>16=22:80\"",
                     "\"4=0:0xffff\"", "\"40>>16&0xffff=22,53:443\"",
                     "\"0>>22&0x3c@12>>26&0x3c@0=0\""});
      case 8:
        return " -m string --algo " + pick({"bm", "kmp"}) + " " + inverted() +
               pick({"--string a", "--string hello --icase", "--hex-string \"|0000|\"",
                     "--hex-string \"|0050|\" --from 20 --to 60", "--string \"E\" --to 2"});
      case 9:
        if (v6_) {
          return " -m addrtype " + inverted() +
                 pick({"--dst-type LOCAL", "--dst-type MULTICAST", "--dst-type UNICAST",
                       "--src-type LOCAL", "--src-type UNREACHABLE", "--dst-type ANYCAST",
                       "--dst-type UNICAST,LOCAL"}) +
                 limited_to_device(at);
        }
        return " -m addrtype " + inverted() +
               pick({"--dst-type LOCAL", "--dst-type MULTICAST", "--dst-type UNICAST",
                     "--src-type LOCAL", "--dst-type BROADCAST", "--src-type UNICAST,MULTICAST"}) +
               limited_to_device(at);
      default:
        return " -m pkttype " + inverted() + "--pkt-type " +
               pick({"unicast", "broadcast", "multicast"});
    }
  }

  std::string ipv6_match() {
    switch (random_.below(6)) {
      case 0:
        return " -m frag " + pick({"--fragfirst", "--fragmore", "--fraglast", "--fragid 5",
                                   "--fragres", "! --fragid 0:9 --fragmore", "--fraglen 8"});
      case 1:
        return " -m hbh " + pick({"--hbh-len 8", "! --hbh-len 8", "--hbh-opts 5:2", "--hbh-opts 1",
                                  "--hbh-opts 1:4,0"});
      case 2:
        return " -m dst " +
               pick({"--dst-len 8", "! --dst-len 8", "--dst-opts 1", "--dst-opts 1:4"});
      case 3:
        return " -m rt " +
               pick({"--rt-type 0", "! --rt-type 0", "--rt-segsleft 0:1", "--rt-type 0 --rt-len 24",
                     "--rt-type 0 --rt-0-res", "--rt-type 0 --rt-0-addrs 2001:db8:9:1::5",
                     "--rt-type 0 --rt-0-addrs 2001:db8:9:1::5 --rt-0-not-strict"});
      default:
        return " -m ipv6header " + inverted() + "--header " +
               pick({"hop", "frag", "route", "dst", "prot", "hop,dst", "none", "frag,prot"}) +
               pick({"", " --soft"});
    }
  }

  std::string flow_match() {
    if (!tracks_) return "";
    switch (random_.below(10)) {
      case 0:
      case 1:
        return fmt::format(" -m conntrack {}--ctstate {}", inverted(), states());
      case 2:
        return fmt::format(" -m state {}--state {}", inverted(), states());
      case 3:
        return " -m connmark " + inverted() + "--mark " + mark();
      case 4:
        return " -m conntrack " +
               pick({"--ctstate SNAT", "--ctstate DNAT", "--ctdir ORIGINAL", "--ctdir REPLY",
                     "--ctproto 6", "! --ctproto 17", "--ctorigdstport 22:80",
                     "--ctexpire 1:100000", "! --ctexpire 5", "--ctrepldstport 1024:65535",
                     "--ctreplsrcport 22", "! --ctreplsrcport 80:443", "--ctorigsrcport 40000",
                     "! --ctorigdstport 443", "--ctstatus NONE", "--ctstatus ASSURED,SEEN_REPLY",
                     "--ctstate NEW --ctproto 6", "! --ctstate NEW --ctdir ORIGINAL"});
      case 5:
        return fmt::format(" -m conntrack {}--{} {}", inverted(),
                           pick({"ctorigsrc", "ctorigdst", "ctreplsrc", "ctrepldst"}), address());
      case 6:
        return " -m connbytes " + inverted() + "--connbytes " + pick({"0", "1:5", "60:100"}) +
               " --connbytes-mode " + pick({"packets", "bytes", "avgpkt"}) + " --connbytes-dir " +
               pick({"original", "reply", "both"});
      case 7:
        return " -m connlabel " + inverted() + "--label " + pick({"1", "2", "127"}) +
               pick({"", " --set"});
      case 8:
        return " -m helper " + inverted() + "--helper " + pick({"ftp", "sip", "irc"});
      default:
        return " -m connlimit " +
               pick({"--connlimit-above 0", "--connlimit-upto 1", "--connlimit-above 1"}) +
               pick({"", " --connlimit-mask 24", " --connlimit-daddr", " --connlimit-saddr"});
    }
  }

  std::string host_match(const Place& at) {
    switch (random_.below(16)) {
      case 0:
        return " -m mark " + inverted() + "--mark " + mark();
      case 1:
        return at.arrives() ? " -m mac " + inverted() + "--mac-source " +
                                  pick({"02:00:00:00:00:01", "00:00:00:00:00:00"})
                            : "";
      case 2:
        return at.leaves() ? " -m owner " + inverted() +
                                 pick({"--uid-owner 0", "--uid-owner 1-1000", "--gid-owner 0",
                                       "--gid-owner 5 --suppl-groups", "--socket-exists"})
                           : "";
      case 3:
        if (at.is("PREROUTING") || at.is("INPUT"))
          return " -m devgroup " + inverted() + "--src-group " + pick({"0", "1", "0x0/0xf"});
        return at.leaves() ? " -m devgroup " + inverted() + "--dst-group " + pick({"0", "1"}) : "";
      case 4:
        if (at.is("PREROUTING") || at.is("INPUT")) {
          return " -m physdev " + inverted(50) + pick({"--physdev-in eth0", "--physdev-is-in"});
        }
        return at.is("FORWARD") ? " -m physdev " + inverted(50) +
                                      pick({"--physdev-is-bridged", "--physdev-is-out",
                                            "--physdev-out eth1", "--physdev-is-in"})
                                : "";
      case 5:
        return at.is("PREROUTING") && (at.table == "raw" || at.table == "mangle")
                   ? " -m rpfilter" +
                         pick({"", " --loose", " --invert", " --accept-local", " --validmark"})
                   : "";
      case 6:
        return at.is("PREROUTING") || at.is("INPUT")
                   ? " -m socket" +
                         pick({"", " --transparent", " --nowildcard", " --restore-skmark"})
                   : "";
      case 7:
        if (at.is("PREROUTING") || at.is("INPUT")) return " -m policy --dir in" + transforms();
        return at.leaves() ? " -m policy --dir out" + transforms() : "";
      case 8:
        return " -m time " + pick({"--timestart 08:00 --timestop 20:00", "--weekdays Mon,Tue",
                                   "--monthdays 1,15", "! --weekdays Sat,Sun", "! --monthdays 1",
                                   "--timestart 20:00 --timestop 08:00",
                                   "--timestart 20:00 --timestop 08:00 --contiguous",
                                   "--datestart 2020-01-01 --datestop 2021-06-30T12:00:00",
                                   "--weekdays Fri --kerneltz"});
      case 9:
        return " -m cpu --cpu " + pick({"0", "1"});
      case 10:
        return v6_ ? "" : " -m realm " + inverted() + "--realm " + pick({"0", "1", "0x0/0xff"});
      case 11:
        return at.leaves() ? " -m cgroup " + inverted() + pick({"--cgroup 1", "--path /"}) : "";
      case 12:
        return v6_ && (at.arrives()) ? " -m eui64" : "";
      case 13:
        return " -m comment --comment " + pick({"plain", "\"two words\""});
      default:
        return set_match();
    }
  }

  std::string transforms() {
    return pick(
        {" --pol none", " --pol ipsec", " --pol ipsec --reqid 5", " --pol ipsec --spi 0x7",
         " --pol ipsec --proto esp --mode tunnel --tunnel-src " + tunnel_end() + " --tunnel-dst " +
             tunnel_end(),
         " --pol ipsec --strict --proto esp ! --reqid 7 --next --proto ah --mode transport"});
  }
  std::string tunnel_end() { return v6_ ? "2001:db8::/32" : "192.0.2.0/24"; }

  std::string sides(unsigned dimensions) {
    std::string list;
    for (unsigned i = 0; i < dimensions; ++i) list += (i == 0 ? "" : ",") + pick({"src", "dst"});
    return list;
  }
  std::string set_match() {
    struct Kind {
      const char* name;
      unsigned dimensions;
      bool has_networks;
    };
    const Kind kind = random_.of<Kind>({{"ip", 1, false},
                                        {"wide", 1, false},
                                        {"net", 1, true},
                                        {"port", 2, false},
                                        {"netport", 2, true},
                                        {"dev", 2, true},
                                        {"three", 3, true},
                                        {"list", 2, false},
                                        {"ports", 1, false},
                                        {"map", 1, false},
                                        {"mac", 2, false},
                                        {"b", 1, false},
                                        {"c", 2, false},
                                        {"d", 1, false},
                                        {"counted", 1, false},
                                        {"countednet", 1, true}});
    const std::string_view of(kind.name);
    if (v6_ && (of == "map" || of == "mac" || of == "d")) return "";
    const bool counts = of.starts_with("counted");
    if (!remembers_ && (of == "b" || of == "c" || of == "d" || counts)) return "";
    const std::string name = of == "ports" ? "ports" : fmt::format("s{}{}", v6_ ? 6 : 4, of);
    // Of another dimension than the set's: more do no harm, with fewer it is in none.
    const unsigned dimensions = random_.percent(90) ? kind.dimensions : 1 + random_.below(3);
    std::string text =
        fmt::format(" -m set {}--match-set {} {}", inverted(), name, sides(dimensions));
    if (kind.has_networks && random_.percent(15)) text += " --return-nomatch";
    if (counts && random_.percent(80)) {
      text += pick({" --packets-gt 3", " --packets-lt 2", " --packets-eq 4", " ! --packets-eq 4",
                    " --bytes-gt 300", " --bytes-lt 200 --packets-gt 1", " ! --bytes-eq 100"});
    }
    if (counts && random_.percent(15)) {
      text += pick({" ! --update-counters", " ! --update-subcounters", " --update-counters"});
    }
    return text;
  }
  std::string set_target() {
    const std::string name = fmt::format("s{}{}", v6_ ? 6 : 4, pick({"b", "c", v6_ ? "b" : "d"}));
    const bool adds = random_.percent(70);
    std::string text = fmt::format(" -j SET --{}-set {} {}", adds ? "add" : "del", name, sides(2));
    if (adds && random_.percent(20)) text += " --exist";
    if (adds && name.ends_with("b") && random_.percent(20)) text += " --timeout 600";
    if (random_.percent(15)) {
      return fmt::format(" -j SET --map-set s{}map{} {} ", v6_ ? 6 : 4, v6_ ? "s" : "ped",
                         sides(1)) +
             pick({"--map-mark", "--map-prio", "--map-mark --map-prio", "--map-queue"});
    }
    return text;
  }

  // Some share a list, which one of them may make otherwise than another.
  std::string hashlimit_match() {
    const std::string name =
        random_.percent(80) ? std::to_string(++names_) : std::to_string(random_.below(names_ + 1));
    std::string text =
        " -m hashlimit --hashlimit-name h" + name + " --hashlimit-mode " +
        pick({"srcip", "dstip,dstport", "srcip,srcport"}) + " " +
        pick({"--hashlimit-above 1/hour", "--hashlimit-upto 2/hour --hashlimit-burst 1",
              "--hashlimit-above 1/hour --hashlimit-burst 2", "--hashlimit-upto 1/day",
              "--hashlimit-upto 3/min --hashlimit-burst 2", "--hashlimit-above 1kb/s",
              "--hashlimit-upto 512b/s --hashlimit-burst 1mb",
              "--hashlimit-above 5/sec --hashlimit-rate-match",
              "--hashlimit-above 5kb/s --hashlimit-rate-match "
              "--hashlimit-rate-interval 10"});
    if (random_.percent(25)) text += v6_ ? " --hashlimit-srcmask 64" : " --hashlimit-srcmask 16";
    if (random_.percent(15)) text += v6_ ? " --hashlimit-dstmask 48" : " --hashlimit-dstmask 24";
    if (random_.percent(15)) {
      text += pick({" --hashlimit-htable-size 8 --hashlimit-htable-max 8",
                    " --hashlimit-htable-size 512", " --hashlimit-htable-max 3"});
    }
    if (random_.percent(15)) {
      text += pick({" --hashlimit-htable-expire 70000", " --hashlimit-htable-gcinterval 500"});
    }
    return text;
  }

  std::string memory_match() {
    switch (random_.weighted({2, 2, 2, 4, 2, 1})) {
      case 0:
        return " -m limit --limit " + pick({"3/hour", "1/day"}) + " --limit-burst " +
               pick({"1", "2"});
      case 1:
        return hashlimit_match();
      case 2:
        return fmt::format(" -m recent --name r{} ", random_.below(2)) + inverted() +
               pick({"--set", "--rcheck", "--update --seconds 60", "--remove",
                     "--rcheck --hitcount 2", "--update --seconds 60 --reap", "--rcheck --rttl"}) +
               (random_.percent(10) ? (v6_ ? " --mask ffff:ffff:ffff::" : " --mask 255.255.0.0")
                                    : "") +
               pick({"", " --rdest", " --rsource"});
      case 3:
        return " -m quota " + inverted() + "--quota " + pick({"50", "100", "300", "1200"});
      case 4:
        return " -m statistic --mode nth " + inverted() +
               pick({"--every 2 --packet 0", "--every 2 --packet 1", "--every 3 --packet 0"});
      default:
        return " -m statistic --mode random " + inverted() + "--probability " +
               pick({"0.5", "0", "1"});
    }
  }

  std::string match(const Place& at) {
    switch (random_.weighted({20, 30, v6_ ? 24U : 0U, 26, 20, remembers_ ? 20U : 8U, 10})) {
      case 0:
        return has_ports() ? fmt::format(" -m multiport {}--{} {}", inverted(),
                                         pick({"sports", "dports", "ports"}), port_list())
                           : "";
      case 1:
        return header_match(at);
      case 2:
        return ipv6_match();
      case 3:
        return flow_match();
      case 4:
        return host_match(at);
      case 5:
        return memory_match();
      default:
        return set_match();
    }
  }

  // --- targets ---

  std::string nat_target(const Place& at) {
    const std::string to =
        v6_ ? pick({"2001:db8:9:1::5", "2001:db8:9::1", "2001:db8:9:1::5-2001:db8:9:1::9"})
            : pick({"10.9.1.5", "10.9.0.1", "192.0.2.9", "10.9.1.5-10.9.1.9"});
    const bool with_ports = protocol_ == "tcp" || protocol_ == "udp" || protocol_ == "sctp";
    const std::string single = v6_ ? "[2001:db8:9:1::5]" : "10.9.1.5";
    if (at.is("PREROUTING") || at.is("OUTPUT")) {
      switch (random_.below(4)) {
        case 0:
          return " -j REDIRECT" + (with_ports ? pick({"", " --to-ports 8080", " --to-ports 100-200",
                                                      " --to-ports 100-200 --random"})
                                              : "");
        case 1:
          return " -j NETMAP --to " + std::string(v6_ ? "2001:db8:9:1::/64" : "10.9.1.0/24");
        case 2:
          return " -j DNAT --to-destination " + (with_ports ? single + pick({":22", ":8080"}) : to);
        default:
          return " -j DNAT --to-destination " + to + pick({"", " --persistent", " --random"});
      }
    }
    const std::string drawn = pick({"", "", "", " --random", " --random-fully", " --persistent"});
    if (at.is("INPUT")) return " -j SNAT --to-source " + to + drawn;
    if (!at.is("POSTROUTING")) return " -j ACCEPT";
    switch (random_.below(3)) {
      case 0:
        return " -j MASQUERADE" +
               (with_ports ? pick({"", " --to-ports 30000-40000", " --random", " --random-fully"})
                           : "");
      case 1:
        return " -j NETMAP --to " + std::string(v6_ ? "2001:db8:9:1::/64" : "10.9.1.0/24");
      default:
        return " -j SNAT --to-source " + to + drawn;
    }
  }

  std::string mangle_target(const Place& at) {
    switch (random_.below(12)) {
      case 0:
      case 1:
        return " -j MARK " + pick({"--set-mark 5", "--set-xmark 0x10/0xf0", "--or-mark 1",
                                   "--and-mark 0xf", "--xor-mark 0x3"});
      case 2:
        return tracks_ ? " -j CONNMARK " +
                             pick({"--set-mark 7", "--save-mark", "--restore-mark",
                                   "--set-xmark 0x10/0xff",
                                   "--save-mark --nfmask 0xf --ctmask 0xf0", "--and-mark 0xf",
                                   "--or-mark 1", "--xor-mark 3", "--save-mark --mask 0xff",
                                   "--set-xmark 0x1/0xff --left-shift-mark 4",
                                   "--restore-mark --nfmask 0xff --ctmask 0xff00 "
                                   "--right-shift-mark 8"})
                       : " -j MARK --set-mark 5";
      case 3:
        return " -j DSCP " + pick({"--set-dscp 0x08", "--set-dscp 0x00", "--set-dscp-class EF"});
      case 4:
        return " -j TOS " + pick({"--set-tos 0x10", "--set-tos 0x08/0x3f", "--set-tos 0x20/0xe0",
                                  "--and-tos 0xf0", "--or-tos 0x04", "--xor-tos 0x18"});
      case 5:
        return v6_ ? " -j HL " + pick({"--hl-set 9", "--hl-inc 5", "--hl-dec 1"})
                   : " -j TTL " + pick({"--ttl-set 9", "--ttl-inc 5", "--ttl-dec 1"});
      case 6:
        return protocol_ == "tcp" && syn_
                   ? " -j TCPMSS " +
                         std::string(at.is("FORWARD") || at.leaves()
                                         ? pick({"--set-mss 900", "--clamp-mss-to-pmtu"})
                                         : "--set-mss 1200")
                   : " -j MARK --set-mark 6";
      case 7:
        return protocol_ == "tcp" ? " -j TCPOPTSTRIP --strip-options " + pick({"2", "4,8", "3"})
                                  : " -j MARK --set-mark 6";
      case 8:
        return at.leaves() || at.is("FORWARD") ? " -j CLASSIFY --set-class 1:" + pick({"0", "5"})
                                               : " -j MARK --set-mark 6";
      case 9:
        if (random_.percent(40)) {
          // To where nothing leads: what is seen of a copy cannot be told from the packet.
          return " -j TEE --gateway " + std::string(v6_ ? "fec0::1" : "169.254.0.9");
        }
        return protocol_ == "tcp" && !v6_ ? " -j ECN --ecn-tcp-remove" : " -j MARK --set-mark 6";
      case 10:
        return (at.is("PREROUTING") && (protocol_ == "tcp" || protocol_ == "udp"))
                   ? " -j TPROXY --on-port 1111" +
                         pick({"", v6_ ? " --on-ip 2001:db8:9::1" : " --on-ip 10.9.0.1"}) +
                         " --tproxy-mark 0x9/0xff"
                   : " -j ACCEPT";
      default:
        return pick({" -j CHECKSUM --checksum-fill", " -j ACCEPT", " -j DROP", " -j RETURN"});
    }
  }

  // What lets the packet go on.
  std::string note() {
    return pick({" -j LOG --log-prefix \"x \"", " -j LOG --log-level debug --log-uid",
                 " -j LOG --log-prefix plain --log-tcp-sequence --log-tcp-options --log-ip-options",
                 " -j LOG --log-macdecode", " -j NFLOG --nflog-group 3",
                 " -j NFLOG --nflog-prefix \"two words\" --nflog-threshold 5",
                 " -j NFLOG --nflog-group 1 --nflog-size 64", "", "", set_target(), set_target(),
                 " -j AUDIT --type accept",
                 " -j RATEEST --rateest-name e --rateest-interval 1s "
                 "--rateest-ewmalog 4s",
                 " -j IDLETIMER --timeout 60 --label idle", " -j NFLOG --nflog-range 20",
                 " -j IDLETIMER --timeout 60 --label late --alarm"});
  }

  std::string target(const Place& at) {
    if (!targets_.empty() && random_.percent(15)) {
      return (random_.percent(75) ? " -j " : " -g ") + random_.of(targets_);
    }
    if (random_.percent(12)) {
      return note();
    }
    if (at.table == "nat")
      return random_.percent(70) ? nat_target(at) : pick({" -j ACCEPT", " -j RETURN"});
    if (at.table == "mangle") return mangle_target(at);
    if (at.table == "raw") {
      if (tracks_ && random_.percent(8)) {
        return pick({" -j CT --ctevents new,destroy", " -j CT --expevents new",
                     " -j CT --zone-orig 3", " -j CT --zone-reply 4", " -j CT --zone mark"});
      }
      return pick({tracks_ ? " -j CT --notrack" : " -j ACCEPT", " -j ACCEPT", " -j DROP",
                   " -j RETURN", " -j TRACE", tracks_ ? " -j CT --zone 5" : " -j ACCEPT",
                   tracks_ ? " -j NOTRACK" : " -j DROP"});
    }
    if (random_.percent(3)) {
      return " -j NFQUEUE " +
             pick({"--queue-num 3", "--queue-num 3 --queue-bypass", "--queue-balance 0:3",
                   "--queue-balance 4:7 --queue-cpu-fanout"});
    }
    if (protocol_ == "tcp" && tracks_ && random_.percent(4) &&
        (at.is("INPUT") || at.is("FORWARD"))) {
      return " -j SYNPROXY" + pick({" --mss 1460", " --sack-perm --timestamp --wscale 7 --mss 1400",
                                    " --ecn --mss 536"});
    }
    if (random_.percent(14)) {
      if (protocol_ == "tcp" && random_.percent(50)) return " -j REJECT --reject-with tcp-reset";
      return " -j REJECT" + (v6_ ? pick({"", " --reject-with icmp6-adm-prohibited",
                                         " --reject-with icmp6-no-route"})
                                 : pick({"", " --reject-with icmp-host-prohibited",
                                         " --reject-with icmp-admin-prohibited"}));
    }
    return pick({" -j ACCEPT", " -j ACCEPT", " -j DROP", " -j RETURN"});
  }

  // Marks one after the other, of which a later one leaves bits of an earlier one, and what then
  // stands there.
  void add_marks(IptablesText::Chain& chain, const std::string& hook) {
    const std::string at = "-A " + hook;
    chain.rules.push_back(at + " -j MARK --set-mark " + pick({"0x5", "0x35", "0xff"}));
    chain.rules.push_back(at + " -j MARK " +
                          pick({"--set-xmark 0x10/0xf0", "--set-xmark 0x3/0x1",
                                "--set-mark 0x2/0x6", "--and-mark 0xf", "--or-mark 0x2"}));
    chain.rules.push_back(at + " -m mark " + inverted() + "--mark " +
                          pick({"0x15/0xff", "0x5/0xf", "0x7", "0x1f", "0x4/0x4", "0x36"}) +
                          pick({" -j ACCEPT", " -j DROP"}));
    marks_ = true;
  }

  // Packets of several sizes, some of which are more than is left.
  std::string spending() {
    return " -m quota " + inverted() + "--quota " + pick({"100", "150", "300", "1200"}) +
           pick({"", " -j ACCEPT", " -j DROP"});
  }

  std::string rule(const Place& at) {
    protocol_ =
        random_.of<const char*>({"tcp", "tcp", "tcp", "udp", "udp", "sctp", v6_ ? "icmpv6" : "icmp",
                                 "", "", "dccp", "esp", v6_ ? "mobility-header" : "ah"});
    syn_ = false;
    std::string text = "-A " + at.hook;
    // What remembers shows that by the packets that come to it again: all, now and then.
    if (remembers_ && random_.percent(12)) {
      protocol_.clear();
      if (at.table != "nat" && random_.percent(30)) return text + spending();
      return text + memory_match() + target(at);
    }
    if (random_.percent(20)) text += fmt::format(" {}-s {}", inverted(), address());
    if (random_.percent(20)) text += fmt::format(" {}-d {}", inverted(), address());
    if (!v6_ && random_.percent(4)) text += pick({" -f", " ! -f"});
    if (random_.percent(15) && !at.leaves() && !at.hook.empty())
      text += fmt::format(" {}-i {}", inverted(), pick({"eth0", "eth1", "lo", "eth+"}));
    if (random_.percent(15) && at.leaves())
      text += fmt::format(" {}-o {}", inverted(), pick({"eth0", "eth1", "lo", "eth+"}));
    if (!protocol_.empty()) {
      if (random_.percent(6) && protocol_ != "ah" && protocol_ != "esp") {
        text += " ! -p " + protocol_;
        protocol_.clear();
      } else {
        text += " -p " + protocol_;
        if (at.table == "mangle" && protocol_ == "tcp" && random_.percent(30)) {
          text += " -m tcp --tcp-flags SYN,RST SYN";
          syn_ = true;
        } else if (random_.percent(60)) {
          text += protocol_match();
        }
      }
    }
    for (std::uint32_t left = random_.weighted({25, 50, 25}); left > 0; --left) text += match(at);
    if (marks_ && random_.percent(25)) {
      // What is left of two marks where the second has a mask, too.
      text += " -m mark " + inverted() + "--mark " +
              pick({"0x5", "0x6", "0x5/0xf", "0x6/0xf", "0x10/0xf0", "0x15", "0x16"});
    }
    const std::string aim = target(at);
    marks_ |= aim.starts_with(" -j MARK");
    return text + aim;
  }

  Random& random_;
  bool v6_;
  bool tracks_;
  bool remembers_;
  std::vector<std::string> targets_;
  std::uint32_t names_ = 0;
  // Of the rule that is being written.
  std::string protocol_;
  bool syn_ = false;
  bool marks_ = false;  // a rule has, so that a later one reads it
};

}  // namespace

IptablesText generate_iptables(std::uint64_t seed, bool remembers) {
  Random random(Random(seed).next());
  IptablesText text;
  const bool tracks = random.percent(65);
  const std::uint32_t families = random.weighted({50, 35, 15});
  for (const bool ipv6 : {false, true}) {
    if (families == (ipv6 ? 0U : 1U)) continue;
    IptablesWriter writer(random, ipv6, tracks, remembers);
    for (const char* table : {"raw", "mangle", "nat", "filter"}) {
      const bool is_filter = std::string_view(table) == "filter";
      const bool is_nat = std::string_view(table) == "nat";
      if (is_nat && !tracks) continue;
      if (!random.percent(is_filter ? 80 : 40)) continue;
      text.tables.push_back(writer.write(table));
    }
  }
  if (random.percent(35)) text.lowered_by = random.next();
  return text;
}

std::string render(const IptablesText& text, bool ipv6) {
  std::string out;
  for (const IptablesText::Table& table : text.tables) {
    if (table.ipv6 != ipv6) continue;
    out += "*" + table.name + "\n";
    for (const IptablesText::Chain& chain : table.chains) {
      out += fmt::format(":{} {} [0:0]\n", chain.name, chain.policy);
    }
    for (const IptablesText::Chain& chain : table.chains) {
      for (const std::string& rule : chain.rules) {
        out += rule.starts_with("-A  ") || rule == "-A "
                   ? "-A " + chain.name + rule.substr(3) + "\n"
                   : rule + "\n";
      }
    }
    out += "COMMIT\n";
  }
  return out;
}

std::string render(const IptablesText& text) {
  const std::string six = render(text, true);
  const char* lowered = text.lowered_by ? "# in earlier revisions\n" : "";
  return lowered + render(text, false) + (six.empty() ? "" : "# ip6tables\n" + six);
}

}  // namespace rolewall::kernel_judge
