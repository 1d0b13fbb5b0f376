// Spans of time as people write them: "90s", "5m", "1h", "7d".
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace rolewall {

// A second or more; std::nullopt where it is none, has no unit, or does not fit.
std::optional<std::chrono::seconds> parse_duration(std::string_view text);

}  // namespace rolewall
