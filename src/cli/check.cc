// rolewall check: lint, tests, and every host compiled. The line for CI.

#include "cli/check.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/exit_status.h"
#include "cli/json.h"
#include "cli/program.h"
#include "cli/render.h"
#include "policy/codes.h"
#include "policy/lint.h"

namespace rolewall::cli {
namespace {

struct Options {
  SiteOptions site;
  std::string format = "text";
};

Json sizes(const std::vector<HostSize>& hosts) {
  Json json = Json::array();
  for (const HostSize& host : hosts) {
    json.push_back({{"host", host.host},
                    {"rules", host.rules},
                    {"sets", host.sets},
                    {"elements", host.elements}});
  }
  return json;
}

int run(const Options& options) {
  const auto site = load_site(options.site, Looks::Around);
  if (!site) return report(site.error());
  const Checked checked = check(*site, true);
  const policy::Policy& policy = site->policy;
  if (options.format == "json") {
    print(Json{{"version", kJsonVersion},
               {"verb", "check"},
               {"directory", policy.directory},
               {"ok", checked.passed()},
               {"findings", to_json(checked.findings, policy.sources)},
               {"tests", to_json(policy, checked.tests)},
               {"hosts", sizes(checked.hosts)}});
    return checked.status();
  }
  render(out(), policy, checked);
  out().line(fmt::format("lint     {}", summary(checked.findings)));
  if (site->diagnostics.has_errors()) {
    out().line("tests    not run: the policies have errors");
  } else {
    out().line(fmt::format("tests    {}", summary(checked.tests)));
    std::size_t rules = 0;
    for (const HostSize& host : checked.hosts) rules += host.rules;
    out().line(fmt::format("compile  {}, {}", counted(checked.hosts.size(), "host"),
                           counted(rules, "rule")));
  }
  out().line(fmt::format(
      "{}: {}", printable(policy.directory),
      checked.passed() ? out().paint(Tone::Good, "ok") : out().paint(Tone::Bad, "not ok")));
  return checked.status();
}

}  // namespace

int status_of(const Diagnostics& findings) {
  // A list that is missing is wrong at the line that names it; a policy file has no line.
  const bool unreadable =
      std::any_of(findings.all().begin(), findings.all().end(), [](const Diagnostic& finding) {
        return finding.severity == Severity::Error && is(finding, policy::Code::UnreadableFile) &&
               finding.span.line == 0;
      });
  if (unreadable) return kUsage;
  return findings.has_errors() ? kNo : kDone;
}

int Checked::status() const {
  const int status = status_of(findings);
  return status == kDone && !tests.failures.empty() ? kNo : status;
}

HostSize size_of(const ruleset::Snapshot& snapshot) {
  HostSize size{snapshot.host.name, 0, 0, 0};
  for (const ruleset::Table& table : snapshot.ruleset.tables) {
    for (const ruleset::Chain& chain : table.chains) size.rules += chain.rules.size();
    for (const ruleset::Set& set : table.sets) size.elements += set.elements.count();
    size.sets += table.sets.size();
  }
  return size;
}

Checked check(const LoadedSite& site, bool every_host) {
  Checked checked;
  checked.findings = site.diagnostics;
  if (!site.diagnostics.has_errors()) {
    ask::Site asked(site.policy, site.date);
    checked.tests = run_tests(site.policy, asked, checked.findings);
    if (every_host) {
      policy::lint(site.policy, site.date, checked.findings);
      for (policy::Index host = 0; host < site.policy.hosts.size(); ++host) {
        checked.hosts.push_back(size_of(asked.snapshot(host)));
      }
    }
    checked.findings.sort();
  }
  return checked;
}

void render(const Terminal& terminal, const policy::Policy& policy, const Checked& checked) {
  render(terminal, policy.sources, checked.findings);
  render(terminal, policy, checked.tests);
}

void add_check(Program& program) {
  CLI::App& verb = program.add_verb(
      kPolicyVerbs, "check", "lint, tests and every host compiled: the line for CI",
      "  rolewall check policies\n"
      "  rolewall check policies --format json\n"
      "  rolewall check --date 2027-03-01    what will have expired by then?");
  auto options = std::make_shared<Options>();
  options->site.expired_is_error = true;
  add_site_options(verb, options->site);
  add_format_option(verb, options->format, {"text", "json"});
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
