#include "eval/taken_ports.h"

#include <doctest/doctest.h>

namespace rolewall::eval {
namespace {

TEST_CASE("the first port that is not taken is found over words of all sizes") {
  TakenPorts taken;
  CHECK_EQ(taken.first_other(0, 65536), 0);
  for (std::uint32_t port = 1000; port < 1300; ++port) taken.add(port);
  taken.add(1000);  // once more is no more
  CHECK_EQ(taken.first_other(999, 65536), 999);
  CHECK_EQ(taken.first_other(1000, 65536), 1300);
  CHECK_EQ(taken.first_other(1000, 1300), 1300);  // the end: none
  CHECK_EQ(taken.first_other(1000, 1100), 1100);
  taken.remove(1150);
  taken.remove(7);  // was none
  CHECK_EQ(taken.first_other(1001, 65536), 1150);
  for (std::uint32_t port = 1000; port < 1300; ++port) taken.remove(port);
  CHECK(taken.empty());
  for (std::uint32_t port = 1024; port < 65536; ++port) taken.add(port);
  CHECK_EQ(taken.first_other(1024, 65536), 65536);
  CHECK_EQ(taken.first_other(0, 65536), 0);
}

}  // namespace
}  // namespace rolewall::eval
