// A Ruleset as text: for people and `nft -f`, for programs, and as the kernel's own instructions.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "ruleset/snapshot.h"

namespace rolewall::print {

// nft's syntax, as `nft -f` 1.0.6 reads it: loading the text makes the same ruleset that netlink
// makes. An error where a rule cannot be written in that syntax, naming table, chain and
// expression.
Result<std::string> to_nft(const ruleset::Ruleset& ruleset);

// The match and statement text of one rule, as to_nft writes it; where it cannot be written so, the
// bytecode in brackets. What iptables has brought stands in iptables' words. For explanations.
// `sets`: the host's of ip_set, of which iptables' rules know the numbers.
std::string rule_text(const ruleset::Table& table, const ruleset::Rule& rule,
                      ruleset::IpsetNumbers sets = {});

// The key of one of the set's elements, as to_nft writes it; where it cannot be written so, in
// hexadecimal. `elements` are the set's, or some of them.
std::string element_text(const ruleset::Set& set, const ruleset::Elements& elements,
                         std::size_t row);

// Every expression on a line, in the notation of `nft --debug=netlink`.
std::string to_bytecode(const ruleset::Ruleset& ruleset);
// `family`: of its table; iptables' payloads have addresses of either.
std::string bytecode(const ruleset::Expr& expr, ruleset::Family family);

// Of a match or target of iptables: "-m multiport --dports 22,80". "": it is neither.
std::string iptables_words(const ruleset::Expr& expr, ruleset::Family family,
                           ruleset::IpsetNumbers sets = {});

// The versioned file that --ruleset reads. from_json(to_json(s)) == s.
std::string to_json(const ruleset::Snapshot& snapshot);
Result<ruleset::Snapshot> from_json(std::string_view text);

}  // namespace rolewall::print
