#include "base/calendar.h"

#include <doctest/doctest.h>

namespace rolewall {
namespace {

using namespace std::chrono;

TEST_CASE("a day") {
  CHECK(parse_date("2026-12-24") == year(2026) / 12 / 24);
  CHECK(parse_date("2028-02-29") == year(2028) / 2 / 29);
  for (const char* text : {"", "2026-02-29", "2026-13-01", "2026-00-01", "26-12-24", "2026-12-24 ",
                           "2026/12/24", "+026-12-24", "2026-1 -24"}) {
    CHECK_MESSAGE(!parse_date(text), text);
  }
}

TEST_CASE("a moment, in whatever zone") {
  constexpr std::uint64_t kMoment = 1'798'101'000'000'000'000;
  for (const char* text :
       {"2026-12-24T08:30", "2026-12-24T08:30:00", "2026-12-24T08:30Z", "2026-12-24T09:30+01:00",
        "2026-12-24T14:00:00+05:30", "2026-12-23T22:30-10:00", "2026-12-24T08:30-00:00"}) {
    CHECK_MESSAGE(parse_moment(text) == kMoment, text);
  }
  CHECK(parse_moment("1970-01-01T00:00:01") == 1'000'000'000U);
  CHECK(parse_moment("2261-12-31T23:59:59") == 9'214'646'399'000'000'000U);
  for (const char* text :
       {"", "2026-12-24", "2026-12-24T", "2026-12-24 08:30", "2026-12-24T8:30", "2026-12-24T24:00",
        "2026-12-24T08:60", "2026-12-24T08:30:60", "2026-12-24T08:30:", "2026-12-24T08:30:0",
        "2026-12-24T08:30z", "2026-12-24T08:30+0100", "2026-12-24T08:30+01:00 ", "2262-01-01T00:00",
        "1969-12-31T23:59", "1970-01-01T00:30+01:00", "2026-12-24T08:30+"}) {
    CHECK_MESSAGE(!parse_moment(text), text);
  }
}

TEST_CASE("a span of time has its two largest units") {
  using namespace std::chrono;
  CHECK(time_in_words(seconds(0)) == "0s");
  CHECK(time_in_words(seconds(90)) == "1m 30s");
  CHECK(time_in_words(hours(1)) == "1h");
  CHECK(time_in_words(hours(49) + seconds(5)) == "2d 1h");
}

TEST_CASE("a moment is written as it is read") {
  CHECK(format_moment(1'798'101'000'000'000'000) == "2026-12-24T08:30:00Z");
  CHECK(format_moment(1'798'101'059'999'999'999) == "2026-12-24T08:30:59Z");
  CHECK(format_moment(0) == "1970-01-01T00:00:00Z");
}

}  // namespace
}  // namespace rolewall
