#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>

#include "policy/codes.h"
#include "policy/lint.h"
#include "policy/rule.h"

namespace rolewall::policy {
namespace {

bool in_force(const Rule& rule, Date date) {
  return rule.enabled && !rule.left_out && (!rule.expires || *rule.expires > date);
}

void check_length_zero(const Rule& rule, Diagnostics& diagnostics) {
  for (const Selectors* selectors : {&rule.conditions.from, &rule.conditions.to}) {
    for (const Selector& item : selectors->items) {
      if (item.term.kind != TermKind::Prefix || item.term.prefix.length != 0) continue;
      report(diagnostics, Code::AddressZero, item.term.span,
             fmt::format("{} is every address of one family and none of the other",
                         quote(item.term.text)),
             "`any` is both families, `internet` is `any` without the site's own addresses")
          .subject = rule.span;
    }
  }
}

// A translation takes what it matches from whoever was asked.
void check_translation(const Rule& rule, Diagnostics& diagnostics) {
  if (!rule.translation) return;
  const auto& [services, from, to, in, out, user] = rule.conditions;
  const bool source = rule.translation->of_source();
  const bool narrowed = source ? from.given || !out.empty() : to.given || !in.empty();
  if (narrowed) return;
  report(diagnostics, Code::WideTranslation, rule.span,
         source
             ? fmt::format("{} changes the source of everything that leaves, loopback included",
                           rule.full_name)
             : fmt::format(
                   "{} translates its service for every destination address that passes this host",
                   rule.full_name),
         source ? R"(add out = "..." or `from`; if you mean everything, write from = "any")"
                : R"(add to = "self" or `in`; if you mean everything, write to = "any")");
}

// --- interfaces --------------------------------------------------------------------------------

void check_interfaces(const RuleFile& file, const std::set<std::string_view>& names,
                      const Rule& rule, Diagnostics& diagnostics) {
  for (const auto* list : {&rule.conditions.in, &rule.conditions.out}) {
    const bool some =
        list->empty() || std::any_of(list->begin(), list->end(),
                                     [&](const auto& name) { return names.contains(name); });
    if (some) continue;
    report(diagnostics, Code::NoHostHasInterface, rule.span,
           fmt::format("{} is on no host: no host of {} has the interface {}", rule.full_name,
                       quote(file.name), quote(list->front())));
  }
}

std::set<std::string_view> interfaces_of(const Policy& policy, const RuleFile& file) {
  std::set<std::string_view> names;
  for (const Index host : file.hosts) {
    for (const HostInterface& interface : policy.hosts[host].interfaces) {
      names.insert(interface.name);
    }
  }
  return names;
}

}  // namespace

void lint_rules(const Policy& policy, Date date, Diagnostics& diagnostics) {
  for (const RuleFile& file : policy.files) {
    if (file.shipped) continue;
    const std::set<std::string_view> interfaces = interfaces_of(policy, file);
    for (const Rule& rule : file.rules) {
      if (!in_force(rule, date)) continue;
      check_length_zero(rule, diagnostics);
      check_translation(rule, diagnostics);
      if (!file.hosts.empty()) check_interfaces(file, interfaces, rule, diagnostics);
    }
  }
}

}  // namespace rolewall::policy
