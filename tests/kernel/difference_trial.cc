// Two rulesets, the second the first with one edit, on the live kernel: random text in nft's
// syntax is loaded and read back, edited, and packets are put through both in a namespace. Whose
// fate the kernel changes is what the analyser says for all packets (analyze/difference.h): each
// packet that differs is in one of its parts, and each that it is certain of differs, in that way.
//
// The packets are random, aimed at the rules of either side, and the analyser's own examples. The
// evaluator says only which packets hang on what nobody told (a limit, a draw): those are left out.
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "aims.h"
#include "analyze/difference.h"
#include "generator.h"
#include "in_sandbox.h"
#include "machine_on_trial.h"
#include "options.h"
#include "random.h"
#include "ruleset_text.h"
#include "sandbox/sandbox.h"
#include "stack_on_trial.h"
#include "symbolic/edits.h"
#include "trial.h"
#include "words.h"

namespace rolewall::kernel_judge {
namespace {

using analyze::DifferenceKind;
using analyze::DifferencePart;
using analyze::Direction;

struct Arguments {
  std::uint64_t pairs = 20;
  std::uint64_t packets = 100;  // random ones, and as many that are aimed, for each side
  std::uint64_t seed = 1;
};

ruleset::Host host_on_trial() {
  const auto prefix = [](const char* text) { return *net::parse_prefix(text); };
  ruleset::Host host;
  host.name = "trial";
  host.forwards_ipv4 = true;
  host.forwards_ipv6 = true;
  host.addresses = {prefix("198.51.100.7"), prefix("10.9.0.1"), prefix("10.9.1.1"),
                    prefix("2001:db8:9::1"), prefix("2001:db8:9:2::1")};
  for (const char* device : {"eth0", "eth1", "eth2"}) {
    ruleset::Interface& interface = host.interfaces.emplace_back();
    interface.name = device;
    interface.device = device;
  }
  host.interfaces[1].behind =
      net::AddressSet::from({prefix("10.9.1.0/24"), prefix("2001:db8:9:1::/64")});
  host.interfaces[2].behind =
      net::AddressSet::from({prefix("10.9.2.0/23"), prefix("2001:db8:9:2::/63")});
  return host;
}

// What the kernel did with a packet. Absent: it is not compared.
struct Seen {
  sandbox::Fate fate = sandbox::Fate::Accept;
  bool traced = true;  // else what rejects is told as a drop
  std::optional<std::vector<std::uint8_t>> after;
  std::string leaves_by;
};

std::optional<Seen> compared(const Answers& answers) {
  const eval::Journey& journey = answers.journey;
  const bool is_free = !journey.conditions.empty() || journey.fate() == eval::Fate::Undecided ||
                       journey.fate() == eval::Fate::Held || !journey.knows_after;
  const sandbox::Observation& seen = answers.seen;
  const sandbox::Fate fate = seen.fate();
  if (is_free || fate == sandbox::Fate::Queue || fate == sandbox::Fate::Stolen) return std::nullopt;
  // Nobody can tell what a rule drops from what the IP stack discards.
  return Seen{fate == sandbox::Fate::Stack ? sandbox::Fate::Drop : fate, seen.traced, seen.after,
              journey.after.out_device};
}

std::optional<DifferenceKind> kind_of(const Seen& was, const Seen& is) {
  const bool accepted = was.fate == sandbox::Fate::Accept;
  const bool accepts = is.fate == sandbox::Fate::Accept;
  if (!accepted && accepts) return DifferenceKind::NewlyAccepted;
  if (accepted && !accepts) return DifferenceKind::NewlyDenied;
  if (!accepted) {
    if (was.fate == is.fate) return std::nullopt;
    return DifferenceKind::DeniedOtherwise;
  }
  if (!was.after || !is.after || *was.after == *is.after) return std::nullopt;
  return DifferenceKind::Rewritten;
}

class Runner {
 public:
  Runner(const Arguments& arguments, const char* program)
      : arguments_(arguments), program_(program), host_(sandbox::realise(host_on_trial())) {}

  int run() {
    if (auto made = sandbox::set_up_host(host_); !made) return broken(made.error());
    if (auto added = add_networks(host_); !added) return broken(added.error());
    if (auto learnt = learn_machine(host_); !learnt) return broken(learnt.error());
    choose_groups(host_);
    for (std::uint64_t i = 0; pairs_ < arguments_.pairs; ++i) {
      if (auto judged = judge(arguments_.seed + i); !judged) return broken(judged.error());
    }
    fmt::print(
        "{} pairs ({} equal), {} packets put to the kernel by both ({} differ, {} are certain), {} "
        "left out for what is free, {} disagreements; seeds from {}\n",
        pairs_, equal_, packets_, differing_, certain_, free_, disagreements_, arguments_.seed);
    return disagreements_ == 0 ? 0 : 1;
  }

 private:
  static int broken(const Error& error) {
    fmt::print("{}\n", error.message);
    return 1;
  }

  Result<void> judge(std::uint64_t seed) {
    const auto before = loaded(generate_ruleset(seed));
    if (!before) return std::unexpected(before.error());
    if (!*before) return {};
    const auto edited = symbolic::edit(**before, seed);
    if (!edited) return {};
    const auto after = loaded(edited->ruleset);
    if (!after) return std::unexpected(after.error());
    if (!*after) return {};
    analyze::Difference difference({**before, host_}, {**after, host_});
    std::array<std::vector<DifferencePart>, 2> parts;
    std::vector<Question> questions;
    for (const Direction direction : {Direction::Arrive, Direction::Send}) {
      auto found = difference.parts(direction);
      if (!found) return {};  // over the budget
      for (const DifferencePart& part : *found) {
        const auto witness = difference.witness(direction, part.certain);
        if (!witness) continue;
        questions.push_back({witness->packet, direction == Direction::Send, true});
      }
      parts[static_cast<std::size_t>(direction)] = std::move(*found);
    }
    ++pairs_;
    if (parts[0].empty() && parts[1].empty()) ++equal_;
    add_questions(**before, seed, questions);
    add_questions(**after, seed + 500'000, questions);
    for (Question& question : questions) {
      // What a packet cannot bring along here: it is asked about as it comes.
      question.packet.ct_state.reset();
      question.packet.user.reset();
      question.packet.group.reset();
    }
    const auto was = answers_of(**before, questions);
    if (!was) return std::unexpected(was.error());
    const auto is = answers_of(**after, questions);
    if (!is) return std::unexpected(is.error());
    for (std::size_t i = 0; i < questions.size(); ++i) {
      if (!(*was)[i] || !(*is)[i]) {
        ++free_;
        continue;
      }
      const std::string wrong = judge(difference, parts, questions[i], *(*was)[i], *(*is)[i]);
      if (wrong.empty()) continue;
      ++disagreements_;
      fmt::print("DISAGREEMENT: {} ({}): {}\n  again: {} --pairs 1 --seed {}\n", wrong,
                 edited->what, in_words(questions[i]), program_, seed);
      break;  // the pair's other packets would say the same
    }
    return {};
  }

  // As the kernel holds it. Null: nft or the kernel refuses it.
  template <class Source>
  Result<std::optional<ruleset::Ruleset>> loaded(const Source& source) {
    const auto trial = Trial::open(source, host_);
    if (trial) return (*trial)->ruleset();
    if (trial.error().kind == ErrorKind::Usage) return std::nullopt;
    return std::unexpected(trial.error());
  }

  void add_questions(const ruleset::Ruleset& ruleset, std::uint64_t seed,
                     std::vector<Question>& questions) const {
    const Boundaries boundaries = Boundaries::of(ruleset, host_);
    const std::vector<Known> known;
    const Generator generator(boundaries, host_, known, seed, false);
    const std::vector<Aim> aims = aims_of(ruleset);
    for (std::uint64_t number = 0; number < arguments_.packets; ++number) {
      questions.push_back(generator.question(number));
      Random random(seed * 1'000'003 + number);
      if (!aims.empty()) {
        questions.push_back(question_for(random.of(aims), ruleset, host_, boundaries, random));
      }
    }
  }

  Result<std::vector<std::optional<Seen>>> answers_of(const ruleset::Ruleset& ruleset,
                                                      const std::vector<Question>& questions) {
    const auto trial = Trial::open(ruleset, host_);
    if (!trial) return std::unexpected(trial.error());
    std::vector<std::optional<Seen>> all(questions.size());
    for (std::size_t i = 0; i < questions.size(); ++i) {
      // What comes over the loopback was sent here: a rule may have ended it on its way out.
      const bool over_loopback = !questions[i].outbound && questions[i].packet.in_device == "lo";
      if (over_loopback || !is_sent_as_asked(questions[i]) || !is_carried(host_, questions[i])) {
        continue;
      }
      const auto answers = (*trial)->ask(questions[i]);
      if (!answers) return std::unexpected(answers.error());
      // A local program could not even ask for it: no hook was met.
      const std::string& refused = answers->seen.reason;
      const bool asked =
          refused != std::strerror(EADDRNOTAVAIL) && refused != std::strerror(EMSGSIZE);
      if (asked || !questions[i].outbound) all[i] = compared(*answers);
    }
    return all;
  }

  // "": the analyser and the kernel agree.
  std::string judge(analyze::Difference& difference,
                    const std::array<std::vector<DifferencePart>, 2>& parts,
                    const Question& question, const Seen& was, const Seen& is) {
    const auto direction = question.outbound ? Direction::Send : Direction::Arrive;
    // What is passed on is asked about by the device that the routes say.
    eval::Packet packet = question.packet;
    if (!question.outbound)
      packet.out_device = was.leaves_by.empty() ? is.leaves_by : was.leaves_by;
    if (!difference.is_in_space(direction, packet)) return "";
    ++packets_;
    std::optional<DifferenceKind> may;
    std::optional<DifferenceKind> certain;
    for (const DifferencePart& part : parts[static_cast<std::size_t>(direction)]) {
      // Log lines are no fate, and marks are not seen.
      if (part.kind == DifferenceKind::Logged || part.kind == DifferenceKind::Remembered) continue;
      if (difference.contains(direction, part.packets, packet)) may = part.kind;
      const bool is_seen =
          part.kind != DifferenceKind::Rewritten &&
          (part.kind != DifferenceKind::DeniedOtherwise || (was.traced && is.traced));
      if (is_seen && difference.contains(direction, part.certain, packet)) certain = part.kind;
    }
    const auto kind = kind_of(was, is);
    if (kind) ++differing_;
    if (certain) ++certain_;
    if (kind && !may) return "the kernel's answers differ, and the analyser says that none does";
    if (certain && certain != kind)
      return "the analyser is certain of a difference that is not there";
    return "";
  }

  Arguments arguments_;
  std::string program_;
  ruleset::Host host_;
  std::uint64_t pairs_ = 0;
  std::uint64_t equal_ = 0;
  std::uint64_t packets_ = 0;
  std::uint64_t differing_ = 0;
  std::uint64_t certain_ = 0;
  std::uint64_t free_ = 0;
  std::uint64_t disagreements_ = 0;
};

}  // namespace
}  // namespace rolewall::kernel_judge

int main(int count, char** words) {
  using namespace rolewall;
  kernel_judge::Arguments arguments;
  const bool read = kernel_judge::read_numbers(count, words,
                                               {{"--pairs", &arguments.pairs},
                                                {"--packets", &arguments.packets},
                                                {"--seed", &arguments.seed}});
  if (!read) {
    fmt::print(stderr, "usage: difference_trial [--pairs N] [--packets N] [--seed S]\n");
    return 2;
  }
  return kernel_judge::in_sandbox([&] { return kernel_judge::Runner(arguments, words[0]).run(); });
}
