#include "base/diagnostic.h"

#include <doctest/doctest.h>

namespace rolewall {
namespace {

TEST_CASE("errors beyond the limit are counted, and no warning is lost for them") {
  Diagnostics all;
  for (std::size_t i = 0; i < Diagnostics::kLimit + 5; ++i) all.error("e", {}, "wrong");
  for (std::size_t i = 0; i < 2 * Diagnostics::kLimit; ++i) all.warning("w", {}, "odd");
  all.note("n", {}, "by the way");
  CHECK(all.error_count() == Diagnostics::kLimit + 5);
  CHECK(all.suppressed() == 5);
  CHECK(all.all().size() == 3 * Diagnostics::kLimit + 1);
  CHECK(all.all().back().code == "n");
}

TEST_CASE("what was kept may become an error, however many there are") {
  Diagnostics all;
  for (std::size_t i = 0; i < 2 * Diagnostics::kLimit; ++i) all.warning("w", {}, "odd");
  all.warning("last", {}, "dead");
  all.retain([](Diagnostic& each) {
    if (each.code == "last") each.severity = Severity::Error;
    return each.code == "last";
  });
  CHECK(all.has_errors());
  CHECK(all.all().size() == 1);
  CHECK(all.suppressed() == 0);
  all.error("e", {}, "wrong");
  CHECK(all.all().size() == 2);
}

}  // namespace
}  // namespace rolewall
