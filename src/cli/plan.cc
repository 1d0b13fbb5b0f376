// rolewall plan: what an apply would change, rule by rule.

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "apply/apply.h"
#include "apply/ask_guard.h"
#include "apply/waiting.h"
#include "ask/shut_out.h"
#include "cli/changed_packets.h"
#include "cli/exit_status.h"
#include "cli/guard_facts.h"
#include "cli/json.h"
#include "cli/program.h"
#include "cli/recorded_site.h"
#include "cli/render.h"
#include "cli/render_cuts.h"
#include "cli/render_diff.h"
#include "cli/render_plan.h"
#include "cli/screen.h"
#include "cli/site_options.h"
#include "cli/state_options.h"
#include "observe/this_host.h"
#include "policy/handling.h"

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
  screen.urgent("pending", what_becomes_of(pending));
  screen.line("", "before an apply: sudo rolewall confirm, or sudo rolewall rollback");
}

// What an apply would refuse for, unless it is forced.
Result<apply::GuardAnswer> ask_guard(const Result<apply::GuardFacts>& facts,
                                     const ruleset::Snapshot& snapshot,
                                     const std::string& state_directory) {
  if (!facts) return std::unexpected(facts.error());
  apply::ApplyOptions how;
  how.guard = *facts;
  return apply::ask_guard_first(snapshot, state_directory, how);
}

Result<apply::NotAdmitted> ask_about_the_open(const Result<apply::GuardFacts>& facts,
                                              const ruleset::Snapshot& snapshot) {
  if (!facts) return std::unexpected(facts.error());
  return apply::what_is_cut(snapshot, *facts);
}

void add_cuts(const Result<apply::NotAdmitted>& cuts, const BothSources& sources, bool all,
              Screen& screen) {
  if (!cuts) {
    screen.urgent("open", "what is open cannot be read: " + printable(cuts.error().message));
    return;
  }
  const std::string words = summary(*cuts);
  if (!words.empty()) screen.urgent("open", words);
  const std::size_t each = all ? cuts->all.size() : 3;
  for (const std::string& line : lines_of(*cuts, sources, each)) screen.line("", line);
}

void add_guard(const Result<apply::GuardAnswer>& guard, Screen& screen) {
  constexpr std::size_t kMost = 3;
  if (!guard) {
    screen.urgent("guard", "it could not be asked: " + printable(guard.error().message));
    return;
  }
  const std::vector<apply::Loss>& losses = guard->losses;
  for (std::size_t i = 0; i < std::min(kMost, losses.size()); ++i) {
    screen.urgent(
        i == 0 ? "refused" : "",
        (i == 0 ? "an apply would be, for this would be lost: " : "") + printable(losses[i].what));
  }
  if (losses.size() > kMost) {
    screen.line("", fmt::format("and {} more; an apply lists them", losses.size() - kMost));
  }
  const std::vector<apply::Loss>& notes = guard->notes;
  for (std::size_t i = 0; i < std::min(kMost, notes.size()); ++i) {
    screen.line(i == 0 ? "note" : "",
                fmt::format("{}: {}", printable(notes[i].what), printable(notes[i].how)));
  }
  if (notes.size() > kMost) {
    screen.line("", fmt::format("and {} more; an apply lists them", notes.size() - kMost));
  }
}

Json lost_json(const std::vector<apply::Loss>& losses) {
  Json all = Json::array();
  for (const apply::Loss& loss : losses) {
    all.push_back({{"what", printable(loss.what)}, {"how", printable(loss.how)}});
  }
  return all;
}

// No apply is refused for it, and the connection that confirms one may be the last that it lets in.
void say_limit(const LoadedSite& site, policy::Index host) {
  Diagnostics findings;
  ask::find_limit_on_management(site.policy, site.date, host, findings);
  policy::handle(site.policy, {}, findings);
  render(err(), site.policy.sources, findings, Severity::Warning);
}

int run(const PlanOptions& options) {
  SiteOptions site = options.site;
  site.refreshed = refreshed_names(options.state_directory);
  const auto wanted = compiled_host(site, Looks::OnServer, options.host);
  if (!wanted) return report(wanted.error());
  const ruleset::Snapshot& snapshot = wanted->snapshot;
  const auto plan = apply::plan(snapshot, options.state_directory, reading(options.read_all));
  if (!plan) return report(plan.error());
  if (const auto machine = observe::this_host()) warn_of_machine(snapshot, *machine);
  say_limit(wanted->site, wanted->host);
  const Result<apply::GuardFacts> facts = guard_facts(wanted->site.policy);
  Result<apply::GuardAnswer> guard;
  if (!plan->empty()) {
    guard = ask_guard(facts, snapshot, options.state_directory);
    if (facts) say_remarks(*facts);
  }
  const Result<apply::NotAdmitted> cuts = ask_about_the_open(facts, snapshot);
  const ruleset::SourceMap applied = sources_in_force(options.state_directory);
  const BothSources sources{snapshot.sources, applied};
  std::optional<ask::Diff> packets;
  if (!plan->first && (!plan->empty() || plan->changes_policy())) {
    packets = changed_packets(options.state_directory, snapshot, &wanted->site.policy);
  }
  if (options.format == "json") {
    Json json{{"version", kJsonVersion}, {"verb", "plan"}, {"host", snapshot.host.name}};
    add_members(json, *plan);
    if (guard) {
      json["lost"] = lost_json(guard->losses);
      json["notes"] = lost_json(guard->notes);
    }
    if (facts && !plan->empty()) {
      json["remarks"] = Json::array();
      for (const std::string& remark : facts->remarks) json["remarks"].push_back(printable(remark));
    }
    if (cuts) json["connections"] = to_json(*cuts, sources);
    if (packets) {
      Json changed;
      add_members(changed, *packets);
      json["packets"] = std::move(changed);
    }
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
    add_guard(guard, screen);
    add_cuts(cuts, sources, options.all, screen);
    if (packets) {
      constexpr std::size_t kMostClasses = 2;
      for (const std::string& line :
           short_lines(out(), *packets, options.all ? SIZE_MAX : kMostClasses, kDiffToPolicies)) {
        screen.line(line);
      }
    }
    if (!plan->empty() || plan->changes_policy()) {
      for (std::string& line : lines_of(out(), *plan, extent)) screen.line(std::move(line));
    }
    screen.show(options.all, "rolewall plan --all");
  }
  return options.exit_code && (!plan->empty() || plan->changes_policy()) ? kNo : kDone;
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
      "names that they use stand for; and which packets' fate differs by it, for all packets\n"
      "(`rolewall diff` has examples). Everything else stays, with its counters. Without --all at\n"
      "most a screen is shown, and not what becomes of the kernel's chains, sets and maps.\n"
      "It asks the guard, and says first what an apply from here would be refused for; then which\n"
      "open connections the policy no longer admits, by rule: `apply --cut` ends these.");
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
