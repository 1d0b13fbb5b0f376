#include "cli/finding_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "base/file.h"
#include "base/suggest.h"
#include "cli/ci_forms.h"
#include "cli/exit_status.h"
#include "cli/output.h"
#include "cli/render.h"
#include "cli/render_checked.h"
#include "policy/codes.h"

namespace rolewall::cli {
namespace {

constexpr std::size_t kLargestBaseline = 16U << 20;

// "a,b" and "a b" alike, of each value.
Result<std::vector<std::string>> codes_of(std::string_view option,
                                          const std::vector<std::string>& values) {
  std::vector<std::string> codes;
  std::vector<std::string> known;
  for (const policy::CodeRow& row : policy::code_table()) {
    if (policy::may_be_silenced(row)) known.emplace_back(row.word);
  }
  for (const std::string& value : values) {
    for (std::size_t at = 0; at <= value.size();) {
      const std::size_t comma = std::min(value.find(',', at), value.size());
      const std::string code = value.substr(at, comma - at);
      at = comma + 1;
      if (std::ranges::find(known, code) == known.end()) {
        const std::string hint = did_you_mean(code, known);
        const bool is_error = policy::find_code(code) != nullptr;
        return fail(ErrorKind::Usage, fmt::format("{} {}: {}{}", option, code,
                                                  is_error ? "an error cannot be chosen or left out"
                                                           : "no finding is called so",
                                                  hint.empty() || is_error ? "" : "; " + hint));
      }
      codes.push_back(code);
    }
  }
  return codes;
}

using Baseline = std::map<std::string, std::size_t>;

Result<Baseline> read_baseline(const std::string& path) {
  const auto text = read_file(path, kLargestBaseline);
  if (!text) return std::unexpected(text.error());
  const auto json = parse_json(*text);
  const Json* findings = json ? json->find("findings") : nullptr;
  if (findings == nullptr || json->number("version") != 1U) {
    return fail(ErrorKind::Usage,
                fmt::format("{}: not a baseline as --write-baseline writes it", path));
  }
  Baseline baseline;
  for (const Json& finding : findings->elements()) ++baseline[finding.text("fingerprint")];
  return baseline;
}

// A line a finding, in the order of their words: a review sees what comes and goes.
std::string baseline_text(std::vector<policy::Fingerprint> prints) {
  std::ranges::sort(prints, [](const auto& a, const auto& b) {
    return std::tie(a.file, a.code, a.about, a.count) < std::tie(b.file, b.code, b.about, b.count);
  });
  std::string text = "{\"version\":1,\"findings\":[";
  for (std::size_t i = 0; i < prints.size(); ++i) {
    const policy::Fingerprint& print = prints[i];
    text += i == 0 ? "\n" : ",\n";
    text += Json{{"code", print.code},
                 {"file", print.file},
                 {"about", print.about},
                 {"fingerprint", print.hash}}
                .dump();
  }
  return text + "\n]}\n";
}

Result<void> write_baseline(const std::string& path, const policy::Policy& policy,
                            Diagnostics& findings, policy::Silenced& silenced) {
  std::vector<policy::Fingerprint> known;
  Baseline baseline;
  for (policy::Fingerprint& print : policy::fingerprints_of(policy, findings)) {
    const policy::CodeRow* row = policy::find_code(print.code);
    if (row == nullptr || !policy::may_be_silenced(*row)) continue;
    ++baseline[print.hash];
    known.push_back(std::move(print));
  }
  TRY(write_file_atomically(path, baseline_text(std::move(known))));
  policy::drop_known(policy, baseline, findings, silenced);
  return {};
}

struct Form {
  std::string_view word;
  std::string (*text)(const Report&);
};
constexpr Form kForms[] = {{"sarif", sarif},
                           {"junit", junit},
                           {"github", github_annotations},
                           {"markdown", markdown},
                           {"gitlab", gitlab}};

const Form* find_form(std::string_view word) {
  const auto* form = std::ranges::find(kForms, word, &Form::word);
  return form == std::end(kForms) ? nullptr : form;
}

}  // namespace

void add_finding_options(Verb& verb, FindingOptions& options) {
  add_format_option(verb, options.format,
                    {"text", "json", "sarif", "junit", "github", "markdown", "gitlab"});
  verb.add_option("--also", options.also,
                  "writes a form into a file as well, once for each: --also sarif=rolewall.sarif")
      .type_name("FORM=FILE");
  verb.add_flag("--strict", options.strict,
                "warnings, and tests that are not proven, count like errors");
  verb.add_option(
          "--select", options.select,
          "only these findings, by their codes, with commas between; errors are always shown")
      .type_name("CODES");
  verb.add_option("--ignore", options.ignore, "all findings but these").type_name("CODES");
  verb.add_option("--baseline", options.baseline,
                  "leaves out the findings that this file lists: what is known of an old site")
      .type_name("FILE");
  verb.add_option("--write-baseline", options.write_baseline,
                  "writes the findings into that file, instead of showing them")
      .type_name("FILE");
}

Result<policy::Silenced> handle_findings(const FindingOptions& options,
                                         const policy::Policy& policy, bool complete,
                                         bool packets_asked, Diagnostics& findings) {
  if (!options.baseline.empty() && !options.write_baseline.empty()) {
    return fail(ErrorKind::Usage, "--baseline and --write-baseline exclude each other");
  }
  for (const std::string& also : options.also) {
    const std::size_t equals = also.find('=');
    if (equals == std::string::npos || find_form(also.substr(0, equals)) == nullptr ||
        equals + 1 == also.size()) {
      return fail(
          ErrorKind::Usage,
          fmt::format("--also {}: FORM=FILE, with sarif, junit, github, markdown or gitlab", also));
    }
  }
  policy::Handling handling{complete, packets_asked, {}, {}, nullptr};
  auto select = codes_of("--select", options.select);
  if (!select) return std::unexpected(select.error());
  auto ignore = codes_of("--ignore", options.ignore);
  if (!ignore) return std::unexpected(ignore.error());
  handling.select = std::move(*select);
  handling.ignore = std::move(*ignore);
  Baseline baseline;
  if (!options.baseline.empty()) {
    auto known = read_baseline(options.baseline);
    if (!known) return std::unexpected(known.error());
    baseline = std::move(*known);
    handling.baseline = &baseline;
  }
  policy::Silenced silenced = handle(policy, handling, findings);
  // Of a site with errors not all findings are known: the old file may know more.
  if (!options.write_baseline.empty() && !complete) {
    render_notes({fmt::format("{} is not written: mend the errors first", options.write_baseline)});
  } else if (!options.write_baseline.empty()) {
    TRY(write_baseline(options.write_baseline, policy, findings, silenced));
  }
  return silenced;
}

int exit_status_of(const Report& report) {
  const int status = exit_status_of(report.findings);
  if (status != kDone) return status;
  if (report.tests != nullptr && !report.tests->passed()) return kNo;
  const bool doubts = report.tests != nullptr && !report.tests->proven_as_well();
  return report.strict && (report.findings.warning_count() > 0 || doubts) ? kNo : kDone;
}

bool is_own_form(const FindingOptions& options) {
  return options.format == "text" || options.format == "json";
}

int write_forms(const FindingOptions& options, const Report& report) {
  int status = kDone;
  for (const std::string& also : options.also) {
    const std::size_t equals = also.find('=');
    const int written =
        write_output(also.substr(equals + 1), find_form(also.substr(0, equals))->text(report));
    status = std::max(status, written);
  }
  if (const Form* form = find_form(options.format)) out().write(form->text(report));
  return status;
}

std::string silenced_words(const policy::Silenced& silenced) {
  std::string words;
  const auto add = [&](std::size_t count, std::string_view what) {
    if (count > 0) words += fmt::format("{}{} {}", words.empty() ? "" : ", ", grouped(count), what);
  };
  add(silenced.allowed, "allowed by the policy");
  add(silenced.left_out, "left out");
  add(silenced.in_baseline, "in the baseline");
  add(silenced.gone, "of the baseline no longer found");
  return words.empty() ? "" : " (" + words + ")";
}

Json to_json(const policy::Silenced& silenced) {
  return Json{{"by_policy", silenced.allowed},
              {"left_out", silenced.left_out},
              {"in_baseline", silenced.in_baseline},
              {"gone", silenced.gone}};
}

}  // namespace rolewall::cli
