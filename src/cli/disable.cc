// rolewall disable: take our table out of the kernel, and keep it out at the next boot.

#include <utility>

#include "apply/apply.h"
#include "apply/recorded_facts.h"
#include "cli/exit_status.h"
#include "cli/guard_facts.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/state_options.h"

namespace rolewall::cli {
namespace {

struct DisableOptions {
  std::string state_directory{apply::kDefaultStateDirectory};
  std::string confirm;  // a time, "" where none was given
  bool force = false;
};

int run(const DisableOptions& options) {
  const auto within = confirm_within(options.confirm);
  if (!within) return report(within.error());
  auto facts = apply::recorded_facts(options.state_directory);
  if (!facts) return report(facts.error());
  facts->may_be_undone = within->has_value();
  apply::GuardCall guard{.facts = std::move(*facts), .force = options.force};
  const auto done = apply::disable(options.state_directory, apply::this_world(), &guard, *within);
  render_guard_call(guard);
  if (is_refused(guard)) return kNo;
  if (!done) return report(done.error());
  render_notes(done->problems);
  if (done->unrecorded) {
    out().line("disabled: table inet rolewall was removed; rolewall filters nothing");
    return report(*done->unrecorded);
  }
  if (done->pending) {
    out().line("disabled: table inet rolewall was removed; rolewall filters nothing");
    say_what_waits(*done->pending);
    return kDone;
  }
  out().line(done->was_there
                 ? "disabled: table inet rolewall was removed; rolewall filters nothing until the "
                   "next apply (`rolewall rollback` loads it again)"
                 : "nothing to disable: there is no table inet rolewall");
  return kDone;
}

}  // namespace

void add_disable(Program& program) {
  Verb verb = program.add_verb(kServerVerbs, "disable", "remove the table, until the next apply",
                               "  sudo rolewall disable\n"
                               "  sudo rolewall rollback               loads it again\n"
                               "  sudo rolewall disable --confirm 5m   loads it again by itself\n"
                               "\n"
                               "With --confirm TIME, what was confirmed last is loaded again after "
                               "that time, or by a\n"
                               "boot before; with `rolewall confirm` the table stays away. It is "
                               "refused if your\n"
                               "session or management would be lost by that, for example because\n"
                               "rolewall's table translates their packets (--force overrides).");
  auto options = std::make_shared<DisableOptions>();
  add_state_option(verb, options->state_directory);
  add_confirm_option(verb, options->confirm);
  verb.add_flag("--force", options->force, "though somebody would be shut out");
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
