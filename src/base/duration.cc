#include "base/duration.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <limits>

namespace rolewall {
namespace {

struct TimeUnit {
  std::string_view name;
  std::int64_t seconds = 1;
};
constexpr std::array<TimeUnit, 4> kTimeUnits{{{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}}};

}  // namespace

std::optional<std::chrono::seconds> parse_duration(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view name(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (error != std::errc{} || number < 1) return std::nullopt;
  for (const TimeUnit& unit : kTimeUnits) {
    if (unit.name != name) continue;
    if (number > std::numeric_limits<std::int64_t>::max() / unit.seconds) return std::nullopt;
    return std::chrono::seconds(number * unit.seconds);
  }
  return std::nullopt;
}

}  // namespace rolewall
