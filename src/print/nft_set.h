// Sets and maps in nft's syntax.
#pragma once

#include <string>

#include "print/nft_words.h"
#include "ruleset/ruleset.h"

namespace rolewall::print {

// The lines of a named set's declaration within its table, indented by one tab.
Text set_declaration(const ruleset::Set& set);

// "{ 10.0.0.0/8, 192.0.2.1 }", as it stands in a rule. REQUIRES: not empty.
Text inline_elements(const ruleset::Set& set);

}  // namespace rolewall::print
