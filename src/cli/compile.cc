// rolewall compile: one host's ruleset, for people, for nft, for programs.

#include "compile/compile.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/suggest.h"
#include "cli/output.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/site_options.h"
#include "print/print.h"

namespace rolewall::cli {
namespace {

struct CompileOptions {
  SiteOptions site;
  std::string host;
  std::string format = "nft";
  std::string output;
  std::string stop_after;
};

Result<std::string> in_format(const ruleset::Snapshot& snapshot, const std::string& format) {
  if (format == "json") return print::to_json(snapshot);
  if (format == "bytecode") return print::to_bytecode(snapshot.ruleset);
  return print::to_nft(snapshot.ruleset);
}

std::vector<std::string> pass_names() {
  std::vector<std::string> names;
  for (const compile::Pass& pass : compile::passes()) names.emplace_back(pass.name);
  return names;
}

// What `--stop-after` names; the last where it names none.
Result<const compile::Pass*> last_pass(const std::string& name) {
  const auto passes = compile::passes();
  if (name.empty()) return &passes.back();
  const auto at = std::ranges::find(passes, name, &compile::Pass::name);
  if (at != passes.end()) return &*at;
  const std::string hint = did_you_mean(name, pass_names());
  return fail(
      ErrorKind::Usage,
      fmt::format("there is no pass `{}`; {}", name,
                  hint.empty() ? fmt::format("they are {}", fmt::join(pass_names(), ", ")) : hint));
}

Result<std::string> in_format(const compile::AfterPass& result, const std::string& format) {
  if (const auto* snapshot = std::get_if<ruleset::Snapshot>(&result)) {
    return in_format(*snapshot, format);
  }
  if (format == "nft") return std::get<std::string>(result);
  return fail(ErrorKind::Usage,
              "the pass `lower` does not make a ruleset yet: it is only printed as text");
}

int run(const CompileOptions& options) {
  const auto last = last_pass(options.stop_after);
  if (!last) return report(last.error());
  const auto site = load_valid_site(options.site, Looks::Around);
  if (!site) return report(site.error());
  const auto host = choose_host(site->policy, options.host);
  if (!host) return report(host.error());

  const auto text = in_format(
      compile::compile_until(site->policy, *host, {site->date, true}, **last), options.format);
  if (!text) return report(text.error());
  return write_output(options.output, *text);
}

}  // namespace

void add_compile(Program& program) {
  Verb verb = program.add_verb(
      kPolicyVerbs, "compile", "print one host's ruleset as nft text, JSON or bytecode",
      "  rolewall compile policies --host web-01\n"
      "  rolewall compile policies --host web-01 | nft -c -f -\n"
      "  rolewall compile policies --host web-01 --format json -o web-01.json");
  auto options = std::make_shared<CompileOptions>();
  add_site_options(verb, options->site, Looks::Around);
  verb.add_option(
          "--host", options->host,
          "host to compile for (default: the one named like this machine, or the site's only one)")
      .type_name("HOST");
  add_format_option(verb, options->format, {"nft", "json", "bytecode"});
  verb.add_option("-o,--output", options->output, "write to this file, all or nothing")
      .type_name("FILE");
  verb.add_option("--stop-after", options->stop_after,
                  fmt::format("print the compiler's result after this pass: {}",
                              fmt::join(pass_names(), ", ")))
      .type_name("PASS");
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
