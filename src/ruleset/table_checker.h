// verify()'s questions about one table. Inside ruleset/ alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ruleset/effects.h"
#include "ruleset/register_ops.h"
#include "ruleset/table_index.h"

namespace rolewall::ruleset {

// "" where there is nothing wrong.
using Wrong = std::string;

Wrong check_name(std::string_view name, std::string_view kind);
Wrong check_comment(const Comment& comment);
Wrong check_object(const Object& object);

// Refers to the table. It may be mended between two questions, so long as its names stay.
class TableChecker {
 public:
  explicit TableChecker(const Table& table) : names_(table), depths_(table.chains.size()) {}

  bool names_are_unique() const { return names_.names_are_unique(); }
  Wrong check_set(const Set& set) const;
  Wrong check_expr(const Expr& expr) const;
  // Whether paths of jumps from here are as short as the kernel wants them. REQUIRES: every verdict
  // of the table is sound.
  Wrong check_depth(const Chain& chain);

 private:
  Wrong check_named(std::uint32_t object_type, const std::string& name) const;
  Wrong check_verdict(const Verdict& verdict) const;
  Wrong check_key_fields(const Set& set) const;
  Wrong check_elements(const Set& set) const;
  Wrong check_columns(const Set& set) const;
  Wrong check_order(const Set& set) const;
  Wrong check_catch_all(const Set& set) const;
  Wrong check_values(const Expr& expr) const;
  Wrong check_lookup(const Lookup& lookup) const;
  Wrong check_object_lookup(const ObjectLookup& lookup) const;
  Wrong check_dynset(const Dynset& dynset) const;
  std::optional<unsigned> depth_below(const Chain& chain, unsigned above);

  TableIndex names_;
  std::vector<std::optional<unsigned>> depths_;  // by chain: frames that jumps from it can open
};

}  // namespace rolewall::ruleset
