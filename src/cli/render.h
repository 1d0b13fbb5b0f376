// Findings and refusals as people read them: file:line:column, what is wrong, the line itself with
// a caret under the place, and what to do about it.
#pragma once

#include <string>
#include <vector>

#include "base/diagnostic.h"
#include "base/error.h"
#include "base/source.h"
#include "cli/terminal.h"

namespace rolewall::cli {

// Everything in `diagnostics` from `least` on, in the order that it has; callers sort.
void render(const Terminal& terminal, const SourceFiles& sources, const Diagnostics& diagnostics,
            Severity least = Severity::Note);

// "2 errors, 1 warning"; "no findings".
std::string summary(const Diagnostics& diagnostics);

// "rolewall: message", with the place where the error has one; on the error stream. Returns the
// exit status that goes with it.
int report(const Error& error);
int report_usage(const std::string& message);

// What went otherwise beside what was done, on the error stream.
void render_notes(const std::vector<std::string>& notes);

}  // namespace rolewall::cli
