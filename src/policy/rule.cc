#include "policy/rule.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "base/calendar.h"
#include "base/suggest.h"
#include "policy/accept_keys.h"
#include "policy/codes.h"
#include "policy/defaults.h"
#include "policy/handling.h"
#include "policy/kinds.h"
#include "policy/nat.h"
#include "policy/rule_ends.h"
#include "policy/service.h"

namespace rolewall::policy {
namespace {

// Why the service of a rule cannot be its name.
std::string_view why_no_name(const std::vector<std::string>& services) {
  if (services.empty()) return "it has no service whose name it could take";
  if (services.size() > 1) return "it has several services, and none gives it its name";
  return "a literal gives it no name";
}

// The name that some host gives to a device; "" where none has it.
std::string_view interface_of_device(const Policy& policy, std::string_view device) {
  for (const Host& host : policy.hosts) {
    for (const HostInterface& each : host.interfaces) {
      if (std::ranges::find(each.devices, device) != each.devices.end()) return each.name;
    }
  }
  return "";
}

constexpr int kDaysOfWarning = 30;

Keys keys_of(Direction direction) {
  switch (direction) {
    case Direction::Inbound:
      return keys::kInbound;
    case Direction::Outbound:
      return keys::kOutbound;
    case Direction::Forward:
      return keys::kForward;
    case Direction::Nat:
      return keys::kNat;
  }
  return {};
}

std::string text_of(const Value& value) {
  switch (value.kind) {
    case ValueKind::Integer:
      return fmt::format("{}", value.integer);
    case ValueKind::Boolean:
      return value.boolean ? "true" : "false";
    case ValueKind::Date:
      return format_date(value.date);
    case ValueKind::String:
    case ValueKind::Float:
    case ValueKind::Time:
    case ValueKind::Array:
    case ValueKind::Table:
      break;
  }
  return value.text;
}

std::vector<WrittenKey> written_keys(const Value& table) {
  std::vector<WrittenKey> keys;
  for (const Member& member : table.members) {
    // What is for readers and for lint alone changes nothing on a host.
    constexpr std::array<std::string_view, 4> kForReaders{"id", "comment", "allow-finding",
                                                          "redirect-only"};
    if (std::ranges::find(kForReaders, member.key) != kForReaders.end()) continue;
    WrittenKey& written = keys.emplace_back(WrittenKey{member.key, {}});
    for (const Value& item : items_of(member.value)) written.values.push_back(text_of(item));
  }
  return keys;
}

class RuleReader {
 public:
  RuleReader(Loader& loader, const RuleSource& source, Direction direction, const Value& table)
      : loader_(loader),
        policy_(loader.policy),
        diagnostics_(loader.diagnostics),
        source_(source),
        file_(loader.policy.files[source.file]),
        section_(table, keys_of(direction), fmt::format("[[{}]]", word_of(direction)), source.top,
                 loader.diagnostics) {
    rule_.direction = direction;
    rule_.written = written_keys(table);
    rule_.span = table.span();
  }

  Rule read() {
    auto& [services, from, to, in, out, user] = rule_.conditions;
    const std::size_t errors = diagnostics_.error_count();
    if (const Value* service = section_.find("service")) {
      services = parse_services(policy_, *service, diagnostics_);
    }
    // One mistake is one error: what depends on the services says nothing then.
    has_bad_service_ = diagnostics_.error_count() > errors ||
                       (section_.has("service") && section_.find("service") == nullptr) ||
                       section_.misspells("service");
    read_id();
    from = read_selectors("from");
    to = read_selectors("to");
    in = read_interfaces("in");
    out = read_interfaces("out");
    rule_.on = read_on(loader_, source_, section_);
    read_action();
    if (const Value* limit = section_.find("limit")) {
      rule_.limit = parse_rate(*limit, true, diagnostics_);
    }
    read_connections();
    user = read_user();
    rule_.early = section_.boolean("early", false);
    rule_.log = section_.boolean("log", false);
    if (const Value* limit = section_.find("log-limit")) {
      rule_.log_limit = parse_rate(*limit, true, diagnostics_);
    }
    rule_.helper = read_helper(section_, rule_, diagnostics_);
    rule_.segment_size = read_segment_size(section_, rule_, diagnostics_);
    rule_.comment = section_.text("comment");
    read_redirect_only();
    read_allowed(loader_, section_, AllowedFinding::Where::Table, rule_.span);
    rule_.enabled = section_.boolean("enabled", true);
    read_expires();
    check_early();
    check_log_limit();
    check_ends(loader_, source_, rule_);
    if (rule_.direction == Direction::Nat) {
      rule_.translation = read_translation(loader_, section_, rule_, source_.used_at);
    }
    check_matches_something(loader_, source_, rule_);
    return std::move(rule_);
  }

 private:
  void read_id() {
    const Value* id = section_.find("id");
    if (id != nullptr) {
      if (check_id(id->text, "rule", id->span(), diagnostics_)) rule_.id = id->text;
    } else if (!section_.has("id") && !section_.misspells("id") && !section_.misspells("service")) {
      const std::vector<std::string>& names = rule_.conditions.services.names;
      if (names.size() == 1 && is_id(names[0]) && !is_literal(names[0])) {
        rule_.id = names[0];
      } else if (!section_.has("service") || section_.find("service") != nullptr) {
        report(diagnostics_, Code::MissingId, section_.span(),
               fmt::format("the rule needs an `id`: {}", why_no_name(names)), "add id = \"...\"");
      }
    }
    rule_.full_name = fmt::format("{}.{}.{}", file_.name, word_of(rule_.direction), rule_.id);
  }

  Selectors read_selectors(std::string_view key) {
    const Value* value = section_.find(key);
    if (value == nullptr) return {};
    const Selectors selectors = parse_selectors(loader_.scope(true, source_.used_at), *value);
    check_not_empty(policy_, selectors, file_.hosts, loader_.excused_networks(true), diagnostics_);
    return selectors;
  }

  std::vector<std::string> read_interfaces(std::string_view key) {
    std::vector<std::string> names;
    for (const Value& item : section_.items(key)) {
      if (loader_.interface_names.contains(item.text)) {
        names.push_back(item.text);
        continue;
      }
      std::vector<std::string> known;
      if (can_afford_hint(diagnostics_, loader_.interface_names.size())) {
        known.assign(loader_.interface_names.begin(), loader_.interface_names.end());
      }
      std::string hint = did_you_mean(item.text, known);
      if (loader_.interfaces.contains(item.text)) {
        hint = "it is defined, but no host lists it in `interfaces`";
      } else if (const auto named = interface_of_device(policy_, item.text); !named.empty()) {
        hint = fmt::format("a rule takes the interface's name: `{}`", named);
      } else if (hint.empty()) {
        hint = fmt::format(
            "give it a name at its hosts in site.toml: interfaces = {{ NAME = "
            "\"{}\" }}, and write that name here",
            item.text);
      }
      report(diagnostics_, Code::UnknownInterface, item.span(),
             fmt::format("no host has an interface named {}", quote(item.text)), std::move(hint));
    }
    return names;
  }

  void read_action() {
    const Value* value = section_.find("action");
    if (value == nullptr) return;
    if (const auto action = policy::read_action(*value, diagnostics_)) rule_.action = *action;
  }

  void read_connections() {
    const Value* value = section_.find("connections");
    if (value == nullptr) return;
    if (value->integer < 1 || value->integer > std::numeric_limits<std::uint32_t>::max()) {
      report(diagnostics_, Code::BadValue, value->span(),
             fmt::format("{} is not a number of connections (1 or more)", value->integer));
      return;
    }
    rule_.connections = static_cast<std::uint32_t>(value->integer);
  }

  void read_redirect_only() {
    const Value* value = section_.find("redirect-only");
    if (value == nullptr || !check_reason(*value, "redirect-only", diagnostics_)) return;
    if (has_bad_service_ || is_of_kind(policy_, rule_.conditions.services, KindWord::PlainWeb)) {
      rule_.redirect_only = value->text;
      return;
    }
    report(diagnostics_, Code::BadValue, value->span(),
           "`redirect-only` is about plain web services, and the rule names none",
           "[kinds] says which services those are: `plain-web`");
  }

  std::optional<std::uint32_t> read_user() {
    const Value* value = section_.find("user");
    if (value == nullptr) return std::nullopt;
    // The highest number stands for "no user" in the kernel.
    constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max() - 1;
    if (value->kind == ValueKind::String) {
      if (value->text == "root") return 0;
      report(diagnostics_, Code::BadValue, value->span(),
             fmt::format("{} is not a user: a number or \"root\"", quote(value->text)),
             "user names differ from machine to machine; `id -u NAME` prints the number");
    } else if (value->integer < 0 || value->integer > kMost) {
      report(diagnostics_, Code::BadValue, value->span(),
             fmt::format("{} is not a user number", value->integer));
    } else {
      return static_cast<std::uint32_t>(value->integer);
    }
    return std::nullopt;
  }

  void read_expires() {
    const Value* value = section_.find("expires");
    if (value == nullptr) return;
    rule_.expires = value->date;
    if (!rule_.enabled) return;
    const std::chrono::sys_days day = value->date;
    const std::chrono::sys_days today = loader_.options.date;
    const std::string date = format_date(value->date);
    if (day <= today) {
      const std::string message =
          fmt::format("{} expired on {} and is left out", rule_.full_name, date);
      const std::string word(row_of(Code::Expired).word);
      if (loader_.options.expired_is_error) {
        diagnostics_.error(word, value->span(), message, "delete the rule, or give it a new date");
      } else {
        diagnostics_.warning(word, value->span(), message).subject = rule_.span;
      }
    } else if (const auto days = (day - today).count(); days <= kDaysOfWarning) {
      report(diagnostics_, Code::ExpiresSoon, value->span(),
             fmt::format("{} expires on {}, in {}", rule_.full_name, date,
                         days == 1 ? "1 day" : fmt::format("{} days", days)))
          .subject = rule_.span;
    }
  }

  void check_early() {
    if (!rule_.early) return;
    const Span span = section_.find("early")->span();
    if (rule_.action != Action::Drop) {
      report(diagnostics_, Code::BadEarly, span, "an early rule can only drop",
             "action = \"drop\"");
    }
    // Each condition is known there, by the packet's headers or its device; out and user are of
    // other directions. A condition that is not could never match, and must be refused here.
    [[maybe_unused]] const auto& [services, from, to, in, out, user] = rule_.conditions;
    // What is new and what is open is known by connection tracking alone, which comes after.
    for (const std::string_view key : {"limit", "connections"}) {
      if (!section_.has(key)) continue;
      report(
          diagnostics_, Code::BadEarly, span,
          fmt::format("an early rule cannot have `{}`: it runs before connection tracking", key));
    }
  }

  // What is over a rule's limit may be logged by [defaults], too.
  void check_log_limit() {
    const Value* limit = section_.find("log-limit");
    if (limit == nullptr || rule_.log || section_.has("limit") || section_.has("connections")) {
      return;
    }
    report(diagnostics_, Code::BadLimit, limit->span(),
           "`log-limit` limits nothing: the rule logs nothing", "add log = true");
  }

  Loader& loader_;
  const Policy& policy_;
  Diagnostics& diagnostics_;
  const RuleSource& source_;
  const RuleFile& file_;
  Section section_;
  Rule rule_;
  bool has_bad_service_ = false;
};

std::string_view file_kind(const RuleFile& file) {
  return file.is_role ? "role" : "block";
}

// A host or tag that `on` names must be one the file is for.
void check_on(Loader& loader, const RuleFile& file, const Selectors& on) {
  for (const Selector& item : on.items) {
    const Term& term = item.term;
    const bool names_hosts = term.kind == TermKind::Host || term.kind == TermKind::Tag ||
                             term.kind == TermKind::Role || term.kind == TermKind::Site ||
                             term.kind == TermKind::Any;
    if (!names_hosts) {
      report(loader.diagnostics, Code::BadSelector, term.span,
             fmt::format("`on` takes hosts, tags and roles, not {}", quote(term.text)));
      continue;
    }
    const Selectors alone{true, {{false, term}}, term.span};
    const bool some = std::any_of(file.hosts.begin(), file.hosts.end(), [&](Index host) {
      return names_host(loader.policy, alone, host);
    });
    if (some || file.hosts.empty()) continue;
    report(loader.diagnostics, Code::NotOfThisRole, term.span,
           term.kind == TermKind::Host
               ? fmt::format("{} is not a host of the {} {}", quote(term.text), file_kind(file),
                             quote(file.name))
               : fmt::format("{} includes no host of the {} {}", quote(term.text), file_kind(file),
                             quote(file.name)));
  }
}

}  // namespace

std::string_view word_of(Direction direction) {
  switch (direction) {
    case Direction::Inbound:
      return "inbound";
    case Direction::Outbound:
      return "outbound";
    case Direction::Forward:
      return "forward";
    case Direction::Nat:
      return "nat";
  }
  return "";
}

Rule read_rule(Loader& loader, const RuleSource& source, Direction direction, const Value& table) {
  return RuleReader(loader, source, direction, table).read();
}

std::optional<Selectors> read_on(Loader& loader, const RuleSource& source, const Section& section) {
  const Value* value = section.find("on");
  if (value == nullptr) return std::nullopt;
  Selectors on = parse_selectors(loader.scope(false), *value);
  const std::size_t errors = loader.diagnostics.error_count();
  const RuleFile& file = loader.policy.files[source.file];
  check_on(loader, file, on);
  const bool leaves_none = !on.items.empty() && !file.hosts.empty() &&
                           std::none_of(file.hosts.begin(), file.hosts.end(), [&](Index host) {
                             return names_host(loader.policy, on, host);
                           });
  if (leaves_none && loader.diagnostics.error_count() == errors) {
    report(loader.diagnostics, Code::EmptySelector, on.span, "`on` matches no host");
  }
  return on;
}

}  // namespace rolewall::policy
