// rolewall apply: check, compile, and put in force, in one transaction. `--sandbox` does all of it
// in a namespace that is gone afterwards.

#include "apply/apply.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ask/check.h"
#include "ask/shut_out.h"
#include "cli/changed_packets.h"
#include "cli/exit_status.h"
#include "cli/guard_facts.h"
#include "cli/program.h"
#include "cli/recorded_site.h"
#include "cli/render.h"
#include "cli/render_checked.h"
#include "cli/render_cuts.h"
#include "cli/render_plan.h"
#include "cli/site_options.h"
#include "cli/state_options.h"
#include "cli/time_option.h"
#include "netlink/netlink.h"
#include "observe/session.h"
#include "policy/handling.h"
#include "print/print.h"
#include "sandbox/sandbox.h"

namespace rolewall::cli {
namespace {

struct ApplyOptions {
  SiteOptions site;
  std::string host;
  std::string state_directory{apply::kDefaultStateDirectory};
  std::string confirm;  // a time, "" where none was given
  bool no_confirm = false;
  bool yes = false;
  bool force = false;
  bool read_all = false;
  bool sandbox = false;
  bool print = false;
  bool cut = false;
};

// The kernel's reason, at the policy line of the rule that it refused.
void render(const netlink::Refusal& refusal, const ruleset::SourceMap& sources) {
  const auto source = sources.find(refusal.rule_id);
  const std::string place = source == sources.end()
                                ? "rolewall"
                                : fmt::format("{}:{}:{}", printable(source->second.file),
                                              source->second.line, source->second.column);
  std::string reason = refusal.what;
  if (refusal.os_errno != 0) {
    reason += fmt::format(": {} (errno {}: {})", refusal.explanation, refusal.os_errno,
                          std::strerror(refusal.os_errno));
  }
  if (!refusal.kernel_message.empty()) reason += fmt::format(": {}", refusal.kernel_message);
  err().line(fmt::format("{}: {}: the kernel refused {}", place, err().paint(Tone::Bad, "error"),
                         printable(reason)));
  if (!refusal.exact) {
    err().line("      = the kernel did not say which object: this is the nearest line");
  }
}

// What the guard refuses, and why.
int say_refusal(const std::vector<apply::Loss>& losses, const std::vector<apply::Loss>& notes,
                const ruleset::SourceMap& sources) {
  render_guard(losses, "lost", sources);
  render_notes(notes, sources);
  err().line(
      "rolewall: refused, nothing was changed: the new ruleset, with the other tables of this "
      "host, would not let this through (--force overrides it)");
  return kNo;
}

// `told`: what the guard says of it stands on the screen.
int put_in_force(const ruleset::Snapshot& snapshot, const std::string& state_directory,
                 const apply::ApplyOptions& options, bool told = false) {
  const auto outcome = apply::apply(snapshot, state_directory, options);
  if (!outcome) return report(outcome.error());
  if (options.guard && !told) say_remarks(*options.guard);
  if (!outcome->losses.empty()) {
    return say_refusal(outcome->losses, outcome->notes, snapshot.sources);
  }
  const std::optional<apply::Report>& applied = outcome->report;
  if (!applied) {
    for (const netlink::Refusal& refusal : outcome->refusals) render(refusal, snapshot.sources);
    err().line("rolewall: nothing was changed");
    return kSystem;
  }
  const std::string size =
      fmt::format("{}, {}, {}", counted(applied->rules, "rule"), counted(applied->sets, "set"),
                  counted(applied->elements, "element"));
  if (!told) {
    render_guard(applied->overridden, "overridden", snapshot.sources);
    render_notes(applied->notes, snapshot.sources);
  }
  if (const auto& tables = snapshot.ruleset.tables;
      !tables.empty() && apply::is_in_audit_mode(tables.front())) {
    say_audit_mode();
  }
  const bool changed = !applied->plan.empty();
  out().line(fmt::format("{}: {}generation {} is in force: {}", snapshot.host.name,
                         changed ? "" : "nothing to do: ", applied->generation, size));
  render_notes(applied->problems);
  if (applied->cut) say_cut(*applied->cut);
  if (applied->confirmed) {
    out().line(
        fmt::format("Generation {}, which was waiting, is confirmed: what is in force stays, after "
                    "a reboot too",
                    *applied->confirmed));
  }
  if (const auto& pending = applied->pending) {
    if (applied->time_begins_anew) out().line("The time to confirm starts anew.");
    say_what_waits(*pending);
  } else if (const std::string way = command_back(applied->way_back); changed && !way.empty()) {
    out().line("The way back: " + way);
    if (!applied->way_back.why_named.empty()) render_notes({applied->way_back.why_named});
  }
  return kDone;
}

// A directory that is gone with the object.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "rolewall-XXXXXX").string();
    if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// What the kernel holds now, as nft text.
int print_live_table() {
  auto connection = netlink::Connection::open();
  if (!connection) return report(connection.error());
  const auto table = connection->dump_table(ruleset::kOwnFamily, ruleset::kOwnTable);
  if (!table) return report(table.error());
  const std::optional<ruleset::Table>& found = *table;
  if (!found) return report({ErrorKind::System, "the table is not in the kernel", 0, {}});
  const auto text = print::to_nft({{*found}});
  if (!text) return report(text.error());
  out().write(*text);
  return kDone;
}

int in_sandbox(const ruleset::Snapshot& snapshot, bool print) {
  const ScratchDirectory state;
  if (state.path().empty()) {
    return report({ErrorKind::System, "cannot make a temporary directory", 0, {}});
  }
  // The child shares our streams: what is buffered here would be written twice.
  std::fflush(nullptr);
  const auto status = sandbox::run([&] {
    const auto host = sandbox::set_up_host(snapshot.host);
    int result = host ? put_in_force(snapshot, state.path(), {}) : report(host.error());
    if (result == kDone && print) result = print_live_table();
    std::fflush(nullptr);
    return result;
  });
  if (!status) return report(status.error());
  if (*status == kDone) {
    out().line("this was a sandbox, now deleted: nothing on this machine was changed");
  }
  return *status;
}

bool on_terminal() {
  return ::isatty(STDIN_FILENO) == 1 && out().interactive();
}

Result<apply::ApplyOptions> confirmation(const ApplyOptions& options) {
  apply::ApplyOptions how;
  how.for_good = options.no_confirm;
  if (!options.confirm.empty()) {
    const auto within = confirm_within(options.confirm);
    if (!within) return std::unexpected(within.error());
    how.confirm_within = *within;
  }
  return how;
}

// On a terminal that the network brings, whoever locks himself out must come back in.
void arm_by_default(const ApplyOptions& options, const apply::GuardFacts& facts,
                    apply::ApplyOptions& how) {
  if (how.confirm_within || options.no_confirm || !on_terminal()) return;
  if (observe::ssh_connection() || std::ranges::any_of(facts.relays, &observe::Relay::of_shell)) {
    how.confirm_within = std::chrono::seconds(60);
  }
}

// So that the question below them, and what comes after it, are on one screen with them.
void say_changes(const std::vector<std::string>& lines) {
  constexpr std::size_t kMost = 8;
  for (std::size_t i = 0; i < std::min(kMost, lines.size()); ++i) out().line(lines[i]);
  if (lines.size() > kMost) {
    out().line(
        fmt::format("  ({} more: rolewall plan --all)", counted(lines.size() - kMost, "change")));
  }
}

bool agreed() {
  out().write("Apply? [y/N] ");
  std::fflush(nullptr);
  char answer[64] = "";
  return std::fgets(answer, sizeof answer, stdin) != nullptr &&
         (answer[0] == 'y' || answer[0] == 'Y');
}

// Whoever is asked knows what the guard says. The exit status where that ends it.
std::optional<int> ask(const ruleset::Snapshot& snapshot, const std::string& state_directory,
                       const apply::ApplyOptions& how) {
  say_remarks(*how.guard);
  const auto answer = apply::ask_guard_first(snapshot, state_directory, how);
  if (!answer) return report(answer.error());
  if (!answer->losses.empty() && !how.force) {
    return say_refusal(answer->losses, answer->notes, snapshot.sources);
  }
  render_guard(answer->losses, "overridden", snapshot.sources);
  render_notes(answer->notes, snapshot.sources);
  if (agreed()) return std::nullopt;
  err().line("rolewall: nothing was changed");
  return kNo;
}

// Over the network without a terminal nobody could answer a question of ours, nor can it be known
// that somebody will confirm.
void say_that_nothing_is_armed(const ApplyOptions& options, const apply::ApplyOptions& how) {
  const bool chosen = options.no_confirm || how.confirm_within.has_value();
  if (chosen || on_terminal() || !observe::ssh_connection()) return;
  err().line(
      "rolewall: note: no rollback is armed, for there is no terminal: --confirm TIME arms one");
}

// By its number: once the apply is done, another one is current.
std::string diff_command(const std::string& state_directory) {
  const auto last = apply::last_known_applied(state_directory);
  return last && *last ? fmt::format("rolewall diff generation:{}", (*last)->generation)
                       : std::string(kDiffToPolicies);
}

void say_changed_packets(const apply::Plan& plan, const ApplyOptions& options,
                         const ruleset::Snapshot& snapshot, const policy::Policy& policy) {
  constexpr std::size_t kMostClasses = 3;
  if (!plan.drift.empty()) {
    out().line(kDriftedPackets);
    return;
  }
  const auto packets = changed_packets(options.state_directory, snapshot, &policy);
  if (!packets) return;
  for (const std::string& line :
       short_lines(out(), *packets, kMostClasses, diff_command(options.state_directory))) {
    out().line(line);
  }
}

int run(const ApplyOptions& options) {
  const Looks looks = options.sandbox ? Looks::Around : Looks::OnServer;
  SiteOptions reading_it = options.site;
  reading_it.remembers = true;
  if (!options.sandbox) reading_it.refreshed = refreshed_names(options.state_directory);
  const auto wanted = compiled_host(reading_it, looks, options.host);
  if (!wanted) return report(wanted.error());
  const LoadedSite& site = wanted->site;
  const ruleset::Snapshot& snapshot = wanted->snapshot;

  auto checked = ask::check(site.policy, site.date, site.diagnostics, ask::Extent::TestsAlone);
  if (!checked) return report(checked.error());
  if (!checked->passed()) {
    render(err(), site.policy, *checked);
    err().line(fmt::format("rolewall: {}: {}",
                           options.force ? "overridden" : "refused, nothing was changed",
                           summary_of_failures(*checked)));
    if (!options.force) return kNo;
  }
  ask::find_limit_on_management(site.policy, site.date, wanted->host, checked->findings);
  policy::handle(site.policy, {}, checked->findings);  // what the site allows was decided in review
  render(err(), site.policy.sources, checked->findings, Severity::Warning);
  out().line(fmt::format("checked: {}", summary_with_laws(checked->tests)));
  if (options.sandbox) return in_sandbox(snapshot, options.print);

  auto how = confirmation(options);
  if (!how) return report(how.error());
  const auto directory = site_directory(options.site, looks);
  if (!directory) return report(directory.error());
  how->policies = std::filesystem::absolute(*directory).lexically_normal().string();
  say_that_nothing_is_armed(options, *how);
  carry_out_overdue(options.state_directory);  // before the plan, which it changes
  auto facts = guard_facts(site.policy);
  if (!facts) return report(facts.error());
  arm_by_default(options, *facts, *how);
  warn_of_machine(snapshot, facts->machine);
  facts->may_be_undone = how->confirm_within.has_value();
  how->guard = std::move(*facts);
  how->sources = sources_of(site);
  how->force = options.force;
  how->cut = options.cut;
  how->reading = reading(options.read_all);
  const auto plan = apply::plan(snapshot, options.state_directory, how->reading);
  if (!plan) return report(plan.error());
  how->seen = plan->seen;
  say_untracked(*plan, *how->guard);
  if (!plan->empty() || plan->changes_policy()) {
    if (!plan->first) say_changes(lines_of(out(), *plan, Extent::Policy));
    out().line(fmt::format("plan: {}", summary(*plan)));
    if (!plan->first) {
      say_changed_packets(*plan, options, snapshot, site.policy);
    }
  }
  say_cuts(snapshot, *how->guard, options.state_directory, {.cuts = options.cut});
  // Whoever is not at a terminal has agreed.
  const bool asks = !plan->empty() && !options.yes && on_terminal();
  if (asks) {
    if (const auto status = ask(snapshot, options.state_directory, *how)) return *status;
  }
  const int status =
      put_in_force(with_whole_paths(snapshot), options.state_directory, *how, /*told=*/asks);
  if (status == kDone && options.print) return print_live_table();
  return status;
}

}  // namespace

void add_apply(Program& program) {
  Verb verb = program.add_verb(
      kServerVerbs, "apply", "check the policies and load them, in one transaction",
      "  rolewall apply --sandbox policies --host web-01      changes nothing on this machine\n"
      "  rolewall apply --sandbox policies --host web-01 --print\n"
      "  sudo rolewall apply                                  /etc/rolewall, this host\n"
      "  sudo rolewall apply --confirm 2m                     rolled back unless confirmed\n"
      "  sudo rolewall apply --cut                            ends what it no longer admits\n"
      "\n"
      "On a terminal it asks first, once the guard has answered. On a terminal over ssh it is "
      "rolled back after 60 seconds\n"
      "unless you run `rolewall confirm` from a new connection (--no-confirm turns this off);\n"
      "without a terminal, as in `ssh HOST rolewall apply`, only --confirm TIME arms a rollback.\n"
      "Before it changes anything, it checks that the new ruleset still admits your session, ssh\n"
      "from the management networks, and what these depend on: loopback traffic, IPv6 neighbours\n"
      "and routers, leases, the tunnel or relay that carries them. It refuses if one would be\n"
      "lost (--force overrides); what another program's rules deny today as well is a note.");
  auto options = std::make_shared<ApplyOptions>();
  add_site_options(verb, options->site, Looks::OnServer);
  add_host_option(verb, options->host);
  add_state_option(verb, options->state_directory);
  const Option confirm =
      verb.add_option("--confirm", options->confirm,
                      "roll back after this time (60s, 5m) unless confirmed by `rolewall confirm`")
          .type_name("TIME");
  verb.add_flag("--no-confirm", options->no_confirm,
                "do not roll back by itself, even over ssh; confirms an earlier apply that waits")
      .excludes(confirm);
  verb.add_flag("--force", options->force,
                "apply even if tests fail or somebody would be locked out");
  add_read_all_option(verb, options->read_all);
  const Option cut = verb.add_flag("--cut", options->cut,
                                   "end the open connections that the new policy does not admit");
  verb.add_flag("-y,--yes", options->yes, "do not ask");
  verb.add_flag("--sandbox", options->sandbox,
                "load it in a temporary namespace instead; needs no root")
      .excludes(cut);
  verb.add_flag("--print", options->print, "afterwards print the kernel's table as nft text");
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
