// The expressions of nf_tables, one plain struct each, as the kernel holds them: small instructions
// that load into, compare and act on sixteen 32-bit registers. A rule is a list of them; the first
// that "breaks" ends the rule without a match.
//
// Everything here is what crosses netlink (include/uapi/linux/netfilter/nf_tables.h), in our own
// types: values as bytes exactly as the kernel keeps them in a register (network order for packet
// fields, host order for marks, states and indexes), lengths in bytes.
//
// Expr is a closed variant; docs/architecture.md ("How to add: an expression") lists what a new
// alternative needs and which of it the compiler names. It is a struct that derives from its
// variant, so that copying, moving, destroying and comparing 48 alternatives is compiled once, in
// expr.cc, and not in every file that holds a rule.
#pragma once

#include <type_traits>
#include <variant>

#include "ruleset/expr_list.h"
#include "ruleset/expressions.h"

namespace rolewall::ruleset {

using ExprVariant =
    std::variant<Payload, Meta, Ct, Exthdr, Fib, Rt, Socket, Osf, Numgen, JenkinsHash,
                 SymmetricHash, Tunnel, Xfrm, Immediate, BitwiseMask, BitwiseShift,
                 BitwiseRegisters, Byteorder, Cmp, Range, Lookup, Counter, Limit, Connlimit, Quota,
                 Last, Dynset, ImmediateVerdict, MetaSet, CtSet, PayloadWrite, ExthdrWrite,
                 ExthdrReset, Log, Reject, Notrack, Nat, Masquerade, Redirect, Tproxy, Synproxy,
                 Dup, Fwd, ObjectRef, ObjectLookup, XtMatch, XtTarget, Unsupported>;

namespace detail {
template <class T, class Variant>
inline constexpr bool kIsAlternative = false;
template <class T, class... Ts>
inline constexpr bool kIsAlternative<T, std::variant<Ts...>> = (std::is_same_v<T, Ts> || ...);
}  // namespace detail

template <class T>
concept Expression = detail::kIsAlternative<T, ExprVariant>;

struct Expr : ExprVariant {
  Expr();
  template <Expression T>
  Expr(T expression);  // NOLINT(google-explicit-constructor): as the variant's own
  Expr(const Expr& other);
  Expr(Expr&& other) noexcept;
  Expr& operator=(const Expr& other);
  Expr& operator=(Expr&& other) noexcept;
  ~Expr();
  bool operator==(const Expr& other) const;
};

}  // namespace rolewall::ruleset
