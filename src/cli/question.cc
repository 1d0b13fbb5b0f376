#include "cli/question.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "policy/codes.h"
#include "policy/load.h"

namespace rolewall::cli {
namespace {

// `self` is understood where there is a host that it can be.
std::optional<policy::PacketWords> parse(const std::string& text, const Subject& subject,
                                         Span place, Diagnostics& diagnostics) {
  auto words = policy::parse_packet(subject.policy, text, place, false, diagnostics);
  const bool has_self = std::ranges::any_of(diagnostics.all(), [](const Diagnostic& finding) {
    return is(finding, policy::Code::SelfNotHere);
  });
  if (!has_self || !subject.asking.self) return words;
  diagnostics = {};
  return policy::parse_packet(subject.policy, text, place, true, diagnostics);
}

}  // namespace

std::vector<ask::Sample> understand(const std::string& words, const Subject& subject, Span place,
                                    Diagnostics& diagnostics) {
  const auto packet = parse(words, subject, place, diagnostics);
  std::vector<ask::Sample> samples;
  if (packet && !diagnostics.has_errors()) {
    samples = ask::Sampler(subject.policy).take(*packet, subject.asking, diagnostics);
  }
  if (diagnostics.has_errors()) return {};
  if (samples.empty()) {
    policy::report(diagnostics, policy::Code::NoSample, place,
                   fmt::format("\"{}\" describes no packet", words),
                   "both ends need an address of the same family, and must not be the same host");
  }
  return samples;
}

void show_words(const Terminal& terminal, const std::string& words, const Diagnostics& diagnostics,
                const std::string& from) {
  for (const Diagnostic& finding : diagnostics.all()) {
    const std::string where = from.empty() ? "" : fmt::format("{}:{}: ", from, finding.span.column);
    terminal.line(
        fmt::format("rolewall: {}{} [{}]", where, printable(finding.message), finding.code));
    terminal.line(fmt::format("      | {}", printable(words)));
    if (finding.span.column > 0) {
      terminal.line(fmt::format("      | {}{}", std::string(finding.span.column - 1, ' '),
                                terminal.paint(Tone::Strong, "^")));
    }
    if (!finding.hint.empty()) terminal.line(fmt::format("      = {}", printable(finding.hint)));
  }
}

std::string in_words(const Verdicts& verdicts) {
  std::string words;
  for (const auto& [verdict, count] : verdicts.counts) {
    words += fmt::format("{}{} {}", words.empty() ? "" : ", ", ask::name_of(verdict), count);
  }
  return words;
}

Json to_json(const Verdicts& verdicts) {
  Json json;
  for (const auto& [verdict, count] : verdicts.counts) json[ask::name_of(verdict)] = count;
  return json;
}

std::vector<std::string> expectations() {
  std::vector<std::string> names;
  for (const ask::Verdict verdict : ask::verdicts()) names.emplace_back(ask::name_of(verdict));
  names.insert(names.begin() + 1, std::string(kDeny));
  return names;
}

bool is_as_expected(std::string_view expected, ask::Verdict verdict) {
  if (expected.empty() || expected == ask::name_of(verdict)) return true;
  return expected == kDeny && ask::is_denied(verdict);
}

}  // namespace rolewall::cli
