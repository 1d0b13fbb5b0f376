// Spans of time on the command line.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/error.h"

namespace rolewall::cli {

// "90s", "5m", "1h", "7d": from a second to `longest`. `option` is named where it is wrong.
Result<std::chrono::seconds> parse_time(std::string_view option, const std::string& text,
                                        std::chrono::seconds longest);

}  // namespace rolewall::cli
