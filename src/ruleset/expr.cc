#include "ruleset/expr.h"

#include <utility>

namespace rolewall::ruleset {

template <Expression T>
Expr::Expr(T expression) : ExprVariant(std::in_place_type<T>, std::move(expression)) {}

// One line an alternative: the linker names one that is forgotten.
template Expr::Expr(Payload);
template Expr::Expr(Meta);
template Expr::Expr(Ct);
template Expr::Expr(Exthdr);
template Expr::Expr(Fib);
template Expr::Expr(Rt);
template Expr::Expr(Socket);
template Expr::Expr(Osf);
template Expr::Expr(Numgen);
template Expr::Expr(JenkinsHash);
template Expr::Expr(SymmetricHash);
template Expr::Expr(Tunnel);
template Expr::Expr(Xfrm);
template Expr::Expr(Immediate);
template Expr::Expr(BitwiseMask);
template Expr::Expr(BitwiseShift);
template Expr::Expr(BitwiseRegisters);
template Expr::Expr(Byteorder);
template Expr::Expr(Cmp);
template Expr::Expr(Range);
template Expr::Expr(Lookup);
template Expr::Expr(Counter);
template Expr::Expr(Limit);
template Expr::Expr(Connlimit);
template Expr::Expr(Quota);
template Expr::Expr(Last);
template Expr::Expr(Dynset);
template Expr::Expr(ImmediateVerdict);
template Expr::Expr(MetaSet);
template Expr::Expr(CtSet);
template Expr::Expr(PayloadWrite);
template Expr::Expr(ExthdrWrite);
template Expr::Expr(ExthdrReset);
template Expr::Expr(Log);
template Expr::Expr(Reject);
template Expr::Expr(Notrack);
template Expr::Expr(Nat);
template Expr::Expr(Masquerade);
template Expr::Expr(Redirect);
template Expr::Expr(Tproxy);
template Expr::Expr(Synproxy);
template Expr::Expr(Dup);
template Expr::Expr(Fwd);
template Expr::Expr(ObjectRef);
template Expr::Expr(ObjectLookup);
template Expr::Expr(XtMatch);
template Expr::Expr(XtTarget);
template Expr::Expr(Unsupported);

Expr::Expr() = default;
Expr::Expr(const Expr& other) = default;
Expr::Expr(Expr&& other) noexcept = default;
Expr& Expr::operator=(const Expr& other) = default;
Expr& Expr::operator=(Expr&& other) noexcept = default;
Expr::~Expr() = default;
bool Expr::operator==(const Expr& other) const {
  return static_cast<const ExprVariant&>(*this) == static_cast<const ExprVariant&>(other);
}

ExprList::ExprList() = default;
ExprList::ExprList(std::initializer_list<Expr> exprs) : std::vector<Expr>(exprs) {}
ExprList::ExprList(std::vector<Expr> exprs) : std::vector<Expr>(std::move(exprs)) {}
ExprList::ExprList(const ExprList& other) = default;
ExprList::ExprList(ExprList&& other) noexcept = default;
ExprList& ExprList::operator=(const ExprList& other) = default;
ExprList& ExprList::operator=(ExprList&& other) noexcept = default;
ExprList::~ExprList() = default;
bool ExprList::operator==(const ExprList& other) const {
  return static_cast<const std::vector<Expr>&>(*this) ==
         static_cast<const std::vector<Expr>&>(other);
}

}  // namespace rolewall::ruleset
