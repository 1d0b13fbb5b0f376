// A rule's expressions, in their order. A header that only holds rules needs this one and not
// expr.h: Expr may stay incomplete there, since what a list does with its elements when it is
// copied, moved, destroyed or compared is compiled once, in expr.cc. Whoever looks into a list
// includes expr.h.
#pragma once

#include <initializer_list>
#include <vector>

namespace rolewall::ruleset {

struct Expr;

struct ExprList : std::vector<Expr> {
  ExprList();
  ExprList(std::initializer_list<Expr> exprs);
  ExprList(std::vector<Expr> exprs);  // NOLINT(google-explicit-constructor): a list is a vector
  ExprList(const ExprList& other);
  ExprList(ExprList&& other) noexcept;
  ExprList& operator=(const ExprList& other);
  ExprList& operator=(ExprList&& other) noexcept;
  ~ExprList();
  bool operator==(const ExprList& other) const;
};

}  // namespace rolewall::ruleset
