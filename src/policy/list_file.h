// List files: an address or prefix a line, `#` comments. They may be long: a million lines are read
// in a fraction of a second.
#pragma once

#include <string_view>

#include "base/diagnostic.h"
#include "net/address_set.h"

namespace rolewall::policy {

inline constexpr std::size_t kLargestListFile = 256U << 20;

// Order, overlaps and duplicates do not matter. Every bad line is reported at its place, and a
// list that holds nothing.
net::AddressSet parse_list(std::string_view text, FileId file, Diagnostics& diagnostics);

}  // namespace rolewall::policy
