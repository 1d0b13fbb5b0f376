// rolewall boot: what was confirmed last comes into force, before the network is up.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <utility>

#include "apply/applied.h"
#include "apply/apply.h"
#include "apply/bans.h"
#include "apply/recorded_facts.h"
#include "apply/state_directory.h"
#include "cli/exit_status.h"
#include "cli/guard_facts.h"
#include "cli/program.h"
#include "cli/recorded_site.h"
#include "cli/render.h"
#include "cli/site_options.h"
#include "cli/state_options.h"
#include "compile/last_resort.h"

namespace rolewall::cli {
namespace {

struct BootOptions {
  SiteOptions site;
  std::string host;
  std::string state_directory{apply::kDefaultStateDirectory};
  std::string kernel_parameters = "/proc/cmdline";
  bool force = false;
  bool as_unit = false;
};

bool switched_off(const std::string& path) {
  std::ifstream file(path);
  std::istream_iterator<std::string> words(file);
  return std::find(words, {}, "rolewall=off") != std::istream_iterator<std::string>();
}

// Where none are named, those that were applied last; of those that were, the host.
void take_recorded_policies(BootOptions& options) {
  const auto known = apply::last_known_applied(options.state_directory);
  std::error_code error;
  if (!known || !*known || !std::filesystem::exists((*known)->policies + "/site.toml", error)) {
    return;
  }
  const std::string& given = options.site.directory;
  if (!given.empty() && !std::filesystem::equivalent(given, (*known)->policies, error)) return;
  options.site.directory = (*known)->policies;
  if (options.host.empty()) options.host = (*known)->host;
}

// The policies as they are now; an error where they do not compile.
Result<ruleset::Snapshot> compile_now(const BootOptions& options) {
  SiteOptions reading = options.site;
  reading.refreshed = refreshed_names(options.state_directory);
  auto site = load_site(reading, Looks::OnServer);
  if (!site) return std::unexpected(site.error());
  if (site->diagnostics.has_errors()) {
    const auto& all = site->diagnostics.all();
    const auto first = std::ranges::find(all, Severity::Error, &Diagnostic::severity);
    return fail(ErrorKind::Usage,
                fmt::format("they have errors (see `rolewall check`), the first: {}: {}",
                            site->policy.sources.format(first->span), first->message));
  }
  auto wanted = compile_host(std::move(*site), options.host);
  if (!wanted) return std::unexpected(wanted.error());
  return std::move(wanted->snapshot);
}

// What is in force is not what the policies say: no harm, and worth a word.
void compare_with_policies(const BootOptions& options) {
  const auto now = compile_now(options);
  if (!now) {
    err().line(
        "rolewall: the policies cannot be compiled now; the ruleset applied last is in force: " +
        printable(now.error().message));
    return;
  }
  const auto plan = apply::plan(*now, options.state_directory);
  if (plan && !plan->empty()) {
    err().line("rolewall: the policies have changed since they were applied (see `rolewall plan`)");
  }
}

// `why`: what could not be loaded.
int put(const Result<ruleset::Snapshot>& snapshot, const char* what, const BootOptions& options,
        const std::string& why) {
  if (!snapshot) return report(snapshot.error());
  const auto done = apply::fall_back(*snapshot, options.state_directory, why, what);
  if (!done) return report(done.error());
  render_notes(done->problems);
  if (done->audits) say_audit_mode();
  out().line(fmt::format("{} is in force: {}", what, counted(done->rules, "rule")));
  // An apply would be refused, too.
  if (const auto record = apply::may_record(options.state_directory); !record) {
    err().line("rolewall: " + printable(record.error().message));
    return kDone;
  }
  out().line(fmt::format("To put it right: sudo {} (`rolewall status` says what was lost)",
                         applying_again(options.site.directory, options.host)));
  return kDone;
}

void say_what_is_in_force(const apply::Booted& booted) {
  const std::string back = command_back(booted.way_back);
  if (booted.generation) {
    out().line(fmt::format("generation {} is in force", *booted.generation));
  } else if (!back.empty()) {
    out().line("rolewall is disabled: nothing was loaded");
    out().line("To load the policy again: " + back);
  } else {
    out().line("nothing is applied: nothing was loaded");
  }
}

int run(const BootOptions& given) {
  // It keeps the boot from loading anything. Whoever asks by hand, as `status` advises, has his
  // way.
  const bool is_off = switched_off(given.kernel_parameters);
  BootOptions options = given;
  take_recorded_policies(options);
  if (is_off && options.as_unit) {
    out().line(
        "rolewall=off is on the kernel command line: nothing was loaded (`rolewall boot` by hand "
        "loads it)");
    return kDone;
  }
  if (const auto may = may_change_firewall(); !may) return report(may.error());
  // The unit goes on whatever is lost, and says it. Where the record cannot be read, which says who
  // manages this host, nobody is asked: what boot falls back to is better than nothing.
  std::optional<apply::GuardCall> guard;
  auto facts = apply::recorded_facts(options.state_directory);
  if (facts) {
    guard = apply::GuardCall{.facts = std::move(*facts), .force = options.force || options.as_unit};
  }
  const auto booted =
      apply::boot(options.state_directory, apply::this_world(), guard ? &*guard : nullptr);
  if (guard) {
    render_guard_call(*guard, options.as_unit ? "lost" : "overridden");
    if (is_refused(*guard)) return kNo;
  }
  if (booted) {
    render_notes(booted->problems);
    if (!booted->unconfirmed.empty()) {
      err().line(
          fmt::format("rolewall: {} was not confirmed and was discarded", booted->unconfirmed));
    }
    if (booted->audits) say_audit_mode();
    say_what_is_in_force(*booted);
    if (is_off && booted->generation) {
      out().line(
          "rolewall=off is on the kernel command line: the next boot loads nothing by itself");
    }
    if (booted->pending) say_what_waits(*booted->pending);
    if (booted->generation) compare_with_policies(options);
    return kDone;
  }
  // Better the policies as they are now than none, and better few rules than none.
  const std::string why = booted.error().message;
  err().line("rolewall: the ruleset applied last cannot be loaded: " + printable(why));
  const auto now = compile_now(options);
  if (now && put(now, "the current policy", options, why) == kDone) return kDone;
  std::string both = why;
  if (!now) {
    err().line("rolewall: the policies: " + printable(now.error().message));
    both += "; nor could the policies: " + now.error().message;
  }
  const auto known = apply::last_known_applied(options.state_directory);
  const bool is_known = known && *known;
  return put(compile::last_resort(is_known ? (*known)->management : std::vector<net::Prefix>()),
             "the built-in minimal ruleset (ssh, ICMP, established connections)", options, both);
}

}  // namespace

void add_boot(Program& program) {
  Verb verb = program.add_verb(
      kServerVerbs, "boot", "load the ruleset confirmed last (run at boot)",
      "  sudo rolewall boot\n"
      "\n"
      "An apply that has waited for its confirmation since this boot is loaded again. If the "
      "record\n"
      "cannot be read, the current policies (where none are named, those that were applied last) "
      "are\n"
      "compiled and loaded; if that fails too, a built-in\n"
      "ruleset that admits ICMP and ssh from the management networks. Bans and openings are\n"
      "restored in each case. With rolewall=off on the kernel command line the unit loads "
      "nothing.\n"
      "By hand it is refused if your session or management would be lost (--force overrides); the\n"
      "unit is never refused, and reports what is lost.");
  auto options = std::make_shared<BootOptions>();
  add_site_options(verb, options->site, Looks::OnServer);
  add_host_option(verb, options->host);
  add_state_option(verb, options->state_directory);
  verb.add_flag("--force", options->force, "load even if somebody would be locked out");
  verb.add_flag("--as-unit", options->as_unit,
                "as the unit does: nothing refuses it, what is lost is reported");
  verb.add_option("--kernel-parameters", options->kernel_parameters,
                  "file with the kernel command line")
      .type_name("FILE")
      .show_default();
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
