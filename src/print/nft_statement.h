// Statements and parts of them that need nothing but themselves to be written.
#pragma once

#include "print/nft_words.h"
#include "ruleset/ruleset.h"

namespace rolewall::print {

Text verdict_text(const ruleset::Verdict& verdict);

// "limit rate over 10/second burst 5 packets", as a statement or as what a set's element holds.
Text stateful_text(const ruleset::StatefulExpr& expr);

Text log_text(const ruleset::Log& log);

}  // namespace rolewall::print
