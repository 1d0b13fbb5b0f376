// rolewall plan: what an apply would change, rule by rule.

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "apply/apply.h"
#include "apply/ask_guard.h"
#include "apply/waiting.h"
#include "ask/check.h"
#include "ask/shut_out.h"
#include "cli/changed_packets.h"
#include "cli/exit_status.h"
#include "cli/guard_facts.h"
#include "cli/json.h"
#include "cli/program.h"
#include "cli/recorded_site.h"
#include "cli/render.h"
#include "cli/render_checked.h"
#include "cli/render_cuts.h"
#include "cli/render_diff.h"
#include "cli/render_json.h"
#include "cli/render_plan.h"
#include "cli/screen.h"
#include "cli/site_options.h"
#include "cli/state_options.h"
#include "observe/this_host.h"
#include "policy/effective.h"
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

// The tests and laws that fail, each at its line; the screen has how many.
void add_checked(const ask::Checked& checked, Screen& screen) {
  if (checked.passed()) return;
  screen.urgent("refused", "by `apply`, since the policies fail their own tests:");
  screen.line("", summary_of_failures(checked));
}

std::string_view fate_of(policy::Action action) {
  switch (action) {
    case policy::Action::Accept:
      return "accepted";
    case policy::Action::Drop:
      return "dropped";
    case policy::Action::Reject:
      return "rejected";
  }
  return "";
}

// Of a host that had no table of ours until now: what becomes of all that its rules do not name.
void add_defaults(const policy::Defaults& defaults, Screen& screen) {
  if (defaults.mode == policy::Mode::Audit) return;  // which is said
  screen.urgent("from then",
                fmt::format("what no rule decides: inbound {}, outbound {}, forwarded {}",
                            fate_of(defaults.inbound), fate_of(defaults.outbound),
                            fate_of(defaults.forward)));
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
        (i == 0 ? "by `apply`, since this would be lost: " : "") + printable(losses[i].what));
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

// All that is told of one plan.
struct Planned {
  const LoadedSite& site;
  const ruleset::Snapshot& snapshot;
  policy::Defaults defaults;  // of the host
  ask::Checked checked;
  apply::Plan plan;
  Result<apply::GuardAnswer> guard;  // empty where nothing changes: then it is not asked
  std::optional<std::vector<std::string>> remarks;  // likewise: of what it was asked with
  Result<apply::NotAdmitted> cuts;
  BothSources sources;
  std::optional<ask::Diff> packets;

  bool changes() const { return !plan.empty() || plan.changes_policy(); }
  bool is_refused() const { return !checked.passed() || (guard && !guard->losses.empty()); }
};

void print_json(const Planned& planned) {
  const policy::Policy& policy = planned.site.policy;
  Json json{{"version", kJsonVersion},
            {"verb", "plan"},
            {"host", planned.snapshot.host.name},
            {"refused", planned.is_refused()}};
  add_members(json, planned.plan);
  json["defaults"] = Json{{"inbound", policy::name_of(planned.defaults.inbound)},
                          {"outbound", policy::name_of(planned.defaults.outbound)},
                          {"forward", policy::name_of(planned.defaults.forward)}};
  json["findings"] = to_json(planned.checked.findings, policy.sources);
  json["tests"] = to_json(policy, planned.checked.tests);
  json["laws"] = laws_to_json(policy, planned.checked.tests);
  if (planned.guard) {
    json["lost"] = lost_json(planned.guard->losses);
    json["notes"] = lost_json(planned.guard->notes);
  }
  if (planned.remarks) {
    json["remarks"] = Json::array();
    for (const std::string& remark : *planned.remarks) {
      json["remarks"].push_back(printable(remark));
    }
  }
  if (planned.cuts) json["connections"] = to_json(*planned.cuts, planned.sources);
  if (planned.packets) {
    Json changed;
    add_members(changed, *planned.packets);
    json["packets"] = std::move(changed);
  }
  print(json);
}

void print_text(const Planned& planned, const PlanOptions& options) {
  Screen screen(out());
  add_checked(planned.checked, screen);
  const auto& tables = planned.snapshot.ruleset.tables;
  if (!tables.empty() && apply::is_in_audit_mode(tables.front())) {
    screen.urgent("audit mode", kAudits);
  }
  add_pending(options.state_directory, screen);
  screen.line(fmt::format("{}: {}", planned.snapshot.host.name, summary(planned.plan)));
  if (planned.plan.first) add_defaults(planned.defaults, screen);
  add_guard(planned.guard, screen);
  add_cuts(planned.cuts, planned.sources, options.all, screen);
  if (!planned.plan.drift.empty()) screen.line(kDriftedPackets);
  if (planned.packets) {
    constexpr std::size_t kMostClasses = 2;
    for (const std::string& line : short_lines(
             out(), *planned.packets, options.all ? SIZE_MAX : kMostClasses, kDiffToPolicies)) {
      screen.line(line);
    }
  }
  if (planned.changes()) {
    const Extent extent = options.all ? Extent::Everything : Extent::Policy;
    for (std::string& line : lines_of(out(), planned.plan, extent)) screen.line(std::move(line));
  }
  screen.show(options.all, "rolewall plan --all");
}

int run(const PlanOptions& options) {
  SiteOptions site = options.site;
  site.refreshed = refreshed_names(options.state_directory);
  const auto wanted = compiled_host(site, Looks::OnServer, options.host);
  if (!wanted) return report(wanted.error());
  const LoadedSite& policies = wanted->site;
  const ruleset::Snapshot& snapshot = wanted->snapshot;
  auto checked =
      ask::check(policies.policy, policies.date, policies.diagnostics, ask::Extent::TestsAlone);
  if (!checked) return report(checked.error());
  auto plan = apply::plan(snapshot, options.state_directory, reading(options.read_all));
  if (!plan) return report(plan.error());
  if (!checked->passed()) render(err(), policies.policy, *checked);
  if (const auto machine = observe::this_host()) warn_of_machine(snapshot, *machine);
  say_limit(policies, wanted->host);
  const Result<apply::GuardFacts> facts = guard_facts(policies.policy);
  Result<apply::GuardAnswer> guard;
  std::optional<std::vector<std::string>> remarks;
  if (!plan->empty()) {
    guard = ask_guard(facts, snapshot, options.state_directory);
    if (facts) {
      say_remarks(*facts);
      say_untracked(*plan, *facts);
      remarks = facts->remarks;
    }
  }
  const ruleset::SourceMap applied = sources_in_force(options.state_directory);
  Planned planned{
      .site = policies,
      .snapshot = snapshot,
      .defaults = policy::effective_policy(policies.policy, wanted->host, policies.date).defaults,
      .checked = std::move(*checked),
      .plan = std::move(*plan),
      .guard = std::move(guard),
      .remarks = std::move(remarks),
      .cuts = ask_about_the_open(facts, snapshot),
      .sources = {snapshot.sources, applied},
      .packets = {}};
  if (!planned.plan.first && planned.changes() && planned.plan.drift.empty()) {
    planned.packets = changed_packets(options.state_directory, snapshot, &policies.policy);
  }
  options.format == "json" ? print_json(planned) : print_text(planned, options);
  return options.exit_code && planned.changes() ? kNo : kDone;
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
      "It runs the policies' tests and asks the guard, and says first what an apply from here "
      "would\n"
      "be refused for; before a first apply also what becomes of all that no rule decides; then "
      "which\n"
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
