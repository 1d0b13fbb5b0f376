#include "base/calendar.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <utility>

#include "base/time.h"

namespace rolewall {
namespace {

// All of it must be digits.
std::optional<int> number(std::string_view text, int most) {
  const bool digits =
      !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  int value = 0;
  if (!digits || std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc{} ||
      value > most) {
    return std::nullopt;
  }
  return value;
}

// Takes "08:30" off the front, in minutes.
std::optional<int> take_minutes(std::string_view& text) {
  if (text.size() < 5 || text[2] != ':') return std::nullopt;
  const auto hours = number(text.substr(0, 2), 23);
  const auto minutes = number(text.substr(3, 2), 59);
  if (!hours || !minutes) return std::nullopt;
  text.remove_prefix(5);
  return *hours * 60 + *minutes;
}

std::optional<int> minutes_ahead(std::string_view zone) {
  if (zone.empty() || zone == "Z") return 0;
  const bool ahead = zone[0] == '+';
  if (!ahead && zone[0] != '-') return std::nullopt;
  zone.remove_prefix(1);
  const auto minutes = take_minutes(zone);
  if (!minutes || !zone.empty()) return std::nullopt;
  return ahead ? *minutes : -*minutes;
}

}  // namespace

std::chrono::year_month_day today() {
  return std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
}

std::string time_in_words(std::chrono::seconds time) {
  constexpr std::array<std::pair<const char*, std::int64_t>, 4> kUnits{
      {{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}}};
  std::int64_t left = time.count();
  std::string text;
  int parts = 0;
  for (const auto& [name, seconds] : kUnits) {
    const std::int64_t number = left / seconds;
    left %= seconds;
    if (number == 0 || parts == 2) continue;
    text += fmt::format("{}{}{}", text.empty() ? "" : " ", number, name);
    ++parts;
  }
  return text.empty() ? "0s" : text;
}

std::optional<std::chrono::year_month_day> parse_date(std::string_view text) {
  using namespace std::chrono;
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const auto y = number(text.substr(0, 4), 9999);
  const auto m = number(text.substr(5, 2), 12);
  const auto d = number(text.substr(8, 2), 31);
  if (!y || !m || !d) return std::nullopt;
  const year_month_day date{year(*y), month(static_cast<unsigned>(*m)),
                            day(static_cast<unsigned>(*d))};
  return date.ok() ? std::optional(date) : std::nullopt;
}

std::optional<std::uint64_t> parse_moment(std::string_view text) {
  constexpr std::size_t kDate = 10;
  constexpr auto kLastYear = std::chrono::year(2261);  // what 64 bits of nanoseconds hold
  const auto date = parse_date(text.substr(0, kDate));
  if (!date || date->year() > kLastYear || text.size() <= kDate || text[kDate] != 'T') {
    return std::nullopt;
  }
  std::string_view rest = text.substr(kDate + 1);
  const auto minutes = take_minutes(rest);
  if (!minutes) return std::nullopt;
  int seconds = 0;
  if (rest.starts_with(':')) {
    const auto given = rest.size() < 3 ? std::nullopt : number(rest.substr(1, 2), 59);
    if (!given) return std::nullopt;
    seconds = *given;
    rest.remove_prefix(3);
  }
  const auto ahead = minutes_ahead(rest);
  if (!ahead) return std::nullopt;
  const std::int64_t days = std::chrono::sys_days(*date).time_since_epoch().count();
  const std::int64_t since = (days * 24 * 60 + *minutes - *ahead) * 60 + seconds;
  if (since < 0) return std::nullopt;
  return static_cast<std::uint64_t>(since) * kNsPerSecond;
}

std::string format_date(std::chrono::year_month_day day) {
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(day.year()),
                     static_cast<unsigned>(day.month()), static_cast<unsigned>(day.day()));
}

std::string format_moment(std::uint64_t ns) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                     fmt::gmtime(static_cast<std::time_t>(ns / kNsPerSecond)));
}

}  // namespace rolewall
