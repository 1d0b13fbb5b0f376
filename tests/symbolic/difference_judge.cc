// Two rulesets, the second the first with one edit: the analyser says whose fate differs, for all
// packets at once; the evaluator is asked about packets, one by one, by both rulesets.
//
// Of a packet for which nothing is free, its fates (or, accepted, its bytes and mark) differ where
// the analyser says so, and nowhere else; of another, what the analyser leaves out must have the
// same possible fates on both sides. An example of each part is put to the evaluator, too.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "aims.h"
#include "analyze/difference.h"
#include "ask/diff.h"
#include "ask/site.h"
#include "base/file.h"
#include "boundaries.h"
#include "edits.h"
#include "eval/eval.h"
#include "found_values.h"
#include "generator.h"
#include "net/protocol.h"
#include "options.h"
#include "print/print.h"
#include "random.h"
#include "random_rules.h"
#include "ruleset/expr.h"
#include "ruleset/verify.h"

namespace rolewall::symbolic {
namespace {

using analyze::DifferenceKind;
using kernel_judge::Random;

struct Arguments {
  std::uint64_t pairs = 300;
  std::uint64_t packets = 200;
  std::uint64_t seed = 1;
  std::uint64_t forwards = 0;
  std::string snapshot;  // a file; "": generated rulesets
  std::optional<std::uint64_t> only;
};

struct Tally {
  std::uint64_t pairs = 0;
  std::uint64_t equal = 0;  // no packet's fate differs
  std::uint64_t not_proven = 0;
  std::uint64_t packets = 0;
  std::uint64_t differing = 0;
  std::uint64_t free = 0;  // something is
  std::uint64_t examples = 0;
  std::uint64_t bounds = 0;  // parts without a certain packet
  std::uint64_t disagreements = 0;
  std::uint64_t talks = 0;    // pairs that are equal, told one packet after the other
  std::uint64_t unlike = 0;   // pairs with something that is not compared
  std::uint64_t told = 0;     // pairs whose classes were counted
  std::uint64_t few = 0;      // of them, those with at most the edit's length and two more
  std::uint64_t classes = 0;  // in all
};

struct Told {
  std::set<eval::Fate> fates;
  bool is_plain = true;  // nothing is free
  bool is_undecided = false;
  eval::Packet after;  // of a plain one
};

Told tell(eval::Evaluator& evaluator, const eval::Packet& packet, bool sent) {
  eval::Options options;
  options.steps = false;
  options.follows_back = false;  // nor does analyze::Difference
  const eval::Outcomes outcomes =
      evaluator.outcomes(packet, sent ? eval::Direction::Send : eval::Direction::Arrive, options);
  Told told;
  for (const eval::Journey& way : outcomes.ways) {
    // Nobody can tell what a rule drops from what the IP stack discards.
    told.fates.insert(way.fate() == eval::Fate::Stack ? eval::Fate::Drop : way.fate());
    told.is_undecided |= way.fate() == eval::Fate::Undecided || way.fate() == eval::Fate::Held;
    told.is_plain = told.is_plain && way.conditions.empty() && way.knows_after;
  }
  told.is_plain = told.is_plain && outcomes.ways.size() == 1 && outcomes.complete;
  told.after = outcomes.ways.front().after;
  return told;
}

bool is_accepted(const Told& told) {
  return told.fates.contains(eval::Fate::Accept);
}

// Absent: the same.
std::optional<DifferenceKind> difference_of(const Told& was, const Told& is) {
  if (!is_accepted(was) && is_accepted(is)) return DifferenceKind::NewlyAccepted;
  if (is_accepted(was) && !is_accepted(is)) return DifferenceKind::NewlyDenied;
  if (!is_accepted(was)) {
    if (was.fates == is.fates) return std::nullopt;
    return DifferenceKind::DeniedOtherwise;
  }
  const bool same = was.after.bytes == is.after.bytes && was.after.mark == is.after.mark &&
                    was.after.priority == is.after.priority;
  if (same) return std::nullopt;
  return DifferenceKind::Rewritten;
}

// Of UDP, without options: the other end's answer. Its checksum is the same.
std::optional<kernel_judge::Question> answer_of(const eval::Packet& packet, bool sent) {
  const bool ipv6 = eval::is_ipv6(packet);
  const std::size_t header = ipv6 ? 40 : 20;
  const std::size_t address = ipv6 ? 16 : 4;
  const std::size_t addresses = header - 2 * address;
  if (packet.bytes.size() < header + 8 || (!ipv6 && packet.bytes[0] != 0x45)) return std::nullopt;
  if (packet.bytes[ipv6 ? 6 : 9] != net::protocol::kUdp) return std::nullopt;
  kernel_judge::Question answer;
  answer.packet.ether_type = packet.ether_type;
  answer.packet.bytes = packet.bytes;
  const auto exchange = [&](std::size_t at, std::size_t size) {
    const auto first = answer.packet.bytes.begin() + static_cast<std::ptrdiff_t>(at);
    const auto second = first + static_cast<std::ptrdiff_t>(size);
    std::swap_ranges(first, second, second);
  };
  exchange(addresses, address);
  exchange(header, 2);
  answer.outbound = !sent && packet.out_device.empty();
  answer.packet.in_device = answer.outbound ? "" : packet.out_device;
  answer.packet.out_device = sent ? "" : packet.in_device;
  return answer;
}

class Pair {
 public:
  Pair(const ruleset::Ruleset& before, const ruleset::Ruleset& after, const ruleset::Host& host,
       std::string again, Tally& tally)
      : again_(std::move(again)),
        tally_(tally),
        before_(before, host),
        after_(after, host),
        difference_({before, host}, {after, host}) {}

  bool analyse() {
    for (const auto direction : {analyze::Direction::Arrive, analyze::Direction::Send}) {
      auto parts = difference_.parts(direction);
      if (!parts) return false;
      parts_[static_cast<std::size_t>(direction)] = std::move(*parts);
    }
    return true;
  }

  void judge_examples() {
    for (const auto direction : {analyze::Direction::Arrive, analyze::Direction::Send}) {
      for (const analyze::DifferencePart& part : parts_[static_cast<std::size_t>(direction)]) {
        if (part.certain == analyze::kNothing) {
          ++tally_.bounds;
          continue;
        }
        const auto witness = difference_.witness(direction, part.certain);
        if (!witness) continue;
        ++tally_.examples;
        ask(witness->packet, direction == analyze::Direction::Send, "example");
      }
      is_equal_ = is_equal_ && parts_[static_cast<std::size_t>(direction)].empty();
    }
    if (is_equal_) ++tally_.equal;
    if (!is_compared()) ++tally_.unlike;
  }

  // Of what is not compared nothing is said.
  bool is_compared() const { return difference_.unlike().empty(); }
  bool is_equal() const { return is_equal_ && is_compared(); }

  // One packet after the other, each with its answer, which the rules remember. What is equal stays
  // so.
  bool talk(const eval::Packet& packet, bool sent, const std::string& number) {
    eval::Packet after;
    if (!talk(packet, sent, number, after)) return false;
    const auto answer = answer_of(after, sent);
    return !answer || talk(answer->packet, answer->outbound, number + "'s answer", after);
  }

  bool talk(const eval::Packet& packet, bool sent, const std::string& number,
            eval::Packet& passed) {
    eval::Options options;
    options.steps = false;
    options.keep_state = true;
    options.follows_back = false;
    const auto fate = [&](eval::Evaluator& evaluator) {
      const eval::Journey journey =
          sent ? evaluator.send(packet, options) : evaluator.arrive(packet, options);
      passed = journey.after;
      return journey.fate();
    };
    const auto as_dropped = [](eval::Fate one) {
      return one == eval::Fate::Stack ? eval::Fate::Drop : one;
    };
    const eval::Fate was = as_dropped(fate(before_));
    const eval::Fate is = as_dropped(fate(after_));
    // What the evaluator cannot say ends the row: what comes after hangs on it.
    for (const eval::Fate one : {was, is}) {
      if (one == eval::Fate::Undecided || one == eval::Fate::Held) return false;
    }
    if (was == is) return true;
    ++tally_.disagreements;
    fmt::print(
        "DISAGREEMENT: {} and {} after other packets; the analyser says that both are the "
        "same\n  again: {} (packet {})\n",
        eval::name_of(was), eval::name_of(is), again_, number);
    return false;
  }

  void ask(const eval::Packet& packet, bool sent, const std::string& number) {
    if (!is_compared()) return;
    const auto direction = sent ? analyze::Direction::Send : analyze::Direction::Arrive;
    if (!difference_.is_in_space(direction, packet)) return;
    const Told was = tell(before_, packet, sent);
    const Told is = tell(after_, packet, sent);
    if (was.is_undecided || is.is_undecided) return;
    ++tally_.packets;
    std::optional<DifferenceKind> may;
    bool certain = false;
    for (const auto& part : parts_[static_cast<std::size_t>(direction)]) {
      // Log lines are no part of what the evaluator says.
      if (part.kind == DifferenceKind::Logged || part.kind == DifferenceKind::Remembered) continue;
      if (difference_.contains(direction, part.packets, packet)) may = part.kind;
      certain = certain || difference_.contains(direction, part.certain, packet);
    }
    if (!was.is_plain || !is.is_plain) {
      ++tally_.free;
      if (was.fates != is.fates && !may) disagree(packet, was, is, sent, number, "are the same");
      return;
    }
    const auto kind = difference_of(was, is);
    if (kind) ++tally_.differing;
    if (kind && !may) {
      disagree(packet, was, is, sent, number, "are the same");
    } else if (!kind && certain) {
      disagree(packet, was, is, sent, number, "differ");
    } else if (kind && certain && *kind != *may) {
      disagree(packet, was, is, sent, number, "differ in another way");
    }
  }

 private:
  static std::string hexadecimal(const eval::Packet& packet) {
    std::string bytes;
    for (const std::uint8_t byte : packet.bytes) bytes += fmt::format("{:02x}", byte);
    return fmt::format("{} mark={} priority={}", bytes, packet.mark, packet.priority);
  }

  void disagree(const eval::Packet& packet, const Told& was, const Told& is, bool sent,
                const std::string& number, const std::string& what) {
    ++tally_.disagreements;
    if (++shown_ > 1) return;
    const std::string bytes = hexadecimal(packet);
    const auto fates = [](const Told& told) {
      std::string all;
      for (const eval::Fate fate : told.fates) all += fmt::format(" {}", eval::name_of(fate));
      return all;
    };
    fmt::print(
        "DISAGREEMENT: by the evaluator{} and{}; the analyser says that they {}{}\n"
        "  {} in={} out={} state={} {}\n  again: {} --only {}\n",
        fates(was), fates(is), what, parts_of(packet, sent), sent ? "sent" : "arrives",
        packet.in_device, packet.out_device, packet.ct_state ? int(*packet.ct_state) : -1, bytes,
        again_, number);
    if (!is_accepted(was) || !is_accepted(is)) return;
    fmt::print("  before {}\n  after  {}\n", hexadecimal(was.after), hexadecimal(is.after));
  }

  std::string parts_of(const eval::Packet& packet, bool sent) {
    const auto direction = sent ? analyze::Direction::Send : analyze::Direction::Arrive;
    std::string all;
    for (const auto& part : parts_[static_cast<std::size_t>(direction)]) {
      if (!difference_.contains(direction, part.packets, packet)) continue;
      all += fmt::format(" (kind {}{})", static_cast<int>(part.kind),
                         difference_.contains(direction, part.certain, packet) ? "" : ", may");
    }
    return all;
  }

  std::string again_;
  Tally& tally_;
  eval::Evaluator before_;
  eval::Evaluator after_;
  analyze::Difference difference_;
  std::array<std::vector<analyze::DifferencePart>, 2> parts_;
  bool is_equal_ = true;
  int shown_ = 0;
};

template <class Visit>
void each_question(const ruleset::Ruleset& ruleset, const ruleset::Host& host,
                   const Arguments& arguments, std::uint64_t seed, const Visit& visit) {
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
    // What came over the loopback is this host's own, and does not go on.
    const bool may_pass = !question.outbound && question.packet.in_device != "lo";
    if (may_pass && random.percent(30)) question.packet.out_device = "eth1";
    if (!visit(question, number)) return;
  }
}

void ask_all(Pair& pair, const ruleset::Ruleset& ruleset, const ruleset::Host& host,
             const Arguments& arguments, std::uint64_t seed) {
  each_question(ruleset, host, arguments, seed,
                [&](const kernel_judge::Question& question, std::uint64_t number) {
                  pair.ask(question.packet, question.outbound, std::to_string(number));
                  return true;
                });
}

// Of limits an edit elsewhere is told as none, though other packets then come to them.
bool has_limits(const ruleset::Ruleset& ruleset) {
  constexpr std::array<std::string_view, 5> kOfIptables{"limit", "hashlimit", "quota", "statistic",
                                                        "connlimit"};
  for (const ruleset::Table& table : ruleset.tables) {
    for (const ruleset::Object& object : table.objects) {
      if (!std::holds_alternative<ruleset::Counter>(object.body)) return true;
    }
    for (const ruleset::Set& set : table.sets) {
      const auto counts = [](const auto& exprs) { return !exprs.empty(); };
      if (counts(set.exprs) || std::ranges::any_of(set.elements.exprs, counts)) return true;
    }
    for (const ruleset::Chain& chain : table.chains) {
      for (const ruleset::Rule& rule : chain.rules) {
        for (const ruleset::Expr& expr : rule.exprs) {
          const bool counts = std::holds_alternative<ruleset::Limit>(expr) ||
                              std::holds_alternative<ruleset::Quota>(expr) ||
                              std::holds_alternative<ruleset::Connlimit>(expr) ||
                              std::holds_alternative<ruleset::Numgen>(expr);
          const auto* match = std::get_if<ruleset::XtMatch>(&expr);
          const auto* dynset = std::get_if<ruleset::Dynset>(&expr);
          const bool counts_otherwise =
              (match != nullptr &&
               std::ranges::find(kOfIptables, match->name) != kOfIptables.end()) ||
              (dynset != nullptr && !dynset->exprs.empty());
          if (counts || counts_otherwise) return true;
        }
      }
    }
  }
  return false;
}

// How much room a set has that rules fill is told as no difference, as long as it has some.
bool have_other_room(const ruleset::Ruleset& before, const ruleset::Ruleset& after) {
  for (std::size_t t = 0; t < before.tables.size(); ++t) {
    for (const ruleset::Set& set : before.tables[t].sets) {
      const ruleset::Set* other = ruleset::find_set(after.tables[t], set.name);
      if (set.dynamic && other != nullptr && !(set.elements == other->elements)) return true;
    }
  }
  return false;
}

void talk(Pair& pair, const ruleset::Ruleset& ruleset, const ruleset::Ruleset& after,
          const ruleset::Host& host, const Arguments& arguments, std::uint64_t seed, Tally& tally) {
  if (!pair.is_equal() || has_limits(ruleset) || have_other_room(ruleset, after)) return;
  ++tally.talks;
  Arguments all = arguments;
  all.only.reset();
  each_question(ruleset, host, all, seed,
                [&](kernel_judge::Question question, std::uint64_t number) {
                  question.packet.ct_state.reset();
                  return pair.talk(question.packet, question.outbound, std::to_string(number));
                });
}

// What a reader sees of the pair. A class that the evaluator does not confirm is a disagreement.
void tell_classes(const policy::Policy& policy, const ruleset::Ruleset& before,
                  const ruleset::Ruleset& after, const ruleset::Host& host,
                  const std::string& again, Tally& tally) {
  constexpr std::size_t kMost = 3;  // an edit of one rule, and two
  ask::Differ differ(policy);
  differ.compare({host, before, {}}, {host, after, {}});
  const ask::Diff diff = differ.take();
  if (!diff.not_proven.empty()) return;
  ++tally.told;
  tally.classes += diff.classes.size();
  if (diff.classes.size() <= kMost) ++tally.few;
  tally.disagreements += diff.mistakes.size();
  for (const std::string& mistake : diff.mistakes) fmt::print("{}\n  again: {}\n", mistake, again);
}

int run(const Arguments& arguments, const char* program) {
  Tally tally;
  ruleset::Snapshot given;
  if (arguments.snapshot.empty()) {
    given.host = host_of_universe(arguments.forwards != 0);
  } else {
    const auto text = read_file(arguments.snapshot, std::size_t{1} << 30);
    auto read = text ? print::from_json(*text) : std::unexpected(text.error());
    if (!read) {
      fmt::print("{}: {}\n", arguments.snapshot, read.error().message);
      return 2;
    }
    given = std::move(*read);
  }
  const ruleset::Host& host = given.host;
  const policy::Policy policy = ask::policy_of(host);
  const bool generated = arguments.snapshot.empty();
  std::uint64_t misses = 0;
  for (std::uint64_t i = 0; tally.pairs < arguments.pairs; ++i) {
    const std::uint64_t seed = arguments.seed + i;
    const bool remembers = generated && seed % 3 == 0;
    ruleset::Ruleset before = generated ? random_rules(seed) : given.ruleset;
    const bool finds = generated && seed % 3 == 1;
    const bool keeps = generated && seed % 3 == 2 && seed / 3 % 2 == 0;
    if (remembers) before = with_memory(std::move(before), seed);
    if (finds) before = with_found_values(std::move(before), seed);
    if (keeps) before = with_kept(std::move(before), seed);
    const auto edited = remembers && seed % 2 == 0 ? edit_memory(before, seed)
                        : finds && seed % 2 == 0   ? edit_found_values(before, seed)
                        : keeps                    ? edit_kept(before, seed)
                                                   : edit(before, seed);
    constexpr std::uint64_t kMostMisses = 1'000;  // of a ruleset without a rule
    if (!edited && ++misses > kMostMisses) break;
    if (!edited) continue;
    ++tally.pairs;
    const std::string again = fmt::format(
        "{} {} {} --forwards {} --pairs 1 --seed {} ({})", program, generated ? "" : "--snapshot",
        arguments.snapshot, arguments.forwards, seed, edited->what);
    if (arguments.only) {
      fmt::print("{}\n--- {}\n{}\n", print::to_bytecode(before), edited->what,
                 print::to_bytecode(edited->ruleset));
    }
    Pair pair(before, edited->ruleset, host, again, tally);
    if (!pair.analyse()) {
      ++tally.not_proven;
      continue;
    }
    pair.judge_examples();
    tell_classes(policy, before, edited->ruleset, host, again, tally);
    ask_all(pair, before, host, arguments, seed);
    ask_all(pair, edited->ruleset, host, arguments, seed + 500'000);
    talk(pair, before, edited->ruleset, host, arguments, seed, tally);
  }
  fmt::print(
      "{} pairs ({} over the budget, {} equal), {} packets compared ({} differ, {} with something "
      "free), {} examples, {} parts that are bounds alone, {} disagreements; seeds from {}\n",
      tally.pairs, tally.not_proven, tally.equal, tally.packets, tally.differing, tally.free,
      tally.examples, tally.bounds, tally.disagreements, arguments.seed);
  fmt::print(
      "{} pairs that are equal were told a row of packets; of {} pairs something is not compared\n",
      tally.talks, tally.unlike);
  fmt::print("{} classes of {} pairs; of {} pairs at most three\n", tally.classes, tally.told,
             tally.few);
  return tally.disagreements == 0 ? 0 : 1;
}

}  // namespace
}  // namespace rolewall::symbolic

int main(int count, char** words) {
  using namespace rolewall;
  symbolic::Arguments arguments;
  const char* program = words[0];
  if (count > 2 && words[1] == std::string_view("--snapshot")) {
    arguments.snapshot = words[2];
    count -= 2;
    words += 2;
  }
  const bool read = kernel_judge::read_numbers(count, words,
                                               {{"--pairs", &arguments.pairs},
                                                {"--packets", &arguments.packets},
                                                {"--seed", &arguments.seed},
                                                {"--forwards", &arguments.forwards},
                                                {"--only", nullptr, &arguments.only}});
  if (!read) {
    fmt::print(stderr,
               "usage: difference_judge [--snapshot FILE] [--forwards 1] [--pairs N] [--packets N] "
               "[--seed S] "
               "[--only PACKET]\n");
    return 2;
  }
  return symbolic::run(arguments, program);
}
