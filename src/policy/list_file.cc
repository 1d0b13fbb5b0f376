#include "policy/list_file.h"

#include <endian.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "net/mapped_address.h"
#include "policy/codes.h"
#include "policy/selector.h"

namespace rolewall::policy {
namespace {

struct Lists {
  std::vector<net::Interval<net::Ipv4>> ipv4;
  std::vector<net::Interval<net::Ipv6>> ipv6;
};

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

// What stands on a line, without comment and blanks.
std::string_view content_of(std::string_view line) {
  line = line.substr(0, line.find('#'));
  while (!line.empty() && is_blank(line.front())) line.remove_prefix(1);
  while (!line.empty() && is_blank(line.back())) line.remove_suffix(1);
  return line;
}

// The number at the beginning of `text`, of one to three digits and without leading zeros; taken
// off it. False where there is none. Four bytes at once: of addresses in no order, how many digits
// a number has is what no processor foresees.
inline bool take_number(std::string_view& text, std::uint32_t& number) {
  std::uint32_t digits = 0;
  if (text.size() >= sizeof digits) {
    std::memcpy(&digits, text.data(), sizeof digits);
  } else {
    std::memcpy(&digits, text.data(), text.size());
  }
  digits = le32toh(digits) ^ 0x30303030;  // a digit's byte is now its value, any other is above 9
  const std::uint32_t others = ((digits + 0x76767676) | digits) & 0x80808080;
  if (others == 0) return false;  // four digits
  const int bits = std::countr_zero(others) / 8 * 8;
  if (bits == 0 || (bits > 8 && (digits & 0xff) == 0)) return false;
  digits <<= 24 - bits;
  number = (digits & 0xff) * 100 + (digits >> 8 & 0xff) * 10 + (digits >> 16 & 0xff);
  text.remove_prefix(static_cast<std::size_t>(bits / 8));
  return true;
}

// A dotted quad, with a length or without one, at the beginning of `text`; taken off it. Strict as
// net::parse_prefix(), which is asked where this says no.
bool take_quad(std::string_view& text, net::Interval<net::Ipv4>& interval) {
  std::uint32_t first = 0;
  for (int part = 0; part < 4; ++part) {
    if (part > 0) {
      if (!text.starts_with('.')) return false;
      text.remove_prefix(1);
    }
    std::uint32_t number = 0;
    if (!take_number(text, number) || number > 255) return false;
    first = first << 8 | number;
  }
  std::uint32_t last = first;
  if (text.starts_with('/')) {
    text.remove_prefix(1);
    std::uint32_t length = 0;
    if (!take_number(text, length) || length > net::Ipv4::kBits) return false;
    const auto host =
        static_cast<std::uint32_t>((std::uint64_t{1} << (net::Ipv4::kBits - length)) - 1);
    if ((first & host) != 0) return false;
    last = first | host;
  }
  interval = {net::Ipv4{first}, net::Ipv4{last}};
  return true;
}

// The line at the beginning of `text` where it is a quad and nothing else, as nearly every line of
// a long list: without looking for its end first. Taken off with its newline.
bool take_plain_line(std::string_view& text, net::Interval<net::Ipv4>& interval) {
  std::string_view rest = text;
  if (!take_quad(rest, interval) || !rest.starts_with('\n')) return false;
  rest.remove_prefix(1);
  text = rest;
  return true;
}

// A million addresses in any order, by digits: several times as fast as comparing them.
void sort_by_digits(std::vector<net::Interval<net::Ipv4>>& intervals) {
  if (std::ranges::is_sorted(intervals, {}, &net::Interval<net::Ipv4>::first)) return;
  constexpr unsigned kDigitBits = 11;
  constexpr std::size_t kDigits = std::size_t{1} << kDigitBits;
  std::vector<net::Interval<net::Ipv4>> sorted(intervals.size());
  for (unsigned shift = 0; shift < net::Ipv4::kBits; shift += kDigitBits) {
    const auto digit = [shift](const net::Interval<net::Ipv4>& interval) {
      return (interval.first.value >> shift) & (kDigits - 1);
    };
    std::array<std::size_t, kDigits> place{};
    for (const auto& interval : intervals) ++place[digit(interval)];
    std::size_t before = 0;
    for (std::size_t& count : place) before += std::exchange(count, before);
    for (const auto& interval : intervals) sorted[place[digit(interval)]++] = interval;
    intervals.swap(sorted);
  }
}

void add(const net::Prefix& prefix, Lists& lists) {
  const net::Address first = net::first(prefix);
  const net::Address last = net::last(prefix);
  if (const auto* ipv4 = std::get_if<net::Ipv4>(&first)) {
    lists.ipv4.push_back({*ipv4, std::get<net::Ipv4>(last)});
  } else {
    lists.ipv6.push_back({std::get<net::Ipv6>(first), std::get<net::Ipv6>(last)});
  }
}

void report_line(std::string_view content, Span span, Diagnostics& diagnostics) {
  Diagnostics found;
  parse_literal_prefix(content, span, found);
  for (const Diagnostic& each : found.all()) {
    report(diagnostics, Code::BadListLine, span, each.message, each.hint);
  }
}

}  // namespace

net::AddressSet parse_list(std::string_view text, FileId file, Diagnostics& diagnostics) {
  Lists lists;
  std::uint32_t line_number = 0;
  constexpr std::size_t kMostShown = 10;
  std::size_t bad_lines = 0;
  std::vector<std::uint32_t> others;  // behind the first
  std::string_view rest = text;
  if (rest.starts_with("\xef\xbb\xbf")) rest.remove_prefix(3);
  // Room for all that can be; of memory, what is not written to costs nothing.
  constexpr std::size_t kShortestLine = std::string_view("1.1.1.1\n").size();
  lists.ipv4.reserve(rest.size() / kShortestLine + 1);
  while (!rest.empty()) {
    ++line_number;
    net::Interval<net::Ipv4> interval;
    if (take_plain_line(rest, interval)) {
      lists.ipv4.push_back(interval);
      continue;
    }
    const auto end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const std::string_view content = content_of(line);
    if (content.empty()) continue;
    if (std::string_view quad = content; take_quad(quad, interval) && quad.empty()) {
      lists.ipv4.push_back(interval);
    } else if (const auto prefix = net::parse_prefix(content)) {
      add(net::unmapped(*prefix), lists);
    } else {
      // One line shows what is wrong with the file, of others it is said where they are: a file
      // that is no list is not shown.
      if (++bad_lines == 1) {
        const auto column = static_cast<std::uint32_t>(content.data() - line.data() + 1);
        report_line(content, {file, line_number, column}, diagnostics);
      } else if (others.size() < kMostShown) {
        others.push_back(line_number);
      }
    }
  }
  if (!others.empty()) {
    const std::size_t more = bad_lines - 1 - others.size();
    report(diagnostics, Code::BadListLine, {file, 0, 0},
           fmt::format("no address or prefix stands on line{} {}{} either",
                       others.size() + more == 1 ? "" : "s", fmt::join(others, ", "),
                       more == 0 ? "" : fmt::format(" and {} more", more)));
  }
  if (lists.ipv4.empty() && lists.ipv6.empty() && bad_lines == 0) {
    report(diagnostics, Code::EmptyListFile, {file, 0, 0}, "the list is empty",
           "an empty list matches nothing, so it is probably a mistake");
  }
  sort_by_digits(lists.ipv4);
  return {net::IntervalSet<net::Ipv4>::from(std::move(lists.ipv4)),
          net::IntervalSet<net::Ipv6>::from(std::move(lists.ipv6))};
}

}  // namespace rolewall::policy
