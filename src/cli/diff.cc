// rolewall diff: the packets whose fate differs by two states of a site, or two rulesets.

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "apply/apply.h"
#include "cli/diff_sides.h"
#include "cli/exit_status.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/render_diff.h"
#include "policy/git_files.h"

namespace rolewall::cli {
namespace {

struct DiffOptions {
  DiffQuestion question;
  std::string before;
  std::string after;
  bool live = false;
  std::vector<std::string> fail_on;
  std::string format = "text";
};

int status_of(const ask::Diff& diff, const DiffOptions& options) {
  if (!diff.is_proof()) return kNo;
  if (options.fail_on.empty()) {
    const bool same = diff.classes.empty() && diff.new_hosts.empty() && diff.gone_hosts.empty();
    return same ? kDone : kNo;
  }
  const auto asks = [&](ask::DiffKind kind) {
    return std::ranges::find(options.fail_on, ask::name_of(kind)) != options.fail_on.end();
  };
  const bool fails =
      std::ranges::any_of(diff.classes, [&](const ask::DiffClass& one) { return asks(one.kind); });
  // A host that one side alone has was, or is, no host that denies.
  const bool opens = !diff.new_hosts.empty() && asks(ask::DiffKind::NewlyAccepted);
  const bool closes = !diff.gone_hosts.empty() && asks(ask::DiffKind::NewlyDenied);
  return fails || opens || closes ? kNo : kDone;
}

// A work tree that is not as committed is compared as it is.
void note_dirty(const DiffSide& side) {
  const std::string& directory = side.site->policy.directory;
  const auto clean = policy::is_as_committed(directory);
  if (clean && *clean) return;
  render_notes({clean ? fmt::format("{}: the work tree has changes that are not committed; they "
                                    "are compared, too",
                                    directory)
                      : clean.error().message});
}

int run(const DiffOptions& options) {
  if (options.live && !options.after.empty()) {
    return report_usage("--live is one of the two sides: name the other one alone");
  }
  const std::string first = options.live ? std::string(kLiveSide) : options.before;
  const std::string second = options.live ? options.before : options.after;
  if (first.empty()) {
    return report_usage(
        "name what is compared: A B, or A alone, which is compared with the policies here");
  }
  const auto before = read_side(first, options.question);
  if (!before) return report(before.error());
  const auto after = read_side(second, options.question);
  if (!after) return report(after.error());
  if (!before->revision.empty() && after->site && after->revision.empty()) note_dirty(*after);
  const auto diff = compare(*before, *after, options.question);
  if (!diff) return report(diff.error());
  std::vector<std::string> remarks = before->remarks;
  for (const std::string& remark : after->remarks) {
    if (std::ranges::find(remarks, remark) == remarks.end()) remarks.push_back(remark);
  }
  if (options.format == "json") {
    Json json{{"version", kJsonVersion},
              {"verb", "diff"},
              {"before", before->name},
              {"after", after->name}};
    add_members(json, *diff);
    if (!remarks.empty()) json["remarks"] = remarks;
    print(json);
  } else if (options.format == "markdown") {
    out().write(markdown(*diff, before->name, after->name, remarks));
  } else {
    for (const std::string& line :
         lines_of(out(), *diff, std::numeric_limits<std::size_t>::max())) {
      out().line(line);
    }
    for (const std::string& remark : remarks) out().line("note: " + printable(remark));
    out().line(summary(*diff));
  }
  return status_of(*diff, options);
}

std::vector<std::string> kinds() {
  std::vector<std::string> names;
  for (const ask::DiffKind kind : ask::diff_kinds()) names.emplace_back(ask::name_of(kind));
  return names;
}

}  // namespace

void add_diff(Program& program) {
  Verb verb = program.add_verb(
      kAskVerbs, "diff", "show the packets whose fate differs, with an example of each",
      "  rolewall diff origin/main                             a git revision and the work tree\n"
      "  rolewall diff old-policies policies                   all hosts\n"
      "  rolewall diff before.json policies --host web-01      a ruleset and a policy\n"
      "  sudo rolewall diff live                               what an apply would change\n"
      "  sudo rolewall diff generation:3 generation:current\n"
      "  rolewall diff old-policies policies --fail-on newly-accepted --format markdown\n"
      "\n"
      "A and B are each a directory of policies, a ruleset that `compile --format json` or `dump`\n"
      "wrote, `live` (the kernel's), `generation:N` of `rolewall history` or "
      "`generation:current`,\n"
      "or a git revision (`git:NAME` where a file has that name). Without B it is the policies\n"
      "here. It exits with 1 if a packet's fate differs.");
  auto options = std::make_shared<DiffOptions>();
  options->question.state_directory = apply::kDefaultStateDirectory;
  verb.add_option("A", options->before, "what was").type_name("TEXT");
  verb.add_option("B", options->after, "what is (default: the policies, as for other verbs)")
      .type_name("TEXT");
  add_site_options(verb, options->question.site, Looks::Around, false);
  verb.add_option("--host", options->question.host, "compare this host alone").type_name("HOST");
  verb.add_flag("--live", options->live, "the kernel's ruleset is A");
  verb.add_option("--state-dir", options->question.state_directory, "where generations are kept")
      .type_name("DIR")
      .show_default();
  verb.add_option("--fail-on", options->fail_on,
                  "exit with 1 only if some packet's fate differs so; may be given several times")
      .one_of(kinds())
      .one_at_a_time()
      .type_name("CHANGE");
  add_format_option(verb, options->format, {"text", "json", "markdown"});
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
