#include "cli/question.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "policy/codes.h"
#include "policy/load.h"

namespace rolewall::cli {
namespace {

void advise_to_name_self(Diagnostics& diagnostics) {
  Diagnostics advised;
  for (Diagnostic finding : diagnostics.all()) {
    if (is(finding, policy::Code::SelfNotHere)) {
      finding.hint = "name the host, role or tag; or say with --host which host `self` is";
    }
    advised.error(finding.code, finding.span, finding.message, finding.hint);
  }
  diagnostics = std::move(advised);
}

// `self` is understood where there is a host that it can be.
std::optional<policy::PacketWords> parse(const std::string& text, const Subject& subject,
                                         Span place, bool every, Diagnostics& diagnostics) {
  auto words = policy::parse_packet(subject.policy, text, place, false, diagnostics, every);
  const bool has_self = std::ranges::any_of(diagnostics.all(), [](const Diagnostic& finding) {
    return is(finding, policy::Code::SelfNotHere);
  });
  if (!has_self) return words;
  if (!subject.asking.self) {
    advise_to_name_self(diagnostics);
    return words;
  }
  diagnostics = {};
  return policy::parse_packet(subject.policy, text, place, true, diagnostics, every);
}

// A ruleset that came alone has no names, and its machine may have no address.
void advise_without_policies(const Subject& subject, Diagnostics& diagnostics) {
  const std::string addresses_alone = fmt::format(
      "without policies there are no names but `self`, `any`, `internet` and the host's own: write "
      "an address or a prefix, or {}",
      subject.with_policies);
  constexpr std::string_view kNoAddress =
      "the machine of this ruleset has no address: give it one (`ip address add`) and write the "
      "ruleset anew with `rolewall dump`";
  const policy::Host& host = subject.policy.hosts.front();
  const bool has_address = !host.addresses.empty() || !host.virtual_addresses.empty();
  Diagnostics advised;
  for (Diagnostic finding : diagnostics.all()) {
    if (is(finding, policy::Code::UnknownName) && !finding.hint.starts_with("did you mean")) {
      finding.hint = addresses_alone;
    } else if (!has_address &&
               (is(finding, policy::Code::NoSample) || is(finding, policy::Code::NotAnEnd))) {
      finding.hint = kNoAddress;
    }
    advised.error(finding.code, finding.span, finding.message, finding.hint);
  }
  diagnostics = std::move(advised);
}

}  // namespace

std::optional<policy::PacketWords> words_of(const std::string& text, const Subject& subject,
                                            Span place, Diagnostics& diagnostics) {
  auto words = parse(text, subject, place, true, diagnostics);
  if (diagnostics.has_errors() && !subject.has_policies) {
    advise_without_policies(subject, diagnostics);
  }
  return words;
}

std::vector<ask::Sample> understand(const std::string& words, const Subject& subject, Span place,
                                    Diagnostics& diagnostics) {
  const auto packet = parse(words, subject, place, false, diagnostics);
  std::vector<ask::Sample> samples;
  if (packet && !diagnostics.has_errors()) {
    samples = ask::Sampler(subject.policy).take(*packet, subject.asking, diagnostics);
  }
  if (samples.empty() && !diagnostics.has_errors()) {
    policy::report(diagnostics, policy::Code::NoSample, place,
                   fmt::format("\"{}\" describes no packet", words), ask::kWhyNone);
  }
  if (!diagnostics.has_errors()) return samples;
  if (!subject.has_policies) advise_without_policies(subject, diagnostics);
  return {};
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
