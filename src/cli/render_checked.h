// What was checked, for people and for programs.
#pragma once

#include <string>

#include "ask/check.h"
#include "cli/json.h"
#include "cli/terminal.h"

namespace rolewall::cli {

// kDone, kNo where there are errors, kUsage where one of the policies' files cannot be read at all.
int exit_status_of(const Diagnostics& findings);
// kNo too where a test went otherwise than it expects, or a law is not proven; `strict`: or a
// denial.
int exit_status_of(const ask::Checked& checked, bool strict = false);

// The failures, each at its line, with the packet and the line that decides.
void render(const Terminal& terminal, const policy::Policy& policy, const ask::TestReport& report);
// Findings and failures.
void render(const Terminal& terminal, const policy::Policy& policy, const ask::Checked& checked);

// "14 tests, 63 packets, 1,089 samples: all as expected".
std::string summary(const ask::TestReport& report);

// "proven", "broken", "not proven".
std::string_view proof_word(ask::Proof::Outcome outcome);
// "6 laws, 14 packets: all proven"; "" where there is none.
std::string summary_of_laws(const ask::TestReport& report);

// Whether one that is proven says that packets are not denied: then the IP stack is no part of it.
bool has_laws_of_rules_alone(const ask::TestReport& report);
// What must not be used up, or end, for laws to hold; "": they rest on nothing.
std::string what_laws_rest_on(const ask::TestReport& report);
// Both, as far as there are any: "14 tests, ...; 6 laws, ...".
std::string summary_with_laws(const ask::TestReport& report);
// For whoever refuses what does not pass. The tests alone are asked then: that there are no other
// findings is not known, and not said.
std::string summary_of_failures(const ask::Checked& checked);

// What was not asked, and why; nothing where all was.
void render_left_out(const Terminal& terminal, const ask::TestReport& report);

Json to_json(const policy::Policy& policy, const ask::TestReport& report);
Json laws_to_json(const policy::Policy& policy, const ask::TestReport& report);

}  // namespace rolewall::cli
