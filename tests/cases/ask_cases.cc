// Runs tests/cases/NN-topic/*.toml: each case's packets are asked as `rolewall eval` asks them, and
// again of both forms that the compiler has, with dispatch maps and without; what was expected is
// compared word by word.
//
//     ask_cases tests/cases                          all of them; nothing there may be passed over
//     ask_cases tests/cases 05-rules/on.toml ...     these alone
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ask/conditions.h"
#include "ask/site.h"
#include "ask/translations.h"
#include "base/file.h"
#include "case_file.h"
#include "compile/compile.h"
#include "net/protocol.h"
#include "policy/load.h"
#include "policy/toml_file.h"
#include "ruleset/names.h"
#include "support/memory_files.h"

namespace rolewall::cases {
namespace {

namespace fs = std::filesystem;

// A directory that cannot be read is one more problem, and none of its entries.
std::vector<fs::directory_entry> entries_of(const std::string& directory,
                                            std::vector<std::string>& problems) {
  std::error_code error;
  const fs::directory_iterator begin(directory, error);
  if (error) problems.push_back(fmt::format("{}: {}", directory, error.message()));
  return {begin, fs::directory_iterator()};
}
using ask::Answer;
using ask::Hop;

// What stands in tests/cases beside the topics, and who reads it.
constexpr std::array kNotCases = {
    "small-site",     // the site of every case without a site.toml of its own
    "policy-errors",  // tests/unit/policy/cases_test.cc
    "site",           // whole sites: `rolewall check`
    "README.md",     "ask_cases.cc", "case_file.cc", "case_file.h", "meson.build"};

// --- an answer in a case's words -----------------------------------------------------------------

// "gw-01 prerouting gateway.nat.partner to 10.0.2.10:443"; "" where no rule decided.
std::string in_words(const Hop& hop) {
  if (hop.verdict == ask::Verdict::Conditional) {
    return fmt::format("{} {} conditional", hop.host, ruleset::name_of(hop.hook));
  }
  if (!hop.decided_by || hop.decided_by->rule.empty()) return "";
  return fmt::format("{} {} {}{}{}", hop.host, ruleset::name_of(hop.hook), hop.decided_by->rule,
                     hop.translated.empty() ? "" : " ", hop.translated);
}

std::vector<std::string> in_words(const std::vector<Hop>& hops) {
  std::vector<std::string> way;
  for (const Hop& hop : hops) {
    std::string words = in_words(hop);
    if (!words.empty()) way.push_back(std::move(words));
  }
  return way;
}

// The last that let the packet pass or did not; who translates it only does not say.
ask::DecidedBy decider(const Answer& answer) {
  for (auto hop = answer.hops.rbegin(); hop != answer.hops.rend(); ++hop) {
    if (!hop->decided_by || hop->decided_by->rule.empty()) continue;
    if (hop->translated.empty()) return *hop->decided_by;
  }
  return {};
}

std::vector<std::string> choices(const Answer& answer) {
  std::vector<std::string> words;
  if (answer.verdict != ask::Verdict::Conditional) return words;
  for (const ask::Alternative& choice : answer.hops.back().alternatives) {
    words.push_back(fmt::format("{}: {}", choice.add, ask::name_of(choice.verdict)));
    if (choice.decided_by) words.back() += " " + choice.decided_by->rule;
  }
  return words;
}

// What an answer says to the questions that the case asks.
Expected said(const Answer& answer, const Expected& asked) {
  Expected said;
  const ask::DecidedBy by = decider(answer);
  if (asked.as) said.as = answer.packet;
  if (asked.verdict) said.verdict = ask::name_of(answer.verdict);
  if (asked.by) said.by = by.rule;
  if (asked.at) {
    const std::string file = by.file.starts_with("site/") ? by.file.substr(5) : by.file;
    said.at = file.empty() ? "" : fmt::format("{}:{}", file, by.line);
  }
  if (asked.way) said.way = in_words(answer.hops);
  if (asked.beyond) said.beyond = in_words(answer.beyond);
  if (asked.choices) said.choices = choices(answer);
  return said;
}

// --- the site ------------------------------------------------------------------------------------

// Every host's ruleset, in one of the compiler's two forms, with what is banned and opened there.
// Where a host is in audit mode, so is its ruleset.
class Rulesets {
 public:
  Rulesets(const policy::Policy& policy, compile::Options options, const test::RunTime& run_time)
      : policy_(policy), options_(options), run_time_(run_time) {}

  // `keep`: what the packets before it have spent and opened is remembered.
  std::vector<Hop> tell(const ask::FlowEnd& end, bool keep) {
    Machine& machine = machines_[end.host];
    if (!machine.evaluator) {
      machine.snapshot = compile::compile(policy_, end.host, options_);
      test::put(run_time_, machine.snapshot.ruleset.tables.front());
      machine.evaluator =
          std::make_unique<eval::Evaluator>(machine.snapshot.ruleset, machine.snapshot.host);
    }
    eval::Options options;
    options.keep_state = keep;
    const eval::Journey journey = end.arrives ? machine.evaluator->arrive(end.packet, options)
                                              : machine.evaluator->send(end.packet, options);
    const ask::Translations translated = ask::translations_of(end.packet, journey.after);
    std::vector<Hop> hops;
    for (const eval::HookResult& result : journey.hooks) {
      Hop hop;
      hop.host = machine.snapshot.host.name;
      hop.hook = result.hook;
      hop.translated = translated.at(result.hook);
      hop.verdict = ask::verdict_of(result.fate);
      if (result.decided) {
        hop.decided_by =
            ask::decided_by(machine.snapshot.ruleset, machine.snapshot.sources, result.decision);
      }
      hops.push_back(std::move(hop));
    }
    if (journey.conditions.empty()) return hops;
    if (keep) {
      hops.back().verdict = ask::Verdict::Conditional;  // the state has gone on: no way back
    } else {
      const auto direction = end.arrives ? eval::Direction::Arrive : eval::Direction::Send;
      ask::weigh(hops, machine.evaluator->outcomes(end.packet, direction), machine.snapshot,
                 nullptr);
    }
    return hops;
  }

 private:
  struct Machine {
    ruleset::Snapshot snapshot;
    std::unique_ptr<eval::Evaluator> evaluator;  // of the snapshot beside it
  };
  const policy::Policy& policy_;
  compile::Options options_;
  const test::RunTime& run_time_;
  std::map<policy::Index, Machine> machines_;
};

// The last of so many connections in a row, each from the next port.
Answer last_of(std::int64_t connections, ask::Sample sample, ask::Site& site, Rulesets rulesets) {
  const auto teller = [&](const ask::FlowEnd& end) { return rulesets.tell(end, connections > 1); };
  for (std::int64_t i = 1; i < connections; ++i) {
    site.ask_with(sample, teller);
    ++sample.fields.source_port;
  }
  return site.ask_with(sample, teller);
}

// What the policy means: a host in audit mode enforces as well.
policy::Policy enforcing(policy::Policy policy) {
  policy.defaults.mode = policy::Mode::Enforce;
  for (policy::RuleFile& file : policy.files) file.defaults.mode.reset();
  return policy;
}

// --- comparing -----------------------------------------------------------------------------------

std::string quoted(const std::string& text) {
  return "\"" + text + "\"";
}
std::string quoted(const std::vector<std::string>& list) {
  std::string text = "[";
  for (const std::string& item : list) text += (text.size() > 1 ? ",\n" : "") + quoted(item);
  return text + "]";
}

// Under the line above it.
std::string indented(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '\n' ? "\n                 " : std::string(1, c);
  return out;
}

class Run {
 public:
  std::vector<std::string> problems;
  std::size_t cases = 0;
  std::size_t packets = 0;

  void run(const std::string& directory, const std::string& name) {
    path_ = directory + "/" + name;
    const std::size_t before = problems.size();
    const auto read = read_case(path_, problems);
    if (!read) return;
    ++cases;
    Diagnostics diagnostics;
    const policy::Policy policy = load(directory + "/small-site", *read, diagnostics);
    for (const Diagnostic& finding : diagnostics.all()) {
      if (finding.severity != Severity::Error) continue;
      problems.push_back(fmt::format("{}: its policy has an error: {}: {}", path_,
                                     policy.sources.format(finding.span), finding.message));
    }
    if (problems.size() > before) return;
    for (const Question& question : read->questions) ask(policy, read->date, question);
  }

 private:
  policy::Policy load(const std::string& small_site, const Case& read, Diagnostics& diagnostics) {
    std::map<std::string, std::string> files;
    const auto add = [&](const std::string& from, const std::string& as) {
      for (const auto& entry : entries_of(from, problems)) {
        const auto text = read_file(entry.path().string(), policy::kLargestPolicyFile);
        if (!text) problems.push_back(text.error().message);
        files[as + "/" + entry.path().filename().string()] = text.value_or("");
      }
    };
    if (!read.files.contains("site.toml")) add(small_site, "site");
    add(SHIPPED_RULES, "shipped");
    for (const auto& [file, text] : read.files) files["site/" + file] = text;
    return policy::load("site", {"shipped", read.date, false, false}, policy::MemoryFiles(files),
                        diagnostics);
  }

  void ask(const policy::Policy& policy, policy::Date date, const Question& question) {
    Diagnostics diagnostics;
    ask::Asking asking;
    if (!question.host.empty()) {
      asking = {policy::find_host(policy, question.host), true};
      if (!asking.self) return wrong(question, "", "the host", "a host of the site", "unknown");
    }
    const bool of_self = question.ask.find("self") != std::string::npos;
    const auto words = policy::parse_packet(policy, question.ask, {}, of_self, diagnostics);
    std::vector<ask::Sample> samples;
    if (words && !diagnostics.has_errors()) {
      samples = ask::Sampler(policy).take(*words, asking, diagnostics);
    }
    for (const Diagnostic& finding : diagnostics.all()) {
      wrong(question, "", "the words", "a packet", finding.message);
    }
    if (diagnostics.has_errors()) return;
    if (question.packets) {
      std::vector<std::string> in_words;
      for (const ask::Sample& sample : samples) in_words.push_back(to_words(sample));
      compare(question, "", "packets", question.packets, std::optional(in_words));
    }
    if (question.expected.verdict && samples.empty()) {
      wrong(question, "", "the words", "a packet", "none: the ends have no family in common");
    }
    if (!question.expected.verdict) return;
    const bool has_ports = std::ranges::all_of(
        samples, [](const ask::Sample& sample) { return net::has_ports(sample.fields.protocol); });
    if (question.connections < 1 || (question.connections > 1 && !has_ports)) {
      return wrong(question, "", "connections", "1, or more of a protocol with ports",
                   fmt::format("{}", question.connections));
    }
    for (const ask::Sample& sample : samples) ask(policy, date, question, sample);
  }

  void ask(const policy::Policy& policy, policy::Date date, const Question& question,
           const ask::Sample& sample) {
    ++packets;
    ask::Site site(policy, date);
    const Expected& expected = question.expected;
    const std::size_t before = problems.size();
    // As `rolewall eval` does, which knows of no bans.
    if (question.connections == 1 && question.run_time.empty()) {
      const Answer answer = site.ask(sample);
      compare(question, answer.packet, said(answer, expected));
    }
    if (problems.size() > before) return;
    const policy::Policy meant = enforcing(policy);
    for (const bool optimise : {true, false}) {
      const char* form = optimise ? "with maps" : "without maps";
      const auto rulesets = [&](const policy::Policy& compiled) {
        return Rulesets(compiled, {date, optimise}, question.run_time);
      };
      Answer answer = last_of(question.connections, sample, site, rulesets(meant));
      compare(question, fmt::format("{}, {}", answer.packet, form), said(answer, expected));
      if (!expected.in_force) continue;
      answer = last_of(question.connections, sample, site, rulesets(policy));
      compare(question, fmt::format("{}, {}", answer.packet, form), "in-force", expected.in_force,
              std::optional(std::string(ask::name_of(answer.verdict))));
    }
  }

  void compare(const Question& question, const std::string& packet, const Expected& got) {
    const Expected& expected = question.expected;
    compare(question, packet, "as", expected.as, got.as);
    compare(question, packet, "verdict", expected.verdict, got.verdict);
    compare(question, packet, "by", expected.by, got.by);
    compare(question, packet, "at", expected.at, got.at);
    compare(question, packet, "way", expected.way, got.way);
    compare(question, packet, "beyond", expected.beyond, got.beyond);
    compare(question, packet, "choices", expected.choices, got.choices);
  }

  template <typename T>
  void compare(const Question& question, const std::string& packet, const std::string& what,
               const std::optional<T>& expected, const std::optional<T>& got) {
    if (expected && expected != got) {
      wrong(question, packet, what, quoted(*expected), quoted(got.value_or(T())));
    }
  }

  void wrong(const Question& question, const std::string& packet, const std::string& what,
             const std::string& expected, const std::string& got) {
    problems.push_back(
        fmt::format("{}:{}: \"{}\"{}\n    {}\n      expected  {}\n      got       {}", path_,
                    question.line, question.ask, packet.empty() ? "" : " as " + packet, what,
                    indented(expected), indented(got)));
  }

  std::string path_;
};

bool is_topic(const std::string& name) {
  return name.size() > 3 && name[0] >= '0' && name[0] <= '9' && name[1] >= '0' && name[1] <= '9' &&
         name[2] == '-';
}

// Every case of every topic, "05-rules/on.toml". What is there and is none is a problem: it would
// look like a test and never run.
std::vector<std::string> find_cases(const std::string& directory, Run& run) {
  std::vector<std::string> names;
  for (const auto& entry : entries_of(directory, run.problems)) {
    const std::string name = entry.path().filename().string();
    if (std::ranges::find(kNotCases, name) != kNotCases.end()) continue;
    if (!entry.is_directory() || !is_topic(name)) {
      run.problems.push_back(
          fmt::format("{}: is no topic, and nothing runs it", entry.path().string()));
      continue;
    }
    for (const auto& file : entries_of(entry.path().string(), run.problems)) {
      if (file.is_regular_file() && file.path().extension() == ".toml") {
        names.push_back(name + "/" + file.path().filename().string());
      } else {
        run.problems.push_back(
            fmt::format("{}: is no case (NAME.toml), and nothing runs it", file.path().string()));
      }
    }
  }
  std::ranges::sort(names);
  return names;
}

int main(const std::vector<std::string>& arguments) {
  if (arguments.empty()) {
    fmt::print(stderr, "usage: ask_cases tests/cases [TOPIC/CASE.toml ...]\n");
    return 2;
  }
  const std::string& directory = arguments.front();
  Run run;
  std::vector<std::string> names(arguments.begin() + 1, arguments.end());
  if (names.empty()) names = find_cases(directory, run);
  for (const std::string& name : names) run.run(directory, name);
  for (const std::string& problem : run.problems) fmt::print("{}\n", problem);
  fmt::print("{} cases, {} packets: {}\n", run.cases, run.packets,
             run.problems.empty() ? "all as expected"
                                  : fmt::format("{} not as expected", run.problems.size()));
  return run.problems.empty() && run.cases > 0 ? 0 : 1;
}

}  // namespace
}  // namespace rolewall::cases

int main(int count, char** arguments) {
  return rolewall::cases::main({arguments + 1, arguments + count});
}
