#include "cli/ban_words.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/calendar.h"
#include "cli/terminal.h"
#include "cli/time_option.h"
#include "net/address_set.h"
#include "net/known_addresses.h"
#include "net/mapped_address.h"

namespace rolewall::cli {
namespace {

constexpr std::size_t kMaxReason = 120;  // an element's comment

// Nor is anybody meant who has no address yet. The reserved addresses above the groups are some
// hosts' own by now, and may be banned: but not with the broadcast address at their end, which
// hosts send to that have no lease.
bool is_no_source(const net::Prefix& prefix) {
  const net::AddressSet asked = net::AddressSet::from({prefix});
  const net::AddressSet reserved = net::known_addresses({"240.0.0.0/4"});
  const net::AddressSet others =
      asked - net::no_sources() - net::known_addresses({"0.0.0.0/8", "::/128"});
  const net::AddressSet broadcast = net::known_addresses({"255.255.255.255/32"});
  return others.empty() || (!(asked & broadcast).empty() && (others - reserved).empty());
}

}  // namespace

Result<net::Prefix> prefix_of(const std::string& text) {
  net::PrefixError why{};
  if (const auto prefix = net::parse_prefix(text, &why)) return net::unmapped(*prefix);
  if (why == net::PrefixError::HostBitsSet) {
    const auto slash = text.find('/');
    return fail(ErrorKind::Usage,
                fmt::format("`{}` has bits set beyond its length: write `{}`, or a prefix whose "
                            "other bits are 0",
                            text, text.substr(0, slash)));
  }
  return fail(
      ErrorKind::Usage,
      fmt::format("`{}` is not an address or a prefix, such as 192.0.2.7 or 2001:db8::/48", text));
}

Result<net::Prefix> source_of(const std::string& text) {
  auto prefix = prefix_of(text);
  if (!prefix || !is_no_source(*prefix)) return prefix;
  return fail(ErrorKind::Refused,
              fmt::format("no host sends from {}: nothing was changed", net::format(*prefix)));
}

Result<std::optional<std::chrono::seconds>> time_left(const std::string& text) {
  if (text.empty()) return std::nullopt;
  const auto time = parse_time("--for", text, std::chrono::hours(24 * 366));
  if (!time) return std::unexpected(time.error());
  return *time;
}

Result<void> check_reason(const std::string& reason) {
  if (reason.size() <= kMaxReason && printable(reason) == reason) return {};
  return fail(ErrorKind::Usage,
              fmt::format("--reason: at most {} bytes, without control characters", kMaxReason));
}

std::string for_how_long(const std::optional<std::chrono::seconds>& left) {
  return left ? fmt::format("for {}", time_in_words(*left)) : std::string("for good");
}

std::string listed(const std::vector<net::Prefix>& prefixes) {
  constexpr std::size_t kMost = 4;
  std::vector<std::string> texts;
  for (const net::Prefix& prefix : prefixes) {
    if (texts.size() < kMost) texts.push_back(net::format(prefix));
  }
  std::string text = fmt::format("{}", fmt::join(texts, ", "));
  if (prefixes.size() > kMost) text += fmt::format(" and {} more", prefixes.size() - kMost);
  return text;
}

}  // namespace rolewall::cli
