#include "cli/time_option.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdint>

#include "base/calendar.h"

namespace rolewall::cli {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t seconds = 1;
};
constexpr std::array<Unit, 4> kUnits{{{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}}};

}  // namespace

Result<std::chrono::seconds> parse_time(std::string_view option, const std::string& text,
                                        std::chrono::seconds longest) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view name(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (error == std::errc{} && number > 0 && name.empty()) {
    return fail(
        ErrorKind::Usage,
        fmt::format("{0} {1}: without a unit; write {1}s, {1}m, {1}h or {1}d", option, text));
  }
  std::int64_t factor = 0;
  for (const Unit& unit : kUnits) {
    if (unit.name == name) factor = unit.seconds;
  }
  if (error != std::errc{} || factor == 0 || number < 1 || number > longest.count() / factor) {
    return fail(ErrorKind::Usage, fmt::format("{} {}: a time from 1s to {}, such as 90s, 5m or 1h",
                                              option, text, time_in_words(longest)));
  }
  return std::chrono::seconds(number * factor);
}

}  // namespace rolewall::cli
