// rolewall explain: a rule's id, as it stands in answers, counters and logs, back to its line, its
// text, the hosts that have it, and the rules that the kernel gets for it; a finding's code, what
// it means.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>

#include "base/file.h"
#include "base/suggest.h"
#include "cli/ci_forms.h"
#include "cli/exit_status.h"
#include "cli/finding_pages.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/site_options.h"
#include "compile/compile.h"
#include "net/built_in_steps.h"
#include "observe/finding.h"
#include "policy/codes.h"
#include "policy/effective.h"
#include "print/print.h"
#include "ruleset/rule_parts.h"

namespace rolewall::cli {
namespace {

struct ExplainOptions {
  SiteOptions site;
  std::string rule;
  std::string host;
};

constexpr std::size_t kLargestPolicyFile = 4U << 20;
constexpr std::size_t kLongestRule = 40;  // lines that are shown of one

struct BuiltinStep {
  std::string_view name;
  std::string_view meaning;
};

constexpr BuiltinStep kBuiltinSteps[] = {
    {net::step::kEstablished, "accepts packets and related ICMP errors of known connections"},
    {net::step::kLoopback, "accepts what the host sends to itself"},
    {net::step::kBanned,
     "drops what banned addresses send, and denies what is sent to them; neighbour discovery and "
     "MLD pass"},
    {net::step::kInvalid, "drops packets that belong to no connection and cannot begin one"},
    {net::step::kSpoofed, "drops sources that are `behind` one interface but arrive on another"},
    {net::step::kAllowed, "accepts what `rolewall allow` opened"},
    {net::step::kDefault, "no rule matched: the direction's action in `[defaults]` applies"},
};

struct Found {
  const policy::RuleFile* file = nullptr;
  const policy::Rule* rule = nullptr;
};

Found find_rule(const policy::Policy& policy, const std::string& name,
                std::vector<std::string>& names) {
  for (const policy::RuleFile& file : policy.files) {
    for (const policy::Rule& rule : file.rules) {
      if (rule.full_name == name) return {&file, &rule};
      names.push_back(rule.full_name);
    }
  }
  return {};
}

// From the rule's line to the next table or empty line.
void show_text(const policy::Policy& policy, const policy::Rule& rule) {
  const auto text = read_file(policy.sources.path(rule.span.file), kLargestPolicyFile);
  if (!text) return;
  std::istringstream stream(*text);
  std::string line;
  for (std::uint32_t number = 1; std::getline(stream, line); ++number) {
    if (number < rule.span.line) continue;
    if (number > rule.span.line && (line.empty() || line.starts_with('['))) return;
    if (number - rule.span.line >= kLongestRule) return;
    out().line(fmt::format("{} | {}", out().paint(Tone::Quiet, fmt::format("{:>5}", number)),
                           printable(line)));
    // A rule in an inline table is its line alone.
    if (number == rule.span.line && line.find("[[") == std::string::npos) return;
  }
}

bool has_rule(const policy::Policy& policy, policy::Index host, policy::Date date,
              const policy::Rule& rule) {
  auto effective = policy::effective_policy(policy, host, date);
  const auto& rules = effective.rules(rule.direction);
  return std::any_of(rules.begin(), rules.end(),
                     [&](const policy::EffectiveRule& entry) { return entry.rule == &rule; });
}

void show_kernel_rules(const ruleset::Snapshot& snapshot, const std::string& id) {
  out().line(fmt::format("on {}, as nft text:", snapshot.host.name));
  for (const ruleset::Table& table : snapshot.ruleset.tables) {
    for (const ruleset::Chain& chain : table.chains) {
      for (const ruleset::Rule& rule : chain.rules) {
        const ruleset::Verdict* verdict = ruleset::final_verdict(rule);
        const bool leads_here = verdict != nullptr && verdict->chain == id;
        if (chain.name != id && rule.comment != id && !leads_here) continue;
        out().line(fmt::format("      chain {}: {}", printable(chain.name),
                               printable(print::rule_text(table, rule))));
      }
    }
    for (const ruleset::Set& set : table.sets) {
      const auto& verdicts = set.elements.verdicts;
      const auto count = std::count_if(verdicts.begin(), verdicts.end(),
                                       [&](const auto& verdict) { return verdict.chain == id; });
      if (count > 0) {
        out().line(
            fmt::format("      map {}: {} here", printable(set.name),
                        count == 1 ? "1 element leads" : fmt::format("{} elements lead", count)));
      }
    }
  }
}

int explain_builtin(const BuiltinStep& step) {
  out().line(fmt::format("{}: a built-in step: {}", step.name, step.meaning));
  return kDone;
}

void show_page(std::string_view code) {
  const std::string_view page = finding_page(code);
  if (page.empty()) return;
  out().line("");
  for (const std::string& line : rolewall::lines_of(page)) out().line(line);
}

int explain_code(const policy::CodeRow& row) {
  const std::string_view kind = name_of(row.severity);
  out().line(fmt::format("{}: {} {} of `check`: {}", row.word,
                         row.severity == Severity::Error ? "an" : "a", kind, row.meaning));
  show_page(row.word);
  return kDone;
}

int explain_code(const JudgedCode& row) {
  out().line(fmt::format("{}: {} {} of `check`: {}", row.word,
                         row.severity == Severity::Error ? "an" : "a", name_of(row.severity),
                         row.meaning));
  show_page(row.word);
  return kDone;
}

int explain_code(const observe::CodeRow& row) {
  out().line(fmt::format("{}: a finding of `status`: {}", row.word, row.meaning));
  show_page(row.word);
  return kDone;
}

int run(const ExplainOptions& options) {
  for (const BuiltinStep& step : kBuiltinSteps) {
    if (options.rule == step.name) return explain_builtin(step);
  }
  if (const policy::CodeRow* row = policy::find_code(options.rule)) return explain_code(*row);
  if (const observe::CodeRow* row = observe::find_code(options.rule)) return explain_code(*row);
  std::vector<std::string> names;
  for (const JudgedCode& row : kJudgedCodes) {
    if (options.rule == row.word) return explain_code(row);
    names.emplace_back(row.word);
  }
  for (const policy::CodeRow& row : policy::code_table()) names.emplace_back(row.word);
  for (const observe::CodeRow& row : observe::code_table()) names.emplace_back(row.word);
  if (options.rule.find_first_of(".(") == std::string::npos) {
    const std::string hint = did_you_mean(options.rule, names);
    return report_usage(
        fmt::format("no finding `{}`{}", options.rule,
                    hint.empty() ? "; a rule's full name is FILE.DIRECTION.ID, as `eval` prints it"
                                 : "; " + hint));
  }
  const auto site = load_valid_site(options.site, Looks::Around);
  if (!site) return report(site.error());
  const policy::Policy& policy = site->policy;

  const Found found = find_rule(policy, options.rule, names);
  if (found.rule == nullptr) {
    const std::string hint = did_you_mean(options.rule, names);
    return report_usage(
        fmt::format("no rule `{}`{}", options.rule,
                    hint.empty() ? "; a rule's full name is FILE.DIRECTION.ID, as `eval` prints it"
                                 : "; " + hint));
  }

  std::vector<policy::Index> hosts;
  std::vector<std::string> host_names;
  for (policy::Index host = 0; host < policy.hosts.size(); ++host) {
    if (!has_rule(policy, host, site->date, *found.rule)) continue;
    hosts.push_back(host);
    host_names.push_back(policy.hosts[host].name);
  }
  out().line(fmt::format("{}  {}", out().paint(Tone::Strong, found.rule->full_name),
                         policy.sources.format(found.rule->span)));
  show_text(policy, *found.rule);
  if (hosts.empty()) {
    out().line(
        "no host has this rule: it is skipped, expired, not enabled, or its `on` names no host");
    return kDone;
  }
  out().line(fmt::format("of {}", fmt::join(host_names, ", ")));

  policy::Index shown = hosts.front();
  if (!options.host.empty()) {
    const auto host = choose_host(policy, options.host);
    if (!host) return report(host.error());
    if (std::find(hosts.begin(), hosts.end(), *host) == hosts.end()) {
      out().line(fmt::format("{} does not have this rule", options.host));
      return kDone;
    }
    shown = *host;
  }
  show_kernel_rules(compile::compile(policy, shown, {site->date, true}), found.rule->full_name);
  return kDone;
}

}  // namespace

void add_explain(Program& program) {
  Verb verb = program.add_verb(kAskVerbs, "explain",
                               "show a rule: its line, its hosts, and its rules in the kernel",
                               "  rolewall explain web.inbound.app-from-lb\n"
                               "  rolewall explain baseline.inbound.ssh --host db-01\n"
                               "  rolewall explain '(spoofed)'\n"
                               "  rolewall explain shadowed-rule");
  auto options = std::make_shared<ExplainOptions>();
  verb.add_option("RULE", options->rule,
                  "the full name of a rule, a built-in step, or a finding's code")
      .required();
  add_site_options(verb, options->site, Looks::Around, false);
  verb.add_option("--host", options->host, "show the kernel's rules of this host")
      .type_name("HOST");
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
