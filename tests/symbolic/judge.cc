// The analyser, which asks a ruleset about all packets at once, and the evaluator, which asks it
// about one, judge each other: random rulesets as nft writes them, random expressions as nobody
// does, and what the policies compile to; packets aimed at their boundaries. They share what a
// ruleset is made of and no meaning.
//
// Of each packet, and each fate: what the evaluator says may be, the analyser's `may` must hold;
// what the evaluator says may not be, its `must` may not. Where both of the analyser's sets agree
// about a packet, that is equality. The evaluator has counted nothing: what it says must also be
// among what the analyser says of that (`PacketSpace::unspent()`), on which proofs of `always`
// rest.
//
// Of flows that the rules let through, the packets that follow are asked, too: the evaluator, which
// has seen the flow, knows what the analyser has to reckon with, a translation above all.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "aims.h"
#include "analyze/analysis.h"
#include "boundaries.h"
#include "compile/compile.h"
#include "eval/eval.h"
#include "found_values.h"
#include "generator.h"
#include "options.h"
#include "policy/load.h"
#include "print/print.h"
#include "random.h"
#include "random_rules.h"
#include "ruleset/expr.h"
#include "ruleset/verify.h"
#include "ruleset_random.h"
#include "sandbox/sandbox.h"

namespace rolewall::symbolic {
namespace {

using kernel_judge::Random;

constexpr std::array<analyze::Fate, 4> kFates{analyze::Fate::Accept, analyze::Fate::Drop,
                                              analyze::Fate::Reject, analyze::Fate::Stack};

std::optional<analyze::Fate> fate_of(eval::Fate fate) {
  switch (fate) {
    case eval::Fate::Accept:
      return analyze::Fate::Accept;
    case eval::Fate::Drop:
      return analyze::Fate::Drop;
    case eval::Fate::Reject:
      return analyze::Fate::Reject;
    case eval::Fate::Stack:
      return analyze::Fate::Stack;
    case eval::Fate::Held:
    case eval::Fate::Undecided:
      return std::nullopt;
  }
  return std::nullopt;
}

struct Tally {
  std::uint64_t rulesets = 0;
  std::uint64_t not_proven = 0;
  std::uint64_t packets = 0;
  std::uint64_t settled = 0;    // both sets agree about the packet
  std::uint64_t known = 0;      // packets of flows that the evaluator has seen
  std::uint64_t outside = 0;    // not of the analyser's space
  std::uint64_t undecided = 0;  // the evaluator has no answer
  std::uint64_t disagreements = 0;
  std::map<eval::Fate, std::uint64_t> fates;
};

class Subject {
 public:
  Subject(std::string again, const ruleset::Ruleset& ruleset, const ruleset::Host& host,
          Tally& tally)
      : again_(std::move(again)),
        tally_(tally),
        evaluator_(ruleset, host),
        analysis_(ruleset, host) {
    for (const ruleset::Table& table : ruleset.tables) {
      for (const ruleset::Chain& chain : table.chains) {
        for (const ruleset::Rule& rule : chain.rules) {
          rewrites_ = rewrites_ || std::ranges::any_of(rule.exprs, [](const ruleset::Expr& expr) {
                        return std::holds_alternative<ruleset::PayloadWrite>(expr);
                      });
        }
      }
    }
  }

  // False: the budget ended.
  bool analyse() {
    for (std::size_t direction = 0; direction < 2; ++direction) {
      for (std::size_t fate = 0; fate < kFates.size(); ++fate) {
        const auto is = static_cast<analyze::Direction>(direction);
        const auto may = analysis_.may(is, std::span(kFates).subspan(fate, 1));
        const auto must = analysis_.must(is, std::span(kFates).subspan(fate, 1));
        if (!may || !must) return false;
        may_[direction][fate] = may->packets;
        must_[direction][fate] = must->packets;
        const auto all = analysis_.by_choice(is, std::span(kFates).subspan(fate, 1));
        if (!all) return false;
        analyze::Diagrams& d = analysis_.diagrams();
        unspent_[direction][fate] =
            d.quantify(d.both(*all, analysis_.space().unspent()), [&](analyze::FieldId field) {
              return analysis_.space().facts(field).kind == analyze::FieldKind::Packet
                         ? analyze::Quantifier::Keep
                         : analyze::Quantifier::Any;
            });
      }
    }
    return true;
  }

  void be_quiet() { quiet_ = true; }
  // The evaluator's ways are bounds where there are several.
  void be_lenient() { strict_ = false; }
  bool has_disagreed() const { return shown_ != 0; }

  void ask(const kernel_judge::Question& question, std::uint64_t number) {
    const auto direction =
        question.outbound ? analyze::Direction::Send : analyze::Direction::Arrive;
    const auto index = static_cast<std::size_t>(direction);
    if (!analysis_.is_in_space(direction, question.packet)) {
      ++tally_.outside;
      return;
    }
    eval::Options options;
    options.steps = false;
    const eval::Outcomes outcomes = evaluator_.outcomes(
        question.packet, question.outbound ? eval::Direction::Send : eval::Direction::Arrive,
        options);
    const bool undecided = std::ranges::any_of(
        outcomes.ways, [](const eval::Journey& journey) { return !fate_of(journey.fate()); });
    if (undecided) {
      ++tally_.undecided;
      return;
    }
    ++tally_.packets;
    bool settled = true;
    for (std::size_t fate = 0; fate < kFates.size(); ++fate) {
      const bool may = analysis_.contains(direction, may_[index][fate], question.packet);
      const bool must = analysis_.contains(direction, must_[index][fate], question.packet);
      settled = settled && may == must;
      const bool is_one_of = std::ranges::any_of(outcomes.ways, [&](const eval::Journey& journey) {
        return fate_of(journey.fate()) == kFates[fate];
      });
      for (const eval::Journey& journey : outcomes.ways) {
        ++tally_.fates[journey.fate()];
        const bool is = fate_of(journey.fate()) == kFates[fate];
        // What is computed from something unknown may be anything to the evaluator, where the
        // analyser knows some of its bits: then its ways are a bound, too.
        const bool is_bound = !strict_ && outcomes.ways.size() > 1;
        const bool is_wrong_unspent =
            is && outcomes.ways.size() == 1 &&
            !analysis_.contains(direction, unspent_[index][fate], question.packet);
        if (is_wrong_unspent) {
          disagree(question, journey, number, "the analyser says that something must be spent");
          return;
        }
        if (is_bound ? !must || is_one_of || !outcomes.complete : is ? may : !must) continue;
        disagree(question, journey, number,
                 is ? "the analyser says that it cannot be" : "the analyser says another");
        return;
      }
    }
    if (settled) ++tally_.settled;
  }

  // The answer to a packet that is accepted, and the packet again, as a flow that is known then.
  void follow(const kernel_judge::Question& question, std::uint64_t number) {
    const auto udp_at = [](const eval::Packet& packet) -> std::size_t {
      const bool ipv6 = eval::is_ipv6(packet);
      const std::size_t header = ipv6 ? 40 : 20;
      constexpr std::uint8_t kUdp = 17;
      const bool plain = packet.bytes.size() >= header + 8 && packet.bytes[ipv6 ? 6 : 9] == kUdp &&
                         (ipv6 || packet.bytes[0] == 0x45);
      return plain ? header : 0;
    };
    // What a rule has rewritten past NAT is no packet of the flow any more.
    if (rewrites_ || question.packet.ct_state || udp_at(question.packet) == 0) return;
    evaluator_.reset();
    const auto first = next(question);
    const bool passed = first && first->fate() == eval::Fate::Accept && first->knows_after;
    if (!passed || udp_at(first->after) == 0) return;
    kernel_judge::Question answer = question;
    answer.packet.bytes = first->after.bytes;
    turn_round(answer.packet.bytes, udp_at(first->after), eval::is_ipv6(first->after));
    const bool forwarded = !question.outbound && !first->after.out_device.empty();
    answer.outbound = !question.outbound && !forwarded;
    answer.packet.in_device = answer.outbound ? "" : first->after.out_device;
    answer.packet.out_device = question.outbound ? "" : question.packet.in_device;
    answer.packet.user.reset();
    answer.packet.group.reset();
    for (const kernel_judge::Question& each : {answer, question}) {
      const auto journey = next(each);
      if (!journey) return;
      judge_known(each, *journey, number);
      if (journey->fate() != eval::Fate::Accept) return;
    }
  }

 private:
  std::optional<eval::Journey> next(const kernel_judge::Question& question) {
    eval::Options options;
    options.steps = false;
    options.keep_state = true;
    eval::Outcomes outcomes = evaluator_.next(
        question.packet, question.outbound ? eval::Direction::Send : eval::Direction::Arrive,
        options);
    if (outcomes.ways.size() != 1 || !fate_of(outcomes.ways.front().fate())) return std::nullopt;
    return std::move(outcomes.ways.front());
  }

  static void turn_round(std::vector<std::uint8_t>& bytes, std::size_t udp, bool ipv6) {
    const auto swap = [&](std::size_t a, std::size_t size) {
      const auto at = bytes.begin() + static_cast<std::ptrdiff_t>(a);
      const auto end = at + static_cast<std::ptrdiff_t>(size);
      std::swap_ranges(at, end, end);
    };
    swap(ipv6 ? 8 : 12, ipv6 ? 16 : 4);
    swap(udp, 2);
  }

  // The evaluator knows the flow, and says what becomes of this packet.
  void judge_known(const kernel_judge::Question& question, const eval::Journey& journey,
                   std::uint64_t number) {
    const auto direction =
        question.outbound ? analyze::Direction::Send : analyze::Direction::Arrive;
    const auto index = static_cast<std::size_t>(direction);
    kernel_judge::Question known = question;
    known.packet.ct_state = ruleset::ct_state::kEstablished;
    if (!analysis_.is_in_space(direction, known.packet)) return;
    ++tally_.known;
    for (std::size_t fate = 0; fate < kFates.size(); ++fate) {
      const bool is = fate_of(journey.fate()) == kFates[fate];
      const bool may = analysis_.contains(direction, may_[index][fate], known.packet);
      const bool must = analysis_.contains(direction, must_[index][fate], known.packet);
      if (is ? may : !must) continue;
      disagree(known, journey, number, "the analyser has not reckoned with the known flow");
      return;
    }
  }

  void disagree(const kernel_judge::Question& question, const eval::Journey& journey,
                std::uint64_t number, std::string_view what) {
    ++tally_.disagreements;
    if (shown_++ > 0 || quiet_) return;
    const eval::Packet& packet = question.packet;
    std::string bytes;
    for (const std::uint8_t byte : packet.bytes) bytes += fmt::format("{:02x}", byte);
    fmt::print("DISAGREEMENT: the evaluator says {}, {}\n  {} in={} out={} state={} {}\n",
               eval::name_of(journey.fate()), what, question.outbound ? "sent" : "arrives",
               packet.in_device, packet.out_device, packet.ct_state ? int(*packet.ct_state) : -1,
               bytes);
    for (const eval::HookResult& hook : journey.hooks) {
      fmt::print("  hook {} {} {} by {}/{}/{}\n", static_cast<int>(hook.hook),
                 eval::name_of(hook.fate), hook.reason, hook.decision.table, hook.decision.chain,
                 hook.decision.rule);
    }
    fmt::print("  again: {} --only {}\n", again_, number);
  }

  std::string again_;
  Tally& tally_;
  eval::Evaluator evaluator_;
  analyze::Analysis analysis_;
  std::array<std::array<analyze::Diagram, 4>, 2> may_{};
  std::array<std::array<analyze::Diagram, 4>, 2> must_{};
  std::array<std::array<analyze::Diagram, 4>, 2> unspent_{};
  int shown_ = 0;
  bool rewrites_ = false;
  bool quiet_ = false;
  bool strict_ = true;
};

// What the policies compile to.
struct Sites {
  std::string policies;
  std::string rules;
};

struct Arguments {
  std::optional<Sites> sites;
  std::uint64_t rulesets = 300;
  std::uint64_t packets = 150;
  std::uint64_t seed = 1;
  std::uint64_t expressions = 0;
  std::uint64_t forwards = 0;
  std::optional<std::uint64_t> only;
};

bool disagrees(const ruleset::Ruleset& ruleset, const ruleset::Host& host,
               const kernel_judge::Question& question, bool lenient) {
  Tally tally;
  Subject subject("", ruleset, host, tally);
  subject.be_quiet();
  if (lenient) subject.be_lenient();
  if (!subject.analyse()) return false;
  subject.ask(question, 0);
  subject.follow(question, 0);
  return tally.disagreements != 0;
}

// The same ruleset without the rules that the disagreement does not need.
ruleset::Ruleset minimise(ruleset::Ruleset ruleset, const ruleset::Host& host,
                          const kernel_judge::Question& question, bool lenient) {
  for (ruleset::Table& table : ruleset.tables) {
    for (ruleset::Chain& chain : table.chains) {
      for (std::size_t i = chain.rules.size(); i-- > 0;) {
        const ruleset::Rule rule = chain.rules[i];
        const auto at = chain.rules.begin() + static_cast<std::ptrdiff_t>(i);
        chain.rules.erase(at);
        if (!disagrees(ruleset, host, question, lenient)) {
          chain.rules.insert(chain.rules.begin() + static_cast<std::ptrdiff_t>(i), rule);
        }
      }
    }
  }
  return ruleset;
}

// Half of the packets are aimed at rules, half at values.
void ask_all(Subject& subject, const ruleset::Ruleset& ruleset, const ruleset::Host& host,
             const Arguments& arguments, std::uint64_t seed) {
  const kernel_judge::Boundaries boundaries = kernel_judge::Boundaries::of(ruleset, host);
  const std::vector<kernel_judge::Known> known;
  const kernel_judge::Generator generator(boundaries, host, known, seed, false);
  const std::vector<kernel_judge::Aim> aims = kernel_judge::aims_of(ruleset);
  const std::uint64_t first = arguments.only.value_or(0);
  const std::uint64_t end = arguments.only ? first + 1 : arguments.packets;
  for (std::uint64_t number = first; number < end; ++number) {
    Random random(seed * 1'000'003 + number);
    kernel_judge::Question question =
        number % 2 == 1 && !aims.empty()
            ? kernel_judge::question_for(random.of(aims), ruleset, host, boundaries, random)
            : generator.question(number);
    if (question.packet.in_device.empty() && !question.outbound) continue;
    if (random.percent(25)) {
      question.packet.ct_state = random.of<std::uint32_t>({1, 2, 4, 8, 64});
    }
    if (!question.outbound && random.percent(30)) question.packet.out_device = "eth1";
    subject.ask(question, number);
    if (!question.packet.ct_state) subject.follow(question, number);
    if (arguments.only && subject.has_disagreed()) {
      const ruleset::Ruleset small = minimise(ruleset, host, question, arguments.expressions != 0);
      fmt::print("{}\n", print::to_bytecode(small));
    }
  }
}

int report(const Tally& tally, const Arguments& arguments) {
  fmt::print(
      "{} rulesets ({} over the budget), {} packets compared, {} of them settled, {} of known "
      "flows, {} disagreements; {} packets outside of the space, {} undecided; seeds from {}\n",
      tally.rulesets, tally.not_proven, tally.packets, tally.settled, tally.known,
      tally.disagreements, tally.outside, tally.undecided, arguments.seed);
  for (const auto& [fate, count_of] : tally.fates) {
    fmt::print("  {}: {}\n", eval::name_of(fate), count_of / kFates.size());
  }
  return tally.disagreements == 0 ? 0 : 1;
}

int run_sites(const Arguments& arguments, const char* program) {
  Tally tally;
  Diagnostics diagnostics;
  policy::LoadOptions options;
  options.shipped_rules = arguments.sites->rules;
  options.date = {std::chrono::year(2026), std::chrono::month(6), std::chrono::day(1)};
  const policy::Policy policy = policy::load(arguments.sites->policies, options, diagnostics);
  if (diagnostics.has_errors()) {
    fmt::print("{}: has errors\n", arguments.sites->policies);
    return 2;
  }
  for (policy::Index index = 0; index < policy.hosts.size(); ++index) {
    for (const bool optimise : {true, false}) {
      const ruleset::Snapshot snapshot =
          compile::compile(policy, index, {.date = options.date, .optimise = optimise});
      ++tally.rulesets;
      Subject subject(fmt::format("{} (host {})", program, policy.hosts[index].name),
                      snapshot.ruleset, snapshot.host, tally);
      if (subject.analyse()) {
        ask_all(subject, snapshot.ruleset, sandbox::realise(snapshot.host), arguments,
                arguments.seed);
      } else {
        ++tally.not_proven;
      }
    }
  }
  return report(tally, arguments);
}

int run(const Arguments& arguments, const char* program) {
  Tally tally;
  const ruleset::Host host = host_of_universe(arguments.forwards != 0, arguments.forwards == 2);
  const std::uint64_t count = arguments.only ? 1 : arguments.rulesets;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t seed = arguments.seed + i;
    ruleset::Ruleset ruleset =
        arguments.expressions != 0 ? kernel_judge::generate_expressions(seed) : random_rules(seed);
    if (arguments.expressions == 0 && seed % 3 == 1) {
      ruleset = with_found_values(std::move(ruleset), seed);
    }
    if (const auto flaw = ruleset::verify(ruleset)) {
      if (arguments.expressions == 0) {
        fmt::print("seed {}: {}: {}\n", seed, flaw->path, flaw->what);
        return 1;
      }
      if (ruleset::set_flaws_aside(ruleset)) continue;
    }
    ++tally.rulesets;
    Subject subject(fmt::format("{} --expressions {} --forwards {} --seed {}", program,
                                arguments.expressions, arguments.forwards, seed),
                    ruleset, host, tally);
    if (arguments.expressions != 0) subject.be_lenient();
    if (!subject.analyse()) {
      ++tally.not_proven;
      continue;
    }
    ask_all(subject, ruleset, host, arguments, seed);
  }
  return report(tally, arguments);
}

}  // namespace
}  // namespace rolewall::symbolic

int main(int count, char** words) {
  using namespace rolewall;
  symbolic::Arguments arguments;
  const char* program = words[0];
  if (count > 3 && words[1] == std::string_view("--site")) {
    arguments.sites = symbolic::Sites{words[2], words[3]};
    count -= 3;
    words += 3;
  }
  const bool read = kernel_judge::read_numbers(count, words,
                                               {{"--rulesets", &arguments.rulesets},
                                                {"--packets", &arguments.packets},
                                                {"--seed", &arguments.seed},
                                                {"--expressions", &arguments.expressions},
                                                {"--forwards", &arguments.forwards},
                                                {"--only", nullptr, &arguments.only}});
  if (!read) {
    fmt::print(stderr,
               "usage: symbolic_judge [--site POLICIES RULES] [--expressions 1] [--forwards 1] "
               "[--rulesets N] "
               "[--packets N] [--seed S] [--only PACKET]\n");
    return 2;
  }
  if (arguments.sites) return symbolic::run_sites(arguments, program);
  return symbolic::run(arguments, program);
}
