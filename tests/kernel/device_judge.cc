// What the trace does not show, judged by counters: chains on the devices' own hooks (netdev
// ingress and egress, inet ingress), and rules that copy packets, send them out elsewhere or hand
// them to a proxy. Every rule of a random ruleset counts; after each packet the kernel's counters
// must have moved as the evaluator says, rule by rule, up to the last chain of the last hook, and
// so must what leaves by the device that rules send packets to.
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "device_text.h"
#include "in_sandbox.h"
#include "machine_on_trial.h"
#include "net/protocol.h"
#include "netlink/netlink.h"
#include "nft_loader.h"
#include "options.h"
#include "ruleset/expr.h"
#include "ruleset/names.h"
#include "sandbox/descriptor.h"
#include "sandbox/sandbox.h"
#include "sandbox/wire.h"
#include "stack_on_trial.h"
#include "trial.h"
#include "words.h"

namespace rolewall::kernel_judge {
namespace {

constexpr std::uint64_t kMostShown = 5;  // disagreements in full

struct Arguments {
  std::uint64_t rulesets = 100;
  std::uint64_t packets = 100;  // of each
  std::uint64_t seed = 1;
  std::optional<std::uint64_t> only;  // the packet's number: of the ruleset `seed` alone
};

std::optional<Arguments> parse(int count, char** words) {
  Arguments arguments;
  const bool read = read_numbers(count, words,
                                 {{"--rulesets", &arguments.rulesets},
                                  {"--packets", &arguments.packets},
                                  {"--seed", &arguments.seed},
                                  {"--only", nullptr, &arguments.only}});
  if (!read) return std::nullopt;
  return arguments;
}

ruleset::Host host_on_trial() {
  const auto prefix = [](const char* text) { return *net::parse_prefix(text); };
  ruleset::Host host;
  host.name = "devices";
  host.addresses = {prefix("198.51.100.7"), prefix("10.9.1.1"), prefix("2001:db8:9::1"),
                    prefix("2001:db8:9:1::1")};
  for (const char* device : {"eth0", "eth1", kAside}) {
    ruleset::Interface& interface = host.interfaces.emplace_back();
    interface.name = device;
    interface.device = device;
  }
  host.interfaces[1].behind =
      net::AddressSet::from({prefix("10.9.1.0/24"), prefix("2001:db8:9:1::/64")});
  host.interfaces[2].behind =
      net::AddressSet::from({prefix("10.9.2.0/24"), prefix("2001:db8:9:2::/64")});
  host.forwards_ipv4 = true;
  host.forwards_ipv6 = true;
  return host;
}

// Packets through the host, and to it: more of them than chance would send.
std::vector<Known> known_packets() {
  std::vector<Known> known;
  const auto add = [&](const char* device, const char* from, const char* to, std::uint8_t protocol,
                       std::uint16_t port) {
    Known& packet = known.emplace_back();
    packet.device = device;
    packet.fields.source = *net::parse_address(from);
    packet.fields.destination = *net::parse_address(to);
    packet.fields.protocol = protocol;
    packet.fields.destination_port = port;
  };
  for (const std::uint8_t protocol : {net::protocol::kTcp, net::protocol::kUdp}) {
    for (const std::uint16_t port : {std::uint16_t{22}, std::uint16_t{443}}) {
      add("eth0", "192.0.2.9", "10.9.1.5", protocol, port);
      add("eth1", "10.9.1.5", "192.0.2.9", protocol, port);
      add("eth0", "192.0.2.9", "198.51.100.7", protocol, port);
      add("eth0", "2001:db8::9", "2001:db8:9:1::5", protocol, port);
      add("eth1", "2001:db8:9:1::5", "2001:db8::9", protocol, port);
      add("eth0", "2001:db8::9", "2001:db8:9::1", protocol, port);
    }
  }
  return known;
}

// A program that takes what is for other hosts, of either protocol and family.
Result<std::vector<sandbox::Descriptor>> listen_transparently() {
  std::vector<sandbox::Descriptor> sockets;
  for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
    for (const int family : {AF_INET, AF_INET6}) {
      sandbox::Descriptor socket(::socket(family, type | SOCK_CLOEXEC, 0));
      const int on = 1;
      const bool ipv6 = family == AF_INET6;
      sockaddr_storage address{};
      if (ipv6) {
        auto* in6 = reinterpret_cast<sockaddr_in6*>(&address);
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(kTransparentPort);
      } else {
        auto* in = reinterpret_cast<sockaddr_in*>(&address);
        in->sin_family = AF_INET;
        in->sin_port = htons(kTransparentPort);
      }
      const bool ready =
          socket.valid() &&
          (!ipv6 || ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0) &&
          ::setsockopt(socket.get(), ipv6 ? IPPROTO_IPV6 : IPPROTO_IP,
                       ipv6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on, sizeof on) == 0 &&
          ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address),
                 ipv6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in)) == 0 &&
          (type != SOCK_STREAM || ::listen(socket.get(), SOMAXCONN) == 0);
      if (!ready) {
        return fail(ErrorKind::System,
                    fmt::format("listen transparently: {}", std::strerror(errno)), errno);
      }
      sockets.push_back(std::move(socket));
    }
  }
  return sockets;
}

using Place = std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>;  // table, chain, rule
using Counts = std::map<Place, std::uint64_t>;

std::optional<std::size_t> counter_of(const ruleset::Rule& rule) {
  for (std::size_t i = 0; i < rule.exprs.size(); ++i) {
    if (std::holds_alternative<ruleset::Counter>(rule.exprs[i])) return i;
  }
  return std::nullopt;
}

Counts counts_of(const ruleset::Ruleset& ruleset) {
  Counts counts;
  for (std::uint32_t t = 0; t < ruleset.tables.size(); ++t) {
    const auto& chains = ruleset.tables[t].chains;
    for (std::uint32_t c = 0; c < chains.size(); ++c) {
      for (std::uint32_t r = 0; r < chains[c].rules.size(); ++r) {
        const auto at = counter_of(chains[c].rules[r]);
        if (!at) continue;
        counts[{t, c, r}] = std::get<ruleset::Counter>(chains[c].rules[r].exprs[*at]).packets;
      }
    }
  }
  return counts;
}

// How many packets leave by the device that is aside: this one, where a rule has sent it out there,
// and the copies that rules on devices make.
std::uint64_t count_aside(const ruleset::Ruleset& ruleset, const eval::Journey& journey) {
  std::uint64_t count = 0;
  for (const eval::HookResult& hook : journey.hooks) {
    if (hook.reason.starts_with(fmt::format("sent out by the device {},", kAside))) ++count;
    for (const eval::Step& step : hook.steps) {
      const auto& exprs = ruleset.tables[step.table].chains[step.chain].rules[step.rule].exprs;
      for (std::size_t i = 0; i < exprs.size(); ++i) {
        const bool ran = step.matched || step.broke_at > i;
        if (ran && std::holds_alternative<ruleset::Dup>(exprs[i])) ++count;
      }
    }
  }
  return count;
}

// Of the rules that ran as far as to their counters.
Counts counts_of(const ruleset::Ruleset& ruleset, const eval::Journey& journey) {
  Counts counts;
  for (const eval::HookResult& hook : journey.hooks) {
    for (const eval::Step& step : hook.steps) {
      const auto& rule = ruleset.tables[step.table].chains[step.chain].rules[step.rule];
      const auto at = counter_of(rule);
      if (at && (step.matched || step.broke_at > *at)) {
        ++counts[{step.table, step.chain, step.rule}];
      }
    }
  }
  for (std::uint32_t t = 0; t < ruleset.tables.size(); ++t) {
    const auto& chains = ruleset.tables[t].chains;
    for (std::uint32_t c = 0; c < chains.size(); ++c) {
      if (chains[c].name != kAside) continue;
      const std::uint64_t left = count_aside(ruleset, journey);
      const auto last = static_cast<std::uint32_t>(chains[c].rules.size() - 1);
      if (left != 0) counts[{t, c, last}] += left;
    }
  }
  return counts;
}

Counts difference(const Counts& after, const Counts& before) {
  Counts moved;
  for (const auto& [place, count] : after) {
    const auto at = before.find(place);
    const std::uint64_t was = at == before.end() ? 0 : at->second;
    if (count != was) moved[place] = count - was;
  }
  return moved;
}

std::string in_words(const ruleset::Ruleset& ruleset, const Counts& counts) {
  std::string text;
  for (const auto& [place, count] : counts) {
    const auto& [t, c, r] = place;
    const auto& table = ruleset.tables[t];
    text += fmt::format(" [{} {} {}{}]", table.name, table.chains[c].name, r + 1,
                        count == 1 ? "" : fmt::format(" x{}", count));
  }
  return text;
}

// One ruleset, in the kernel and in the evaluator.
class Counted {
 public:
  static Result<std::unique_ptr<Counted>> open(const RulesetText& text, const ruleset::Host& host) {
    TRY(NftLoader(render(text)).load());
    auto kernel = netlink::Connection::open();
    if (!kernel) return std::unexpected(kernel.error());
    auto live = kernel->dump();
    if (!live) return std::unexpected(live.error());
    return std::unique_ptr<Counted>(new Counted(std::move(*kernel), std::move(*live), host));
  }
  ~Counted() {
    for (const auto& table : ruleset_.tables) {
      static_cast<void>(kernel_.delete_table(table.family, table.name, std::nullopt));
    }
  }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

  struct Answers {
    bool asked = true;  // false: the kernel could not even be asked
    eval::Journey journey;
    Counts expected;
    Counts seen;
    bool agrees() const { return expected == seen; }
  };

  Result<Answers> ask(sandbox::Wire& wire, const Question& question) {
    Answers answers;
    const auto direction = question.outbound ? eval::Direction::Send : eval::Direction::Arrive;
    answers.journey =
        question.outbound ? evaluator_.send(question.packet) : evaluator_.arrive(question.packet);
    answers.expected = counts_of(ruleset_, answers.journey);
    auto before = counts();
    if (!before) return std::unexpected(before.error());
    int refused = 0;
    if (question.outbound) {
      const auto sent = wire.send(question.packet, kDeviceMark);
      if (!sent) return std::unexpected(sent.error());
      refused = *sent;
    } else {
      TRY(wire.arrive(question.packet, kDeviceMark));
    }
    // Mostly the packet is done by now.
    constexpr int kTries = 20;
    constexpr int kMoreTries = 200;  // of what is compared: a busy machine is slow
    constexpr int kTryUs = 5000;
    const bool compared = refused == 0 && answers.journey.fate() != eval::Fate::Undecided;
    for (int i = 0; i < (compared ? kMoreTries : kTries); ++i) {
      const auto after = counts();
      if (!after) return std::unexpected(after.error());
      answers.seen = difference(*after, *before);
      if (answers.agrees()) return answers;
      if (!answers.journey.conditions.empty()) take_other_way(question, direction, answers);
      if (answers.agrees()) return answers;
      ::usleep(kTryUs);
    }
    answers.asked = refused != EADDRNOTAVAIL && refused != EINVAL && refused != ENETUNREACH &&
                    refused != EMSGSIZE;
    return answers;
  }

  const ruleset::Ruleset& ruleset() const { return ruleset_; }

 private:
  Counted(netlink::Connection kernel, ruleset::Ruleset live, const ruleset::Host& host)
      : kernel_(std::move(kernel)), ruleset_(std::move(live)), evaluator_(ruleset_, host) {}

  Result<Counts> counts() {
    const auto live = kernel_.dump(false);
    if (!live) return std::unexpected(live.error());
    return counts_of(*live);
  }

  void take_other_way(const Question& question, eval::Direction direction, Answers& answers) {
    for (eval::Journey& way : evaluator_.outcomes(question.packet, direction).ways) {
      Counts expected = counts_of(ruleset_, way);
      if (expected != answers.seen) continue;
      answers.expected = std::move(expected);
      answers.journey = std::move(way);
      return;
    }
  }

  netlink::Connection kernel_;
  ruleset::Ruleset ruleset_;
  eval::Evaluator evaluator_;
};

class Runner {
 public:
  Runner(const Arguments& arguments, const char* program)
      : arguments_(arguments), program_(program), host_(sandbox::realise(host_on_trial())) {}

  int run() {
    const auto start = std::chrono::steady_clock::now();
    auto wire = prepare();
    if (!wire) return broken(wire.error(), "set up");
    const auto listeners = listen_transparently();
    if (!listeners) return broken(listeners.error(), "set up");
    const std::uint64_t count = arguments_.only ? 1 : arguments_.rulesets;
    for (std::uint64_t i = 0; i < count; ++i) {
      if (!judge(*wire, arguments_.seed + i)) return 1;
    }
    report(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    return disagreements_ == 0 && (packets_ > 0 || refused_ == 0) ? 0 : 1;
  }

 private:
  static int broken(const Error& error, std::string_view where) {
    fmt::print("{}: {}\n", where, error.message);
    return 1;
  }

  Result<sandbox::Wire> prepare() {
    TRY(sandbox::set_up_host(host_));
    TRY(learn_machine(host_));
    return sandbox::Wire::open(host_);
  }

  // What the far side of the loopback, or a copy for this host's own listeners, would count again.
  bool is_plain(const Question& question) const {
    const eval::Packet& packet = question.packet;
    if (packet.in_device == "lo" || packet.out_device == "lo" || packet.out_device == kAside) {
      return false;
    }
    return is_sent_as_asked(question) && is_carried(host_, question) && !is_scattered(packet);
  }

  // Of a frame that is sent to the device's own address, from the other end of its cable.
  void give_ethernet_header(eval::Packet& packet) const {
    for (std::size_t i = 0; i < host_.interfaces.size(); ++i) {
      const auto n = static_cast<std::uint8_t>(i);
      if (packet.in_device != host_.interfaces[n].device) continue;
      if (packet.type != eval::PacketType::Host) continue;
      packet.link = {2, 0, 0, 0, n, 1, 2, 0, 0, 0, n, 2};
      packet.link.push_back(static_cast<std::uint8_t>(packet.ether_type >> 8));
      packet.link.push_back(static_cast<std::uint8_t>(packet.ether_type));
    }
  }

  // A packet socket leaves all of a large frame but its Ethernet header outside the buffer's linear
  // part. On the device's hooks ipv6_find_hdr() then reads behind that, where nothing was written.
  static bool is_scattered(const eval::Packet& packet) {
    constexpr std::size_t kOnePage = 3500;
    return packet.ether_type == eval::kEtherTypeIpv6 && packet.bytes.size() > kOnePage;
  }

  bool judge(sandbox::Wire& wire, std::uint64_t seed) {
    const RulesetText text = generate_device_ruleset(seed);
    const std::string again = fmt::format("{} --seed {} --only ", program_, seed);
    if (auto chosen = choose_stack(host_, seed); !chosen) {
      broken(chosen.error(), again + "0");
      return false;
    }
    auto trial = Counted::open(text, host_);
    if (!trial && trial.error().kind == ErrorKind::Usage) {
      ++refused_;
      return true;
    }
    if (!trial) {
      broken(trial.error(), again + "0");
      return false;
    }
    ++rulesets_;
    // Fragments that the kernel holds have numbers of their own, over the rulesets too.
    const std::uint64_t numbers = (seed % 300) * 200;
    ruleset::Host asked = host_;
    asked.interfaces.pop_back();  // nothing comes in by the device that is aside
    const Boundaries boundaries = Boundaries::of((*trial)->ruleset(), host_);
    const std::vector<Known> known = known_packets();
    const Generator generator(boundaries, asked, known, seed, false);
    const std::uint64_t first = arguments_.only.value_or(0);
    const std::uint64_t end = arguments_.only ? first + 1 : arguments_.packets;
    for (std::uint64_t number = first; number < end; ++number) {
      Question question = generator.question(numbers + number);
      if (!is_plain(question)) continue;
      question.packet.mark = kDeviceMark;
      give_ethernet_header(question.packet);
      auto answers = (*trial)->ask(wire, question);
      if (!answers) {
        broken(answers.error(), again + std::to_string(number));
        return false;
      }
      if (!answers->asked) continue;
      if (answers->journey.fate() == eval::Fate::Undecided) {
        const std::string& reason = answers->journey.hooks.back().reason;
        ++undecided_[reason.substr(std::min(reason.rfind(": ") + 2, reason.size()))];
        continue;
      }
      ++packets_;
      for (const eval::HookResult& hook : answers->journey.hooks) ++hooks_[hook.hook];
      if (answers->agrees()) continue;
      ++disagreements_;
      if (disagreements_ <= kMostShown) show((*trial)->ruleset(), text, question, *answers);
      fmt::print("  again: {}{}\n", again, number);
      return true;
    }
    return true;
  }

  static void show(const ruleset::Ruleset& ruleset, const RulesetText& text,
                   const Question& question, const Counted::Answers& answers) {
    const std::string& reason =
        answers.journey.hooks.empty() ? std::string() : answers.journey.hooks.back().reason;
    fmt::print("DISAGREEMENT: {}\n  bytes: {}\n{}\n  evaluator ({}{}{}):{}\n  kernel:{}\n",
               kernel_judge::in_words(question), in_hex(question.packet), render(text),
               eval::name_of(answers.journey.fate()), reason.empty() ? "" : ": ", reason,
               in_words(ruleset, answers.expected), in_words(ruleset, answers.seen));
  }

  void report(double seconds) const {
    for (const auto& [reason, count] : undecided_) {
      fmt::print("undecided, not compared: {} packets: {}\n", count, reason);
    }
    fmt::print("hooks met:");
    for (const auto& [hook, count] : hooks_) fmt::print(" {} {},", ruleset::name_of(hook), count);
    fmt::print(
        "\n{} rulesets ({} more refused by nft or the kernel), {} packets compared, {} "
        "disagreements, {:.1f} s, seeds from {}\n",
        rulesets_, refused_, packets_, disagreements_, seconds, arguments_.seed);
  }

  Arguments arguments_;
  std::string program_;
  ruleset::Host host_;
  std::uint64_t rulesets_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t packets_ = 0;
  std::uint64_t disagreements_ = 0;
  std::map<ruleset::Hook, std::uint64_t> hooks_;
  std::map<std::string, std::uint64_t> undecided_;
};

}  // namespace
}  // namespace rolewall::kernel_judge

int main(int count, char** words) {
  using namespace rolewall;
  const auto arguments = kernel_judge::parse(count, words);
  if (!arguments) {
    fmt::print(stderr,
               "usage: device_judge [--rulesets N] [--packets N] [--seed S] [--only PACKET]\n");
    return 2;
  }
  return kernel_judge::in_sandbox([&] { return kernel_judge::Runner(*arguments, words[0]).run(); });
}
