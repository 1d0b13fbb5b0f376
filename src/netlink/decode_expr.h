// Expressions as the kernel dumps them, into ours. Nothing is lost silently: an expression that has
// no struct, or one with an attribute or value that is not known here, becomes Unsupported with the
// reason, and whoever evaluates the rule is undecided by that name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "netlink/attributes.h"
#include "ruleset/expr_list.h"
#include "ruleset/stateful.h"

namespace rolewall::netlink {

// One expression: the payload of an NFTA_LIST_ELEM (NFTA_EXPR_NAME and NFTA_EXPR_DATA).
ruleset::Expr decode_expr(View bytes);

// By name and attributes: named objects have those of expressions.
ruleset::Expr decode_named_expr(std::string_view name, View data);

// A list of them (NFTA_RULE_EXPRESSIONS).
ruleset::ExprList decode_exprs(View list);

// What sets and their elements hold: one expression (`single`) or a list of them. An expression
// that no element can hold for us gives a problem, "" else.
std::string decode_stateful(View bytes, bool single, std::vector<ruleset::StatefulExpr>& exprs);

}  // namespace rolewall::netlink
