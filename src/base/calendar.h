// Days and moments as people and other programs write them (RFC 3339).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rolewall {

// By UTC, so that a site's machines agree, wherever they are.
std::chrono::year_month_day today();

// "1m 30s", "2d 4h": the two largest units.
std::string time_in_words(std::chrono::seconds time);

// "2026-12-24"; absent where it is no day.
std::optional<std::chrono::year_month_day> parse_date(std::string_view text);

std::string format_date(std::chrono::year_month_day day);

// `2026-12-24T08:30`, with seconds or without, and behind it nothing or `Z` (UTC) or by how much
// the place is ahead of UTC, `+01:00`. In nanoseconds since 1970, UTC; absent where it is no
// moment, or not of the years 1970 to 2261.
std::optional<std::uint64_t> parse_moment(std::string_view text);

// "2026-12-24T08:30:00Z"; what is less than a second is left out.
std::string format_moment(std::uint64_t ns);

}  // namespace rolewall
