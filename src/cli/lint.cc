// rolewall lint: what the parser and the resolver can tell, and which rules do nothing.

#include "policy/lint.h"

#include <fmt/format.h>

#include "ask/rule_lint.h"
#include "ask/site.h"
#include "cli/exit_status.h"
#include "cli/finding_options.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/render_checked.h"
#include "cli/render_json.h"
#include "cli/site_options.h"

namespace rolewall::cli {
namespace {

struct LintOptions {
  SiteOptions site;
  FindingOptions findings;
};

int run(const LintOptions& options) {
  auto site = load_site(options.site, Looks::Around);
  if (!site) return report(site.error());
  const bool wrong = site->diagnostics.has_errors();
  if (!wrong) {
    policy::lint(site->policy, site->date, site->diagnostics);
    ask::Site asked(site->policy, site->date);
    ask::lint_exactly(site->policy, site->date, asked, site->diagnostics);
    site->diagnostics.sort();
  }
  const auto silenced =
      handle_findings(options.findings, site->policy, !wrong, false, site->diagnostics);
  if (!silenced) return report(silenced.error());
  const Report told{"lint",    site->policy, site->diagnostics,
                    *silenced, nullptr,      options.findings.strict};
  const int status = exit_status_of(told);
  if (options.findings.format == "json") {
    print(Json{{"version", kJsonVersion},
               {"verb", "lint"},
               {"directory", site->policy.directory},
               {"ok", status == kDone},
               {"findings", to_json(site->diagnostics, site->policy.sources)},
               {"silenced", to_json(*silenced)}});
  } else if (is_own_form(options.findings)) {
    render(out(), site->policy.sources, site->diagnostics);
    out().line(fmt::format("{}: {}{}", printable(site->policy.directory),
                           summary(site->diagnostics), silenced_words(*silenced)));
  }
  const int written = write_forms(options.findings, told);
  return written == kDone ? status : written;
}

}  // namespace

void add_lint(Program& program) {
  Verb verb =
      program.add_verb(kPolicyVerbs, "lint", "check the policies for errors and weak points",
                       "  rolewall lint policies\n"
                       "  rolewall lint policies --format json\n"
                       "  rolewall lint policies --write-baseline known.json\n"
                       "  rolewall lint policies --strict --baseline known.json");
  auto options = std::make_shared<LintOptions>();
  options->site.expired_is_error = true;
  add_site_options(verb, options->site, Looks::Around);
  add_finding_options(verb, options->findings);
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
