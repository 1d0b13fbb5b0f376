// rolewall compile: one host's ruleset, for people, for nft, for programs.

#include "cli/output.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/site_options.h"
#include "print/print.h"

namespace rolewall::cli {
namespace {

struct Options {
  SiteOptions site;
  std::string host;
  std::string format = "nft";
  std::string output;
};

Result<std::string> in_format(const ruleset::Snapshot& snapshot, const std::string& format) {
  if (format == "json") return print::to_json(snapshot);
  if (format == "bytecode") return print::to_bytecode(snapshot.ruleset);
  return print::to_nft(snapshot.ruleset);
}

int run(const Options& options) {
  const auto wanted = compiled_host(options.site, Looks::Around, options.host);
  if (!wanted) return report(wanted.error());
  const auto text = in_format(wanted->snapshot, options.format);
  if (!text) return report(text.error());
  return write_output(options.output, *text);
}

}  // namespace

void add_compile(Program& program) {
  Verb verb =
      program.add_verb(kPolicyVerbs, "compile", "one host's ruleset, as nft text, JSON or bytecode",
                       "  rolewall compile policies --host web-01\n"
                       "  rolewall compile policies --host web-01 | nft -c -f -\n"
                       "  rolewall compile policies --host web-01 --format json -o web-01.json");
  auto options = std::make_shared<Options>();
  add_site_options(verb, options->site);
  verb.add_option("--host", options->host, "for this host (default: the one of this name)")
      .type_name("HOST");
  add_format_option(verb, options->format, {"nft", "json", "bytecode"});
  verb.add_option("-o,--output", options->output, "write there instead, whole or not at all")
      .type_name("FILE");
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
