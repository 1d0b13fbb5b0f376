// rolewall check: lint, tests, and every host compiled. The line for CI.

#include "ask/check.h"

#include <fmt/format.h>

#include <set>
#include <string>
#include <vector>

#include "ask/site.h"
#include "cli/exit_status.h"
#include "cli/finding_options.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/render_checked.h"
#include "cli/render_json.h"
#include "cli/site_options.h"
#include "cli/state_options.h"
#include "policy/effective.h"

namespace rolewall::cli {
namespace {

struct CheckOptions {
  SiteOptions site;
  FindingOptions findings;
  bool coverage = false;
};

// The site's own rules in force, and those that no packet of a test is decided by.
struct Coverage {
  std::size_t rules = 0;
  std::vector<const policy::Rule*> untouched;
};

Coverage coverage_of(const LoadedSite& site, const ask::TestReport& tests) {
  Coverage coverage;
  std::set<const policy::Rule*> in_force;
  for (policy::Index host = 0; host < site.policy.hosts.size(); ++host) {
    const auto effective = policy::effective_policy(site.policy, host, site.date);
    for (const auto* list :
         {&effective.inbound, &effective.outbound, &effective.forward, &effective.nat}) {
      for (const policy::EffectiveRule& each : *list) {
        if (!each.file->shipped) in_force.insert(each.rule);
      }
    }
  }
  coverage.rules = in_force.size();
  for (const policy::RuleFile& file : site.policy.files) {
    for (const policy::Rule& rule : file.rules) {
      if (in_force.contains(&rule) && !tests.touched.contains(rule.full_name)) {
        coverage.untouched.push_back(&rule);
      }
    }
  }
  return coverage;
}

void print_coverage(const SourceFiles& sources, const Coverage& coverage) {
  for (const policy::Rule* rule : coverage.untouched) {
    out().line(fmt::format("{}:{}: no test touches {}", printable(sources.path(rule->span.file)),
                           rule->span.line, printable(rule->full_name)));
  }
  out().line(fmt::format("coverage {} of {} are touched by tests",
                         coverage.rules - coverage.untouched.size(),
                         counted(coverage.rules, "rule")));
}

Json coverage_json(const SourceFiles& sources, const Coverage& coverage) {
  Json untouched = Json::array();
  for (const policy::Rule* rule : coverage.untouched) {
    untouched.push_back({{"rule", rule->full_name},
                         {"file", sources.path(rule->span.file)},
                         {"line", rule->span.line}});
  }
  return {{"rules", coverage.rules},
          {"touched", coverage.rules - coverage.untouched.size()},
          {"untouched", std::move(untouched)}};
}

Json sizes(const std::vector<ask::HostSize>& hosts) {
  Json json = Json::array();
  for (const ask::HostSize& host : hosts) {
    json.push_back({{"host", host.host},
                    {"rules", host.rules},
                    {"sets", host.sets},
                    {"elements", host.elements}});
  }
  return json;
}

// Hosts that deny nothing by their defaults.
std::vector<std::string> auditing(const LoadedSite& site) {
  const policy::Policy& policy = site.policy;
  std::vector<std::string> names;
  if (site.diagnostics.has_errors() || !ask::audits(policy)) return names;
  for (policy::Index host = 0; host < policy.hosts.size(); ++host) {
    const auto effective = policy::effective_policy(policy, host, site.date);
    if (effective.defaults.mode == policy::Mode::Audit) names.push_back(policy.hosts[host].name);
  }
  return names;
}

// A proof is of the policy, whether a host enforces it or not.
std::string beside(const std::vector<std::string>& auditing) {
  if (auditing.empty()) return "";
  return fmt::format(" (of the policy: {} in audit mode {} not enforce it)",
                     counted(auditing.size(), "host"), auditing.size() == 1 ? "does" : "do");
}

void print_text(const LoadedSite& site, const ask::Checked& checked,
                const policy::Silenced& silenced, bool good) {
  const policy::Policy& policy = site.policy;
  const std::vector<std::string> names = auditing(site);
  render(out(), policy, checked);
  out().line(fmt::format("lint     {}{}", summary(checked.findings), silenced_words(silenced)));
  if (site.diagnostics.has_errors()) {
    out().line("tests    not run because the policies have errors");
  } else {
    out().line(fmt::format("tests    {}", summary(checked.tests)));
    const std::string laws = summary_of_laws(checked.tests);
    if (!laws.empty()) out().line(fmt::format("laws     {}{}", laws, beside(names)));
    const std::string rests_on = what_laws_rest_on(checked.tests);
    if (!rests_on.empty()) out().line("         " + printable(rests_on));
    if (has_laws_of_rules_alone(checked.tests)) {
      out().line(fmt::format("         [[always]]: {}", ask::kByRulesAlone));
    }
    std::size_t rules = 0;
    for (const ask::HostSize& host : checked.hosts) rules += host.rules;
    out().line(fmt::format("compile  {}, {}", counted(checked.hosts.size(), "host"),
                           counted(rules, "rule")));
  }
  if (!names.empty()) {
    out().line(fmt::format("{}    {} in audit mode: {}", out().paint(Tone::Warning, "audit"),
                           counted(names.size(), "host"), kAudits));
  }
  out().line(fmt::format("{}: {}", printable(policy.directory),
                         good ? out().paint(Tone::Good, "ok") : out().paint(Tone::Bad, "not ok")));
}

int run(const CheckOptions& options) {
  const auto site = load_site(options.site, Looks::Around);
  if (!site) return report(site.error());
  auto checked = ask::check(site->policy, site->date, site->diagnostics, ask::Extent::Everything);
  if (!checked) return report(checked.error());
  const policy::Policy& policy = site->policy;
  const bool complete = !site->diagnostics.has_errors();
  const auto silenced =
      handle_findings(options.findings, policy, complete, true, checked->findings);
  if (!silenced) return report(silenced.error());
  const Report told{"check",   policy,          checked->findings,
                    *silenced, &checked->tests, options.findings.strict};
  const int status = exit_status_of(told);
  const int written = write_forms(options.findings, told);
  if (options.findings.format == "json") {
    Json json{{"version", kJsonVersion},
              {"verb", "check"},
              {"directory", policy.directory},
              {"ok", status == kDone},
              {"findings", to_json(checked->findings, policy.sources)},
              {"silenced", to_json(*silenced)},
              {"tests", to_json(policy, checked->tests)},
              {"laws", laws_to_json(policy, checked->tests)},
              {"hosts", sizes(checked->hosts)},
              {"audit", auditing(*site)}};
    if (options.coverage && complete) {
      json["coverage"] = coverage_json(policy.sources, coverage_of(*site, checked->tests));
    }
    print(json);
  } else if (is_own_form(options.findings)) {
    if (options.coverage && complete) {
      print_coverage(policy.sources, coverage_of(*site, checked->tests));
    }
    print_text(*site, *checked, *silenced, status == kDone);
  }
  return written == kDone ? status : written;
}

}  // namespace

void add_check(Program& program) {
  Verb verb = program.add_verb(
      kPolicyVerbs, "check", "lint, run the tests, compile every host (for CI)",
      "  rolewall check policies\n"
      "  rolewall check policies --format json\n"
      "  rolewall check policies --coverage      which rules does no test touch?\n"
      "  rolewall check policies --strict --also sarif=rolewall.sarif\n"
      "  rolewall check --date 2027-03-01    which rules will have expired by then?");
  auto options = std::make_shared<CheckOptions>();
  options->site.expired_is_error = true;
  add_site_options(verb, options->site, Looks::Around);
  add_finding_options(verb, options->findings);
  verb.add_flag("--coverage", options->coverage, "list the rules that no test touches");
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
