// The limit grammar: number "/" unit [ " burst " number ] [ " per source" | " in all" ].
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "policy/codes.h"
#include "policy/service.h"

namespace rolewall::policy {
namespace {

// The kernel counts in nanoseconds: more than one a nanosecond is no limit.
constexpr std::uint64_t kMostRate = 1'000'000'000;
constexpr std::uint64_t kNanoseconds = 1'000'000'000;

struct Unit {
  std::string_view word;
  std::uint64_t seconds;
};
constexpr std::array kUnits = {Unit{"second", 1}, Unit{"minute", 60}, Unit{"hour", 3600},
                               Unit{"day", 86400}};
constexpr std::string_view kGrammar =
    R"(for example "10/minute", "100/second burst 200", "5/second in all")";

std::uint64_t seconds_of(std::string_view word) {
  for (const Unit& unit : kUnits) {
    if (unit.word == word) return unit.seconds;
  }
  return 0;
}

// "10 per minute", "10/m", "10/min", "10 / s": what was meant, in quotes, or the grammar.
std::string limit_meant(std::uint64_t count, std::string_view rest) {
  constexpr std::string_view kSeparators = " /";
  std::string_view last;
  while (!rest.empty()) {
    const std::string_view word = rest.substr(0, rest.find_first_of(kSeparators));
    if (!word.empty()) last = word;
    rest.remove_prefix(std::min(word.size() + 1, rest.size()));
  }
  for (const Unit& unit : kUnits) {
    const bool is_short = last.size() < 4 && unit.word.starts_with(last);
    const bool is_plural = last.size() == unit.word.size() + 1 && last.starts_with(unit.word);
    if (last == unit.word || is_plural || (is_short && !last.empty())) {
      return fmt::format("did you mean \"{}/{}\"?", count, unit.word);
    }
  }
  return std::string(kGrammar);
}

// Takes `word` off the front of `text`.
bool take(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}

// The digits at the front.
std::string_view take_digits(std::string_view& text) {
  const auto end = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::string_view digits = text.substr(0, end);
  text.remove_prefix(end);
  return digits;
}

}  // namespace

std::optional<Rate> parse_rate(const Value& value, bool per_source, Diagnostics& diagnostics) {
  const auto refuse = [&](std::string_view rest, std::string message,
                          std::string hint = std::string(kGrammar)) -> std::optional<Rate> {
    report(diagnostics, Code::BadLimit, value.place.at(value.text.size() - rest.size()),
           std::move(message), std::move(hint));
    return std::nullopt;
  };
  std::string_view rest = value.text;
  Rate rate;
  rate.span = value.span();
  rate.per_source = per_source;

  const auto count = parse_number(take_digits(rest), kMostRate);
  if (!count || *count == 0) {
    return refuse(value.text, fmt::format("{} does not begin with a rate of 1 to {}",
                                          quote(value.text), kMostRate));
  }
  rate.count = *count;
  if (!take(rest, "/")) {
    return refuse(rest, fmt::format("{} has no unit", quote(value.text)),
                  limit_meant(*count, rest));
  }
  const std::string_view unit = rest.substr(0, rest.find(' '));
  rate.per_seconds = seconds_of(unit);
  if (rate.per_seconds == 0) {
    return refuse(rest, fmt::format("{} is not a unit: second, minute, hour or day", quote(unit)),
                  limit_meant(*count, unit));
  }
  rest.remove_prefix(unit.size());

  rate.burst = static_cast<std::uint32_t>(rate.count);
  if (take(rest, " burst ")) {
    const std::string_view before = rest;
    const auto burst = parse_number(take_digits(rest), std::numeric_limits<std::uint32_t>::max());
    if (!burst || *burst == 0) return refuse(before, "the burst is not a number of 1 or more");
    rate.burst = static_cast<std::uint32_t>(*burst);
  }
  if (take(rest, " per source")) {
    rate.per_source = true;
  } else if (take(rest, " in all")) {
    rate.per_source = false;
  }
  if (!rest.empty()) return refuse(rest, fmt::format("{} is not understood", quote(rest)));

  // nft_limit_init: a bucket holds burst * (unit / rate) nanoseconds, in 64 bits.
  const std::uint64_t cost = rate.per_seconds * kNanoseconds / rate.count;
  if (cost > std::numeric_limits<std::uint64_t>::max() / rate.burst) {
    return refuse(value.text,
                  fmt::format("a burst of {} is too large for this slow rate", rate.burst));
  }
  return rate;
}

std::string format_rate(const Rate& rate) {
  std::string text = fmt::format("{}", rate.count);
  for (const Unit& unit : kUnits) {
    if (unit.seconds == rate.per_seconds) text += fmt::format("/{}", unit.word);
  }
  if (rate.burst != rate.count) text += fmt::format(" burst {}", rate.burst);
  return text + (rate.per_source ? " per source" : " in all");
}

}  // namespace rolewall::policy
