#include "cli/time_option.h"

#include <fmt/format.h>

#include "base/calendar.h"
#include "base/duration.h"

namespace rolewall::cli {

Result<std::chrono::seconds> parse_time(std::string_view option, const std::string& text,
                                        std::chrono::seconds longest) {
  const bool has_no_unit = parse_duration(text + "s").has_value();
  if (has_no_unit) {
    return fail(
        ErrorKind::Usage,
        fmt::format("{0} {1}: without a unit; write {1}s, {1}m, {1}h or {1}d", option, text));
  }
  const auto time = parse_duration(text);
  if (!time || *time > longest) {
    return fail(ErrorKind::Usage, fmt::format("{} {}: a time from 1s to {}, such as 90s, 5m or 1h",
                                              option, text, time_in_words(longest)));
  }
  return *time;
}

}  // namespace rolewall::cli
