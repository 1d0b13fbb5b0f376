// What random rules of iptables ask: each match with its options, negated and not, and with values
// at the ends of what an option takes.
#include <fmt/format.h>

#include <string_view>

#include "iptables_writer.h"

namespace rolewall::kernel_judge {

// --- matches of a protocol ---

std::string IptablesWriter::protocol_match() {
  if (protocol_ == "tcp") {
    std::string text = " -m tcp";
    if (random_.percent(40)) text += fmt::format(" {}--sport {}", inverted(), ports());
    if (random_.percent(60)) text += fmt::format(" {}--dport {}", inverted(), ports());
    if (random_.percent(30)) {
      text +=
          " " + inverted() +
          pick({"--tcp-flags SYN,RST SYN", "--tcp-flags FIN,SYN,RST,ACK SYN",
                "--tcp-flags ALL NONE", "--tcp-flags ACK ACK", "--syn",
                "--tcp-flags SYN,FIN SYN,FIN", "--tcp-flags ALL FIN,PSH,URG", "--tcp-flags ALL ALL",
                "--tcp-flags SYN NONE", "--tcp-flags NONE NONE", "--tcp-flags SYN ACK"});
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
           pick({"8", "0", "3", "3/1", "echo-request", "any", "11/0", "255", "255/3", "redirect",
                 "3/255", "destination-unreachable", "parameter-problem"});
  }
  if (protocol_ == "icmpv6" && v6_) {
    return " -m icmp6 " + inverted() + "--icmpv6-type " +
           pick({"128", "129", "1", "1/4", "135", "echo-request", "128/0", "128/1", "255", "1/255",
                 "neighbour-solicitation", "ttl-zero-during-transit"});
  }
  if (protocol_ == "mobility-header") {
    return " -m mh " + inverted() + "--mh-type " + pick({"1", "0:3", "5", "2:255", "0:255", "0"});
  }
  if (protocol_ == "esp")
    return " -m esp " + inverted() + "--espspi " + pick({"1", "0:500", "7", "0:4294967295"});
  if (protocol_ == "ah" && v6_) {
    return " -m ah" + pick({"", " ! --ahspi 7", " --ahspi 0:500", " --ahres", " --ahlen 24",
                            " ! --ahlen 24", " --ahspi 1 --ahlen 12 --ahres"});
  }
  if (protocol_ == "ah") {
    return " -m ah " + inverted() + "--ahspi " + pick({"1", "0:500", "7", "0:4294967295"});
  }
  return "";
}

bool IptablesWriter::has_ports() const {
  return protocol_ == "tcp" || protocol_ == "udp" || protocol_ == "sctp" || protocol_ == "dccp" ||
         protocol_ == "udplite";
}

// --- the others, "" where it does not fit ---

std::string IptablesWriter::limited_to_device(const Place& at) {
  if (!random_.percent(20)) return "";
  if (at.is("PREROUTING") || at.is("INPUT")) return " --limit-iface-in";
  return at.leaves() ? " --limit-iface-out" : "";
}

std::string IptablesWriter::header_match(const Place& at) {
  switch (random_.below(11)) {
    case 0:
      return " -m iprange" +
             (random_.percent(15)
                  ? fmt::format(" {}--src-range {} {}--dst-range {}", inverted(), range(),
                                inverted(), range())
                  : fmt::format(" {}--{}-range {}", inverted(), pick({"src", "dst"}), range()));
    case 1:
      return " -m length " + inverted() + "--length " +
             pick({"0:64", "60", "40:1500", "65:200", "0", "0:65535", "65535", "64:64"});
    case 2:
      return " -m tos " + inverted() + "--tos " +
             pick({"0x00", "0x10/0x3f", "0x20/0xe0", "0x08", "0x04/0x04", "0x00/0x00",
                   "Minimize-Delay", "0x10/0x0f"});
    case 3:
      return " -m dscp " + inverted() +
             pick({"--dscp 0x00", "--dscp-class CS1", "--dscp 0x08", "--dscp 0x3f"});
    case 4:
      return (v6_ ? " -m hl " : " -m ttl ") +
             fmt::format(fmt::runtime(pick({"--{}-eq 64", "! --{}-eq 64", "--{}-lt 64", "--{}-gt 1",
                                            "--{}-lt 1", "--{}-gt 254", "--{}-eq 0", "--{}-lt 0"})),
                         v6_ ? "hl" : "ttl");
    case 5:
      if (protocol_ == "tcp" && random_.percent(60)) {
        return " -m ecn " +
               pick({"--ecn-tcp-ece", "--ecn-tcp-cwr", "! --ecn-tcp-ece", "! --ecn-tcp-cwr",
                     "--ecn-tcp-cwr --ecn-tcp-ece", "! --ecn-tcp-cwr --ecn-tcp-ece",
                     "--ecn-tcp-ece ! --ecn-ip-ect 0"});
      }
      return " -m ecn " + inverted() + "--ecn-ip-ect " + pick({"0", "1", "2", "3"});
    case 6:
      return protocol_ == "tcp" ? " -m tcpmss " + inverted() + "--mss " +
                                      pick({"1460", "0:1000", "536:1460", "0", "0:65535"})
                                : "";
    case 7:
    case 8:
      return payload_match();
    case 9:
      return addrtype_match(at);
    default:
      return " -m pkttype " + inverted() + "--pkt-type " +
             pick({"unicast", "broadcast", "multicast", "otherhost"});
  }
}

std::string IptablesWriter::payload_match() {
  if (random_.percent(50)) {
    return " -m u32 " + inverted() + "--u32 " +
           pick({"\"0&0xf0000000=0x40000000\"", "\"6&0xff=6,17\"", "\"0>>22&0x3c@0>>16=22:80\"",
                 "\"4=0:0xffff\"", "\"40>>16&0xffff=22,53:443\"", "\"0>>22&0x3c@12>>26&0x3c@0=0\"",
                 "\"6&0xff=6&&0>>22&0x3c@12&0xff0000=0x20000\"", "\"0<<8>>28=1:15\"", "\"2000=0\"",
                 "\"0>>22&0x3c@4=0,5:0xffffffff&&8&0xff=6\"", "\"0&0xffff@0=0:0xffffffff\"",
                 "\"0>>31=0\"", "\"20=0:5,7,9:0xffffffff\""});
  }
  return " -m string --algo " + pick({"bm", "kmp"}) + " " + inverted() +
         pick({"--string a", "--string hello --icase", "--hex-string \"|0000|\"",
               "--hex-string \"|0050|\" --from 20 --to 60", "--string \"E\" --to 2",
               "--hex-string \"|00|\" --from 21 --to 22",
               "--hex-string \"|0000|\" --from 60 --to 60",
               "--hex-string \"|000000000000|\" --from 39", "--hex-string \"|45|\" --to 0",
               "--hex-string \"|00|\" --from 65535", "--hex-string \"|41|a\" --icase --from 30",
               "--hex-string \"|0016|\" --from 22 --to 23"});
}

std::string IptablesWriter::addrtype_match(const Place& at) {
  const std::string both = inverted() + pick({"--src-type LOCAL", "--src-type UNICAST"}) + " " +
                           inverted() + pick({"--dst-type LOCAL", "--dst-type UNICAST,MULTICAST"});
  if (random_.percent(12)) return " -m addrtype " + both;
  const std::string type =
      v6_ ? pick({"--dst-type LOCAL", "--dst-type MULTICAST", "--dst-type UNICAST",
                  "--src-type LOCAL", "--src-type UNREACHABLE", "--dst-type ANYCAST",
                  "--dst-type UNICAST,LOCAL", "--src-type UNSPEC", "--dst-type UNSPEC"})
          : pick({"--dst-type LOCAL", "--dst-type MULTICAST", "--dst-type UNICAST",
                  "--src-type LOCAL", "--dst-type BROADCAST", "--src-type UNICAST,MULTICAST",
                  "--src-type PROHIBIT", "--dst-type UNREACHABLE,PROHIBIT", "--src-type UNSPEC",
                  "--dst-type BLACKHOLE", "--src-type BROADCAST", "--dst-type ANYCAST,LOCAL",
                  "--src-type THROW,NAT,XRESOLVE", "--dst-type UNICAST,BROADCAST,UNREACHABLE"});
  return " -m addrtype " + inverted() + type + limited_to_device(at);
}

std::string IptablesWriter::ipv6_match() {
  switch (random_.below(6)) {
    case 0:
      return " -m frag " + pick({"--fragfirst", "--fragmore", "--fraglast", "--fragid 5",
                                 "--fragres", "! --fragid 0:9 --fragmore", "--fraglen 8",
                                 "--fragid 5:7 --fraglast", "--fragfirst --fragmore",
                                 "! --fragid 5", "--fragid 0:4294967295", "! --fraglen 8"});
    case 1:
      return " -m hbh " +
             pick({"--hbh-len 8", "! --hbh-len 8", "--hbh-opts 5:2", "--hbh-opts 1",
                   "--hbh-opts 1:4,0", "--hbh-opts 1:2,5:2,0", "--hbh-len 8 --hbh-opts 5:2",
                   "--hbh-opts 194:4,1", "--hbh-len 16"});
    case 2:
      return " -m dst " + pick({"--dst-len 8", "! --dst-len 8", "--dst-opts 1", "--dst-opts 1:4",
                                "--dst-opts 0", "--dst-opts 1,4:1", "--dst-len 8 --dst-opts 1:4"});
    case 3:
      return " -m rt " +
             pick({"--rt-type 0", "! --rt-type 0", "--rt-segsleft 0:1", "--rt-type 0 --rt-len 24",
                   "--rt-type 0 --rt-0-res", "--rt-type 0 --rt-0-addrs 2001:db8:9:1::5",
                   "--rt-type 0 --rt-0-addrs 2001:db8:9:1::5 --rt-0-not-strict",
                   "--rt-segsleft 2:255", "! --rt-segsleft 0", "--rt-type 4", "--rt-len 8",
                   "! --rt-type 2 --rt-len 8", "! --rt-len 24",
                   "--rt-type 0 --rt-0-addrs 2001:db8:9:1::5,2001:db8:9::1",
                   "--rt-type 0 --rt-0-addrs 2001:db8:9::1,2001:db8:9:1::5 --rt-0-not-strict"});
    default:
      return " -m ipv6header " + inverted() + "--header " +
             pick({"hop", "frag", "route", "dst", "prot", "hop,dst", "none", "frag,prot", "auth",
                   "esp", "hop,dst,route", "hop-by-hop,ipv6-nonxt"}) +
             pick({"", " --soft"});
  }
}

std::string IptablesWriter::flow_match() {
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
      return conntrack_match();
    case 5:
      return fmt::format(" -m conntrack {}--{} {}", inverted(),
                         pick({"ctorigsrc", "ctorigdst", "ctreplsrc", "ctrepldst"}), address());
    case 6:
      return " -m connbytes " + inverted() + "--connbytes " +
             pick({"0", "1:5", "60:100", "0:0", "2", "1:1", "0:18446744073709551615"}) +
             " --connbytes-mode " + pick({"packets", "bytes", "avgpkt"}) + " --connbytes-dir " +
             pick({"original", "reply", "both"});
    case 7:
      return " -m connlabel " + inverted() + "--label " + pick({"1", "2", "127"}) +
             pick({"", " --set"});
    case 8:
      return " -m helper " + inverted() + "--helper " + pick({"ftp", "sip", "irc", "\"\""});
    default:
      return " -m connlimit " +
             pick({"--connlimit-above 0", "--connlimit-upto 1", "--connlimit-above 1",
                   "--connlimit-upto 0", "--connlimit-above 2", "--connlimit-upto 4294967295"}) +
             pick({"", " --connlimit-mask 24", " --connlimit-daddr", " --connlimit-saddr",
                   " --connlimit-mask 0", " --connlimit-mask 1 --connlimit-daddr",
                   v6_ ? " --connlimit-mask 128" : " --connlimit-mask 32",
                   v6_ ? " --connlimit-mask 65" : " --connlimit-mask 31"});
  }
}

std::string IptablesWriter::conntrack_match() {
  return " -m conntrack " +
         pick({"--ctstate SNAT",
               "--ctstate DNAT",
               "--ctdir ORIGINAL",
               "--ctdir REPLY",
               "--ctproto 6",
               "! --ctproto 17",
               "--ctorigdstport 22:80",
               "--ctexpire 1:100000",
               "! --ctexpire 5",
               "--ctrepldstport 1024:65535",
               "--ctreplsrcport 22",
               "! --ctreplsrcport 80:443",
               "! --ctorigsrcport 1024:65535",
               "! --ctrepldstport 40000 --ctreplsrcport 0:1023",
               "--ctorigsrcport 40000",
               "! --ctorigdstport 443",
               "--ctstatus NONE",
               "--ctstatus ASSURED,SEEN_REPLY",
               "--ctstate NEW --ctproto 6",
               "! --ctstate NEW --ctdir ORIGINAL",
               "--ctstate NEW,SNAT",
               "! --ctstate DNAT,ESTABLISHED",
               "--ctstate UNTRACKED,DNAT",
               "! --ctstatus CONFIRMED",
               "--ctstatus EXPECTED",
               "! --ctstatus NONE",
               "--ctstatus NONE,SEEN_REPLY",
               "! --ctstate INVALID ! --ctproto 17",
               "! --ctorigdstport 22:80 --ctproto 6",
               "--ctproto udplite",
               "--ctorigdstport 22 --ctorigsrcport 1024:65535 --ctdir ORIGINAL"});
}

std::string IptablesWriter::host_match(const Place& at) {
  switch (random_.below(16)) {
    case 0:
      return " -m mark " + inverted() + "--mark " + mark();
    case 1:
      return at.arrives()
                 ? " -m mac " + inverted() + "--mac-source " +
                       pick({"02:00:00:00:00:02", "02:00:00:00:01:02", "00:00:00:00:00:00"})
                 : "";
    case 2:
      return at.leaves() ? " -m owner " + inverted() +
                               pick({"--uid-owner 0", "--uid-owner 1-1000", "--gid-owner 0",
                                     "--gid-owner 5 --suppl-groups", "--socket-exists",
                                     "--uid-owner 1-1000 --gid-owner 0", "--uid-owner 0-4294967294",
                                     "--gid-owner 1-1000", "--uid-owner 0 ! --gid-owner 0"})
                         : "";
    case 3:
      return devgroup_match(at);
    case 4:
      return physdev_match(at);
    case 5:
      return at.is("PREROUTING") && (at.table == "raw" || at.table == "mangle")
                 ? " -m rpfilter" +
                       pick({"", " --loose", " --invert", " --accept-local", " --validmark",
                             " --loose --invert", " --loose --accept-local --invert",
                             " --accept-local --invert"})
                 : "";
    case 6:
      return at.is("PREROUTING") || at.is("INPUT")
                 ? " -m socket" + pick({"", " --transparent", " --nowildcard", " --restore-skmark",
                                        " --transparent --nowildcard --restore-skmark"})
                 : "";
    case 7:
      if (at.is("PREROUTING") || at.is("INPUT")) return " -m policy --dir in" + transforms();
      if (at.passes()) return " -m policy --dir " + pick({"in", "out"}) + transforms();
      return at.leaves() ? " -m policy --dir out" + transforms() : "";
    case 8:
      return " -m time " + pick({"--timestart 08:00 --timestop 20:00", "--monthdays 31",
                                 "--weekdays Mon --timestart 22:00 --timestop 02:00 --contiguous",
                                 "--timestart 00:00 --timestop 23:59:59", "--weekdays Sat,Sun,Fri",
                                 "--datestart 2030-01-01T00:00:00 ! --monthdays 1,2,3",
                                 "--weekdays Mon,Tue", "--monthdays 1,15", "! --weekdays Sat,Sun",
                                 "! --monthdays 1", "--timestart 20:00 --timestop 08:00",
                                 "--timestart 20:00 --timestop 08:00 --contiguous",
                                 "--datestart 2020-01-01 --datestop 2021-06-30T12:00:00",
                                 "--weekdays Fri --kerneltz"});
    case 9:
      return " -m cpu " + inverted() + "--cpu " + pick({"0", "1", "4294967295"});
    case 10:
      return v6_ || at.is("PREROUTING") || at.hook.empty()
                 ? ""
                 : " -m realm " + inverted() + "--realm " + pick({"0", "1", "0x0/0xff"});
    case 11:
      return at.leaves() || at.is("INPUT")
                 ? " -m cgroup " + inverted() + pick({"--cgroup 1", "--cgroup 0", "--path /"})
                 : "";
    case 12:
      return v6_ && (at.arrives()) ? " -m eui64" : "";
    case 13:
      return " -m comment --comment " + pick({"plain", "\"two words\""});
    default:
      return set_match();
  }
}

std::string IptablesWriter::devgroup_match(const Place& at) {
  const std::string from =
      inverted() + "--src-group " + pick({"0", "1", "0x0/0xf", "0xffffffff", "0/0"});
  const std::string to = inverted() + "--dst-group " + pick({"0", "1", "0x0/0xf", "0xffffffff"});
  if (at.is("PREROUTING") || at.is("INPUT")) return " -m devgroup " + from;
  if (at.leaves()) return " -m devgroup " + to;
  return at.passes() ? " -m devgroup " + pick({from, to, from + " " + to}) : "";
}

// What asks for a way out stands where there is one.
std::string IptablesWriter::physdev_match(const Place& at) {
  const std::string in = pick({"--physdev-in eth0", "--physdev-is-in", "--physdev-in port0",
                               "--physdev-in port+", "--physdev-is-in --physdev-in port0"});
  if (at.is("PREROUTING") || at.is("INPUT")) return " -m physdev " + inverted(50) + in;
  if (at.is("OUTPUT")) return " -m physdev " + inverted(50) + in;
  if (!at.passes() && !at.leaves()) return "";
  const std::string out = pick({"--physdev-is-bridged", "--physdev-is-out --physdev-is-bridged",
                                "--physdev-out eth1 --physdev-is-bridged", "--physdev-is-in"});
  return " -m physdev " + inverted(50) + (random_.percent(30) ? in : out);
}

std::string IptablesWriter::transforms() {
  return pick({" --pol none", " --pol ipsec", " --pol ipsec --reqid 5", " --pol ipsec --spi 0x7",
               " --pol ipsec --proto esp --mode tunnel --tunnel-src " + tunnel_end() +
                   " --tunnel-dst " + tunnel_end(),
               " --pol ipsec ! --proto ah ! --mode transport ! --spi 5",
               " --pol ipsec --mode tunnel ! --tunnel-src " + tunnel_end() + " ! --tunnel-dst " +
                   tunnel_end(),
               " --pol ipsec --strict --proto esp ! --reqid 7 --next --proto ah --mode transport"});
}
std::string IptablesWriter::sides(unsigned dimensions) {
  std::string list;
  for (unsigned i = 0; i < dimensions; ++i) list += (i == 0 ? "" : ",") + pick({"src", "dst"});
  return list;
}
std::string IptablesWriter::set_match() {
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
                                      {"ends", 3, false},
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
                  " --bytes-gt 300", " --bytes-lt 200 --packets-gt 1", " ! --bytes-eq 100",
                  " --bytes-eq 150", " --packets-lt 0", " --packets-gt 18446744073709551615"});
  }
  if (counts && random_.percent(15)) {
    text += pick({" ! --update-counters", " ! --update-subcounters", " --update-counters",
                  " --update-subcounters"});
  }
  return text;
}
// Some share a list, which one of them may make otherwise than another.
std::string IptablesWriter::hashlimit_match() {
  const std::string name =
      random_.percent(80) ? std::to_string(++names_) : std::to_string(random_.below(names_ + 1));
  std::string text =
      " -m hashlimit --hashlimit-name h" + name +
      pick({" --hashlimit-mode srcip", " --hashlimit-mode dstip,dstport",
            " --hashlimit-mode srcip,srcport", " --hashlimit-mode srcip,dstip,srcport,dstport",
            " --hashlimit-mode dstport", ""}) +
      " " +
      pick({"--hashlimit-above 1/hour", "--hashlimit-upto 2/hour --hashlimit-burst 1",
            "--hashlimit-above 1/hour --hashlimit-burst 2", "--hashlimit-upto 4/hour",
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

std::string IptablesWriter::memory_match() {
  switch (random_.weighted({2, 2, 2, 4, 2, 1})) {
    case 0:
      return " -m limit --limit " + pick({"3/hour", "1/day", "2/hour"}) + " --limit-burst " +
             pick({"1", "2", "5"});
    case 1:
      return hashlimit_match();
    case 2:
      return pick({" -m recent --name r0 ", " -m recent --name r1 ", " -m recent "}) + inverted() +
             pick({"--set", "--rcheck", "--update --seconds 60", "--remove",
                   "--rcheck --hitcount 2", "--update --seconds 60 --reap", "--rcheck --rttl",
                   "--update --hitcount 1", "--rcheck --hitcount 20", "--update --rttl",
                   "--rcheck --seconds 4294967", "--update --seconds 3600 --hitcount 3 --rttl"}) +
             (random_.percent(10) ? pick({v6_ ? " --mask ffff:ffff:ffff::" : " --mask 255.255.0.0",
                                          v6_ ? " --mask ::" : " --mask 0.0.0.0"})
                                  : "") +
             pick({"", " --rdest", " --rsource"});
    case 3:
      return " -m quota " + inverted() + "--quota " +
             pick({"50", "100", "300", "1200", "0", "18446744073709551615"});
    case 4:
      return " -m statistic --mode nth " + inverted() +
             pick({"--every 2 --packet 0", "--every 2 --packet 1", "--every 3 --packet 0",
                   "--every 1 --packet 0", "--every 4 --packet 3", "--every 3 --packet 1",
                   "--every 4294967295 --packet 0"});
    default:
      return " -m statistic --mode random " + inverted() + "--probability " +
             pick({"0.5", "0", "1"});
  }
}

std::string IptablesWriter::match(const Place& at) {
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

}  // namespace rolewall::kernel_judge
