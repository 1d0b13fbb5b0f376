// rolewall lint: what the parser and the resolver can tell, and which rules do nothing.

#include <fmt/format.h>

#include "apply/apply.h"
#include "ask/dropped_elsewhere.h"
#include "ask/rule_lint.h"
#include "ask/site.h"
#include "cli/diff_sides.h"
#include "cli/exit_status.h"
#include "cli/finding_options.h"
#include "cli/live.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/render_checked.h"
#include "cli/render_json.h"
#include "cli/ruleset_file.h"
#include "cli/site_options.h"
#include "cli/state_options.h"
#include "compile/compile.h"

namespace rolewall::cli {
namespace {

struct LintOptions {
  SiteOptions site;
  FindingOptions findings;
  std::string ruleset;
  bool live = false;
  std::string host;
  std::string state_directory{apply::kDefaultStateDirectory};
};

// A host's own table beside those of other programs.
Result<void> lint_beside_others(const LintOptions& options, LoadedSite& site) {
  if (options.ruleset.empty() && !options.live) return {};
  auto there =
      options.live ? live_snapshot(options.state_directory) : read_ruleset(options.ruleset);
  if (!there) return std::unexpected(there.error());
  say_beside(there->beside);
  const bool is_named = options.host.empty() && policy::find_host(site.policy, there->host.name);
  const auto host = choose_host(site.policy, is_named ? there->host.name : options.host);
  if (!host) return std::unexpected(host.error());
  const ruleset::Snapshot own = compile::compile(site.policy, *host, {site.date, true});
  ask::lint_beside(site.policy, site.date, *host, put_into(std::move(*there), own),
                   site.diagnostics);
  return {};
}

int run(const LintOptions& options) {
  auto site = load_site(options.site, Looks::Around);
  if (!site) return report(site.error());
  const bool wrong = site->diagnostics.has_errors();
  if (!wrong) {
    ask::Site asked(site->policy, site->date);
    ask::lint(site->policy, site->date, asked, site->diagnostics);
    if (const auto done = lint_beside_others(options, *site); !done) return report(done.error());
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
                       "  rolewall lint policies --strict --baseline known.json\n"
                       "  sudo rolewall lint --live           what do other programs' rules drop?\n"
                       "  rolewall lint policies --ruleset web-01.json");
  auto options = std::make_shared<LintOptions>();
  options->site.expired_is_error = true;
  add_site_options(verb, options->site, Looks::Around);
  add_finding_options(verb, options->findings);
  const Option ruleset =
      verb.add_option("--ruleset", options->ruleset,
                      "ask beside the tables of a host that `dump` wrote (-: standard input)")
          .type_name("FILE");
  verb.add_flag("--live", options->live, "ask beside the tables of this kernel").excludes(ruleset);
  add_host_option(verb, options->host);
  add_state_option(verb, options->state_directory);
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
