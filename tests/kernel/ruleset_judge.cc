// Rulesets that nobody's compiler wrote, on the live kernel: random text in nft's syntax, or random
// expressions that our own netlink writes, are loaded in a namespace and read back from there, and
// packets aimed at its boundaries are put through it, in the kernel and in the evaluator. They must
// agree on fate, deciding rule, path and bytes after. What disagrees is cut down to the rules that
// matter, and printed with the command that repeats it.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aims.h"
#include "breakage.h"
#include "eval/route.h"
#include "eval/wire.h"
#include "generator.h"
#include "in_sandbox.h"
#include "iptables_loader.h"
#include "iptables_text.h"
#include "machine_on_trial.h"
#include "net/address_set.h"
#include "net/protocol.h"
#include "netlink/conntrack.h"
#include "options.h"
#include "print/print.h"
#include "random.h"
#include "routing_on_trial.h"
#include "ruleset_random.h"
#include "ruleset_text.h"
#include "sandbox/sandbox.h"
#include "stack_on_trial.h"
#include "tally.h"
#include "trial.h"
#include "words.h"

namespace rolewall::kernel_judge {
namespace {

constexpr std::uint64_t kMostShown = 5;  // disagreements in full
constexpr const char* kWithoutIpv6 = "eth3";
constexpr std::array<std::string_view, 3> kSources{"text", "expressions", "iptables"};

struct Arguments {
  enum class From : std::uint8_t { Text, Expressions, Iptables } from = From::Text;
  bool forwards = false;  // the host on trial is a router
  bool ruled = false;     // rules of `ip rule` choose its routes
  std::string saved;      // the rules of one host, in a file; no packet may be undecided
  std::uint64_t rulesets = 500;
  std::uint64_t packets = 400;  // of each
  std::uint64_t seed = 1;
  std::uint64_t seconds = 0;          // a budget; 0: none
  std::uint64_t stop_after = 0;       // so many disagreements; 0: never
  std::optional<std::uint64_t> only;  // the packet's number: of the ruleset `seed` alone
};

std::optional<Arguments> parse(int count, char** words) {
  Arguments arguments;
  constexpr std::string_view kFrom = "--from";  // first, if at all
  if (count > 2 && words[1] == kFrom) {
    const std::string_view from = words[2];
    const auto known = std::ranges::find(kSources, from);
    if (known == kSources.end()) return std::nullopt;
    arguments.from = static_cast<Arguments::From>(known - kSources.begin());
    count -= 2;
    words += 2;
  }
  if (count > 1 && std::string_view(words[1]) == "--forwards") {
    arguments.forwards = true;
    --count;
    ++words;
  }
  if (count > 1 && std::string_view(words[1]) == "--ruled") {
    arguments.ruled = true;
    --count;
    ++words;
  }
  if (count > 2 && std::string_view(words[1]) == "--saved") {
    arguments.from = Arguments::From::Iptables;
    arguments.saved = words[2];
    count -= 2;
    words += 2;
  }
  const bool read = read_numbers(count, words,
                                 {{"--rulesets", &arguments.rulesets},
                                  {"--packets", &arguments.packets},
                                  {"--seed", &arguments.seed},
                                  {"--seconds", &arguments.seconds},
                                  {"--stop-after", &arguments.stop_after},
                                  {"--only", nullptr, &arguments.only}});
  if (!read) return std::nullopt;
  constexpr std::uint64_t kTimesIfLong = 4;
  const bool is_long = std::getenv("ROLEWALL_LONG_TESTS") != nullptr;
  const bool is_random = arguments.from == Arguments::From::Iptables && arguments.saved.empty();
  if (is_random && is_long) arguments.rulesets *= kTimesIfLong;
  return arguments;
}

ruleset::Host host_on_trial(bool forwards) {
  const auto prefix = [](const char* text) { return *net::parse_prefix(text); };
  ruleset::Host host;
  host.name = "trial";
  host.forwards_ipv4 = forwards;
  host.forwards_ipv6 = forwards;
  host.addresses = {prefix("198.51.100.7"), prefix("198.51.100.8"),  prefix("10.9.0.1"),
                    prefix("10.9.1.1"),     prefix("2001:db8:9::1"), prefix("2001:db8:9:2::1")};
  for (const char* device : {"eth0", "eth1", kWithoutIpv6, "eth2"}) {
    ruleset::Interface& interface = host.interfaces.emplace_back();
    interface.name = device;
    interface.device = device;
  }
  host.interfaces[1].behind =
      net::AddressSet::from({prefix("10.9.1.0/24"), prefix("2001:db8:9:1::/64")});
  host.interfaces.back().behind =
      net::AddressSet::from({prefix("10.9.2.0/23"), prefix("2001:db8:9:2::/63")});
  return host;
}

// As of a program that has not bound its socket: what rules change may then find another way.
// False: there is none to begin with, or several of which only the kernel knows which.
bool send_by_routes(Question& question, const eval::Routes& routes) {
  eval::Packet& packet = question.packet;
  if (packet.out_device == "lo") return true;
  const bool ipv6 = packet.ether_type == eval::kEtherTypeIpv6;
  const auto ways = routes.ways(eval::destination_of(packet.bytes, ipv6));
  if (ways.size() != 1 || ways.front()->type != ruleset::RouteType::Unicast) return false;
  packet.out_device = ways.front()->device;
  question.bound = false;
  return true;
}

std::string render(const ruleset::Ruleset& ruleset) {
  return print::to_bytecode(ruleset);
}

// What such rules look into and text does not: Ethernet headers, SCTP chunks.
void dress(Question& question, const ruleset::Host& host, std::uint64_t seed) {
  eval::Packet& packet = question.packet;
  Random random(seed);
  const bool ipv6 = packet.ether_type == eval::kEtherTypeIpv6;
  const bool plain = packet.bytes.size() >= 40 && packet.bytes[0] == (ipv6 ? 0x60 : 0x45);
  const std::uint8_t protocol = plain ? packet.bytes[ipv6 ? 6 : 9] : 0;
  if (protocol == net::protocol::kSctp && random.percent(70)) twist_transport(packet, random);
  if (!question.outbound) give_link_header(packet, host);
}

// Rules read, lower and take away TCP's options, which the generator gives to no packet.
void give_tcp_options(Question& question, std::uint64_t seed) {
  Random random(seed ^ 0x0971095);
  if (random.percent(50)) add_tcp_options(question.packet, random);
}

constexpr std::uint8_t kMobility = 135;

// What matches of iptables look into and the generator leaves as it is: TCP's options, the byte of
// differentiated services, further protocols.
void dress_for_iptables(Question& question, std::uint64_t seed) {
  eval::Packet& packet = question.packet;
  Random random(seed ^ 0x1b7ab1e5);
  const bool ipv6 = packet.ether_type == eval::kEtherTypeIpv6;
  const bool plain = packet.bytes.size() >= 40 && packet.bytes[0] == (ipv6 ? 0x60 : 0x45);
  if (!plain || question.outbound) return;
  const std::uint8_t protocol = packet.bytes[ipv6 ? 6 : 9];
  if (protocol == kMobility && ipv6 && packet.bytes.size() > 46 && random.percent(85)) {
    packet.bytes[40] = random.percent(90) ? 59 : 6;  // nothing follows, as must be
    packet.bytes[41] = static_cast<std::uint8_t>(random.below(4));
    packet.bytes[42] = static_cast<std::uint8_t>(random.below(7));
  }
  const bool twists = protocol == net::protocol::kTcp || protocol == net::protocol::kUdp;
  if (twists && random.percent(45)) twist_transport(packet, random);
  if (random.percent(40)) {
    const std::uint8_t field = random.of<std::uint8_t>({1, 2, 3, 8, 0x10, 0x20, 0x22, 0xb8});
    if (ipv6) {
      packet.bytes[0] = static_cast<std::uint8_t>(0x60 | field >> 4);
      packet.bytes[1] = static_cast<std::uint8_t>((packet.bytes[1] & 0x0f) | field << 4);
    } else {
      packet.bytes[1] = field;
      fix_header_checksum(packet);
    }
  }
}

// What is undecided, without the place: "iptables' match `bpf`: it is not modelled".
std::string of_problem(const std::string& reason) {
  const std::size_t iptables = reason.find("iptables' ");
  if (iptables != std::string::npos) return reason.substr(iptables);
  const std::size_t last = reason.rfind(": ");
  return last == std::string::npos ? reason : reason.substr(last + 2);
}

class Runner {
 public:
  Runner(const Arguments& arguments, const char* program)
      : arguments_(arguments),
        program_(program),
        host_(sandbox::realise(host_on_trial(arguments.forwards))) {}

  int run() {
    if (auto made = sandbox::set_up_host(host_); !made) return broken(made.error(), "set up");
    if (auto taken = take_ipv6_away(kWithoutIpv6); !taken) return broken(taken.error(), "set up");
    if (auto added = add_networks(host_); !added) return broken(added.error(), "set up");
    if (arguments_.from == Arguments::From::Iptables && arguments_.saved.empty()) {
      const auto added = add_bridge(host_);
      if (!added) return broken(added.error(), "set up");
      if (!*added) fmt::print("this kernel has no bridges: none is tried\n");
    }
    if (auto learnt = learn_machine(host_); !learnt) return broken(learnt.error(), "set up");
    choose_groups(host_);
    if (arguments_.from == Arguments::From::Iptables) {
      if (auto made = make_ipsets(host_); !made) return broken(made.error(), "set up");
    }
    const auto start = std::chrono::steady_clock::now();
    const std::uint64_t count = arguments_.only ? 1 : arguments_.rulesets;
    for (std::uint64_t i = 0; i < count; ++i) {
      if (!judge(arguments_.seed + i)) return 1;
      if (arguments_.stop_after != 0 && disagreements_ >= arguments_.stop_after) break;
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
      if (arguments_.seconds != 0 && took.count() > static_cast<double>(arguments_.seconds)) break;
    }
    report(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    if (!arguments_.saved.empty() && !undecided_.empty()) return 1;
    return disagreements_ == 0 ? 0 : 1;
  }

 private:
  static int broken(const Error& error, std::string_view where) {
    fmt::print("{}: {}\n", where, error.message);
    return 1;
  }

  bool judge(std::uint64_t seed) {
    switch (arguments_.from) {
      case Arguments::From::Text:
        return judge(generate_ruleset(seed), seed);
      case Arguments::From::Expressions:
        return judge(generate_expressions(seed), seed);
      case Arguments::From::Iptables: {
        if (arguments_.saved.empty()) return judge(generate_iptables(seed), seed);
        const auto saved = read_iptables(arguments_.saved);
        if (!saved) return broken(saved.error(), arguments_.saved) == 0;
        return judge(*saved, seed) && refused_ == 0;
      }
    }
    return false;
  }
  bool from_expressions() const { return arguments_.from == Arguments::From::Expressions; }

  template <class Source>
  bool judge(const Source& source, std::uint64_t seed) {
    const std::string again =
        fmt::format("{} --from {}{}{}{} --seed {} --only ", program_,
                    kSources[static_cast<std::size_t>(arguments_.from)],
                    arguments_.forwards ? " --forwards" : "", arguments_.ruled ? " --ruled" : "",
                    arguments_.saved.empty() ? "" : " --saved " + arguments_.saved, seed);
    // Settings that are not modelled (bc_forwarding, source routes) are no saved host's.
    constexpr std::uint64_t kUsual = 0;
    if (auto chosen = choose_stack(host_, arguments_.saved.empty() ? seed : kUsual); !chosen) {
      broken(chosen.error(), again + "0");
      return false;
    }
    ruleset::Host asked = host_;
    if (arguments_.ruled) {
      if (auto chosen = choose_routing_rules(asked, seed); !chosen) {
        broken(chosen.error(), again + "0");
        return false;
      }
    }
    auto trial = Trial::open(source, asked);
    if (!trial && trial.error().kind == ErrorKind::Usage) {
      ++refused_;
      if (std::getenv("SHOW_REFUSALS") != nullptr) {
        fmt::print("{}{}\n{}", again, trial.error().message, render(source));
      }
      return true;
    }
    if (!trial) {
      broken(trial.error(), again + "0");
      return false;
    }
    ++rulesets_;
    Boundaries boundaries = Boundaries::of((*trial)->ruleset(), host_);
    // Text names protocols; expressions look into the headers of these whatever they are.
    if (from_expressions()) {
      boundaries.protocols.insert(boundaries.protocols.end(), 2, net::protocol::kSctp);
    }
    if (arguments_.from == Arguments::From::Iptables) {
      for (const std::uint8_t protocol :
           std::initializer_list<std::uint8_t>{33, 50, 51, 132, kMobility}) {
        boundaries.protocols.push_back(protocol);
      }
    }
    const std::vector<Known> known;
    const eval::Routes routes(host_);
    const Generator generator(boundaries, host_, known, seed, false);
    const std::uint64_t first = arguments_.only.value_or(0);
    const std::uint64_t end = arguments_.only ? first + 1 : arguments_.packets;
    for (std::uint64_t number = first; number < end; ++number) {
      Question question = generator.question(number);
      give_tcp_options(question, seed + number);
      if (arguments_.from != Arguments::From::Text) dress(question, host_, seed + number);
      if (arguments_.from == Arguments::From::Iptables) dress_for_iptables(question, seed + number);
      if (question.outbound && (arguments_.ruled || !send_by_routes(question, routes))) continue;
      if (!is_sent_as_asked(question) || !is_carried(host_, question)) continue;
      if (bears_what_a_frame_does_not(question)) continue;
      auto answers = (*trial)->ask(question);
      if (!answers) {
        broken(answers.error(), again + std::to_string(number));
        return false;
      }
      if (is_of_group_by_bridge(question)) {
        if (auto gone = netlink::forget_connections(); !gone) {
          broken(gone.error(), again + std::to_string(number));
          return false;
        }
      }
      // A local program could not even ask for it: no hook was met.
      const std::string& refused = answers->seen.reason;
      if (question.outbound &&
          (refused == std::strerror(EADDRNOTAVAIL) || refused == std::strerror(EMSGSIZE))) {
        continue;
      }
      if (answers->journey.fate() == eval::Fate::Undecided) {
        const std::string& reason = answers->journey.hooks.back().reason;
        ++undecided_[of_problem(reason)];
        continue;
      }
      ++packets_;
      if (!answers->journey.conditions.empty()) ++conditional_;
      tally_.add((*trial)->ruleset(), answers->journey);
      if (question.packet.in_device == kBridge) {
        ++bridged_;
        const std::string_view left_by = answers->journey.after.out_device;
        if (left_by == kBridge) ++sent_on_;
      }
      if (answers->difference.empty()) continue;
      if (++disagreements_ > kMostShown) continue;
      fmt::print("DISAGREEMENT: {}\n  {}\n  bytes: {}\n  evaluator:\n{}  kernel:\n{}",
                 answers->difference, in_words(question), in_hex(question.packet),
                 (*trial)->comparison().describe(answers->journey),
                 (*trial)->comparison().describe(answers->seen));
      fmt::print("  again: {}{}\n", again, number);
      trial->reset();
      print_small(minimise(source, asked, question), question);
      return true;  // the ruleset's other packets would say the same
    }
    return true;
  }

  // What came from here by lo bears what conntrack has found on its way out, which a frame put
  // there does not. Of iptables' rules packets of other senders come by lo.
  bool bears_what_a_frame_does_not(const Question& question) const {
    const eval::Packet& packet = question.packet;
    if (arguments_.from == Arguments::From::Text || packet.in_device != "lo") return false;
    if (arguments_.from != Arguments::From::Iptables) return true;
    const bool ipv6 = packet.ether_type == eval::kEtherTypeIpv6;
    const std::size_t at = ipv6 ? eval::ipv6::kSource : eval::ipv4::kSource;
    const std::size_t size = ipv6 ? 16 : 4;
    if (packet.bytes.size() < at + size) return true;
    std::vector<net::Prefix> own = host_.addresses;
    own.push_back(*net::parse_prefix("127.0.0.0/8"));
    own.push_back(*net::parse_prefix("::1"));
    return net::AddressSet::from(own).contains(
        net::address_from_bytes(std::span(packet.bytes).subspan(at, size)));
  }

  // The connection of such a frame is in the table before input (br_nf_local_in()), though the
  // watch drops it.
  static bool is_of_group_by_bridge(const Question& question) {
    return question.packet.in_device == kBridge &&
           (question.packet.type == eval::PacketType::Broadcast ||
            question.packet.type == eval::PacketType::Multicast);
  }

  // The rules that the disagreement needs, and what both say of these alone.
  template <class Source>
  void print_small(const Source& source, const Question& question) const {
    fmt::print("{}\n", render(source));
    const auto trial = Trial::open(source, host_);
    if (!trial) return;
    const auto answers = (*trial)->ask(question);
    if (!answers) return;
    fmt::print("of this ruleset: {}\n  evaluator:\n{}  kernel:\n{}", answers->difference,
               (*trial)->comparison().describe(answers->journey),
               (*trial)->comparison().describe(answers->seen));
  }

  void report(double seconds) const {
    fmt::print("packets that ran each expression: {}\n", tally_.in_words());
    for (const auto& [reason, count] : undecided_) {
      fmt::print("undecided, not compared: {} packets: {}\n", count, reason);
    }
    if (bridged_ != 0) {
      fmt::print("{} packets by a bridge, {} of them to its other port\n", bridged_, sent_on_);
    }
    fmt::print(
        "{} rulesets ({} more refused by nft or the kernel), {} packets compared ({} of them "
        "conditional), {} disagreements, {:.1f} s, seeds from {}\n",
        rulesets_, refused_, packets_, conditional_, disagreements_, seconds, arguments_.seed);
  }

  Arguments arguments_;
  std::string program_;
  ruleset::Host host_;
  std::uint64_t rulesets_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t packets_ = 0;
  std::uint64_t conditional_ = 0;
  std::uint64_t bridged_ = 0;
  std::uint64_t sent_on_ = 0;
  std::uint64_t disagreements_ = 0;
  Tally tally_;
  std::map<std::string, std::uint64_t> undecided_;
};

}  // namespace
}  // namespace rolewall::kernel_judge

int main(int count, char** words) {
  using namespace rolewall;
  const auto arguments = kernel_judge::parse(count, words);
  if (arguments && arguments->from == kernel_judge::Arguments::From::Iptables &&
      !kernel_judge::has_iptables()) {
    fmt::print("skipped: iptables-nft-restore is not installed\n");
    return kernel_judge::kSkipped;
  }
  if (!arguments) {
    fmt::print(
        stderr,
        "usage: ruleset_judge [--from text|expressions|iptables] [--forwards] [--saved FILE] "
        "[--rulesets "
        "N] [--packets N] "
        "[--seed S] [--seconds BUDGET] "
        "[--stop-after DISAGREEMENTS] "
        "[--only PACKET]\n");
    return 2;
  }
  return kernel_judge::in_sandbox([&] { return kernel_judge::Runner(*arguments, words[0]).run(); });
}
