#include "policy/defaults.h"

#include <fmt/format.h>

#include "base/suggest.h"
#include "policy/codes.h"
#include "policy/service.h"

namespace rolewall::policy {
namespace {

std::optional<Action> read_action(const Section& section, std::string_view key,
                                  Diagnostics& diagnostics) {
  const Value* value = section.find(key);
  if (value == nullptr) return std::nullopt;
  const auto action = parse_action(value->text);
  if (!action) {
    const std::vector<std::string> words = {"accept", "drop", "reject"};
    report(diagnostics, Code::BadValue, value->span(),
           fmt::format("{} is not an action: accept, drop or reject", quote(value->text)),
           did_you_mean(value->text, words));
  }
  return action;
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

std::optional<LogTarget> read_log(const Value& table, Keys top, Diagnostics& diagnostics) {
  const Section section(table, keys::kLog, "`log`", top, diagnostics);
  LogTarget log = Defaults{}.log;
  if (const Value* limit = section.find("limit")) {
    const auto rate = parse_rate(*limit, false, diagnostics);
    if (!rate) return std::nullopt;
    if (rate->per_source) {
      report(diagnostics, Code::BadLimit, limit->span(), "a log's limit cannot be per source",
             "write \"10/second in all\"");
      return std::nullopt;
    }
    log.limit = *rate;
  }
  if (const Value* to = section.find("to"); to != nullptr && to->text != "kernel") {
    report(diagnostics, Code::NotYetSupported, to->span(),
           fmt::format("logging to {} is not supported yet", quote(to->text)), "to = \"kernel\"");
    return std::nullopt;
  }
  return log;
}

bool same(const LogTarget& a, const LogTarget& b) {
  return a.level == b.level && a.limit.count == b.limit.count &&
         a.limit.per_seconds == b.limit.per_seconds && a.limit.burst == b.limit.burst;
}

// The first default that both set, and differently; "" where there is none.
std::string_view difference(const DefaultsOverride& a, const DefaultsOverride& b) {
  const auto differ = [](const auto& x, const auto& y) { return x && y && *x != *y; };
  if (differ(a.inbound, b.inbound)) return "inbound";
  if (differ(a.outbound, b.outbound)) return "outbound";
  if (differ(a.forward, b.forward)) return "forward";
  if (differ(a.mode, b.mode)) return "mode";
  if (a.log && b.log && !same(*a.log, *b.log)) return "log";
  return "";
}

}  // namespace

std::optional<Action> parse_action(std::string_view text) {
  if (text == "accept") return Action::Accept;
  if (text == "drop") return Action::Drop;
  if (text == "reject") return Action::Reject;
  return std::nullopt;
}

DefaultsOverride read_defaults(const Value& table, Keys top, Diagnostics& diagnostics) {
  const Section section(table, keys::kDefaults, "[defaults]", top, diagnostics);
  DefaultsOverride out;
  out.span = table.span();
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
