// rolewall lint: what the parser and the resolver can tell, without asking a packet.

#include <fmt/format.h>

#include "cli/program.h"
#include "cli/render.h"
#include "cli/render_checked.h"
#include "cli/render_json.h"
#include "cli/site_options.h"
#include "policy/lint.h"

namespace rolewall::cli {
namespace {

struct LintOptions {
  SiteOptions site;
  std::string format = "text";
};

int run(const LintOptions& options) {
  auto site = load_site(options.site, Looks::Around);
  if (!site) return report(site.error());
  const bool wrong = site->diagnostics.has_errors();
  if (!wrong) policy::lint(site->policy, site->date, site->diagnostics);
  if (options.format == "json") {
    print(Json{{"version", kJsonVersion},
               {"verb", "lint"},
               {"directory", site->policy.directory},
               {"ok", !wrong},
               {"findings", to_json(site->diagnostics, site->policy.sources)}});
  } else {
    render(out(), site->policy.sources, site->diagnostics);
    out().line(
        fmt::format("{}: {}", printable(site->policy.directory), summary(site->diagnostics)));
  }
  return exit_status_of(site->diagnostics);
}

}  // namespace

void add_lint(Program& program) {
  Verb verb =
      program.add_verb(kPolicyVerbs, "lint", "check the policies for errors and weak points",
                       "  rolewall lint policies\n"
                       "  rolewall lint policies --format json");
  auto options = std::make_shared<LintOptions>();
  options->site.expired_is_error = true;
  add_site_options(verb, options->site, Looks::Around);
  add_format_option(verb, options->format, {"text", "json"});
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
