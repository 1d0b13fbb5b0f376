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
  const auto removed = apply::disable(options.state_directory);
  if (!removed) return report(removed.error());
  out().line(*removed ? "disabled: table inet rolewall was removed; rolewall filters nothing "
                        "until the next apply"
                      : "nothing to disable: there is no table inet rolewall");
  return kDone;
}

}  // namespace

void add_disable(Program& program) {
  Verb verb = program.add_verb(kServerVerbs, "disable", "remove the table, until the next apply",
                               "  sudo rolewall disable");
  auto options = std::make_shared<DisableOptions>();
  add_state_option(verb, options->state_directory);
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
