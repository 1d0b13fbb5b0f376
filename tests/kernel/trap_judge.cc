// Behaviour of the kernel that models of it are known to get wrong, a case each: the ruleset, the
// packets, and what must become of them, by the live kernel and by the evaluator.
#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "generator.h"
#include "in_sandbox.h"
#include "net/protocol.h"
#include "sandbox/sandbox.h"
#include "trial.h"

namespace rolewall::kernel_judge {
namespace {

namespace protocol = net::protocol;
using eval::Fate;

constexpr const char* kInput = "type filter hook input priority 0; policy accept;";
constexpr const char* kPrerouting = "type filter hook prerouting priority -300; policy accept;";
constexpr std::uint8_t kSyn = 0x02;
constexpr std::uint8_t kSynAck = 0x12;

struct Asked {
  Known packet;
  Fate fate = Fate::Accept;
};

struct Trap {
  std::string_view name;
  std::vector<std::string> sets;
  std::vector<ChainText> chains;
  std::vector<Asked> packets;
};

Known packet(std::uint8_t number, std::uint16_t port = 22) {
  Known known;
  known.device = "eth0";
  known.fields.source = *net::parse_address("192.0.2.7");
  known.fields.destination = *net::parse_address("198.51.100.7");
  known.fields.protocol = number;
  known.fields.source_port = 40000;
  known.fields.destination_port = port;
  known.fields.length = 64;
  return known;
}
Known tcp(std::uint16_t port = 22) {
  return packet(protocol::kTcp, port);
}
Known udp(std::uint16_t port = 22) {
  return packet(protocol::kUdp, port);
}
Known tcp_with(std::uint8_t flags) {
  Known known = tcp();
  known.fields.tcp_flags = flags;
  return known;
}
Known cut_to(std::uint32_t bytes) {
  Known known = tcp();
  known.fields.truncate_transport_to = bytes;
  return known;
}
Known later_fragment() {
  Known known = udp();
  known.fields.fragment_offset = 64;
  return known;
}
Known with_bad_checksum() {
  Known known = tcp();
  known.fields.bad_checksum = true;
  return known;
}

Known to_itself(const char* address) {
  Known known = tcp();
  known.outbound = true;
  known.device = "lo";
  known.fields.source = *net::parse_address(address);
  known.fields.destination = known.fields.source;
  return known;
}

ChainText chain(const char* name, const char* base, std::vector<std::string> rules) {
  return {name, base, std::move(rules)};
}

std::vector<Trap> traps() {
  return {
      {"a failed load breaks the rule, negated or not",
       {},
       {chain("b", kInput, {"meta l4proto tcp @th,16,16 != 80 drop"})},
       {{cut_to(1), Fate::Accept}, {tcp(), Fate::Drop}}},
      {"a later fragment's bytes pass for ports to loads of 1, 2 or 4 bytes",
       {},
       {chain("b", kPrerouting, {"udp dport != 99 drop"})},
       {{later_fragment(), Fate::Drop}}},
      {"and not to those of another length: it comes as far as reassembly",
       {},
       {chain("b", kPrerouting, {"@th,8,24 != 0 drop", "@th,0,64 != 0 drop"})},
       {{later_fragment(), Fate::Held}, {udp(), Fate::Drop}}},
      {"where anything asks conntrack, fragments are held",
       {},
       {chain("b", kPrerouting, {"udp dport != 99 drop"}),
        chain("i", kInput, {"ct state invalid drop"})},
       {{later_fragment(), Fate::Held}}},
      {"tcp flags syn asks for a bit",
       {},
       {chain("b", kInput, {"tcp flags syn drop"})},
       {{tcp_with(kSyn), Fate::Drop}, {tcp_with(kSynAck), Fate::Drop}}},
      {"tcp flags { syn, ack } asks for a member",
       {},
       {chain("b", kInput, {"tcp flags { syn, ack } drop"})},
       {{tcp_with(kSyn), Fate::Drop}, {tcp_with(kSynAck), Fate::Accept}}},
      {"an accept ends its chain, not the hook",
       {},
       {chain("first", kInput, {"accept"}),
        chain("second", "type filter hook input priority 10; policy accept;", {"drop"}),
        chain("third", "type filter hook input priority 20; policy accept;", {"accept"})},
       {{tcp(), Fate::Drop}}},
      // nft writes the swap of one byte as that of none: `length` 1, `size` 2.
      {"a byte of a concatenation of ranges stays where it is",
       {"set s { type inet_proto . inet_service; flags interval; elements = { tcp . 22-23 } }"},
       {chain("b", kInput, {"meta l4proto . th dport @s drop"})},
       {{tcp(), Fate::Drop}, {tcp(24), Fate::Accept}, {udp(), Fate::Accept}}},
      {"what a rule sets, its later expressions read",
       {},
       {chain("b", kInput, {"meta mark set 5 meta mark 5 drop"})},
       {{tcp(), Fate::Drop}}},
      {"an inet table's port match asks for the protocol first",
       {},
       {chain("b", kInput, {"tcp dport 22 drop"})},
       {{udp(), Fate::Accept}, {tcp(), Fate::Drop}}},
      {"marks are in the host's order, and ranges of them are not",
       {},
       {chain("b", kInput,
              {"tcp dport 22 meta mark set 0x100", "tcp dport 23 meta mark set 0x1000000",
               "meta mark 0x1-0x12c drop"})},
       {{tcp(22), Fate::Drop}, {tcp(23), Fate::Accept}, {tcp(24), Fate::Accept}}},
      {"each field of a concatenation fills whole registers",
       {"set s { typeof iifname . tcp dport; elements = { \"eth0\" . 22, \"eth1\" . 23 } }",
        "set r { type ipv4_addr . inet_service; flags interval; elements = { 192.0.2.0/24 . 24-25 "
        "} "
        "}"},
       {chain("b", kInput, {"iifname . tcp dport @s drop", "ip saddr . tcp dport @r drop"})},
       {{tcp(22), Fate::Drop},
        {tcp(23), Fate::Accept},
        {tcp(25), Fate::Drop},
        {tcp(26), Fate::Accept}}},
      {"a name without a star is the whole name",
       {},
       {chain("b", kInput,
              {"iifname \"eth\" tcp dport 22 drop", "iifname \"et*\" tcp dport 23 drop"})},
       {{tcp(22), Fate::Accept}, {tcp(23), Fate::Drop}}},
      {"a limit is spent only by what reaches it, and over inverts it",
       {},
       {chain("b", kInput,
              {"tcp dport 22 limit rate over 1/hour burst 1 packets drop",
               "tcp dport 23 limit rate 1/hour burst 1 packets drop",
               "tcp dport 24 quota over 10 bytes drop", "tcp dport 25 quota 10 bytes drop"})},
       {{tcp(22), Fate::Accept},
        {tcp(23), Fate::Drop},
        {tcp(24), Fate::Drop},
        {tcp(25), Fate::Accept}}},
      {"without an entry a ct key breaks, and to set one does nothing",
       {},
       {chain("raw", kPrerouting, {"tcp dport 22 notrack"}),
        chain("b", kInput, {"ct mark set 5", "ct mark != 5 drop", "ct mark 5 tcp dport 23 drop"})},
       {{tcp(22), Fate::Accept}, {tcp(23), Fate::Drop}}},
      {"what conntrack cannot read is invalid, which is a bit of the state",
       {},
       {chain("b", kInput, {"ct state invalid drop", "ct state { new } accept"})},
       {{with_bad_checksum(), Fate::Drop}, {tcp(), Fate::Accept}}},
      {"a verdict map's miss breaks the rule",
       {},
       {chain("b", kInput, {"tcp dport vmap { 22 : accept } drop", "tcp dport 24 drop"})},
       {{tcp(22), Fate::Accept}, {tcp(23), Fate::Accept}, {tcp(24), Fate::Drop}}},
      {"a jump comes back, a goto to where its chain was jumped from",
       {},
       {chain("last", "", {"tcp dport 99 drop"}), chain("leaves", "", {"goto last", "accept"}),
        chain("returns", "", {"tcp dport 98 drop"}),
        chain("b", kInput, {"jump returns", "jump leaves", "drop"})},
       {{tcp(22), Fate::Drop}}},
      {"the kernel routes again what a chain of type route has marked, and the loopback knows no "
       "link",
       {},
       {chain("r", "type route hook output priority 0; policy accept;", {"meta mark set 1"})},
       {{to_itself("fe80::1:1"), Fate::Stack}, {to_itself("198.51.100.7"), Fate::Accept}}},
      {"a goto from a base chain leaves its policy to decide",
       {},
       {chain("last", "", {"tcp dport 99 drop"}), chain("b", kInput, {"goto last", "drop"})},
       {{tcp(22), Fate::Accept}, {tcp(99), Fate::Drop}}},
  };
}

ruleset::Host host_on_trial() {
  ruleset::Host host;
  host.name = "traps";
  host.addresses = {*net::parse_prefix("198.51.100.7"), *net::parse_prefix("fe80::1:1")};
  ruleset::Interface& interface = host.interfaces.emplace_back();
  interface.name = "eth0";
  interface.device = "eth0";
  return host;
}

// Whether both say what they must.
bool holds(const Trap& trap, const ruleset::Host& host) {
  RulesetText text;
  text.tables.push_back({"inet", "t", trap.sets, trap.chains});
  auto trial = Trial::open(text, host);
  if (!trial) {
    fmt::print("{}: {}\n", trap.name, trial.error().message);
    return false;
  }
  bool right = true;
  for (std::size_t i = 0; i < trap.packets.size(); ++i) {
    const auto& [known, fate] = trap.packets[i];
    const auto answers = (*trial)->ask(to_question(known));
    if (!answers) {
      fmt::print("{}: packet {}: {}\n", trap.name, i + 1, answers.error().message);
      return false;
    }
    if (answers->difference.empty() && answers->journey.fate() == fate) continue;
    fmt::print("{}: packet {}: not {}; {}\n  evaluator:\n{}  kernel:\n{}", trap.name, i + 1,
               name_of(fate), answers->difference,
               (*trial)->comparison().describe(answers->journey),
               (*trial)->comparison().describe(answers->seen));
    right = false;
  }
  return right;
}

int run() {
  const ruleset::Host host = sandbox::realise(host_on_trial());
  if (auto made = sandbox::set_up_host(host); !made) {
    fmt::print("set up: {}\n", made.error().message);
    return 1;
  }
  int wrong = 0;
  std::size_t packets = 0;
  const auto all = traps();
  for (const Trap& trap : all) {
    wrong += holds(trap, host) ? 0 : 1;
    packets += trap.packets.size();
  }
  fmt::print("{} traps, {} packets, {} wrong\n", all.size(), packets, wrong);
  return wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace rolewall::kernel_judge

int main() {
  using namespace rolewall;
  return kernel_judge::in_sandbox([] { return kernel_judge::run(); });
}
