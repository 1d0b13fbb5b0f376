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

constexpr std::uint16_t kSsh = 22;
constexpr std::uint16_t kHttp = 80;
constexpr std::uint16_t kHttps = 443;

bool in_force(const Rule& rule, Date date) {
  return rule.enabled && !rule.left_out && (!rule.expires || *rule.expires > date);
}

bool is_whole_internet(const Selectors& selectors) {
  if (!selectors.given) return true;
  return std::any_of(selectors.items.begin(), selectors.items.end(), [](const Selector& item) {
    const bool zero = item.term.kind == TermKind::Prefix && item.term.prefix.length == 0;
    return !item.negated &&
           (item.term.kind == TermKind::Any || item.term.kind == TermKind::Internet || zero);
  });
}

// No service at all is every port.
bool admits_tcp(const ServiceList& services, std::uint16_t port) {
  if (!services.given) return true;
  return std::any_of(
      services.literals.begin(), services.literals.end(), [&](const ServiceLiteral& literal) {
        return literal.protocol == net::protocol::kTcp && literal.destination.contains(port);
      });
}

bool is_inbound_accept(const Rule& rule) {
  return rule.direction == Direction::Inbound && rule.action == Action::Accept;
}

void check_ssh(const Rule& rule, Diagnostics& diagnostics) {
  const auto& [services, from, to, in, out, user] = rule.conditions;
  // An interface may be the inside one; a limit shows that somebody thought of it.
  const bool narrowed = rule.limit || rule.connections || !in.empty();
  if (!is_inbound_accept(rule) || narrowed) return;
  if (!is_whole_internet(from) || !admits_tcp(services, kSsh)) return;
  report(diagnostics, Code::SshOpen, rule.span,
         fmt::format("{} opens ssh to the whole internet", rule.full_name),
         "write from = \"management\", or add a limit");
}

void check_length_zero(const Rule& rule, Diagnostics& diagnostics) {
  for (const Selectors* selectors : {&rule.conditions.from, &rule.conditions.to}) {
    for (const Selector& item : selectors->items) {
      if (item.term.kind != TermKind::Prefix || item.term.prefix.length != 0) continue;
      report(diagnostics, Code::AddressZero, item.term.span,
             fmt::format("{} is every address of one family and none of the other",
                         quote(item.term.text)),
             "`any` is both families, `internet` is `any` without the site's own addresses");
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

// --- plain HTTP behind a balancer --------------------------------------------------------------

// Roles and blocks, by index, that take HTTPS from the internet: where TLS ends.
std::vector<bool> find_tls_ends(const Policy& policy, Date date) {
  std::vector<bool> ends(policy.files.size());
  for (Index i = 0; i < policy.files.size(); ++i) {
    ends[i] = std::any_of(
        policy.files[i].rules.begin(), policy.files[i].rules.end(), [&](const Rule& rule) {
          const auto& [services, from, to, in, out, user] = rule.conditions;
          return in_force(rule, date) && is_inbound_accept(rule) && services.given &&
                 is_whole_internet(from) && admits_tcp(services, kHttps);
        });
  }
  return ends;
}

void check_plain_http(const Policy& policy, const std::vector<bool>& tls_ends, const Rule& rule,
                      Diagnostics& diagnostics) {
  const auto& [services, from, to, in, out, user] = rule.conditions;
  if (!is_inbound_accept(rule) || !services.given || !admits_tcp(services, kHttp)) return;
  if (admits_tcp(services, kHttps)) return;
  for (const Selector& item : from.items) {
    const Term& term = item.term;
    if (item.negated || term.kind != TermKind::Role || !tls_ends[term.index]) continue;
    report(diagnostics, Code::PlainHttp, rule.span,
           fmt::format("{} takes plain HTTP from {}, which takes HTTPS from the internet",
                       rule.full_name, quote(policy.files[term.index].name)),
           "encrypted traffic of users goes on in the clear; serve TLS here too");
    return;
  }
}

}  // namespace

void lint_rules(const Policy& policy, Date date, Diagnostics& diagnostics) {
  const std::vector<bool> tls_ends = find_tls_ends(policy, date);
  for (const RuleFile& file : policy.files) {
    if (file.shipped) continue;
    const std::set<std::string_view> interfaces = interfaces_of(policy, file);
    for (const Rule& rule : file.rules) {
      if (!in_force(rule, date)) continue;
      check_ssh(rule, diagnostics);
      check_length_zero(rule, diagnostics);
      check_translation(rule, diagnostics);
      if (!file.hosts.empty()) check_interfaces(file, interfaces, rule, diagnostics);
      check_plain_http(policy, tls_ends, rule, diagnostics);
    }
  }
  Shadows shadows(policy, date, diagnostics);
  for (const RuleFile& file : policy.files) {
    if (file.is_role) shadows.check_role(file);
  }
}

}  // namespace rolewall::policy
