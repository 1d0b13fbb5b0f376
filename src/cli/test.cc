// rolewall test: the policies' own tests, each failure at its line with the line that decides.

#include <fmt/format.h>

#include "cli/check.h"
#include "cli/exit_status.h"
#include "cli/json.h"
#include "cli/program.h"
#include "cli/render.h"

namespace rolewall::cli {
namespace {

struct Options {
  SiteOptions site;
  std::string format = "text";
};

int run(const Options& options) {
  const auto site = load_site(options.site, Looks::Around);
  if (!site) return report(site.error());
  const Checked checked = check(*site, false);
  const policy::Policy& policy = site->policy;
  const int status = checked.passed() ? kDone : kNo;
  if (options.format == "json") {
    print(Json{{"version", kJsonVersion},
               {"verb", "test"},
               {"directory", policy.directory},
               {"ok", checked.passed()},
               {"findings", to_json(checked.findings, policy.sources)},
               {"tests", to_json(policy, checked.tests)}});
    return status;
  }
  render(out(), policy.sources, checked.findings, Severity::Error);
  render(out(), policy, checked.tests);
  if (site->diagnostics.has_errors()) {
    out().line(fmt::format("{}: {}; no test was run", printable(policy.directory),
                           summary(checked.findings)));
  } else {
    out().line(fmt::format("{}: {}", printable(policy.directory), summary(checked.tests)));
  }
  return status;
}

}  // namespace

void add_test(Program& program) {
  CLI::App& verb = program.add_verb(kPolicyVerbs, "test", "run the policies' tests",
                                    "  rolewall test policies\n"
                                    "  rolewall test policies --format json");
  auto options = std::make_shared<Options>();
  options->site.expired_is_error = true;
  add_site_options(verb, options->site);
  add_format_option(verb, options->format, {"text", "json"});
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
