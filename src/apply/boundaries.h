// Which addresses the rules of a table tell apart: on either side of each boundary that they draw a
// packet may have another fate, and nowhere else.
#pragma once

#include <optional>
#include <vector>

#include "net/address.h"
#include "net/address_set.h"
#include "ruleset/ruleset.h"

namespace rolewall::apply {

// But for bans, whose meaning is to be exceptions. To either side of each boundary, those within
// `within`; sorted, each once.
std::vector<net::Address> addresses_told_apart(const ruleset::Table& table,
                                               const net::AddressSet& within);

// The address below, or above; nothing beyond the first and the last.
std::optional<net::Address> next_to(const net::Address& address, bool below);

}  // namespace rolewall::apply
