// Selectors: text to terms, and the promise that one which was written down stands for something.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "policy/names.h"
#include "policy/toml_file.h"

namespace rolewall::policy {

// Where a selector stands, and so which names it may use.
struct Scope {
  const Policy& policy;
  Diagnostics& diagnostics;
  NameUses* uses = nullptr;
  bool self = false;  // one host is being compiled or asked
  // In a shipped block: where the site brings it in. Names that it uses are its parameters.
  std::optional<Span> used_at = std::nullopt;
};

// One selector; `text` begins at `offset` within `place`. What it is not is reported.
std::optional<Selector> parse_selector(const Scope& scope, std::string_view text,
                                       const Place& place, std::size_t offset = 0);

// A key's value, `given` even where items are wrong. REQUIRES: every value is a string.
Selectors parse_selectors(const Scope& scope, const Value& value);

// Literal addresses: no names. The prefix with the bits beyond its length cleared is the hint.
std::optional<net::Prefix> parse_literal_prefix(std::string_view text, Span span,
                                                Diagnostics& diagnostics);

// 0.0.0.0 or "::", written without a length: the address of a host that has none yet, where mostly
// all addresses were meant.
bool is_bare_unspecified(const Term& term);

bool names_self(const Selectors& selectors);
// The list but for `self`, plain or negated.
Selectors without_self(Selectors selectors);

// Reports every term, and the list as a whole, that stands for no address. `hosts` are those that
// `self` may be. Terms whose definition was already found wrong are passed over, as they are in
// `broken` (by network index).
void check_not_empty(const Policy& policy, const Selectors& selectors, std::span<const Index> hosts,
                     const std::vector<bool>& broken, Diagnostics& diagnostics);

}  // namespace rolewall::policy
