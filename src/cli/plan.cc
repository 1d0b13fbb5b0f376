// rolewall plan: what an apply would change, rule by rule.

#include <fmt/format.h>

#include <string>
#include <utility>

#include "apply/apply.h"
#include "apply/waiting.h"
#include "cli/exit_status.h"
#include "cli/guard_facts.h"
#include "cli/json.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/render_plan.h"
#include "cli/screen.h"
#include "cli/site_options.h"
#include "cli/state_options.h"
#include "observe/this_host.h"

namespace rolewall::cli {
namespace {

struct PlanOptions {
  SiteOptions site;
  std::string host;
  std::string state_directory{apply::kDefaultStateDirectory};
  std::string format = "text";
  bool all = false;
  bool exit_code = false;
  bool read_all = false;
};

// What an apply would meet: it is refused, or confirms.
void add_pending(const std::string& state_directory, Screen& screen) {
  const apply::World& world = apply::this_world();
  const apply::Waiting waiting = apply::what_waits(state_directory, world);
  if (!waiting.problem.empty()) screen.urgent("problem", printable(waiting.problem));
  if (!waiting.pending) return;
  const apply::Pending& pending = *waiting.pending;
  const std::string what = apply::name_of_waiting(pending);
  if (apply::is_overdue(pending, world)) {
    screen.urgent("overdue", fmt::format("{} should have been rolled back {}: `rolewall apply` "
                                         "does it first",
                                         what, when_over(pending)));
    return;
  }
  screen.urgent("pending", fmt::format("{} will be rolled back {}{}", what, when_over(pending),
                                       to_what(pending)));
  screen.line("", "before an apply: sudo rolewall confirm, or sudo rolewall rollback");
}

int run(const PlanOptions& options) {
  const auto wanted = compiled_host(options.site, Looks::OnServer, options.host);
  if (!wanted) return report(wanted.error());
  const ruleset::Snapshot& snapshot = wanted->snapshot;
  const auto plan = apply::plan(snapshot, options.state_directory, reading(options.read_all));
  if (!plan) return report(plan.error());
  if (const auto machine = observe::this_host()) warn_of_machine(snapshot, *machine);
  if (options.format == "json") {
    Json json{{"version", kJsonVersion}, {"verb", "plan"}, {"host", snapshot.host.name}};
    add_members(json, *plan);
    print(json);
  } else {
    Screen screen(out());
    const auto& tables = snapshot.ruleset.tables;
    if (!tables.empty() && apply::is_in_audit_mode(tables.front())) {
      screen.urgent("audit mode", kAudits);
    }
    add_pending(options.state_directory, screen);
    screen.line(fmt::format("{}: {}", snapshot.host.name, summary(*plan)));
    const Extent extent = options.all ? Extent::Everything : Extent::Policy;
    if (!plan->empty()) {
      for (std::string& line : lines_of(out(), *plan, extent)) screen.line(std::move(line));
    }
    screen.show(options.all, "rolewall plan --all");
  }
  return options.exit_code && !plan->empty() ? kNo : kDone;
}

}  // namespace

void add_plan(Program& program) {
  Verb verb = program.add_verb(
      kServerVerbs, "plan", "show what `apply` would add, change and remove",
      "  sudo rolewall plan                                   /etc/rolewall, this host\n"
      "  sudo rolewall plan policies --host web-01\n"
      "  sudo rolewall plan --exit-code --format json         1 if there are changes\n"
      "\n"
      "+ is added, - removed, ~ changed, since the last apply: rules key by key, and what the\n"
      "names that they use stand for. Everything else stays, with its counters. Without --all at\n"
      "most a screen is shown, and not what becomes of the kernel's chains, sets and maps.");
  auto options = std::make_shared<PlanOptions>();
  add_site_options(verb, options->site, Looks::OnServer);
  add_host_option(verb, options->host);
  add_state_option(verb, options->state_directory);
  add_read_all_option(verb, options->read_all);
  verb.add_flag("--all", options->all, "show every change, however many");
  verb.add_flag("--exit-code", options->exit_code, "exit with 1 if there are changes");
  add_format_option(verb, options->format, {"text", "json"});
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
