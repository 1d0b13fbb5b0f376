#include "cli/eval_questions.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/suggest.h"
#include "cli/exit_status.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/render_answer.h"
#include "cli/render_json.h"
#include "policy/codes.h"

namespace rolewall::cli {
namespace {

constexpr std::size_t kLargestFile = std::size_t{16} << 20;
constexpr std::size_t kMostErrors = 20;  // shown

struct Question {
  std::size_t line = 0;
  std::string words;
  std::string expected;  // "": nothing
  std::vector<ask::Sample> samples;
};

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

class Reader {
 public:
  Reader(std::string name, const Subject& subject) : name_(std::move(name)), subject_(subject) {}

  // What is wrong goes to standard error.
  std::vector<Question> read(std::string_view text) {
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";  // as some editors write first
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    std::vector<Question> questions;
    std::size_t number = 0;
    for (const std::string& whole : rolewall::lines_of(text)) {
      const std::string_view line = std::string_view(whole).substr(0, whole.find('#'));
      ++number;
      if (!trim(line).empty()) read_line(line, number, questions);
    }
    if (errors_ > kMostErrors) {
      err().line(fmt::format("rolewall: {} more lines are wrong", errors_ - kMostErrors));
    }
    return questions;
  }
  bool failed() const { return errors_ != 0; }

 private:
  void read_line(std::string_view line, std::size_t number, std::vector<Question>& questions) {
    constexpr std::string_view kArrow = "=>";
    constexpr std::string_view kThinArrow = "->";
    Question question;
    question.line = number;
    const auto arrow = line.rfind(kArrow);
    if (arrow != std::string_view::npos) {
      question.expected = trim(line.substr(arrow + kArrow.size()));
      const auto names = expectations();
      if (std::ranges::find(names, question.expected) == names.end()) {
        const auto at = line.find_first_not_of(" \t", arrow + kArrow.size());
        std::string hint = did_you_mean(question.expected, names);
        if (hint.empty()) hint = fmt::format("one of {}", fmt::join(names, ", "));
        complain(line, number, std::min(at, line.size()),
                 fmt::format("`{}` is not a verdict", question.expected), std::move(hint));
        return;
      }
    }
    if (const auto thin = line.find(kThinArrow); thin != std::string_view::npos) {
      const bool has_ends = line.substr(0, thin).find('>') != std::string_view::npos;
      complain(line, number, thin, "`->` is not understood",
               has_ends ? "write `=>` before the verdict" : "write `>` between the ends");
      return;
    }
    const std::string_view words = line.substr(0, arrow);
    const auto begin = std::min(words.find_first_not_of(" \t"), words.size());
    question.words = trim(words);
    Diagnostics diagnostics;
    question.samples = understand(question.words, subject_, place(number, begin), diagnostics);
    if (diagnostics.has_errors()) {
      show(line, number, diagnostics);
    } else {
      questions.push_back(std::move(question));
    }
  }

  void complain(std::string_view line, std::size_t number, std::size_t at, std::string message,
                std::string hint) {
    Diagnostics diagnostics;
    policy::report(diagnostics, policy::Code::BadPacket, place(number, at), std::move(message),
                   std::move(hint));
    show(line, number, diagnostics);
  }

  static Span place(std::size_t line, std::size_t offset) {
    return {kNoFile, static_cast<std::uint32_t>(line), static_cast<std::uint32_t>(offset + 1)};
  }

  void show(std::string_view line, std::size_t number, const Diagnostics& diagnostics) {
    if (++errors_ > kMostErrors) return;
    show_words(err(), std::string(line), diagnostics, fmt::format("{}:{}", name_, number));
  }

  std::string name_;
  const Subject& subject_;
  std::size_t errors_ = 0;
};

// What becomes of a question's packets; the first that is not as expected speaks for them.
struct Outcome {
  ask::Answer answer;
  Verdicts verdicts;
  bool as_expected = true;
};

Outcome outcome_of(const Question& question, ask::Site& site) {
  Outcome outcome;
  for (const ask::Sample& sample : question.samples) {
    ask::Answer answer = site.ask(sample);
    ++outcome.verdicts.counts[answer.verdict];
    const bool expected = is_as_expected(question.expected, answer.verdict);
    const bool first = &sample == &question.samples.front();
    if (first || (outcome.as_expected && !expected)) outcome.answer = std::move(answer);
    outcome.as_expected &= expected;
  }
  outcome.verdicts.of = outcome.verdicts.asked = question.samples.size();
  return outcome;
}

// Whether more than one host was asked.
bool has_several_hosts(const ask::Answer& answer) {
  const auto is_other = [&](const ask::Hop& hop) { return hop.host != answer.hops.front().host; };
  return !answer.hops.empty() && (std::ranges::any_of(answer.hops, is_other) ||
                                  std::ranges::any_of(answer.beyond, is_other));
}

// Who decided, at the host where the packet's way ends; else why.
std::string decider(const ask::Answer& answer) {
  for (auto hop = answer.hops.rbegin(); hop != answer.hops.rend(); ++hop) {
    if (hop->verdict != answer.verdict) continue;
    if (hop->reason.empty() && !hop->decided_by) continue;
    const std::string by =
        hop->reason.empty() ? in_words(*hop->decided_by) : printable(hop->reason);
    return has_several_hosts(answer) ? fmt::format("{} {}", printable(hop->host), by) : by;
  }
  return answer.verdict == ask::Verdict::Accept ? std::string(kNoChain) : "";
}

void print_line(const std::string& name, const Question& question, const Outcome& outcome) {
  std::string line =
      fmt::format("{}:{}: {}  {}", printable(name), question.line,
                  in_column(out(), outcome.answer.verdict), printable(question.words));
  if (!outcome.verdicts.agree()) line += fmt::format(" ({})", in_words(outcome.verdicts));
  if (const std::string by = decider(outcome.answer); !by.empty()) line += "  " + by;
  out().line(line);
  if (outcome.as_expected) return;
  out().line(fmt::format("    {}: {}, not {}: {}", out().paint(Tone::Bad, "not as expected"),
                         ask::name_of(outcome.answer.verdict), question.expected,
                         printable(outcome.answer.packet)));
}

Json json_of(const Question& question, const Outcome& outcome) {
  Json json = to_json(outcome.answer);
  json["line"] = question.line;
  json["question"] = question.words;
  json["verdicts"] = to_json(outcome.verdicts);
  if (!question.expected.empty()) {
    json["expected"] = question.expected;
    json["as_expected"] = outcome.as_expected;
  }
  return json;
}

}  // namespace

int eval_questions(const std::string& path, bool json, const Subject& subject, ask::Site& site) {
  const bool of_input = path == "-";
  const auto text = of_input ? read_input(kLargestFile) : read_file(path, kLargestFile);
  if (!text) return report(text.error());
  Reader reader(path, subject);
  const std::vector<Question> questions = reader.read(*text);
  if (reader.failed()) return kUsage;
  if (questions.empty())
    return report_usage(
        fmt::format("{}: there is no question in it", of_input ? "standard input" : path));

  std::size_t judged = 0;
  std::size_t wrong = 0;
  Json answers = Json::array();
  for (const Question& question : questions) {
    const Outcome outcome = outcome_of(question, site);
    judged += question.expected.empty() ? 0 : 1;
    wrong += outcome.as_expected ? 0 : 1;
    if (json) {
      answers.push_back(json_of(question, outcome));
    } else {
      print_line(path, question, outcome);
    }
  }
  if (json) {
    Json document;
    document["questions"] = std::move(answers);
    document["summary"]["questions"] = questions.size();
    document["summary"]["as_expected"] = judged - wrong;
    document["summary"]["not_as_expected"] = wrong;
    print(document);
  } else {
    const std::string asked = counted(questions.size(), "question");
    out().line(judged == 0
                   ? fmt::format("{}, none with an expected verdict", asked)
                   : fmt::format("{}: {} as expected, {} not", asked, judged - wrong, wrong));
  }
  return wrong == 0 ? kDone : kNo;
}

}  // namespace rolewall::cli
