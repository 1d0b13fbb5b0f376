// rolewall disable: take our table out of the kernel, and keep it out at the next boot.

#include "apply/apply.h"
#include "cli/exit_status.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/state_options.h"

namespace rolewall::cli {
namespace {

struct DisableOptions {
  std::string state_directory{apply::kDefaultStateDirectory};
};

int run(const DisableOptions& options) {
  const auto done = apply::disable(options.state_directory);
  if (!done) return report(done.error());
  render_notes(done->problems);
  out().line(done->was_there
                 ? "disabled: table inet rolewall is gone; nothing is filtered by rolewall until "
                   "the next apply (`rolewall rollback` brings it back)"
                 : "nothing to disable: table inet rolewall is not there");
  return kDone;
}

}  // namespace

void add_disable(Program& program) {
  Verb verb = program.add_verb(kServerVerbs, "disable", "remove the table, until the next apply",
                               "  sudo rolewall disable\n"
                               "  sudo rolewall rollback           brings it back");
  auto options = std::make_shared<DisableOptions>();
  add_state_option(verb, options->state_directory);
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
