#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

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

// --- shadowing ---------------------------------------------------------------------------------

void append(std::string& key, const Selectors& selectors) {
  key += selectors.given ? '+' : '-';
  std::vector<std::string> texts;
  for (const Selector& item : selectors.items) {
    texts.push_back((item.negated ? "!" : "") + item.term.text);
  }
  std::sort(texts.begin(), texts.end());
  for (const std::string& text : texts) key += text + ",";
}

// Equal for two rules that match the same packets for the same reason: the same words in any order.
std::string words_of(const Rule& rule) {
  std::string key(word_of(rule.direction));
  key += ':';
  // The first to translate decides, whatever it translates to; but one changes the destination, and
  // another the source of the same packet.
  if (rule.translation) key += rule.translation->of_source() ? 's' : 'd';
  key += rule.early ? 'e' : '-';
  const auto& [services, from, to, in, out, user] = rule.conditions;
  std::vector<std::string> literals;
  for (const ServiceLiteral& literal : services.literals) literals.push_back(literal.text);
  std::sort(literals.begin(), literals.end());
  for (const std::string& literal : literals) key += literal + ",";
  append(key, from);
  append(key, to);
  append(key, rule.on.value_or(Selectors()));
  for (const auto* interfaces : {&in, &out}) {
    std::vector<std::string> names = *interfaces;
    std::sort(names.begin(), names.end());
    key += ';';
    for (const std::string& name : names) key += name + ",";
  }
  if (user) key += fmt::format(";{}", *user);
  return key;
}

// Whether every packet that the rule matches is decided by it: a drop or reject rule with a limit
// passes on what is within.
bool decides_all(const Rule& rule) {
  return rule.action == Action::Accept || (!rule.limit && !rule.connections);
}

class Shadows {
 public:
  Shadows(const Policy& policy, Date date, Diagnostics& diagnostics)
      : policy_(policy), date_(date), diagnostics_(diagnostics) {}

  void check_role(const RuleFile& role) {
    deciding_.clear();
    const std::unordered_set<std::string_view> skipped(role.skip.begin(), role.skip.end());
    for (const Index block : role.use) {
      for (const Rule& rule : policy_.files[block].rules) {
        if (!skipped.contains(rule.full_name)) check(rule, policy_.files[block]);
      }
    }
    for (const Rule& rule : role.rules) check(rule, role);
  }

 private:
  void check(const Rule& rule, const RuleFile& file) {
    if (!in_force(rule, date_)) return;
    const std::string words = words_of(rule);
    const auto earlier = deciding_.find(words);
    if (earlier != deciding_.end()) {
      // What a site cannot change is not for it to read; what was said for one role is said.
      if (file.shipped || !said_.insert(&rule).second) return;
      Diagnostic& diagnostic =
          report(diagnostics_, Code::ShadowedRule, rule.span,
                 fmt::format("{} never decides: {} has the same conditions and comes first",
                             rule.full_name, earlier->second->full_name),
                 "delete one of them, or `skip` it if a block has it");
      diagnostic.notes.push_back({earlier->second->span, "the first one is here"});
    } else if (decides_all(rule) && !rule.expires) {
      deciding_.emplace(words, &rule);
    }
  }

  const Policy& policy_;
  Date date_;
  Diagnostics& diagnostics_;
  std::unordered_map<std::string, const Rule*> deciding_;
  std::set<const Rule*> said_;
};

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
  Shadows shadows(policy, date, diagnostics);
  for (const RuleFile& file : policy.files) {
    if (file.is_role) shadows.check_role(file);
  }
}

}  // namespace rolewall::policy
