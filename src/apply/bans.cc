#include "apply/bans.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "apply/ask_guard.h"
#include "apply/ban_log.h"
#include "apply/elsewhere.h"
#include "apply/file_lock.h"
#include "apply/kernel.h"
#include "apply/run_time_jumps.h"
#include "apply/state_format.h"
#include "apply/state_links.h"
#include "apply/waiting.h"
#include "ruleset/own_table.h"

namespace rolewall::apply {
namespace {

using namespace ruleset;
using std::chrono::seconds;

constexpr int kAttempts = 20;         // against other programs' changes
constexpr int kPatientAttempts = 10;  // of these, before their changes are not waited for any more

// Our table as the kernel holds it, without elements, and the set that the entry belongs into.
struct Place {
  std::unique_ptr<Kernel> kernel;
  std::uint32_t generation = 0;
  Table table;
  std::size_t set = 0;
};

Result<Place> find_place(const RunTimeEntry& entry, const std::string& state_directory,
                         const World& world) {
  Result<std::unique_ptr<Kernel>> opened = world.open_kernel();
  if (!opened) return std::unexpected(std::move(opened).error());
  Kernel& kernel = **opened;
  const Result<std::uint32_t> generation = kernel.generation();
  if (!generation) return std::unexpected(generation.error());
  Result<std::optional<Table>> table = kernel.read_table(kOwnFamily, kOwnTable, {.any = false});
  if (!table) return std::unexpected(std::move(table).error());
  if (!*table) {
    const auto waits = what_waits(state_directory, world).pending;
    if (!waits) {
      const auto recorded = current_number(state_directory).value_or(std::nullopt);
      return fail(ErrorKind::Refused,
                  recorded ? fmt::format("no policy is in force: `rolewall boot` loads generation "
                                         "{} again",
                                         *recorded)
                           : std::string("no policy is in force: run `rolewall apply` first"));
    }
    return fail(ErrorKind::Refused,
                waits->generation
                    ? fmt::format("no policy is in force: `rolewall boot` loads {} again, which "
                                  "waits for its confirmation",
                                  name_of_waiting(*waits))
                    : std::string("no policy is in force, and the removal of the table waits for "
                                  "its confirmation: `rolewall rollback` loads the policy again"));
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

// Why the log did not take what the kernel has taken.
std::optional<Error> unrecorded(const Result<void>& logged, std::string_view what_then) {
  if (logged) return std::nullopt;
  Error error = logged.error();
  error.message = fmt::format("{}: {}", what_then, error.message);
  return error;
}

using Left = std::optional<seconds>;

Left longer(const Left& one, const Left& other) {
  return one && other ? std::max(one, other) : std::nullopt;
}

// The entry is in its set, or an interval set holds what overlaps with it, which the kernel
// refuses: what is there goes in the same transaction. A narrower ban is part of the new one, which
// takes the longer time.
Result<void> make_room(Place& place, TableChange& change, Added& added) {
  const Set& set = place.table.sets[place.set];
  RunTimeEntry& entry = added.entry;
  Elements gone;
  gone.key_size = set.key_size();
  if (!set.interval) gone.append(row_of(entry, set), 0);
  if (set.interval) {
    const auto is_it = [&](const Set& each) { return each.name == set.name; };
    const auto there = read_sets(*place.kernel, is_it);
    if (!there) return std::unexpected(there.error());
    if (!*there) return {};
    for (const RunTimeEntry& other : entries_in(**there, is_it)) {
      if (!overlap(*other.banned, *entry.banned)) continue;
      if (other.banned->length < entry.banned->length) {
        added.part_of = other;
        if (longer(other.left, entry.left) == other.left) return {};
        return fail(ErrorKind::Refused,
                    fmt::format("{} is part of {}, which is banned, but not for so long: ban that "
                                "for longer, or unban it first",
                                net::format(*entry.banned), net::format(*other.banned)));
      }
      gone.append(row_of(other, set), 0);
      if (other.banned == entry.banned) continue;
      added.replaced.push_back(*other.banned);
      entry.left = longer(entry.left, other.left);
    }
  }
  change.added_elements = {{.set = place.set, .elements = row_of(entry, set)}};
  change.removed_elements = {{.set = place.set, .elements = std::move(gone)}};
  return {};
}

// An interval set refuses what overlaps, and with it the whole table. By their beginnings, the
// wider first, each prefix follows what holds it.
std::vector<RunTimeEntry> without_overlaps(std::vector<RunTimeEntry> entries) {
  const auto is_wide = [](const RunTimeEntry& entry) {
    return entry.banned && entry.banned->length != net::address_bits(entry.banned->address);
  };
  const auto narrow = std::ranges::stable_partition(entries, is_wide);
  std::sort(entries.begin(), narrow.begin(),
            [](const RunTimeEntry& a, const RunTimeEntry& b) { return *a.banned < *b.banned; });
  std::vector<RunTimeEntry> kept;
  for (RunTimeEntry& entry : entries) {
    if (!is_wide(entry) || kept.empty() || net::last(*kept.back().banned) < entry.banned->address) {
      kept.push_back(std::move(entry));
      continue;
    }
    kept.back().left = longer(kept.back().left, entry.left);
  }
  return kept;
}

// What the log says may have been written by hand.
RunTimeEntry as_the_kernel_takes_it(RunTimeEntry entry) {
  constexpr std::chrono::hours kLongest{24 * 366};
  constexpr std::size_t kMaxReason = 120;
  if (entry.left) entry.left = std::min<seconds>(*entry.left, kLongest);
  if (entry.reason.size() > kMaxReason) entry.reason.resize(kMaxReason);
  return entry;
}

}  // namespace

Result<void> may_record(const std::string& state_directory) {
  TRY(check_format(state_directory));
  const auto in_use = is_in_use(state_directory);
  return in_use ? Result<void>() : std::unexpected(in_use.error());
}

Result<Added> add_entry(const RunTimeEntry& entry, const std::string& state_directory,
                        const World& world) {
  TRY(may_record(state_directory));
  TRY(refuse_elsewhere(state_directory, world));
  [[maybe_unused]] const auto turn = take_turn(state_directory);
  Added added;
  const RunTimeSteps steps{.bans = entry.banned.has_value(), .openings = entry.opened.has_value()};
  Result<int> error = ERESTART;
  for (int attempt = 0; error && *error == ERESTART; ++attempt) {
    if (attempt == kAttempts) {
      return fail(ErrorKind::Refused, "another program keeps changing the firewall; try again");
    }
    added = {.entry = entry, .replaced = {}, .part_of = {}, .unrecorded = {}};
    Result<Place> place = find_place(entry, state_directory, world);
    if (!place) return std::unexpected(std::move(place).error());
    if (lacks_chains_of(place->table, steps)) {
      return fail(ErrorKind::Refused,
                  "the table in force was made by an older version: apply the policy again first");
    }
    if (const std::string why = why_without_effect(place->table, steps); !why.empty()) {
      return fail(
          ErrorKind::Refused,
          fmt::format("it would do nothing: another program has changed table inet {} ({}); "
                      "`rolewall boot` loads it again",
                      ruleset::kOwnTable, why));
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
      // To add what is there would keep the old time (kernel 6.1).
      // Renewed for another time, and still for the same reason. The log is long: not for each ban.
      if (entry.reason.empty()) added.entry.reason = logged_reason(state_directory, entry, world);
      TRY(make_room(*place, change, added));
      if (added.part_of) return added;
      error = send(*place, change, generation);
      if (error && *error != 0) error = ERESTART;  // something ran out, or came, in between
    }
  }
  if (!error) return std::unexpected(std::move(error).error());
  // The new one first: where the log has both, the wider holds.
  Result<void> logged = log_entry(state_directory, added.entry, world);
  for (const net::Prefix& gone : added.replaced) {
    if (logged) logged = log_removal(state_directory, {.banned = gone});
  }
  added.unrecorded = unrecorded(logged, "it is in force, but will not be after a reboot");
  return added;
}

Result<Removed> remove_entry(const RunTimeEntry& entry, const std::string& state_directory,
                             const World& world, GuardCall* guard) {
  TRY(may_record(state_directory));
  TRY(refuse_elsewhere(state_directory, world));
  [[maybe_unused]] const auto turn = take_turn(state_directory);
  Result<Place> place = find_place(entry, state_directory, world);
  const bool has_no_table =
      !place && place.error().kind == ErrorKind::Refused && !is_in_force(world);
  const Result<bool> logged = has_no_table ? is_logged(state_directory, entry) : false;
  if (!logged) return std::unexpected(logged.error());
  if (*logged) {
    TRY(log_removal(state_directory, entry));
    return Removed{.was_there = true, .was_recorded_alone = true, .unrecorded = {}};
  }
  if (has_no_table) {
    return Removed{.was_there = false, .was_recorded_alone = true, .unrecorded = {}};
  }
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
  // Nothing was there, and nothing has to be written down.
  if (*error != 0) {
    const Result<bool> is_known = is_logged(state_directory, entry);
    if (!is_known) return std::unexpected(is_known.error());
    if (!*is_known) return Removed{};
  }
  return Removed{.was_there = *error == 0,
                 .was_recorded_alone = false,
                 .unrecorded = unrecorded(log_removal(state_directory, entry),
                                          "it is done, but not after a reboot")};
}

Result<std::vector<RunTimeEntry>> list_entries(const World& world) {
  Result<std::unique_ptr<Kernel>> kernel = world.open_kernel();
  if (!kernel) return std::unexpected(std::move(kernel).error());
  const auto table = read_sets(**kernel, holds_entries);
  if (!table) return std::unexpected(table.error());
  if (!*table) return std::vector<RunTimeEntry>();
  return entries_in(**table, holds_entries);
}

bool is_in_force(const World& world) {
  const auto kernel = world.open_kernel();
  if (!kernel) return false;
  const auto table = (*kernel)->read_table(kOwnFamily, kOwnTable, {.any = false});
  return table && *table;
}

Result<std::vector<RunTimeEntry>> bans_of(const net::Prefix& prefix, const World& world) {
  Result<std::unique_ptr<Kernel>> kernel = world.open_kernel();
  if (!kernel) return std::unexpected(std::move(kernel).error());
  const bool single = prefix.length == net::address_bits(prefix.address);
  // A hundred thousand may be banned one by one; by its key, one of them is asked for.
  const auto are_listed = [&](const Set& set) {
    return own::holds_bans(set.name) && (set.interval || !single);
  };
  Result<std::optional<Table>> table = read_sets(**kernel, are_listed);
  if (!table) return std::unexpected(std::move(table).error());
  if (!*table) return std::vector<RunTimeEntry>();
  std::vector<RunTimeEntry> entries = entries_in(**table, are_listed);
  std::erase_if(entries,
                [&](const RunTimeEntry& entry) { return !overlap(*entry.banned, prefix); });
  if (!single) return entries;
  for (Set& set : (*table)->sets) {
    if (set.name != set_of({.banned = prefix})) continue;
    TRY((*kernel)->read_element(**table, set, net::to_bytes(prefix.address)));
    if (set.elements.count() != 0) entries.push_back(entry_of(set, 0));
  }
  return entries;
}

std::vector<RunTimeEntry> recorded_bans_of(const net::Prefix& prefix,
                                           const std::string& state_directory, const World& world) {
  std::vector<RunTimeEntry> entries = look_at_log(state_directory, world).entries;
  std::erase_if(entries, [&](const RunTimeEntry& entry) {
    return !entry.banned || !overlap(*entry.banned, prefix);
  });
  return entries;
}

std::vector<RunTimeEntry> lacking_in(const Table& table, std::vector<RunTimeEntry> recorded) {
  // The kernel's clock and the log's are not the same: what is about to end may have ended.
  constexpr seconds kSoon{60};
  std::vector<RunTimeEntry> lacking = without_overlaps(std::move(recorded));
  std::map<std::string, std::set<std::vector<std::uint8_t>>> held;
  for (const Set& set : table.sets) {
    if (!holds_entries(set)) continue;
    auto& keys = held[set.name];
    const std::size_t size = set.key_size();
    for (std::size_t row = 0; row < set.elements.count(); ++row) {
      const auto key = set.elements.keys.begin() + static_cast<std::ptrdiff_t>(row * size);
      keys.emplace(key, key + static_cast<std::ptrdiff_t>(size));
    }
  }
  std::erase_if(lacking, [&](const RunTimeEntry& entry) {
    if (entry.left && *entry.left < kSoon) return true;
    const auto at = std::ranges::find(table.sets, set_of(entry), &Set::name);
    if (at == table.sets.end()) return false;
    const Elements row = row_of(entry, *at);
    return held[at->name].contains({row.keys.begin(), row.keys.end()});
  });
  return lacking;
}

net::AddressSet banned_by(const Table& table) {
  std::vector<net::Prefix> all;
  for (const Set& set : table.sets) {
    if (!own::holds_bans(set.name)) continue;
    for (std::size_t row = 0; row < set.elements.count(); ++row) {
      all.push_back(*entry_of(set, row).banned);
    }
  }
  return net::AddressSet::from(all);
}

std::vector<std::string> recall_entries(const std::string& state_directory, const World& world,
                                        Table& table) {
  Remembered remembered = read_log(state_directory, world);
  std::vector<std::string> problems = std::move(remembered.problems);
  std::size_t left_out = 0;
  for (const RunTimeEntry& entry : without_overlaps(std::move(remembered.entries))) {
    const auto at = std::ranges::find(table.sets, set_of(entry), &Set::name);
    const bool full = at != table.sets.end() && at->size != 0 && at->elements.count() >= at->size;
    if (at == table.sets.end() || full) {
      ++left_out;
      continue;
    }
    at->elements.key_size = at->key_size();
    at->elements.append(row_of(as_the_kernel_takes_it(entry), *at), 0);
  }
  if (left_out != 0) {
    problems.push_back(
        fmt::format("{} of the bans and openings found no room in the table and "
                    "are not in force",
                    left_out));
  }
  add_run_time_jumps(table, held_by(table));
  for (Set& set : table.sets) {
    Elements& elements = set.elements;
    // Columns that the last rows did not need.
    if (!elements.timeouts_ms.empty()) elements.timeouts_ms.resize(elements.count());
    if (!elements.comments.empty()) elements.comments.resize(elements.count());
    elements.sort();
  }
  return problems;
}

}  // namespace rolewall::apply
