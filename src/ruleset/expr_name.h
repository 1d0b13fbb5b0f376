// What the kernel calls an expression: the name of its struct nft_expr_type, by which netlink asks
// for it and an Unsupported bears it.
#pragma once

#include <string_view>

#include "ruleset/expr_list.h"

namespace rolewall::ruleset {

// Refers to the expression where it is an Unsupported.
std::string_view expr_name(const Expr& expr);

}  // namespace rolewall::ruleset
