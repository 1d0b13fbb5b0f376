// Rulesets that real tools and people wrote, on the live kernel, packet by packet: each is loaded
// in a namespace with devices and addresses that its rules name, and packets aimed at its rules and
// boundaries are put through it, in the kernel and in the evaluator, some of them with answers to
// them. They must agree on fate, path, device and bytes after. The rulesets are not part of the
// project; where their folder is not there, the test is skipped. What cannot be judged is counted
// by its reason.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "aims.h"
#include "eval/route.h"
#include "exchange.h"
#include "generator.h"
#include "netlink/netlink.h"
#include "network.h"
#include "print/print.h"
#include "process.h"
#include "reduce.h"
#include "ruleset/expr.h"
#include "ruleset/names.h"
#include "samples.h"
#include "sandbox/connections.h"
#include "sandbox/sandbox.h"
#include "stage.h"
#include "tally.h"
#include "trial.h"
#include "words.h"

namespace rolewall::corpus {
namespace {

using kernel_judge::Answers;
using kernel_judge::give_link_header;
using kernel_judge::in_hex;
using kernel_judge::Question;
using kernel_judge::Trial;
using ruleset::Ruleset;

constexpr int kSkipped = 77;              // Meson's exit status for a test that cannot run here
constexpr std::uint64_t kMostShown = 5;   // disagreements in full
constexpr unsigned kAimed = 70;           // per cent of the packets; the others are random
constexpr std::uint64_t kLongTimes = 10;  // as many packets in a long run
constexpr std::size_t kEachRuleOf = 5;    // of the single rules, in a short run
constexpr std::size_t kLarge = 3000;      // rules
constexpr std::uint64_t kPacketsToAConversation = 5;
constexpr int kSaid = 4;                      // packets of a conversation
constexpr std::uint64_t kOfASingleRule = 12;  // packets

struct Arguments {
  std::string folder;
  std::uint64_t packets = 150;  // of each ruleset
  std::uint64_t seed = 0;
  std::size_t part = 0;  // of `parts`
  std::size_t parts = 1;
  std::string only;                     // a part of a sample's name
  std::optional<std::uint64_t> packet;  // the packet's number, of `only`
  bool verbose = false;
};

std::optional<Arguments> parse(int count, char** words) {
  Arguments arguments;
  if (count < 2) return std::nullopt;
  arguments.folder = words[1];
  for (int i = 2; i < count; ++i) {
    const std::string_view word = words[i];
    if (word == "--verbose") {
      arguments.verbose = true;
      continue;
    }
    if (++i == count) return std::nullopt;
    char* rest = words[i];
    const std::uint64_t value = std::strtoull(words[i], &rest, 10);
    if (word == "--packets") {
      arguments.packets = value;
    } else if (word == "--seed") {
      arguments.seed = value;
    } else if (word == "--only") {
      arguments.only = words[i];
    } else if (word == "--packet") {
      arguments.packet = value;
    } else if (word == "--part" && *rest == '/') {
      arguments.parts = std::strtoull(rest + 1, nullptr, 10);
      arguments.part = value - 1;
    } else {
      return std::nullopt;
    }
  }
  if (arguments.part >= arguments.parts) return std::nullopt;
  return arguments;
}

Result<Ruleset> read_kernel() {
  auto kernel = netlink::Connection::open();
  if (!kernel) return std::unexpected(kernel.error());
  return kernel->dump();
}

Result<void> clear_kernel(const Ruleset& ruleset) {
  auto kernel = netlink::Connection::open();
  if (!kernel) return std::unexpected(kernel.error());
  for (const auto& table : ruleset.tables) {
    const auto gone = kernel->delete_table(table.family, table.name, std::nullopt);
    if (!gone) return std::unexpected(gone.error());
  }
  return {};
}

Result<Ruleset> load(const Sample& sample) {
  const Finished loaded = run(sample.loader, sample.text());
  if (loaded.status != 0) {
    return fail(ErrorKind::Usage, loaded.output.substr(0, loaded.output.find('\n')));
  }
  return read_kernel();
}

using Reasons = std::map<std::string, std::size_t>;

// What the judge sees of it: chains on IP's own hooks. The others are counted and left out.
Ruleset visible(Ruleset ruleset, Reasons& unseen) {
  using ruleset::Family;
  using ruleset::Hook;
  std::erase_if(ruleset.tables, [&](const ruleset::Table& table) {
    const bool meets_ip =
        table.family == Family::Inet || table.family == Family::Ip || table.family == Family::Ip6;
    if (meets_ip) return false;
    for (const auto& chain : table.chains) {
      unseen[fmt::format("of family {}", name_of(table.family))] += chain.rules.size();
    }
    return true;
  });
  for (ruleset::Table& table : ruleset.tables) {
    std::erase_if(table.chains, [&](const ruleset::Chain& chain) {
      const bool on_device =
          chain.base && (chain.base->hook == Hook::Ingress || chain.base->hook == Hook::Egress);
      if (on_device) unseen["on a device's own hook"] += chain.rules.size();
      return on_device;
    });
  }
  // The copy that such a rule makes would be traced beside the packet.
  std::size_t number = 0;
  std::vector<std::size_t> copying;
  for (const ruleset::Table& table : ruleset.tables) {
    for (const ruleset::Chain& chain : table.chains) {
      for (const ruleset::Rule& rule : chain.rules) {
        const bool copies = std::ranges::any_of(rule.exprs, [](const ruleset::Expr& expr) {
          return std::holds_alternative<ruleset::Dup>(expr);
        });
        if (copies) copying.push_back(number);
        ++number;
      }
    }
  }
  if (!copying.empty()) unseen["that copy the packet"] += copying.size();
  for (std::size_t i = copying.size(); i-- > 0;) {
    ruleset = kernel_judge::without_rules(std::move(ruleset), copying[i], copying[i] + 1);
  }
  return kernel_judge::without_rules(std::move(ruleset), 0, 0);
}

std::uint64_t seed_of(std::string_view name) {
  std::uint64_t seed = 0xcbf29ce484222325;
  for (const char c : name) seed = (seed ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
  return seed;
}

bool translates(const Ruleset& ruleset) {
  return std::ranges::any_of(ruleset.tables, [](const ruleset::Table& table) {
    return std::ranges::any_of(table.chains, [](const ruleset::Chain& chain) {
      return chain.base && chain.base->type == ruleset::ChainType::Nat;
    });
  });
}

// Whether it is addressed to many.
bool is_group(const eval::Packet& packet) {
  const bool ipv6 = packet.ether_type == eval::kEtherTypeIpv6;
  if (packet.bytes.size() < (ipv6 ? 40 : 20)) return false;
  return ipv6 ? packet.bytes[24] == 0xff : packet.bytes[16] >= 0xe0;
}

// A program sends by the device that the routes say. And what comes in by the loopback comes from
// here: it has its route, and has been through NAT, on its way out, which a frame put there has
// not.
bool fits(Question& question, const ruleset::Host& host, bool has_nat) {
  eval::Packet& packet = question.packet;
  const bool ipv6 = packet.ether_type == eval::kEtherTypeIpv6;
  const bool by_loopback = !question.outbound && packet.in_device == "lo";
  if (!question.outbound && !by_loopback) return true;
  if (packet.bytes.size() < (ipv6 ? 40 : 20)) return !has_nat;
  const eval::Routes routes(host);
  const net::Address to = eval::destination_of(packet.bytes, ipv6);
  if (by_loopback) return !has_nat && routes.leads_here(to);
  // These it must name the device for, which holds through NAT.
  if (is_group(packet) || eval::is_link_local(to)) return !has_nat;
  if (routes.leads_here(to)) return packet.out_device == "lo";
  const auto answer = routes.towards(to);
  if (answer.error != nullptr) return false;
  packet.out_device = answer.route->device;
  question.bound = false;
  return true;
}

class Runner {
 public:
  Runner(Arguments arguments, const char* program)
      : arguments_(std::move(arguments)),
        program_(program),
        long_(std::getenv("ROLEWALL_LONG_TESTS") != nullptr) {}

  int run() {
    const auto samples = read_samples(arguments_.folder);
    if (!samples) {
      fmt::print("{}\n", samples.error().message);
      return 1;
    }
    const auto start = std::chrono::steady_clock::now();
    std::size_t number = 0;
    for (const Sample& sample : *samples) {
      const bool wanted = sample.origin != Origin::Iptables &&
                          sample.name.find(arguments_.only) != std::string::npos;
      if (!wanted || number++ % arguments_.parts != arguments_.part) continue;
      const auto before = std::chrono::steady_clock::now();
      const std::uint64_t packets = packets_;
      if (auto judged = judge(sample); !judged) {
        fmt::print("{}: {}\n", sample.name, judged.error().message);
        broken_ = true;
      }
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - before;
      if (arguments_.verbose) {
        fmt::print("{:6.2f} s {:5} packets  {}\n", took.count(), packets_ - packets, sample.name);
        std::fflush(stdout);
      }
    }
    report(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    return disagreements_ == 0 && !broken_ ? 0 : 1;
  }

 private:
  Result<void> judge(const Sample& sample) {
    // Once for the names that it uses, and again where these are.
    TRY(fresh_network());
    TRY(add_devices(sample.interfaces));
    auto loaded = load(sample);
    if (!loaded) return not_loaded(loaded.error());
    const ruleset::Host stage = stage_for(*loaded);
    TRY(fresh_network());
    TRY(sandbox::set_up_host(stage));
    std::vector<std::string> missing = sample.interfaces;
    std::erase_if(missing, [&](const std::string& name) {
      return std::ranges::find(stage.interfaces, name, &ruleset::Interface::device) !=
             stage.interfaces.end();
    });
    TRY(add_devices(missing));
    loaded = load(sample);
    if (!loaded) return not_loaded(loaded.error());
    auto host = as_found(stage);
    if (!host) return std::unexpected(host.error());
    TRY(clear_kernel(*loaded));
    const Ruleset judged = visible(std::move(*loaded), unseen_);
    if (kernel_judge::count_rules(judged) == 0) return {};
    if (!sample.commands.empty()) return judge_each_rule(judged, *host, sample.name);
    // Of a large one each load takes long, and what remembers is loaded often.
    const bool is_large = kernel_judge::count_rules(judged) > kLarge;
    const std::uint64_t packets = long_      ? arguments_.packets * kLongTimes
                                  : is_large ? arguments_.packets / 3
                                             : arguments_.packets;
    TRY(judge(judged, *host, sample.name, packets));
    if (arguments_.packet) return {};
    return converse(judged, *host, sample.name, packets / kPacketsToAConversation);
  }

  // A packet, the answer to it, and one more: what an established flow meets.
  Result<void> converse(const Ruleset& ruleset, const ruleset::Host& host, const std::string& name,
                        std::uint64_t count) {
    TRY(sandbox::set_conntrack(host.conntrack));
    auto trial = Trial::open(ruleset, host, Trial::Memory::Kept);
    if (!trial) return std::unexpected(trial.error());
    const auto boundaries = kernel_judge::Boundaries::of((*trial)->ruleset(), host);
    const auto aims = kernel_judge::aims_of((*trial)->ruleset());
    const std::uint64_t seed = ~seed_of(name) ^ arguments_.seed;
    if (aims.empty()) return {};
    for (std::uint64_t number = 0; number < count; ++number) {
      kernel_judge::Random random(seed + number * 0x9e3779b97f4a7c15);
      Question first = question_for(random.of(aims), (*trial)->ruleset(), host, boundaries, random);
      if (first.packet.in_device == "lo" || !is_sent_as_asked(first) || !fits(first, host, true)) {
        continue;
      }
      // The kernel's clock runs on: what disagrees must do so again.
      auto disagrees = converse(**trial, host, first, false);
      if (disagrees && *disagrees) disagrees = converse(**trial, host, first, true);
      if (!disagrees) return std::unexpected(disagrees.error());
      if (!*disagrees) continue;
      ++disagreements_;
      fmt::print("  in conversation {} through {}, seed {}\n", number, name, arguments_.seed);
      return {};
    }
    return {};
  }

  Result<bool> converse(Trial& trial, const ruleset::Host& host, Question question, bool shows) {
    TRY(trial.forget());
    for (int said = 0; said < kSaid; ++said) {
      if (!question.outbound) give_link_header(question.packet, host);
      auto answers = trial.ask(question);
      if (!answers) return std::unexpected(answers.error());
      // What hangs on a condition may have gone another way, and the flow with it.
      if (!answers->journey.conditions.empty()) return false;
      const bool differs = count(trial, question, *answers);
      if (differs && shows) {
        fmt::print("DISAGREEMENT: {}\n", answers->difference);
        show(trial, question, *answers);
      }
      if (differs) return true;
      auto next = answers->journey.fate() == eval::Fate::Accept ? answer_to(question, answers->seen)
                                                                : std::nullopt;
      if (!next || !is_sent_as_asked(*next) || !fits(*next, host, true)) return false;
      question = std::move(*next);
    }
    ++conversations_;
    return false;
  }

  Result<void> judge_each_rule(const Ruleset& ruleset, const ruleset::Host& host,
                               const std::string& name) {
    const std::size_t count = kernel_judge::count_rules(ruleset);
    const std::size_t step = long_ ? 1 : kEachRuleOf;
    for (std::size_t i = seed_of(name) % step; i < count; i += step) {
      const Ruleset only =
          kernel_judge::without_rules(kernel_judge::without_rules(ruleset, i + 1, count), 0, i);
      TRY(judge(only, host, fmt::format("{} rule {}", name, i + 1), kOfASingleRule));
    }
    return {};
  }

  Result<void> not_loaded(const Error& error) {
    if (error.kind != ErrorKind::Usage) return std::unexpected(error);
    ++refused_[error.message];
    return {};
  }

  Result<void> judge(const Ruleset& ruleset, const ruleset::Host& host, const std::string& name,
                     std::uint64_t packets) {
    auto trial = Trial::open(ruleset, host);
    if (!trial && trial.error().kind == ErrorKind::Usage) {
      ++refused_[trial.error().message];
      return {};
    }
    if (!trial) return std::unexpected(trial.error());
    ++rulesets_;
    const auto boundaries = kernel_judge::Boundaries::of((*trial)->ruleset(), host);
    const auto aims = kernel_judge::aims_of((*trial)->ruleset());
    const std::vector<kernel_judge::Known> known;
    const std::uint64_t seed = seed_of(name) ^ arguments_.seed;
    const kernel_judge::Generator generator(boundaries, host, known, seed, false);
    const bool has_nat = translates((*trial)->ruleset());
    const std::uint64_t first = arguments_.packet.value_or(0);
    const std::uint64_t end = arguments_.packet ? first + 1 : packets;
    for (std::uint64_t number = first; number < end; ++number) {
      kernel_judge::Random random(seed + number * 0x9e3779b97f4a7c15);
      const bool aimed = !aims.empty() && random.percent(kAimed);
      Question question =
          aimed ? question_for(random.of(aims), (*trial)->ruleset(), host, boundaries, random)
                : generator.question(number);
      if (!is_sent_as_asked(question) || !fits(question, host, has_nat)) continue;
      if (!question.outbound) give_link_header(question.packet, host);
      auto answers = (*trial)->ask(question);
      if (!answers) {
        return fail(answers.error().kind, fmt::format("packet {}, {}: {}", number,
                                                      in_words(question), answers.error().message));
      }
      if (!count(**trial, question, *answers)) continue;
      fmt::print("DISAGREEMENT: {}\n  again: {} {} --seed {} --only '{}' --packet {}\n",
                 answers->difference, program_, arguments_.folder, arguments_.seed, name, number);
      if (++disagreements_ > kMostShown) break;
      show(**trial, question, *answers);
      trial->reset();
      show_least(ruleset, host, question);
      return {};  // the ruleset's other packets would say the same
    }
    rules_ += (*trial)->comparison().rules();
    rules_run_ += (*trial)->comparison().rules_run();
    return {};
  }

  // Whether they disagree.
  bool count(const Trial& trial, const Question& question, const Answers& answers) {
    // A local program could not even ask for it: no hook was met.
    if (question.outbound && answers.seen.reason == std::strerror(EADDRNOTAVAIL)) return false;
    if (answers.journey.fate() == eval::Fate::Undecided) {
      const std::string& reason = answers.journey.hooks.back().reason;
      ++undecided_[reason.substr(std::min(reason.rfind(": ") + 2, reason.size()))];
      return false;
    }
    if (is_group(answers.journey.after) && !is_group(question.packet)) {
      ++undecided_["a translation to a group, which nobody has joined"];
      return false;
    }
    ++packets_;
    ++fates_[answers.seen.fate()];
    if (answers.seen.after && *answers.seen.after != question.packet.bytes) ++changed_;
    tally_.add(trial.ruleset(), answers.journey);
    if (!answers.journey.conditions.empty()) ++conditional_;
    return !answers.difference.empty();
  }

  static void show(const Trial& trial, const Question& question, const Answers& answers) {
    fmt::print("  {}\n  bytes: {}\n  evaluator:\n{}  kernel:\n{}", in_words(question),
               in_hex(question.packet), trial.comparison().describe(answers.journey),
               trial.comparison().describe(answers.seen));
    eval::Packet after;
    after.bytes = answers.journey.after.bytes;
    fmt::print("  after, evaluator: {} {}\n", answers.journey.after.out_device, in_hex(after));
    if (!answers.seen.after) return;
    after.bytes = *answers.seen.after;
    fmt::print("  after, kernel:    {} {}\n", answers.seen.leaves_by, in_hex(after));
  }

  // The rules that the disagreement needs.
  static void show_least(const Ruleset& ruleset, const ruleset::Host& host,
                         const Question& question) {
    const Ruleset least = kernel_judge::minimise(ruleset, host, question);
    for (const auto& table : least.tables) {
      for (const auto& chain : table.chains) {
        for (const auto& rule : chain.rules) {
          fmt::print("  {} {} {}: {}\n", table.name, chain.base ? "base chain" : "chain",
                     chain.name, print::rule_text(table, rule));
        }
      }
    }
    const auto trial = Trial::open(least, host);
    if (!trial) return;
    const auto answers = (*trial)->ask(question);
    if (!answers) return;
    fmt::print("  of these rules: {}\n", answers->difference);
    show(**trial, question, *answers);
  }

  static void list(std::string_view what, const Reasons& reasons) {
    for (const auto& [reason, count] : reasons) fmt::print("{}: {}: {}\n", what, count, reason);
  }

  void report(double seconds) const {
    list("not loaded, rulesets", refused_);
    list("not judged, rules", unseen_);
    list("undecided, packets not compared", undecided_);
    fmt::print("packets that ran each expression: {}\n", tally_.in_words());
    using sandbox::Fate;
    const auto fate = [&](Fate which) {
      const auto found = fates_.find(which);
      return found == fates_.end() ? 0 : found->second;
    };
    fmt::print("{} accepted ({} of them changed), {} dropped, {} rejected, {} by the stack\n",
               fate(Fate::Accept), changed_, fate(Fate::Drop), fate(Fate::Reject),
               fate(Fate::Stack) + fate(Fate::Stolen));
    fmt::print(
        "{} rulesets, {} of {} rules ran to their end, {} packets compared ({} of them on a "
        "condition, {} conversations held to their end), {} disagreements, {:.1f} s\n",
        rulesets_, rules_run_, rules_, packets_, conditional_, conversations_, disagreements_,
        seconds);
  }

  Arguments arguments_;
  std::string program_;
  bool long_;
  bool broken_ = false;
  std::uint64_t rulesets_ = 0;
  std::uint64_t rules_ = 0;
  std::uint64_t rules_run_ = 0;
  std::uint64_t packets_ = 0;
  std::uint64_t changed_ = 0;
  std::uint64_t conditional_ = 0;
  std::uint64_t conversations_ = 0;
  std::uint64_t disagreements_ = 0;
  std::map<sandbox::Fate, std::uint64_t> fates_;
  kernel_judge::Tally tally_;
  Reasons refused_;
  Reasons unseen_;
  Reasons undecided_;
};

}  // namespace
}  // namespace rolewall::corpus

// ROLEWALL_CORPUS goes before FOLDER; ROLEWALL_LONG_TESTS asks more packets and every single rule.
int main(int count, char** words) {
  using namespace rolewall;  // NOLINT(google-build-using-namespace)
  auto arguments = corpus::parse(count, words);
  if (!arguments) {
    fmt::print(stderr,
               "usage: corpus_judge FOLDER [--part N/OF] [--packets OF_EACH_RULESET] "
               "[--seed S] "
               "[--only PART_OF_A_NAME [--packet N]] [--verbose]\n");
    return 2;
  }
  if (const char* named = std::getenv("ROLEWALL_CORPUS"); named != nullptr) {
    arguments->folder = named;
  }
  if (!std::filesystem::is_directory(arguments->folder)) {
    fmt::print("skipped: there is no corpus at `{}` (ROLEWALL_CORPUS names its folder)\n",
               arguments->folder);
    return corpus::kSkipped;
  }
  return corpus::where_networks_can_be_made(
      [&] { return corpus::Runner(*arguments, words[0]).run(); });
}
