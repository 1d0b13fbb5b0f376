// rolewall compile: one host's ruleset, for people, for nft, for programs; or the proof that it is
// what the policy says.

#include "compile/compile.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "ask/validation.h"
#include "base/suggest.h"
#include "cli/exit_status.h"
#include "cli/output.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/render_validation.h"
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
  bool prove = false;
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

// Of the host that is named, else of each.
int prove(const CompileOptions& options, const LoadedSite& site) {
  std::vector<policy::Index> hosts;
  if (options.host.empty()) {
    for (policy::Index host = 0; host < site.policy.hosts.size(); ++host) hosts.push_back(host);
  } else {
    const auto host = choose_host(site.policy, options.host);
    if (!host) return report(host.error());
    hosts.push_back(*host);
  }
  std::vector<ask::Validation> proofs;
  for (const policy::Index host : hosts) {
    const ruleset::Snapshot snapshot = compile::compile(site.policy, host, {site.date, true});
    proofs.push_back(ask::validate(site.policy, host, site.date, snapshot));
  }
  if (options.format == "json") {
    print(to_json(proofs));
  } else {
    render(out(), proofs);
  }
  const bool proven = std::ranges::all_of(proofs, [](const ask::Validation& one) {
    return one.outcome == ask::Validation::Outcome::Proven;
  });
  return proven ? kDone : kNo;
}

int run(const CompileOptions& options) {
  if (options.prove && options.format == "bytecode") {
    return report_usage("--prove prints a proof, as text or with --format json");
  }
  const auto last = last_pass(options.stop_after);
  if (!last) return report(last.error());
  const auto site = load_valid_site(options.site, Looks::Around);
  if (!site) return report(site.error());
  if (options.prove) return prove(options, *site);
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
      "  rolewall compile policies --host web-01 --format json -o web-01.json\n"
      "  rolewall compile policies --prove       the compiler's work, checked for all packets");
  auto options = std::make_shared<CompileOptions>();
  add_site_options(verb, options->site, Looks::Around);
  verb.add_option(
          "--host", options->host,
          "host to compile for (default: the one named like this machine, or the site's only one)")
      .type_name("HOST");
  add_format_option(verb, options->format, {"nft", "json", "bytecode"});
  const Option output =
      verb.add_option("-o,--output", options->output, "write to this file, all or nothing")
          .type_name("FILE");
  const Option stop_after =
      verb.add_option("--stop-after", options->stop_after,
                      fmt::format("print the compiler's result after this pass: {}",
                                  fmt::join(pass_names(), ", ")))
          .type_name("PASS");
  verb.add_flag("--prove", options->prove,
                "print no ruleset, but prove for all packets that it is what the policy says; "
                "without --host of every host")
      .excludes(output)
      .excludes(stop_after);
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
