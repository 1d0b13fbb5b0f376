// rolewall check: lint, tests, and every host compiled. The line for CI.

#include "ask/check.h"

#include <fmt/format.h>

#include "cli/exit_status.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/render_checked.h"
#include "cli/render_json.h"
#include "cli/site_options.h"

namespace rolewall::cli {
namespace {

struct CheckOptions {
  SiteOptions site;
  std::string format = "text";
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

int run(const CheckOptions& options) {
  const auto site = load_site(options.site, Looks::Around);
  if (!site) return report(site.error());
  const auto checked =
      ask::check(site->policy, site->date, site->diagnostics, ask::Extent::Everything);
  if (!checked) return report(checked.error());
  const policy::Policy& policy = site->policy;
  if (options.format == "json") {
    print(Json{{"version", kJsonVersion},
               {"verb", "check"},
               {"directory", policy.directory},
               {"ok", checked->passed()},
               {"findings", to_json(checked->findings, policy.sources)},
               {"tests", to_json(policy, checked->tests)},
               {"hosts", sizes(checked->hosts)}});
    return exit_status_of(*checked);
  }
  render(out(), policy, *checked);
  out().line(fmt::format("lint     {}", summary(checked->findings)));
  if (site->diagnostics.has_errors()) {
    out().line("tests    not run because the policies have errors");
  } else {
    out().line(fmt::format("tests    {}", summary(checked->tests)));
    std::size_t rules = 0;
    for (const ask::HostSize& host : checked->hosts) rules += host.rules;
    out().line(fmt::format("compile  {}, {}", counted(checked->hosts.size(), "host"),
                           counted(rules, "rule")));
  }
  out().line(fmt::format(
      "{}: {}", printable(policy.directory),
      checked->passed() ? out().paint(Tone::Good, "ok") : out().paint(Tone::Bad, "not ok")));
  return exit_status_of(*checked);
}

}  // namespace

void add_check(Program& program) {
  Verb verb = program.add_verb(
      kPolicyVerbs, "check", "lint, run the tests, compile every host (for CI)",
      "  rolewall check policies\n"
      "  rolewall check policies --format json\n"
      "  rolewall check --date 2027-03-01    which rules will have expired by then?");
  auto options = std::make_shared<CheckOptions>();
  options->site.expired_is_error = true;
  add_site_options(verb, options->site);
  add_format_option(verb, options->format, {"text", "json"});
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
