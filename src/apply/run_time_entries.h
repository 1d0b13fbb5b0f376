// A ban or an opening as a row of its set, and read back from there.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "apply/kernel.h"
#include "base/error.h"
#include "net/address.h"
#include "ruleset/ruleset.h"

namespace rolewall::apply {

struct Opening {
  std::uint8_t protocol = 6;
  std::uint16_t port = 0;
  net::Address from;
  auto operator<=>(const Opening&) const = default;
};

// One of both.
struct RunTimeEntry {
  std::optional<net::Prefix> banned{};
  std::optional<Opening> opened{};
  std::optional<std::chrono::seconds> left{};  // absent: for good
  std::string reason{};
};

// Whether such entries are what the set holds.
bool holds_entries(const ruleset::Set& set);

// The name of the set that it belongs into.
std::string set_of(const RunTimeEntry& entry);
// REQUIRES: its set.
ruleset::Elements row_of(const RunTimeEntry& entry, const ruleset::Set& set);
RunTimeEntry entry_of(const ruleset::Set& set, std::size_t row);

// Prefixes overlap by one holding the other.
bool overlap(const net::Prefix& one, const net::Prefix& other);

// Our table as the kernel holds it, with the elements of the sets that are asked for alone: a
// policy's list beside them may hold a million.
Result<std::optional<ruleset::Table>> read_sets(
    Kernel& kernel, const std::function<bool(const ruleset::Set&)>& are_asked_for);
// What is in these.
std::vector<RunTimeEntry> entries_in(const ruleset::Table& table,
                                     const std::function<bool(const ruleset::Set&)>& are_asked_for);

}  // namespace rolewall::apply
