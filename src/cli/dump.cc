// rolewall dump: the live ruleset and what a packet's fate on this machine depends on, as a file
// that `eval --ruleset` reads anywhere.

#include <utility>

#include "apply/apply.h"
#include "cli/live.h"
#include "cli/output.h"
#include "cli/program.h"
#include "cli/render.h"
#include "print/print.h"

namespace rolewall::cli {
namespace {

struct DumpOptions {
  std::string state_directory{apply::kDefaultStateDirectory};
  std::string format = "json";
  std::string output;
};

int run(const DumpOptions& options) {
  auto snapshot = live_snapshot(options.state_directory);
  if (!snapshot) return report(snapshot.error());
  return write_output(options.output, print::to_json(*snapshot));
}

}  // namespace

void add_dump(Program& program) {
  Verb verb =
      program.add_verb(kServerVerbs, "dump", "save the live ruleset and this machine's settings",
                       "  sudo rolewall dump -o gw-01.json\n"
                       "  rolewall eval --ruleset gw-01.json 'tcp 192.0.2.7 > 10.0.2.10:443'\n"
                       "  ssh gw-01 sudo rolewall dump > gw-01.json");
  auto options = std::make_shared<DumpOptions>();
  add_format_option(verb, options->format, {"json"});
  verb.add_option("-o,--output", options->output, "write to this file, all or nothing")
      .type_name("FILE");
  verb.add_option("--state-dir", options->state_directory,
                  "where the policy lines of the rules are recorded")
      .type_name("DIR")
      .show_default();
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
