#include "ruleset/names.h"

#include <doctest/doctest.h>

#include <set>

namespace rolewall::ruleset {
namespace {

template <class Enum>
void check_inverse() {
  std::set<std::string_view> seen;
  for (const NameRow<Enum>& row : name_rows(Enum{})) {
    CHECK_EQ(name_of(row.value), row.name);
    CHECK(from_name<Enum>(row.name) == row.value);
    CHECK(seen.insert(row.name).second);
  }
  CHECK_FALSE(from_name<Enum>(""));
  CHECK_FALSE(from_name<Enum>("no such name"));
}

TEST_CASE("names and enumerators are inverse to each other") {
  check_inverse<Family>();
  check_inverse<Hook>();
  check_inverse<ChainType>();
  check_inverse<DataType>();
  check_inverse<SetKind>();
  check_inverse<VerdictCode>();
  check_inverse<PayloadBase>();
  check_inverse<MetaKey>();
  check_inverse<CtKey>();
  check_inverse<CtDirection>();
  check_inverse<ShiftDirection>();
  check_inverse<ByteorderOp>();
  check_inverse<CmpOp>();
  check_inverse<LookupResult>();
  check_inverse<LimitUnit>();
  check_inverse<DynsetOp>();
  check_inverse<RejectType>();
}

TEST_CASE("a datatype without a name") {
  CHECK_EQ(name_of(DataType{999}), "");
}

}  // namespace
}  // namespace rolewall::ruleset
