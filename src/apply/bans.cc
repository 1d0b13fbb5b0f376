#include "apply/bans.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "apply/ask_guard.h"
#include "apply/ban_log.h"
#include "apply/file_lock.h"
#include "apply/kernel.h"
#include "apply/run_time_jumps.h"
#include "ruleset/own_table.h"

namespace rolewall::apply {
namespace {

using namespace ruleset;
using std::chrono::seconds;

constexpr std::uint64_t kMsPerSecond = 1000;
constexpr int kAttempts = 20;         // against other programs' changes
constexpr int kPatientAttempts = 10;  // of these, before their changes are not waited for any more

std::string set_of(const RunTimeEntry& entry) {
  if (entry.opened) return own::allowed_set(net::is_ipv4(entry.opened->from));
  const net::Prefix& prefix = *entry.banned;
  std::string set = own::banned_set(net::is_ipv4(prefix.address));
  const bool single = prefix.length == net::address_bits(prefix.address);
  return single ? set : own::prefixes(std::move(set));
}

void append(std::vector<std::uint8_t>& to, const std::vector<std::uint8_t>& bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

// One row of the entry's set.
Elements row_of(const RunTimeEntry& entry, const Set& set) {
  Elements row;
  row.key_size = set.key_size();
  if (entry.opened) {
    const Opening& opening = *entry.opened;
    row.keys = {opening.protocol,
                0,
                0,
                0,
                static_cast<std::uint8_t>(opening.port >> 8),
                static_cast<std::uint8_t>(opening.port),
                0,
                0};
    append(row.keys, net::to_bytes(opening.from));
  } else {
    row.keys = net::to_bytes(entry.banned->address);
    if (set.interval) {
      row.key_ends = row.keys;
      for (unsigned bit = entry.banned->length; bit < net::address_bits(entry.banned->address);
           ++bit) {
        row.key_ends[bit / 8] = static_cast<std::uint8_t>(row.key_ends[bit / 8] | 0x80U >> bit % 8);
      }
    }
  }
  if (entry.left) {
    const auto ms = static_cast<std::uint64_t>(entry.left->count()) * kMsPerSecond;
    row.timeouts_ms = {ms};
  }
  if (!entry.reason.empty()) row.comments = {entry.reason};
  return row;
}

net::Address address_of(std::span<const std::uint8_t> bytes) {
  if (bytes.size() == 4) return net::ipv4_from_bytes(bytes.data());
  return net::ipv6_from_bytes(bytes.data());
}

// The prefix of an interval that is one, as all of ours are.
unsigned length_of(std::span<const std::uint8_t> first, std::span<const std::uint8_t> last) {
  unsigned length = 0;
  for (std::size_t i = 0; i < first.size(); ++i) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      if (((first[i] ^ last[i]) & 0x80U >> bit) != 0) return length;
      ++length;
    }
  }
  return length;
}

RunTimeEntry entry_of(const Set& set, std::size_t row) {
  const Elements& elements = set.elements;
  RunTimeEntry entry;
  const auto key = elements.key(row);
  if (own::holds_openings(set.name)) {
    constexpr std::size_t kAddress = 8;
    entry.opened = {.protocol = key[0],
                    .port = static_cast<std::uint16_t>(key[4] << 8 | key[5]),
                    .from = address_of(key.subspan(kAddress))};
  } else {
    entry.banned = {address_of(key), length_of(key, elements.key_end(row))};
  }
  const auto number = [&](const std::vector<std::uint64_t>& column) {
    return column.empty() ? 0 : column[row];
  };
  if (const std::uint64_t left = number(elements.expirations_ms); left != 0) {
    entry.left = seconds(static_cast<std::int64_t>((left + kMsPerSecond - 1) / kMsPerSecond));
  }
  if (!elements.comments.empty()) entry.reason = elements.comments[row];
  return entry;
}

// Our table as the kernel holds it, without elements, and the set that the entry belongs into.
struct Place {
  std::unique_ptr<Kernel> kernel;
  std::uint32_t generation = 0;
  Table table;
  std::size_t set = 0;
};

Result<Place> find_place(const RunTimeEntry& entry, const World& world) {
  Result<std::unique_ptr<Kernel>> opened = world.open_kernel();
  if (!opened) return std::unexpected(std::move(opened).error());
  Kernel& kernel = **opened;
  const Result<std::uint32_t> generation = kernel.generation();
  if (!generation) return std::unexpected(generation.error());
  Result<std::optional<Table>> table = kernel.read_table(kOwnFamily, kOwnTable, {.any = false});
  if (!table) return std::unexpected(std::move(table).error());
  if (!*table) {
    return fail(ErrorKind::Refused, "no policy is in force: run `rolewall apply` first");
  }
  const auto& sets = (*table)->sets;
  const auto at = std::ranges::find(sets, set_of(entry), &Set::name);
  if (at == sets.end()) {
    return fail(
        ErrorKind::Refused,
        fmt::format("the table in force has no set {}: apply the policy again", set_of(entry)));
  }
  const auto number = static_cast<std::size_t>(at - sets.begin());
  return Place{std::move(*opened), *generation, std::move(**table), number};
}

// The kernel's error number where it says how things are; 0: done.
Result<int> send(Place& place, const TableChange& change,
                 std::optional<std::uint32_t> generation = std::nullopt) {
  const auto result = place.kernel->change_table(place.table, change, generation);
  if (!result) return std::unexpected(result.error());
  if (result->committed) return 0;
  if (result->generation_clash) return ERESTART;
  const netlink::Refusal& refusal = result->refusals.front();
  switch (refusal.os_errno) {
    case EEXIST:
    case ENOTEMPTY:
    case ENOENT:
      return refusal.os_errno;
    default:
      return fail(ErrorKind::System,
                  fmt::format("the kernel refused {}: {}", refusal.what, refusal.explanation),
                  refusal.os_errno);
  }
}

}  // namespace

Result<void> add_entry(const RunTimeEntry& entry, const std::string& state_directory,
                       const World& world) {
  [[maybe_unused]] const auto turn = take_turn(state_directory);
  const RunTimeSteps steps{.bans = entry.banned.has_value(), .openings = entry.opened.has_value()};
  Result<int> error = ERESTART;
  for (int attempt = 0; error && *error == ERESTART; ++attempt) {
    if (attempt == kAttempts) {
      return fail(ErrorKind::Refused, "another program keeps changing the firewall; try again");
    }
    Result<Place> place = find_place(entry, world);
    if (!place) return std::unexpected(std::move(place).error());
    if (lacks_chains_of(place->table, steps)) {
      return fail(ErrorKind::Refused,
                  "the table in force was made by an older version: apply the policy again first");
    }
    TableChange change;
    change.added_elements = {
        {.set = place->set, .elements = row_of(entry, place->table.sets[place->set])}};
    // Who keeps changing things is not waited for in the end. The jumps may have been added or
    // taken away since, then: to jump twice does no harm.
    const bool waits = attempt < kPatientAttempts;
    change.added_rules =
        add_run_time_jumps(place->table, steps, waits ? Adds::WhatIsMissing : Adds::Each);
    const auto generation = waits ? std::optional(place->generation) : std::nullopt;
    error = send(*place, change, generation);
    if (error && *error == ENOENT) {
      error = ERESTART;  // what the jumps go before is gone
    } else if (error && *error != 0 && *error != ERESTART) {
      // It is there. To add it again would keep the old time (kernel 6.1).
      change.removed_elements = change.added_elements;
      error = send(*place, change, generation);
    }
  }
  if (!error) return std::unexpected(std::move(error).error());
  if (*error != 0) {
    return fail(ErrorKind::Refused,
                "it overlaps with an existing ban (`rolewall bans` lists them)");
  }
  return log_entry(state_directory, entry, world);
}

Result<bool> remove_entry(const RunTimeEntry& entry, const std::string& state_directory,
                          const World& world, GuardCall* guard) {
  [[maybe_unused]] const auto turn = take_turn(state_directory);
  Result<Place> place = find_place(entry, world);
  if (!place) return std::unexpected(std::move(place).error());
  if (guard != nullptr) {
    const Set& set = place->table.sets[place->set];
    const Elements row = row_of(entry, set);
    const Result<GuardAnswer> answer = ask_about_removal(
        *place->kernel, set.name, {row.keys.begin(), row.keys.end()}, guard->facts);
    TRY(settle(answer, *guard));
  }
  TableChange change;
  change.removed_elements = {
      {.set = place->set, .elements = row_of(entry, place->table.sets[place->set])}};
  const Result<int> error = send(*place, change);
  if (!error) return std::unexpected(error.error());
  TRY(log_removal(state_directory, entry));
  return *error == 0;
}

Result<std::vector<RunTimeEntry>> list_entries(const World& world) {
  Result<std::unique_ptr<Kernel>> opened = world.open_kernel();
  if (!opened) return std::unexpected(std::move(opened).error());
  Kernel& kernel = **opened;
  const auto holds_entries = [](const Set& set) {
    return own::holds_bans(set.name) || own::holds_openings(set.name);
  };
  const Result<std::optional<Table>> declared =
      kernel.read_table(kOwnFamily, kOwnTable, {.any = false});
  if (!declared) return std::unexpected(declared.error());
  std::vector<RunTimeEntry> entries;
  if (!*declared) return entries;
  // A policy's list beside them may hold a million.
  std::vector<std::string> others;
  for (const Set& set : (*declared)->sets) {
    if (!holds_entries(set)) others.push_back(set.name);
  }
  const auto table = kernel.read_table(kOwnFamily, kOwnTable, {.but = std::move(others)});
  if (!table) return std::unexpected(table.error());
  if (!*table) return entries;
  for (const Set& set : (*table)->sets) {
    if (!holds_entries(set)) continue;
    for (std::size_t row = 0; row < set.elements.count(); ++row) {
      entries.push_back(entry_of(set, row));
    }
  }
  return entries;
}

Result<void> recall_entries(const std::string& state_directory, const World& world, Table& table) {
  const auto entries = read_log(state_directory, world);
  if (!entries) return std::unexpected(entries.error());
  for (const RunTimeEntry& entry : *entries) {
    const auto at = std::ranges::find(table.sets, set_of(entry), &Set::name);
    if (at == table.sets.end()) continue;
    at->elements.key_size = at->key_size();
    at->elements.append(row_of(entry, *at), 0);
  }
  add_run_time_jumps(table, held_by(table));
  for (Set& set : table.sets) {
    Elements& elements = set.elements;
    // Columns that the last rows did not need.
    if (!elements.timeouts_ms.empty()) elements.timeouts_ms.resize(elements.count());
    if (!elements.comments.empty()) elements.comments.resize(elements.count());
    elements.sort();
  }
  return {};
}

}  // namespace rolewall::apply
