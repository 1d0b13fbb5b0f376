// What an expression names in its table.
#pragma once

#include <string>
#include <variant>

#include "ruleset/expr.h"

namespace rolewall::ruleset {

// Null where it names no set.
inline const std::string* set_named_by(const Expr& expr) {
  if (const auto* lookup = std::get_if<Lookup>(&expr)) return &lookup->set;
  if (const auto* dynset = std::get_if<Dynset>(&expr)) return &dynset->set;
  if (const auto* objects = std::get_if<ObjectLookup>(&expr)) return &objects->set;
  return nullptr;
}

}  // namespace rolewall::ruleset
