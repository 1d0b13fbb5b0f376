#include "iptables_text.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "iptables_writer.h"

namespace rolewall::kernel_judge {

IptablesText::Table IptablesWriter::write(const std::string& name) {
  IptablesText::Table table{.ipv6 = v6_, .name = name, .chains = {}};
  const std::uint32_t others = random_.below(4);
  targets_.clear();
  for (std::uint32_t i = 0; i < others; ++i) targets_.push_back(fmt::format("c{}", i));
  const std::vector<std::string> hooks = hooks_of(name);
  called_from_ = random_.percent(50) ? random_.of(hooks) : "";
  for (const std::string& hook : hooks) {
    const bool drops = random_.percent(name == "filter" || name == "security" ? 25 : 3);
    IptablesText::Chain chain{hook, drops ? "DROP" : "ACCEPT", {}};
    const bool calls = others > 0 && hook == called_from_;
    const std::uint32_t count = !calls && random_.percent(35) ? 0 : 1 + random_.below(5);
    if (name == "mangle" && random_.percent(20)) add_marks(chain);
    for (std::uint32_t i = 0; i < count; ++i) chain.rules.push_back(rule({name, hook, hook}));
    table.chains.push_back(std::move(chain));
  }
  for (std::uint32_t i = 0; i < others; ++i) {
    targets_.erase(targets_.begin());
    IptablesText::Chain chain{fmt::format("c{}", i), "-", {}};
    for (std::uint32_t left = 1 + random_.below(3); left > 0; --left) {
      chain.rules.push_back(rule({name, chain.name, called_from_}));
    }
    table.chains.push_back(std::move(chain));
  }
  return table;
}

std::vector<std::string> IptablesWriter::hooks_of(const std::string& table) {
  if (table == "raw") return {"PREROUTING", "OUTPUT"};
  if (table == "filter" || table == "security") return {"INPUT", "FORWARD", "OUTPUT"};
  if (table == "nat") return {"PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"};
  return {"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"};
}

// Marks one after the other, of which a later one leaves bits of an earlier one, and what then
// stands there.
void IptablesWriter::add_marks(IptablesText::Chain& chain) {
  const std::string at = "-A " + chain.name;
  chain.rules.push_back(at + " -j MARK --set-mark " + pick({"0x5", "0x35", "0xff"}));
  chain.rules.push_back(at + " -j MARK " +
                        pick({"--set-xmark 0x10/0xf0", "--set-xmark 0x3/0x1", "--set-mark 0x2/0x6",
                              "--and-mark 0xf", "--or-mark 0x2"}));
  chain.rules.push_back(at + " -m mark " + inverted() + "--mark " +
                        pick({"0x15/0xff", "0x5/0xf", "0x7", "0x1f", "0x4/0x4", "0x36"}) +
                        pick({" -j ACCEPT", " -j DROP"}));
  marks_ = true;
}

// Packets of several sizes, some of which are more than is left.
std::string IptablesWriter::spending() {
  return " -m quota " + inverted() + "--quota " + pick({"100", "150", "300", "1200"}) +
         pick({"", " -j ACCEPT", " -j DROP"});
}

// Addresses, devices and the protocol, with what belongs to it.
std::string IptablesWriter::base_match(const Place& at) {
  std::string text;
  if (random_.percent(3)) {
    // As many rules: iptables takes several addresses where none is negated.
    text += fmt::format(" {} {},{}", pick({"-s", "-d"}), address(), address());
  } else {
    for (const char* side : {"-s", "-d"}) {
      if (random_.percent(20)) text += fmt::format(" {}{} {}", inverted(), side, address());
    }
  }
  if (!v6_ && random_.percent(4)) text += pick({" -f", " ! -f"});
  // A chain of a user may ask for a device that its packets have not.
  if (random_.percent(15) && (!at.leaves() || at.is_of_user())) {
    text += fmt::format(" {}-i {}", inverted(), device());
  }
  if (random_.percent(15) && (at.leaves() || at.passes() || at.is_of_user())) {
    text += fmt::format(" {}-o {}", inverted(), device());
  }
  if (protocol_.empty()) return text;
  if (random_.percent(6) && protocol_ != "ah" && protocol_ != "esp") {
    text += " ! -p " + protocol_;
    protocol_.clear();
    return text;
  }
  text += " -p " + protocol_;
  if (protocol_ == "tcp" && random_.percent(at.table == "mangle" ? 30 : 5)) {
    text += " -m tcp --tcp-flags SYN,RST SYN";
    syn_ = true;
  } else if (random_.percent(60)) {
    text += protocol_match();
    if (random_.percent(8)) text += protocol_match();  // two of a kind
  }
  return text;
}

std::string IptablesWriter::rule(const Place& at) {
  protocol_ = random_.of<const char*>({"tcp", "tcp", "tcp", "udp", "udp", "sctp",
                                       v6_ ? "icmpv6" : "icmp", "", "", "dccp", "esp",
                                       v6_ ? "mobility-header" : "ah", "ah", "udplite",
                                       random_.percent(80) ? "47" : "255", v6_ ? "59" : "icmpv6"});
  syn_ = false;
  std::string text = "-A " + at.chain;
  if (random_.percent(2)) text += pick({" -c 3 180", " -c 4294967296 18446744073709551615"});
  // What remembers shows that by the packets that come to it again: all, now and then.
  if (remembers_ && random_.percent(12)) {
    protocol_.clear();
    if (at.table != "nat" && random_.percent(30)) return text + spending();
    return text + memory_match() + target(at);
  }
  text += base_match(at);
  for (std::uint32_t left = random_.weighted({25, 46, 22, 5, 2}); left > 0; --left)
    text += match(at);
  if (marks_ && random_.percent(25)) {
    // What is left of two marks where the second has a mask, too.
    text += " -m mark " + inverted() + "--mark " +
            pick({"0x5", "0x6", "0x5/0xf", "0x6/0xf", "0x10/0xf0", "0x15", "0x16"});
  }
  const std::string aim = target(at);
  marks_ |= aim.starts_with(" -j MARK");
  return text + aim;
}

// --- values ---

std::string IptablesWriter::address() {
  if (v6_) {
    return pick({"2001:db8:9::1", "2001:db8:9:1::5", "2001:db8::9", "fe80::/10", "ff02::/16", "::1",
                 "2001:db8::/32", "2001:db8:9:1::/64", "::5/::ff", "2001:db8:9:1::/63",
                 "2001:db8::1/ffff:ffff::ffff", "2001:db8:9:1::4/126"});
  }
  return pick({"10.9.0.1", "10.9.1.5", "10.9.1.0/24", "10.0.0.0/8", "192.0.2.0/25", "198.51.100.7",
               "203.0.113.200", "224.0.0.0/4", "127.0.0.1", "0.0.0.0/1", "10.9.0.5/255.255.0.255",
               "0.0.0.1/0.0.0.1", "10.9.0.0/23", "10.9.1.4/30"});
}
std::string IptablesWriter::device() {
  return pick({"eth0", "eth1", "lo", "eth+", "eth3", "br0", "e+", "+", "port0", "eth"});
}
std::string IptablesWriter::port() {
  return pick({"22", "53", "80", "443", "1024", "3306", "40000", "65535"});
}
std::string IptablesWriter::ports() {
  return random_.percent(50) ? port()
                             : pick({"0:1023", "1024:65535", "53:80", "443:3306", ":80",
                                     "3306:", "0", "0:65535", "65535:65535"});
}
// As multiport has them: at most fifteen, of which a range is two, and with both ends.
std::string IptablesWriter::port_list() {
  std::string list;
  const std::uint32_t more = random_.percent(5) ? 6 : random_.below(3);
  for (std::uint32_t i = 0; i <= more; ++i) {
    list +=
        (i == 0 ? "" : ",") +
        (random_.percent(50) ? port()
                             : pick({"0:1023", "1024:65535", "53:80", "443:3306", "0", "0:65535"}));
  }
  return list;
}
std::string IptablesWriter::range() {
  return v6_ ? pick({"2001:db8:9:1::5-2001:db8:9:1::77", "::1-2001:db8:9::1", "fe80::-fe80::ff",
                     "2001:db8:9:1::5", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                     "2001:db8:9:1::77-2001:db8:9:1::5"})
             : pick({"10.9.1.5-10.9.1.77", "192.0.2.1-192.0.2.130", "9.255.255.255-10.9.0.1",
                     "10.9.1.5", "0.0.0.0-255.255.255.255", "127.255.255.255-128.0.0.1",
                     "10.9.1.77-10.9.1.5"});
}
std::string IptablesWriter::states() {
  return pick({"NEW", "ESTABLISHED,RELATED", "INVALID", "UNTRACKED", "NEW,UNTRACKED",
               "RELATED,ESTABLISHED,NEW", "INVALID,NEW,ESTABLISHED,RELATED,UNTRACKED"});
}
std::string IptablesWriter::mark() {
  return pick({"0x5", "0x10/0xf0", "0x0/0x1", "7", "0x0", "0x0/0x0", "0xffffffff", "0x5/0x1"});
}

IptablesText generate_iptables(std::uint64_t seed, bool remembers) {
  Random random(Random(seed).next());
  IptablesText text;
  const bool tracks = random.percent(65);
  const std::uint32_t families = random.weighted({50, 35, 15});
  for (const bool ipv6 : {false, true}) {
    if (families == (ipv6 ? 0U : 1U)) continue;
    IptablesWriter writer(random, ipv6, tracks, remembers);
    for (const char* table : {"raw", "mangle", "nat", "filter", "security"}) {
      const bool is_filter = std::string_view(table) == "filter";
      const bool is_nat = std::string_view(table) == "nat";
      if (is_nat && !tracks) continue;
      const bool is_security = std::string_view(table) == "security";
      if (!random.percent(is_filter ? 80 : is_security ? 10 : 40)) continue;
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
      for (const std::string& rule : chain.rules) out += rule + "\n";
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
