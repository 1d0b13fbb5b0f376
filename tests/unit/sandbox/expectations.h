// What tests of the sandbox share: claims that are checked in a child, and rules.
#pragma once

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "ruleset/expr.h"
#include "ruleset/ruleset.h"

namespace rolewall::sandbox {

// doctest counts in its own process alone.
struct Expectations {
  int failed = 0;
  void operator()(bool holds, const std::string& what) {
    if (holds) return;
    ++failed;
    std::fprintf(stderr, "in the sandbox, this does not hold: %s\n", what.c_str());
  }
};

inline ruleset::Rule of(std::vector<ruleset::Expr> exprs) {
  ruleset::Rule rule;
  rule.exprs = std::move(exprs);
  return rule;
}

}  // namespace rolewall::sandbox
