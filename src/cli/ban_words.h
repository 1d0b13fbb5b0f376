// What bans and openings have in common on the command line: whom, for how long, why.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "net/address.h"

namespace rolewall::cli {

// Whom the word means: an address or a prefix.
Result<net::Prefix> prefix_of(const std::string& text);
// The same, where packets may come from there.
Result<net::Prefix> source_of(const std::string& text);

// `--for`. std::nullopt where it is "".
Result<std::optional<std::chrono::seconds>> time_left(const std::string& text);
Result<void> check_reason(const std::string& reason);

// After a removal where no table is in force.
inline constexpr std::string_view kRecordedAlone =
    "no table is in force: it was removed from the record, and does not come back with one";

// "for 1h", "for good".
std::string for_how_long(const std::optional<std::chrono::seconds>& left);
// "192.0.2.7, 192.0.2.64/26 and 3 more".
std::string listed(const std::vector<net::Prefix>& prefixes);

}  // namespace rolewall::cli
