// rolewall eval --file: many questions, one a line, and what was expected of each.
#pragma once

#include <string>

#include "ask/site.h"
#include "cli/question.h"

namespace rolewall::cli {

// `path`: a file, or "-" for standard input. Nothing is asked before every line is understood.
// Prints an answer a line and a summary, or one JSON document; returns the exit status.
int eval_questions(const std::string& path, bool json, const Subject& subject, ask::Site& site);

}  // namespace rolewall::cli
