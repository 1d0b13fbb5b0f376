// What lint and check take alike: which findings are shown, what they weigh for the exit status,
// a baseline of those that are known, and the forms that other programs read.
#pragma once

#include <string>
#include <vector>

#include "ask/test_report.h"
#include "base/diagnostic.h"
#include "base/error.h"
#include "cli/json.h"
#include "cli/program.h"
#include "policy/handling.h"
#include "policy/policy.h"

namespace rolewall::cli {

struct FindingOptions {
  std::string format = "text";
  std::vector<std::string> also;  // "FORMAT=FILE"
  bool strict = false;
  std::vector<std::string> select;
  std::vector<std::string> ignore;
  std::string baseline;
  std::string write_baseline;
};

void add_finding_options(Verb& verb, FindingOptions& options);

// Leaves of `findings` what is to be shown. `complete`: as policy::Handling has it. Fails where an
// option names no finding, or a baseline cannot be read or written.
Result<policy::Silenced> handle_findings(const FindingOptions& options,
                                         const policy::Policy& policy, bool complete,
                                         bool packets_asked, Diagnostics& findings);

// What was checked, as each form tells it. `tests`: null for lint.
struct Report {
  std::string_view verb;
  const policy::Policy& policy;
  const Diagnostics& findings;
  const policy::Silenced& silenced;
  const ask::TestReport* tests = nullptr;
  bool strict = false;
};

// The same for every form: as exit_status_of(), and kNo under --strict where there is a warning or
// a test that was not proven.
int exit_status_of(const Report& report);

// Writes the forms of --also, and that of --format where it is neither text nor json, which are
// the verb's own. Returns kDone, or the status of a file that could not be written.
int write_forms(const FindingOptions& options, const Report& report);
bool is_own_form(const FindingOptions& options);

// " (5 allowed by the policy, 12 in the baseline)"; "" where nothing was silenced.
std::string silenced_words(const policy::Silenced& silenced);
Json to_json(const policy::Silenced& silenced);

}  // namespace rolewall::cli
