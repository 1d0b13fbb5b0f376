#include "cli/time_option.h"

#include <doctest/doctest.h>

namespace rolewall::cli {
namespace {

std::string message(const std::string& text) {
  const auto time = parse_time("--for", text, std::chrono::hours(24));
  return time ? "" : time.error().message;
}

TEST_CASE("a time is a number and its unit") {
  CHECK(*parse_time("--for", "90s", std::chrono::hours(1)) == std::chrono::seconds(90));
  CHECK(*parse_time("--for", "5m", std::chrono::hours(1)) == std::chrono::minutes(5));
  CHECK(*parse_time("--for", "1d", std::chrono::hours(24)) == std::chrono::hours(24));
}

TEST_CASE("a number alone could mean seconds or minutes: what to write is said") {
  CHECK(message("5") == "--for 5: without a unit; write 5s, 5m, 5h or 5d");
  for (const char* wrong : {"", "m", "0s", "-5m", "5 m", "5x", "2d", "99999999999999999999s"}) {
    CHECK(message(wrong).starts_with("--for"));
  }
}

}  // namespace
}  // namespace rolewall::cli
