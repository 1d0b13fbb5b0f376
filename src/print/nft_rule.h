// One rule's expressions, read back into nft's syntax.
//
// A rule loads fields into registers and then compares, looks up or acts; nft's text names the
// fields where they are used. So the expressions are walked once: a load is kept as words for what
// the register then holds, and each expression that uses it becomes a piece of text. Where the text
// would not say all that the expressions do (a load that is never used, and might have failed; one
// that is used twice; an order that the text cannot keep), it is no text, and the reason is given.
//
// nft adds tests of its own where a field needs a header that the rule has not tested. The tests
// stand in the text where they stand in the rule, unless nft would put the same test there.
#pragma once

#include "print/nft_words.h"
#include "ruleset/host.h"
#include "ruleset/ruleset.h"

namespace rolewall::print {

// nft has no text for iptables' matches and targets: to be looked at, they have iptables' words.
enum class Xt : std::uint8_t { NoForm, InWords };

// Without the comment. An error names the expression.
Text rule_statements(const ruleset::Table& table, const ruleset::Rule& rule, Xt xt,
                     ruleset::IpsetNumbers sets = {});

}  // namespace rolewall::print
