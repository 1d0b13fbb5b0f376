// The smallest parts of nft's syntax: names, quoted texts, durations. nft has no escapes, so some
// names and texts that the kernel holds cannot be written at all; the functions say why.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace rolewall::print {

// A piece of nft's syntax, or why there is none for it.
using Text = std::expected<std::string, std::string>;

inline std::unexpected<std::string> cannot(std::string why) {
  return std::unexpected(std::move(why));
}

// The name of a table, chain or set as nft 1.0.6 reads it: unquoted, and no word of its own.
Text identifier(std::string_view name);

// "text", for comments, prefixes and interface names.
Text in_quotes(std::string_view text);

// "1h30m", "250ms".
std::string duration(std::uint64_t milliseconds);

}  // namespace rolewall::print
