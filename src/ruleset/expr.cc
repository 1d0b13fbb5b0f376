#include "ruleset/expr.h"

namespace rolewall::ruleset {

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
