// Each host of a site on the live kernel: its compiled ruleset is loaded in a namespace of its own,
// real packets are put through it, and what the kernel does is compared with what the evaluator
// says: verdict, deciding rule and path. Asked are the packets of the site's own tests, and as many
// generated ones as are wanted.
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ask/site.h"
#include "ask/tests.h"
#include "boundaries.h"
#include "compare.h"
#include "compile/compile.h"
#include "eval/build.h"
#include "eval/eval.h"
#include "eval/fragments.h"
#include "eval/route.h"
#include "generator.h"
#include "machine_on_trial.h"
#include "policy/load.h"
#include "random.h"
#include "sandbox/judge.h"
#include "sandbox/sandbox.h"
#include "support/run_time.h"
#include "words.h"

namespace rolewall::kernel_judge {
namespace {

constexpr int kSkipped = 77;            // Meson's exit status for a test that cannot run here
constexpr std::size_t kMostShown = 10;  // disagreements of a host, in full

struct Arguments {
  std::string policies;
  std::string rules;
  std::string host;  // "": all
  std::uint64_t packets = 20'000;
  std::uint64_t seed = 1;
  std::optional<std::uint64_t> only;
  bool banned = false;    // some addresses are, and some ports are opened
  bool verbose = false;   // shows what agrees too
  bool coverage = false;  // names the rules that no packet ran to their end
};

int usage(const char* problem) {
  fmt::print(stderr,
             "{}\nusage: kernel_judge POLICIES --rules DIR [--host NAME] [--packets N] [--seed S] "
             "[--only N] [--banned] [--verbose] [--coverage]\n",
             problem);
  return 2;
}

std::optional<Arguments> parse(int count, char** words) {
  Arguments arguments;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    bool* const flag = word == "--verbose"    ? &arguments.verbose
                       : word == "--coverage" ? &arguments.coverage
                       : word == "--banned"   ? &arguments.banned
                                              : nullptr;
    if (flag != nullptr) {
      *flag = true;
      continue;
    }
    if (!word.starts_with("--")) {
      arguments.policies = word;
      continue;
    }
    if (i + 1 == count) return std::nullopt;
    const char* value = words[++i];
    if (word == "--rules") {
      arguments.rules = value;
    } else if (word == "--host") {
      arguments.host = value;
    } else if (word == "--packets") {
      arguments.packets = std::strtoull(value, nullptr, 10);
    } else if (word == "--seed") {
      arguments.seed = std::strtoull(value, nullptr, 10);
    } else if (word == "--only") {
      arguments.only = std::strtoull(value, nullptr, 10);
    } else {
      return std::nullopt;
    }
  }
  if (arguments.policies.empty() || arguments.rules.empty()) return std::nullopt;
  return arguments;
}

// What one host's child process found, in memory that it shares with its parent.
struct Tally {
  std::uint64_t generated = 0;
  std::uint64_t from_tests = 0;
  std::uint64_t disagreements = 0;
  std::uint64_t fates[6] = {};  // by sandbox::Fate
  std::uint64_t rules = 0;
  std::uint64_t rules_run = 0;  // of these, to their end, by some packet
  std::uint64_t loads = 0;
};

class SharedTally {
 public:
  SharedTally()
      : memory_(::mmap(nullptr, sizeof(Tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                       -1, 0)) {}
  ~SharedTally() { ::munmap(memory_, sizeof(Tally)); }
  SharedTally(const SharedTally&) = delete;
  SharedTally& operator=(const SharedTally&) = delete;
  Tally& operator*() const { return *static_cast<Tally*>(memory_); }
  Tally* operator->() const { return static_cast<Tally*>(memory_); }

 private:
  void* memory_;  // zeros
};

// Whether this sandbox has more users than root.
bool has_users() {
  std::ifstream map("/proc/self/uid_map");
  unsigned inside = 0;
  unsigned outside = 0;
  unsigned count = 0;
  map >> inside >> outside >> count;
  return count > 1;
}

// A packet of a test that this host is asked, once for each interface that it may take.
struct TestQuestion {
  Known known;
  std::string words;
};

std::vector<TestQuestion> questions_of(const std::vector<ask::TestCase>& cases, policy::Index index,
                                       const ruleset::Host& host) {
  std::vector<TestQuestion> questions;
  const auto add = [&](const ask::Sample& sample, bool outbound) {
    // A state that is given would need a flow that led to it.
    if (sample.ct_state) return;
    const auto& remote = outbound ? sample.fields.destination : sample.fields.source;
    for (const auto& interface :
         ask::interfaces_for(host, remote, outbound ? sample.out : sample.in)) {
      questions.push_back(
          {{sample.fields, outbound, interface.device, sample.user}, ask::to_words(sample)});
    }
  };
  for (const ask::TestCase& test : cases) {
    if (test.host && *test.host != index) continue;
    for (const ask::Sample& sample : test.samples) {
      if (sample.through) continue;  // asked of the host between, by its devices
      if (sample.sender == index) add(sample, true);
      if (sample.receiver == index) add(sample, false);
    }
  }
  return questions;
}

class HostJudge {
 public:
  HostJudge(const ruleset::Snapshot& snapshot, const ruleset::Host& host, Tally& tally,
            bool verbose, bool coverage)
      : snapshot_(snapshot),
        evaluator_(snapshot.ruleset, host),
        tally_(tally),
        verbose_(verbose),
        coverage_(coverage) {
    const auto is_nat = [](const ruleset::Chain& chain) {
      return chain.base && chain.base->type == ruleset::ChainType::Nat;
    };
    translates_ = std::ranges::any_of(snapshot.ruleset.tables.front().chains, is_nat);
  }

  // `host` learns which groups are joined.
  Result<void> open(ruleset::Host& host) {
    TRY(sandbox::set_up_host(host));
    choose_groups(host);
    auto judge = sandbox::Judge::open(host, snapshot_.ruleset.tables.front());
    if (!judge) return std::unexpected(judge.error());
    judge_ = std::make_unique<sandbox::Judge>(std::move(*judge));
    auto comparison = Comparison::of(snapshot_.ruleset, judge_->ruleset());
    if (!comparison) return std::unexpected(comparison.error());
    comparison_ = std::make_unique<Comparison>(std::move(*comparison));
    return {};
  }

  // A policy lists no link-local addresses: for the evaluator what comes to one is the host's own,
  // and its likeness in the kernel bears none but the devices'.
  //
  // What a host sends itself was translated on its way out, and bears its flow when it is cut up
  // (so that the evaluator cannot tell whether IPv6 holds it); a frame that the judge puts on the
  // loopback was and does neither.
  bool can_be_put(const Question& question) const {
    const eval::Packet& packet = question.packet;
    const bool ipv6 = packet.ether_type == eval::kEtherTypeIpv6;
    const bool has_header = packet.bytes.size() >= (ipv6 ? 40U : 20U);
    if (!question.outbound && !snapshot_.host.routes && has_header &&
        eval::is_link_local(eval::destination_of(packet.bytes, ipv6))) {
      return false;
    }
    if (question.outbound || packet.in_device != "lo") return true;
    return !translates_ && !(ipv6 && eval::has_fragment_header(packet.bytes));
  }

  // `repeat` is how to ask this one again; `words` what it is. REQUIRES: can_be_put().
  Result<void> ask(const Question& question, const std::string& words, const std::string& repeat) {
    const eval::Packet& packet = question.packet;
    const auto seen = question.outbound ? judge_->send(packet) : judge_->arrive(packet);
    if (!seen) return std::unexpected(seen.error());
    const eval::Journey journey =
        question.outbound ? evaluator_.send(packet) : evaluator_.arrive(packet);
    std::string difference = comparison_->difference(journey, *seen);
    const std::string& device = question.outbound ? packet.out_device : packet.in_device;
    if (difference.empty() && !seen->device.empty() && seen->device != device) {
      difference = "the kernel takes it by " + seen->device;
    }
    ++tally_.fates[static_cast<int>(seen->fate())];
    comparison_->remember(*seen);
    if (!difference.empty() || verbose_) show(question, words, repeat, difference, journey, *seen);
    return {};
  }

  void finish() {
    tally_.loads = judge_->loads();
    tally_.rules_run = comparison_->rules_run();
    tally_.rules = comparison_->rules();
    if (!coverage_) return;
    for (const std::string& name : comparison_->rules_not_run()) {
      fmt::print("{}: never ran to its end: {}\n", snapshot_.host.name, name);
    }
  }

 private:
  void show(const Question& question, const std::string& words, const std::string& repeat,
            const std::string& difference, const eval::Journey& journey,
            const sandbox::Observation& seen) {
    if (!difference.empty() && ++tally_.disagreements > kMostShown) return;
    fmt::print("{}: {}\n  {}\n", snapshot_.host.name,
               difference.empty() ? "agreed" : "DISAGREEMENT: " + difference, in_words(question));
    if (!words.empty()) fmt::print("  asked by a test: {}\n", words);
    fmt::print("  bytes: {}\n", in_hex(question.packet));
    fmt::print("  evaluator:\n{}  kernel:\n{}", comparison_->describe(journey),
               comparison_->describe(seen));
    fmt::print("  again: {}\n", repeat);
  }

  const ruleset::Snapshot& snapshot_;
  eval::Evaluator evaluator_;
  Tally& tally_;
  bool verbose_;
  bool coverage_;
  bool translates_ = false;
  std::unique_ptr<sandbox::Judge> judge_;
  std::unique_ptr<Comparison> comparison_;
};

// In the sandbox. Returns its exit status.
int judge_host(const Arguments& arguments, const char* program, const ruleset::Snapshot& snapshot,
               const std::vector<TestQuestion>& tests, Tally& tally) {
  ruleset::Host host = sandbox::realise(snapshot.host);
  HostJudge judge(snapshot, host, tally, arguments.verbose, arguments.coverage);
  const auto failed = [&](const Error& error, std::string_view where) {
    fmt::print("{}: {}: {}\n", host.name, where, error.message);
    return 1;
  };
  if (auto opened = judge.open(host); !opened) return failed(opened.error(), "set up");

  const std::string again =
      fmt::format("{} {} --rules {} --host {} --seed {}{}", program, arguments.policies,
                  arguments.rules, host.name, arguments.seed, arguments.banned ? " --banned" : "");
  if (!arguments.only) {
    for (const TestQuestion& test : tests) {
      if (auto asked = judge.ask(to_question(test.known), test.words, again + " --packets 0");
          !asked) {
        return failed(asked.error(), test.words);
      }
      ++tally.from_tests;
    }
  }
  const Boundaries boundaries = Boundaries::of(snapshot.ruleset, host);
  std::vector<Known> known;
  for (const TestQuestion& test : tests) known.push_back(test.known);
  const Generator generator(boundaries, host, known, arguments.seed, has_users());
  const std::uint64_t first = arguments.only.value_or(0);
  const std::uint64_t end = arguments.only ? first + 1 : arguments.packets;
  for (std::uint64_t number = first; number < end; ++number) {
    const Question question = generator.question(number);
    if (!judge.can_be_put(question)) continue;
    const std::string repeat = fmt::format("{} --only {}", again, number);
    if (auto asked = judge.ask(question, "", repeat); !asked) {
      return failed(asked.error(), repeat);
    }
    ++tally.generated;
  }
  judge.finish();
  return 0;
}

void report(std::string_view host, const Tally& tally, double seconds) {
  const auto of = [&](sandbox::Fate fate) { return tally.fates[static_cast<int>(fate)]; };
  fmt::print(
      "{}: {} generated packets and {} of tests compared, {} disagreements "
      "({} accepted, {} dropped, {} rejected, {} discarded by the stack; {} of {} rules "
      "ran; {} loads; "
      "{:.1f} s)\n",
      host, tally.generated, tally.from_tests, tally.disagreements, of(sandbox::Fate::Accept),
      of(sandbox::Fate::Drop), of(sandbox::Fate::Reject), of(sandbox::Fate::Stack), tally.rules_run,
      tally.rules, tally.loads, seconds);
}

// Of the addresses that the ruleset tells apart: some are banned, alone or with their network, and
// some have a port opened, a banned one perhaps.
test::RunTime some_run_time(const ruleset::Snapshot& snapshot, std::uint64_t seed) {
  constexpr int kOfEach = 3;
  const Boundaries boundaries = Boundaries::of(snapshot.ruleset, snapshot.host);
  Random random(seed);
  test::RunTime run_time;
  for (const auto* addresses : {&boundaries.ipv4, &boundaries.ipv6}) {
    std::set<net::Address> chosen;
    for (int i = 0; i < kOfEach; ++i) chosen.insert(random.of(*addresses));
    for (const net::Address& one : chosen) {
      run_time.banned.push_back({one, net::address_bits(one)});
    }
    const net::Address within = random.of(*addresses);
    const net::Prefix wider{within, net::address_bits(within) - 4};
    run_time.banned.push_back({net::first(wider), wider.length});
    std::set<net::Address> opened{random.of(*addresses), *chosen.begin()};
    for (const net::Address& one : opened) {
      run_time.allowed.push_back({.protocol = 6, .port = random.of(boundaries.ports), .from = one});
    }
  }
  return run_time;
}

policy::Date today() {
  return std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
}

bool print_errors(const policy::Policy& policy, const Diagnostics& diagnostics) {
  for (const Diagnostic& diagnostic : diagnostics.all()) {
    if (diagnostic.severity != Severity::Error) continue;
    fmt::print("{}: {}\n", policy.sources.format(diagnostic.span), diagnostic.message);
  }
  return diagnostics.has_errors();
}

int judge_site(const Arguments& arguments, const char* program) {
  Diagnostics diagnostics;
  policy::LoadOptions options;
  options.shipped_rules = arguments.rules;
  options.date = today();
  const policy::Policy policy = policy::load(arguments.policies, options, diagnostics);
  if (print_errors(policy, diagnostics)) return 2;
  const auto cases = ask::plan_tests(policy, diagnostics);
  if (print_errors(policy, diagnostics)) return 2;

  std::uint64_t compared = 0;
  std::uint64_t disagreements = 0;
  int hosts = 0;
  bool broken = false;
  for (policy::Index index = 0; index < policy.hosts.size(); ++index) {
    const std::string& name = policy.hosts[index].name;
    if (!arguments.host.empty() && arguments.host != name) continue;
    ruleset::Snapshot snapshot =
        compile::compile(policy, index, {.date = options.date, .optimise = true});
    if (arguments.banned) {
      test::put(some_run_time(snapshot, arguments.seed), snapshot.ruleset.tables.front());
    }
    const auto tests = questions_of(cases, index, sandbox::realise(snapshot.host));
    const SharedTally tally;
    const auto start = std::chrono::steady_clock::now();
    const auto status =
        sandbox::run([&] { return judge_host(arguments, program, snapshot, tests, *tally); });
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (!status) fmt::print("{}: {}\n", name, status.error().message);
    if (!status || *status != 0) broken = true;
    report(name, *tally, took.count());
    compared += tally->generated + tally->from_tests;
    disagreements += tally->disagreements;
    ++hosts;
  }
  fmt::print("{} hosts, {} packets compared, {} disagreements\n", hosts, compared, disagreements);
  if (hosts == 0) return usage("there is no such host");
  return broken || disagreements > 0 ? 1 : 0;
}

}  // namespace
}  // namespace rolewall::kernel_judge

int main(int count, char** words) {
  using namespace rolewall;
  const auto arguments = kernel_judge::parse(count, words);
  if (!arguments) return kernel_judge::usage("wrong arguments");
  if (const std::string why = sandbox::unavailable(); !why.empty()) {
    fmt::print("skipped: {}\n", why);
    return kernel_judge::kSkipped;
  }
  return kernel_judge::judge_site(*arguments, words[0]);
}
