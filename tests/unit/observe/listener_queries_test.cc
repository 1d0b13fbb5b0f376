// Whether anybody on a link asks who listens to groups.
#include "observe/listener_queries.h"

#include <doctest/doctest.h>

namespace rolewall::observe {
namespace {

TEST_CASE("queries are counted by the device that has heard them") {
  CHECK(has_heard_queries("ifIndex\t2\nIcmp6InGroupMembQueries\t3\n"));
  CHECK_FALSE(has_heard_queries("Icmp6InGroupMembQueries\t0\nIcmp6OutGroupMembQueries\t4\n"));
  CHECK_FALSE(has_heard_queries("Icmp6InGroupMembResponses\t7\n"));
  CHECK_FALSE(has_heard_queries(""));
}

}  // namespace
}  // namespace rolewall::observe
