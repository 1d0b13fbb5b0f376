// rolewall check: lint, tests, and every host compiled. The line for CI.

#include "ask/check.h"

#include <fmt/format.h>

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
};

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

void print_text(const LoadedSite& site, const ask::Checked& checked,
                const policy::Silenced& silenced, bool good) {
  const policy::Policy& policy = site.policy;
  render(out(), policy, checked);
  out().line(fmt::format("lint     {}{}", summary(checked.findings), silenced_words(silenced)));
  if (site.diagnostics.has_errors()) {
    out().line("tests    not run because the policies have errors");
  } else {
    out().line(fmt::format("tests    {}", summary(checked.tests)));
    const std::string laws = summary_of_laws(checked.tests);
    if (!laws.empty()) out().line(fmt::format("laws     {}", laws));
    std::size_t rules = 0;
    for (const ask::HostSize& host : checked.hosts) rules += host.rules;
    out().line(fmt::format("compile  {}, {}", counted(checked.hosts.size(), "host"),
                           counted(rules, "rule")));
  }
  if (const auto names = auditing(site); !names.empty()) {
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
    print(Json{{"version", kJsonVersion},
               {"verb", "check"},
               {"directory", policy.directory},
               {"ok", status == kDone},
               {"findings", to_json(checked->findings, policy.sources)},
               {"silenced", to_json(*silenced)},
               {"tests", to_json(policy, checked->tests)},
               {"laws", laws_to_json(policy, checked->tests)},
               {"hosts", sizes(checked->hosts)},
               {"audit", auditing(*site)}});
  } else if (is_own_form(options.findings)) {
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
      "  rolewall check policies --strict --also sarif=rolewall.sarif\n"
      "  rolewall check --date 2027-03-01    which rules will have expired by then?");
  auto options = std::make_shared<CheckOptions>();
  options->site.expired_is_error = true;
  add_site_options(verb, options->site, Looks::Around);
  add_finding_options(verb, options->findings);
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
