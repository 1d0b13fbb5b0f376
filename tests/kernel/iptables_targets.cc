// What random rules of iptables do: each target with its options, where it may stand.
#include <fmt/format.h>

#include "iptables_writer.h"

namespace rolewall::kernel_judge {

std::string IptablesWriter::nat_target(const Place& at) {
  const std::string to =
      v6_ ? pick({"2001:db8:9:1::5", "2001:db8:9::1", "2001:db8:9:1::5-2001:db8:9:1::9",
                  "2001:db8:9:12::7"})
          : pick({"10.9.1.5", "10.9.0.1", "192.0.2.9", "10.9.1.5-10.9.1.9", "10.9.12.7"});
  const bool with_ports = protocol_ == "tcp" || protocol_ == "udp" || protocol_ == "sctp";
  const std::string netmap =
      " -j NETMAP --to " +
      (v6_ ? pick({"2001:db8:9:1::/64", "2001:db8:9:1::5", "2001:db8:9::/47", "::/0"})
           : pick({"10.9.1.0/24", "10.9.1.5", "10.9.0.0/15", "0.0.0.0/0"}));
  const std::string single =
      v6_ ? pick({"[2001:db8:9:1::5]", "[2001:db8:9:12::7]"}) : pick({"10.9.1.5", "10.9.12.7"});
  if (at.is("PREROUTING") || at.is("OUTPUT")) {
    switch (random_.below(4)) {
      case 0:
        return " -j REDIRECT" + (with_ports
                                     ? pick({"", " --to-ports 8080", " --to-ports 100-200",
                                             " --to-ports 100-200 --random", " --to-ports 22",
                                             " --random", " --to-ports 0-65535"})
                                     : "");
      case 1:
        return netmap;
      case 2:
        return " -j DNAT --to-destination " +
               (with_ports ? single + pick({":22", ":8080", ":22-80", ":1000-2000/1000",
                                            ":40000-50000 --random"})
                           : to);
      default:
        if (with_ports && random_.percent(15)) return " -j DNAT --to-destination :8080";
        if (with_ports && random_.percent(15)) {
          return " -j DNAT --to-destination " +
                 (v6_ ? pick({"[2001:db8:9:1::5-2001:db8:9:1::9]:22", "[2001:db8:9:1::5]:65535"})
                      : pick(
                            {"10.9.1.5-10.9.1.9:22", "10.9.1.5-10.9.1.6:80-90", "10.9.1.5:65535"}));
        }
        return " -j DNAT --to-destination " + to + pick({"", " --persistent", " --random"});
    }
  }
  const std::string drawn = pick({"", "", "", " --random", " --random-fully", " --persistent"});
  const std::string with_range =
      single + pick({":1024-2000", ":22", ":40000", ":30000-40000 --random", ":0-65535"});
  const std::string source = with_ports && random_.percent(25) ? with_range : to + drawn;
  if (at.is("INPUT")) return random_.percent(25) ? netmap : " -j SNAT --to-source " + source;
  if (!at.is("POSTROUTING")) return " -j ACCEPT";
  switch (random_.below(3)) {
    case 0:
      return " -j MASQUERADE" +
             (with_ports ? pick({"", " --to-ports 30000-40000", " --random", " --random-fully",
                                 " --to-ports 40000", " --to-ports 1024-65535 --random"})
                         : "");
    case 1:
      return netmap;
    default:
      return " -j SNAT --to-source " + source;
  }
}

std::string IptablesWriter::mark_target() {
  if (tracks_ && random_.percent(33)) {
    return " -j CONNMARK " +
           pick({"--set-mark 7", "--save-mark", "--restore-mark", "--set-xmark 0x10/0xff",
                 "--save-mark --nfmask 0xf --ctmask 0xf0", "--and-mark 0xf", "--or-mark 1",
                 "--xor-mark 3", "--save-mark --mask 0xff",
                 "--set-xmark 0x1/0xff --left-shift-mark 4",
                 "--restore-mark --nfmask 0xff --ctmask 0xff00 --right-shift-mark 8",
                 "--set-xmark 0xffffffff/0xffffffff --left-shift-mark 31"});
  }
  return " -j MARK " +
         pick({"--set-mark 5", "--set-xmark 0x10/0xf0", "--or-mark 1", "--and-mark 0xf",
               "--xor-mark 0x3", "--set-mark 0x5/0xf", "--set-xmark 0x0/0x0", "--and-mark 0x0",
               "--set-xmark 0xffffffff/0xff", "--set-mark 0x16/0x6"});
}

// REQUIRES: the rule asks for SYNs.
std::string IptablesWriter::segment_size(const Place& at) {
  if (!at.passes() && !at.leaves()) return " -j TCPMSS --set-mss 1200";
  return " -j TCPMSS " +
         pick({"--set-mss 900", "--clamp-mss-to-pmtu", "--set-mss 1", "--set-mss 65495"});
}

// As kube-proxy marks in `nat`, and many clamp in `filter`.
std::string IptablesWriter::usual_target(const Place& at) {
  if (protocol_ == "tcp" && syn_) return segment_size(at);
  switch (random_.weighted({60, 10, 8, 8, 8})) {
    case 0:
      return mark_target();
    case 1:
      return at.leaves() || at.passes() ? " -j CLASSIFY --set-class 1:7" : " -j TRACE";
    case 2:
      return " -j TEE --gateway " + std::string(v6_ ? "fec0::1" : "169.254.0.9");
    case 3:
      return " -j NFQUEUE --queue-num 65535" + pick({"", " --queue-bypass"});
    default:
      if (protocol_ != "tcp" || !tracks_ || (!at.is("INPUT") && !at.passes())) return " -j TRACE";
      return std::string(" -j SYNPROXY --mss 1460");
  }
}

std::string IptablesWriter::mangle_target(const Place& at) {
  switch (random_.below(12)) {
    case 0:
    case 1:
    case 2:
      return mark_target();
    case 3:
      return " -j DSCP " + pick({"--set-dscp 0x08", "--set-dscp 0x00", "--set-dscp-class EF",
                                 "--set-dscp 0x3f", "--set-dscp-class AF41"});
    case 4:
      return " -j TOS " +
             pick({"--set-tos 0x10", "--set-tos 0x08/0x3f", "--set-tos 0x20/0xe0", "--and-tos 0xf0",
                   "--or-tos 0x04", "--xor-tos 0x18", "--set-tos 0x03/0x03", "--set-tos 0xff",
                   "--set-tos 0x00/0xff", "--set-tos Maximize-Throughput"});
    case 5:
      return v6_ ? " -j HL " + pick({"--hl-set 9", "--hl-inc 5", "--hl-dec 1", "--hl-inc 255",
                                     "--hl-dec 255", "--hl-set 255", "--hl-set 1"})
                 : " -j TTL " + pick({"--ttl-set 9", "--ttl-inc 5", "--ttl-dec 1", "--ttl-inc 255",
                                      "--ttl-dec 255", "--ttl-set 255", "--ttl-set 1"});
    case 6:
      return protocol_ == "tcp" && syn_ ? segment_size(at) : " -j MARK --set-mark 6";
    case 7:
      return protocol_ == "tcp" ? " -j TCPOPTSTRIP --strip-options " +
                                      pick({"2", "4,8", "3", "mss,wscale,timestamp", "253",
                                            "sack-permitted", "2,3,4,5,8,28"})
                                : " -j MARK --set-mark 6";
    case 8:
      return at.leaves() || at.is("FORWARD")
                 ? " -j CLASSIFY --set-class " + pick({"1:0", "1:5", "0:0", "ffff:ffff"})
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
std::string IptablesWriter::note() {
  return pick({" -j LOG --log-prefix \"x \"", " -j LOG --log-level debug --log-uid",
               " -j LOG --log-prefix plain --log-tcp-sequence --log-tcp-options --log-ip-options",
               " -j LOG --log-macdecode", " -j NFLOG --nflog-group 3",
               " -j NFLOG --nflog-prefix \"two words\" --nflog-threshold 5",
               " -j NFLOG --nflog-group 1 --nflog-size 64", "", "", set_target(), set_target(),
               " -j AUDIT --type accept", " -j AUDIT --type drop", " -j AUDIT --type reject",
               " -j RATEEST --rateest-name e --rateest-interval 1s "
               "--rateest-ewmalog 4s",
               " -j IDLETIMER --timeout 60 --label idle", " -j NFLOG --nflog-range 20",
               " -j IDLETIMER --timeout 60 --label late --alarm"});
}

std::string IptablesWriter::target(const Place& at) {
  const bool may_call = called_from_.empty() || called_from_ == at.hook;
  if (may_call && !targets_.empty() && random_.percent(15)) {
    return (random_.percent(75) ? " -j " : " -g ") + random_.of(targets_);
  }
  if (random_.percent(12)) {
    return note();
  }
  if (random_.percent(6)) return usual_target(at);
  if (at.table == "nat")
    return random_.percent(70) ? nat_target(at) : pick({" -j ACCEPT", " -j RETURN"});
  if (at.table == "mangle") return mangle_target(at);
  if (at.table == "raw") return raw_target();
  if (random_.percent(3)) {
    return " -j NFQUEUE " + pick({"--queue-num 3", "--queue-num 3 --queue-bypass",
                                  "--queue-balance 0:3", "--queue-balance 4:7 --queue-cpu-fanout"});
  }
  if (protocol_ == "tcp" && tracks_ && random_.percent(4) && (at.is("INPUT") || at.is("FORWARD"))) {
    return " -j SYNPROXY" + pick({" --mss 1460", " --sack-perm --timestamp --wscale 7 --mss 1400",
                                  " --ecn --mss 536"});
  }
  if (random_.percent(14)) return reject_target();
  return pick({" -j ACCEPT", " -j ACCEPT", " -j DROP", " -j RETURN"});
}

std::string IptablesWriter::raw_target() {
  if (!tracks_) return pick({" -j ACCEPT", " -j DROP", " -j RETURN", " -j TRACE"});
  if (random_.percent(8)) {
    return pick({" -j CT --ctevents new,destroy", " -j CT --expevents new", " -j CT --zone-orig 3",
                 " -j CT --zone-reply 4", " -j CT --zone mark"});
  }
  return pick({" -j CT --notrack", " -j ACCEPT", " -j DROP", " -j RETURN", " -j TRACE",
               " -j CT --zone 5", " -j NOTRACK"});
}

std::string IptablesWriter::reject_target() {
  if (protocol_ == "tcp" && random_.percent(50)) return " -j REJECT --reject-with tcp-reset";
  if (random_.percent(30)) return " -j REJECT";
  return " -j REJECT --reject-with " +
         (v6_ ? pick({"icmp6-adm-prohibited", "icmp6-no-route", "icmp6-addr-unreachable",
                      "icmp6-port-unreachable", "icmp6-policy-fail", "icmp6-reject-route"})
              : pick({"icmp-host-prohibited", "icmp-admin-prohibited", "icmp-net-unreachable",
                      "icmp-host-unreachable", "icmp-proto-unreachable", "icmp-port-unreachable",
                      "icmp-net-prohibited"}));
}

std::string IptablesWriter::set_target() {
  const std::string name = fmt::format("s{}{}", v6_ ? 6 : 4, pick({"b", "c", v6_ ? "b" : "d"}));
  const bool adds = random_.percent(70);
  std::string text = fmt::format(" -j SET --{}-set {} {}", adds ? "add" : "del", name, sides(2));
  if (adds && random_.percent(20)) text += " --exist";
  if (adds && name.ends_with("b") && random_.percent(20)) text += " --timeout 600";
  if (random_.percent(15)) {
    return fmt::format(" -j SET --map-set s{}map{} {} ", v6_ ? 6 : 4, v6_ ? "s" : "ped", sides(1)) +
           pick({"--map-mark", "--map-prio", "--map-mark --map-prio", "--map-queue"});
  }
  return text;
}

}  // namespace rolewall::kernel_judge
