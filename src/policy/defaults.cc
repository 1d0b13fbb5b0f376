#include "policy/defaults.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "base/suggest.h"
#include "net/built_in_steps.h"
#include "policy/codes.h"
#include "policy/service.h"

namespace rolewall::policy {
namespace {

// What other programs write.
std::string action_meant(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return 'A' <= c && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  for (const std::string_view accepts : {"allow", "permit", "pass"}) {
    if (lower == accepts) return "did you mean `accept`?";
  }
  for (const std::string_view denies : {"deny", "block", "discard", "refuse"}) {
    if (lower == denies) return "`drop` does not answer; `reject` says that it is refused";
  }
  return did_you_mean(lower, std::vector<std::string>{"accept", "drop", "reject"});
}

std::optional<Action> read_action(const Section& section, std::string_view key,
                                  Diagnostics& diagnostics) {
  const Value* value = section.find(key);
  return value == nullptr ? std::nullopt : policy::read_action(*value, diagnostics);
}

std::optional<Mode> read_mode(const Section& section, Diagnostics& diagnostics) {
  const Value* value = section.find("mode");
  if (value == nullptr) return std::nullopt;
  if (value->text == "enforce") return Mode::Enforce;
  if (value->text == "audit") return Mode::Audit;
  const std::vector<std::string> words = {"enforce", "audit"};
  report(diagnostics, Code::BadValue, value->span(),
         fmt::format("{} is not a mode: enforce or audit", quote(value->text)),
         did_you_mean(value->text, words));
  return std::nullopt;
}

// "kernel", or the number of a group that a program reads.
void read_target(const Value& to, LogTarget& log, Diagnostics& diagnostics) {
  constexpr std::int64_t kMostGroup = std::numeric_limits<std::uint16_t>::max();
  if (to.kind == ValueKind::String) {
    if (to.text == "kernel") return;
    report(diagnostics, Code::BadValue, to.span(),
           fmt::format("{} is no place to log to", quote(to.text)),
           "\"kernel\", or the number of an NFLOG group, without quotes");
  } else if (to.integer < 0 || to.integer > kMostGroup) {
    report(diagnostics, Code::BadValue, to.span(),
           fmt::format("{} is not an NFLOG group: 0 to {}", to.integer, kMostGroup));
  } else {
    log.group = static_cast<std::uint16_t>(to.integer);
  }
}

// The words of `steps`, each with what it is for.
template <class Steps>  // LogSteps, const or not
auto named_steps(Steps& steps) {
  namespace step = net::step;
  return std::array{std::pair(step::word(step::kInvalid), &steps.invalid),
                    std::pair(step::word(step::kSpoofed), &steps.spoofed),
                    std::pair(step::word(step::kBanned), &steps.banned),
                    std::pair(std::string_view("limits"), &steps.limits)};
}

LogSteps read_steps(const Section& section, Diagnostics& diagnostics) {
  LogSteps steps{false, false, false, false};
  const auto named = named_steps(steps);
  for (const Value& item : section.items("steps")) {
    const auto at =
        std::ranges::find(named, item.text, [](const auto& step) { return step.first; });
    if (at != named.end()) {
      *at->second = true;
      continue;
    }
    const std::vector<std::string> words = words_of(LogSteps{true, true, true, true});
    report(diagnostics, Code::BadValue, item.span(),
           fmt::format("{} is not a step that can be logged: {}", quote(item.text),
                       fmt::join(words, ", ")),
           item.text == net::step::word(net::step::kDefault)
               ? "what the defaults deny is always logged"
               : did_you_mean(item.text, words));
  }
  return steps;
}

std::optional<LogTarget> read_log(const Value& table, Keys top, Diagnostics& diagnostics) {
  const Section section(table, keys::kLog, "`log`", top, diagnostics);
  LogTarget log = Defaults{}.log;
  if (const Value* limit = section.find("limit")) {
    const auto rate = parse_rate(*limit, false, diagnostics);
    if (!rate) return std::nullopt;
    if (rate->per_source) {
      report(diagnostics, Code::BadLimit, limit->span(), "`limit` counts all sources together",
             "write \"10/second in all\", and `per-source` beside it for each source");
      return std::nullopt;
    }
    log.limit = *rate;
  }
  if (const Value* each = section.find("per-source")) {
    log.per_source = parse_rate(*each, true, diagnostics);
    if (log.per_source && !log.per_source->per_source) {
      report(diagnostics, Code::BadLimit, each->span(), "`per-source` counts each source by itself",
             "write \"1/second\"");
    }
  }
  if (const Value* to = section.find("to")) read_target(*to, log, diagnostics);
  if (section.has("steps")) log.steps = read_steps(section, diagnostics);
  return log;
}

// The first default that both set, and differently; "" where there is none.
std::string_view difference(const DefaultsOverride& a, const DefaultsOverride& b) {
  const auto differ = [](const auto& x, const auto& y) { return x && y && *x != *y; };
  if (differ(a.inbound, b.inbound)) return "inbound";
  if (differ(a.outbound, b.outbound)) return "outbound";
  if (differ(a.forward, b.forward)) return "forward";
  if (differ(a.mode, b.mode)) return "mode";
  if (differ(a.log, b.log)) return "log";
  return "";
}

}  // namespace

std::vector<std::string> words_of(const LogSteps& steps) {
  std::vector<std::string> words;
  for (const auto& [word, wanted] : named_steps(steps)) {
    if (*wanted) words.emplace_back(word);
  }
  return words;
}

std::optional<Action> read_action(const Value& value, Diagnostics& diagnostics) {
  if (value.text == "accept") return Action::Accept;
  if (value.text == "drop") return Action::Drop;
  if (value.text == "reject") return Action::Reject;
  report(diagnostics, Code::BadValue, value.span(),
         fmt::format("{} is not an action: accept, drop or reject", quote(value.text)),
         action_meant(value.text));
  return std::nullopt;
}

DefaultsOverride read_defaults(const Value& table, Keys top, Diagnostics& diagnostics) {
  const Section section(table, keys::kDefaults, "[defaults]", top, diagnostics);
  DefaultsOverride out;
  out.span = table.span();
  const auto place_of = [&](std::string_view key) {
    const Value* value = section.find(key);
    return value == nullptr ? Span{} : value->span();
  };
  out.places = {place_of("inbound"), place_of("outbound"), place_of("forward"), place_of("mode"),
                place_of("log")};
  out.inbound = read_action(section, "inbound", diagnostics);
  out.outbound = read_action(section, "outbound", diagnostics);
  out.forward = read_action(section, "forward", diagnostics);
  out.mode = read_mode(section, diagnostics);
  if (const Value* log = section.find("log")) out.log = read_log(*log, top, diagnostics);
  return out;
}

void apply_override(Defaults& defaults, const DefaultsOverride& override_) {
  if (override_.inbound) defaults.inbound = *override_.inbound;
  if (override_.outbound) defaults.outbound = *override_.outbound;
  if (override_.forward) defaults.forward = *override_.forward;
  if (override_.log) defaults.log = *override_.log;
  if (override_.mode) defaults.mode = *override_.mode;
}

void check_roles_agree(Loader& loader, const Host& host) {
  for (std::size_t i = 0; i < host.roles.size(); ++i) {
    for (std::size_t j = i + 1; j < host.roles.size(); ++j) {
      const RuleFile& a = loader.policy.files[host.roles[i]];
      const RuleFile& b = loader.policy.files[host.roles[j]];
      const std::string_view key = difference(a.defaults, b.defaults);
      if (key.empty()) continue;
      Diagnostic& diagnostic =
          report(loader.diagnostics, Code::ConflictingDefaults, host.span,
                 fmt::format("the roles {} and {} of {} set `{}` differently in [defaults]",
                             quote(a.name), quote(b.name), quote(host.name), key));
      diagnostic.notes.push_back({a.defaults.span, fmt::format("{} is here", quote(a.name))});
      diagnostic.notes.push_back({b.defaults.span, fmt::format("{} is here", quote(b.name))});
    }
  }
}

}  // namespace rolewall::policy
