// rolewall test: the policies' own tests, each failure at its line with the line that decides.

#include <fmt/format.h>

#include "ask/check.h"
#include "cli/ci_forms.h"
#include "cli/exit_status.h"
#include "cli/kernel_answers.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/render_checked.h"
#include "cli/render_json.h"
#include "cli/site_options.h"
#include "sandbox/sandbox.h"

namespace rolewall::cli {
namespace {

struct TestOptions {
  SiteOptions site;
  bool kernel = false;
  bool strict = false;
  std::string format = "text";
};

void print_json(const policy::Policy& policy, const ask::Checked& checked, bool by_kernel) {
  print(Json{{"version", kJsonVersion},
             {"verb", "test"},
             {"directory", policy.directory},
             {"answered_by", by_kernel ? "kernel" : "evaluator"},
             {"ok", checked.passed()},
             {"findings", to_json(checked.findings, policy.sources)},
             {"tests", to_json(policy, checked.tests)},
             {"laws", laws_to_json(policy, checked.tests)}});
}

void print_text(const policy::Policy& policy, const ask::Checked& checked, bool asked) {
  render(out(), policy.sources, checked.findings, Severity::Error);
  render(out(), policy, checked.tests);
  render_left_out(out(), checked.tests);
  out().line(fmt::format(
      "{}: {}", printable(policy.directory),
      asked ? summary_with_laws(checked.tests) : summary(checked.findings) + "; no test was run"));
}

int run(const TestOptions& options) {
  const auto site = load_site(options.site, Looks::Around);
  if (!site) return report(site.error());
  if (options.kernel) {
    if (const std::string why = sandbox::unavailable(); !why.empty()) {
      return report(
          {ErrorKind::System, fmt::format("cannot create namespaces here: {}", why), 0, {}});
    }
  }
  const ask::Answerer answerer = options.kernel ? kernel : ask::evaluator;
  const auto checked =
      ask::check(site->policy, site->date, site->diagnostics, ask::Extent::TestsAlone, answerer);
  if (!checked) return report(checked.error());
  if (options.format == "junit") {
    out().write(junit({"test", site->policy, checked->findings, {}, &checked->tests, false}));
  } else if (options.format == "json") {
    print_json(site->policy, *checked, options.kernel);
  } else {
    print_text(site->policy, *checked, !site->diagnostics.has_errors());
  }
  return exit_status_of(*checked, options.strict);
}

}  // namespace

void add_test(Program& program) {
  Verb verb = program.add_verb(
      kPolicyVerbs, "test", "run the policies' tests",
      "  rolewall test policies\n"
      "  rolewall test policies --kernel     send the packets through a live kernel\n"
      "  rolewall test policies --format json");
  auto options = std::make_shared<TestOptions>();
  options->site.expired_is_error = true;
  add_site_options(verb, options->site, Looks::Around);
  verb.add_flag("--kernel", options->kernel,
                "send the packets through a live kernel, in namespaces; needs no root");
  verb.add_flag("--strict", options->strict,
                "exit with 1 where a test's denial is neither proven nor refuted for every packet");
  add_format_option(verb, options->format, {"text", "json", "junit"});
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
