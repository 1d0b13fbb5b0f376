// A TOML text as a neutral tree of values, each with its place. This is the only door to toml++;
// everything after it sees Value alone, so that every TOML spelling of the same data is the same.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostic.h"
#include "policy/policy.h"

namespace rolewall::policy {

// A policy file is written by people; a larger one is a mistake or an attack.
inline constexpr std::size_t kLargestPolicyFile = 8U << 20;

enum class ValueKind : std::uint8_t { String, Integer, Float, Boolean, Date, Time, Array, Table };

// Where a string stands, and where a word inside it stands. Where the string is written with
// escapes or over several lines, every word is at the string's own place.
struct Place {
  Span span;                // of the value: its opening quote
  std::uint32_t shift = 0;  // from there to the first character
  bool verbatim = false;    // the characters stand in the file as they are

  Span at(std::size_t offset) const {
    if (!verbatim) return span;
    return {span.file, span.line, span.column + shift + static_cast<std::uint32_t>(offset)};
  }
};

struct Member;

struct Value {
  ValueKind kind = ValueKind::Table;
  Place place;
  std::string text;
  std::int64_t integer = 0;
  bool boolean = false;
  Date date{};
  std::vector<Value> items;
  std::vector<Member> members;  // in the order in which they are written

  Span span() const { return place.span; }
  const Member* find(std::string_view key) const;
};

struct Member {
  std::string key;
  Span span;
  Value value;
};

// "a string", "an array": for messages.
std::string_view kind_name(ValueKind kind);

// The file's top-level table. Text that is not UTF-8, not TOML, or nested too deeply is one error,
// and there is no value.
std::optional<Value> parse_toml(std::string_view text, FileId file, Diagnostics& diagnostics);

}  // namespace rolewall::policy
