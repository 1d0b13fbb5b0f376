#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "apply/apply.h"
#include "apply/ban_log.h"
#include "apply/bans.h"
#include "apply/commit.h"
#include "apply/difference.h"
#include "apply/elsewhere.h"
#include "apply/interrupted.h"
#include "apply/kernel.h"
#include "apply/known_names.h"
#include "apply/missing_events.h"
#include "apply/state_directory.h"
#include "apply/state_files.h"
#include "apply/state_format.h"
#include "apply/waiting.h"
#include "apply/way_back.h"
#include "net/protocol.h"
#include "ruleset/names.h"
#include "ruleset/own_table.h"

namespace rolewall::apply {

using ruleset::Snapshot;
using ruleset::Table;

namespace {

constexpr std::size_t kMostElements = 4096;  // of another program's set

// Our table and, where they are asked for, the others. Of theirs the elements of short sets: where
// a verdict map leads says what its table does.
Result<ruleset::Ruleset> read_tables(Kernel& kernel, bool others) {
  const Result<std::vector<Table>> there = kernel.tables();
  if (!there) return std::unexpected(there.error());
  ruleset::Ruleset all;
  for (const Table& each : *there) {
    if (!is_own(each) && !others) continue;
    if (is_own(each)) {
      Result<std::optional<Table>> read = kernel.read_table(each.family, each.name, {});
      if (!read) return std::unexpected(std::move(read).error());
      if (*read) all.tables.push_back(std::move(**read));
    } else {
      auto read = kernel.read_table_in_part(each.family, each.name, kMostElements);
      if (!read) return std::unexpected(std::move(read).error());
      if (*read) all.tables.push_back(std::move((*read)->table));
    }
  }
  return all;
}

// One reason that holds for all that is in the directory, which each file of it would give again;
// "" where there is none.
std::string why_unread(const std::string& state_directory) {
  for (const std::string_view folder : {std::string_view(), kGenerations}) {
    const auto listed = list_state_folder(state_directory, folder);
    if (!listed && listed.error().os_errno != ENOENT) return listed.error().message;
  }
  return "";
}

// That nothing of it is read, which every verb that changes something refuses for; "" where it is.
std::string why_not_ours(const std::string& state_directory) {
  if (const auto in_use = is_in_use(state_directory); !in_use) return in_use.error().message;
  const auto known = check_format(state_directory);
  return known ? "" : known.error().message;
}

// What another program may have taken out of the sets.
void say_what_lacks(const std::vector<RunTimeEntry>& lacking, Status& status) {
  if (lacking.empty() || status.is_elsewhere) return;
  const RunTimeEntry& first = lacking.front();
  const std::string name =
      first.banned
          ? "the ban of " + net::format(*first.banned)
          : fmt::format("the opening of {}/{} from {}", net::protocol_name(first.opened->protocol),
                        first.opened->port, net::format(first.opened->from));
  status.problems.push_back(fmt::format(
      "{}{} {} recorded and not in the kernel, as where another program has emptied a set: a "
      "restart brings that back; make it again to have it now",
      name, lacking.size() > 1 ? fmt::format(" and {} more", lacking.size() - 1) : "",
      lacking.size() > 1 ? "are" : "is"));
}

// Bans and openings that are recorded: where there is no table, those that come back with one.
void take_log(const std::string& state_directory, const World& world, const Table* live,
              Status& status) {
  if (!status.distrusted.empty()) return;
  Remembered remembered = look_at_log(state_directory, world);
  for (std::string& problem : remembered.problems) status.problems.push_back(std::move(problem));
  if (live != nullptr) {
    const bool is_forgotten =
        remembered.entries.empty() && (remembered.problems.empty() || remembered.is_lost);
    if (is_forgotten && status.bans + status.openings > 0) {
      status.problems.push_back(fmt::format(
          "{}/{}: knows none of the bans and openings in force, which end when the machine is "
          "restarted: make those again that are to last",
          state_directory, kBanLog));
    }
    say_what_lacks(lacking_in(*live, std::move(remembered.entries)), status);
    return;
  }
  for (const RunTimeEntry& entry : remembered.entries) {
    (entry.banned ? status.bans : status.openings) += 1;
  }
}

void take_applied(const Applied& applied, const World& world, Status& status) {
  status.generation = applied.generation;
  status.applied_at = applied.at;
  status.host = applied.host;
  status.policies = applied.policies;
  if (!applied.boot_id.empty()) {
    status.same_boot = applied.boot_id == world.boot_id();
    status.same_namespace = applied.network_namespace == world.network_namespace();
  }
}

// What a refresh could not do, and of which names no server answers.
void take_names(const std::string& state_directory, const World& world, Status& status) {
  const auto known = read_known_names(state_directory);
  if (!known) {
    status.problems.push_back(known.error().message);
    return;
  }
  if (!status.generation) return;
  if (!known->refused.empty() && known->refused_in_place_of == *status.generation) {
    status.problems.push_back(fmt::format("the refresh at {} was refused: it would lose {}",
                                          known->refreshed_at, known->refused));
  }
  if (known->names.empty()) return;
  status.names_refreshed = known->refreshed_at;
  for (const auto& [name, entry] : known->names) {
    std::string words = silence_in_words(name, entry, world);
    if (words.empty()) continue;
    const bool is_gone = entry.addresses().empty();
    (is_gone ? status.problems : status.silent).push_back(std::move(words));
  }
}

// What the state directory says, and what of it cannot be read.
std::optional<Generation> read_record(const std::string& state_directory, const World& world,
                                      Status& status) {
  status.distrusted = why_unread(state_directory);
  if (status.distrusted.empty()) status.distrusted = why_not_ours(state_directory);
  if (!status.distrusted.empty()) {
    status.unreadable = status.distrusted;
    return std::nullopt;
  }
  status.is_elsewhere = is_elsewhere(state_directory, world);
  Waiting waiting = whatever_waits(state_directory);
  if (is_format_damaged(state_directory)) {
    // While something waits, an apply alone would be refused.
    status.problems.push_back(fmt::format("{}/{}: is damaged; `rolewall {}` writes it anew",
                                          state_directory, kFormatFile,
                                          waiting.pending ? "boot" : "apply"));
  }
  if (!waiting.problem.empty()) status.problems.push_back(std::move(waiting.problem));
  if (waiting.pending && waiting.pending->boot_id != world.boot_id()) {
    status.problems.push_back(
        fmt::format("{} was not confirmed before the machine was restarted: `rolewall boot` "
                    "discards it and loads what was confirmed last",
                    name_of_waiting(*waiting.pending)));
    status.is_dropped_at_boot = true;
  } else {
    status.pending = std::move(waiting.pending);
    status.overdue = status.pending && is_overdue(*status.pending, world);
  }
  const auto number = current_number(state_directory);
  const auto events = all_events(state_directory, world);
  if (number && !status.is_dropped_at_boot) {
    status.way_back = way_back(state_directory, *number, status.pending, events);
  }
  if (events) {
    status.rolled_back = last_taken_back(events->all);
    if (!events->all.empty()) {
      const Event& last = events->all.back();
      status.disabled = disabled_by(events->all);
      if (last.kind == EventKind::FellBack) status.fallback = last;
    }
  }
  if (std::string problem = history_problem(state_directory, events); !problem.empty()) {
    status.problems.push_back(std::move(problem));
  }
  for (std::string& problem : damaged_links(state_directory)) {
    status.problems.push_back(std::move(problem));
  }
  Result<std::optional<Generation>> current = current_generation(state_directory);
  if (!current) {
    status.unreadable = current.error().message;
    if (number) status.generation = *number;
    // For whoever has to apply them again.
    if (auto known = last_known_applied(state_directory); known && *known) {
      status.host = std::move((*known)->host);
      status.policies = std::move((*known)->policies);
    }
    return std::nullopt;
  }
  if (!*current) return std::nullopt;
  take_applied((*current)->applied, world, status);
  take_names(state_directory, world, status);
  return std::move(*current);
}

// Who was killed between the kernel's commit and the record's last line leaves that.
void say_what_boots(const std::string& directory, Status& status) {
  if (status.is_dropped_at_boot) return;  // boot is right to load another
  const auto boots = boot_number(directory);
  const auto current = current_number(directory);
  if (!boots || !current || !*current || *boots == *current || !status.unreadable.empty()) return;
  status.problems.push_back(fmt::format(
      "when the machine is restarted, {} is loaded and not generation {}: what put that in force "
      "was interrupted. `rolewall apply` completes it",
      *boots ? fmt::format("generation {}", **boots) : std::string("nothing"), **current));
}

// What waits by the record may never have come into force, or be taken back already where the
// record could not be written: the kernel's table tells it.
void compare_what_waits(const std::string& directory, const World& world, const Table* live,
                        std::optional<Generation>& recorded, Status& status) {
  if (!status.pending) return say_what_boots(directory, status);
  const Pending armed = *status.pending;
  if (auto waits = waits_in_place_of(directory, armed, live, world)) {
    status.pending = std::move(*waits);
  } else if (!is_table_of(live, directory, current_number(directory).value_or(std::nullopt)) &&
             is_table_of(live, directory, armed.former)) {
    status.problems.push_back(fmt::format(
        "{} is rolled back already and {} is in force again, which could not be recorded then: "
        "`rolewall rollback` records it",
        name_of_waiting(armed),
        armed.former ? fmt::format("generation {}", *armed.former) : std::string("no table")));
    status.pending.reset();
    recorded.reset();
    status.generation.reset();
    status.way_back = {};
    if (auto former = read_former(directory, armed.former); former && *former) {
      take_applied((*former)->applied, world, status);
      recorded = std::move(*former);
    }
  }
  status.overdue = status.pending && is_overdue(*status.pending, world);
  if (const auto number = current_number(directory); number && status.generation == *number) {
    status.way_back = way_back(directory, *number, status.pending);
  }
}

void count(const Table& live, Status& status) {
  status.table_present = true;
  status.audits = is_in_audit_mode(live);
  const Size size = size_of(live);
  status.rules = size.rules;
  status.sets = size.sets;
  status.elements = size.elements;
  for (const ruleset::Set& set : live.sets) {
    if (ruleset::own::holds_bans(set.name)) status.bans += set.elements.count();
    if (ruleset::own::holds_openings(set.name)) status.openings += set.elements.count();
  }
}

// How what is in force differs from what was applied.
Result<void> compare(const Table* live, const std::optional<Generation>& recorded, Status& status) {
  const std::string table =
      fmt::format("table {} {}", name_of(ruleset::kOwnFamily), ruleset::kOwnTable);
  if (!status.unreadable.empty()) return {};
  if (!recorded) {
    if (live != nullptr) {
      status.drift.push_back(table + " is in the kernel, and no apply recorded it");
    }
    return {};
  }
  const Result<const Table*> wanted = own_table(recorded->snapshot);
  if (!wanted) return std::unexpected(wanted.error());
  if (live == nullptr) {
    status.drift.push_back(table + " is not in the kernel");
    return {};
  }
  std::vector<ChangeItem> items = in_words(*live, difference(*live, **wanted, IdleJumps::Stay));
  const std::size_t most = std::min(items.size(), kMaxDrift);
  for (std::size_t i = 0; i < most; ++i) status.drift.push_back(as_drift(items[i]));
  if (items.size() > most) {
    status.drift.push_back(fmt::format("and {} other differences", items.size() - most));
  }
  return {};
}

}  // namespace

// Its base chains are closed otherwise, whatever the defaults say (compile/base_chains.cc).
bool is_in_audit_mode(const Table& table) {
  const ruleset::Chain* input = find_chain(table, ruleset::own::kInput);
  return input != nullptr && input->base && input->base->policy == ruleset::VerdictCode::Accept;
}

Result<Status> status(const std::string& state_directory,
                      const std::optional<observe::Surroundings>& around, const World& world) {
  Status status;
  std::optional<Generation> recorded = read_record(state_directory, world, status);
  Result<std::unique_ptr<Kernel>> kernel = world.open_kernel();
  if (!kernel) return std::unexpected(std::move(kernel).error());
  const Result<ruleset::Ruleset> dumped = read_tables(**kernel, around.has_value());
  if (!dumped) return std::unexpected(dumped.error());
  const auto own = std::ranges::find_if(dumped->tables, ruleset::is_own);
  const Table* live = own == dumped->tables.end() ? nullptr : &*own;
  if (live != nullptr) count(*live, status);
  compare_what_waits(state_directory, world, live, recorded, status);
  take_log(state_directory, world, live, status);
  if (around) {
    status.survey = observe::survey(
        *dumped, live, recorded ? recorded->snapshot.sources : ruleset::SourceMap(), *around);
  }
  TRY(compare(live, recorded, status));
  return status;
}

Result<std::optional<Snapshot>> last_applied(const std::string& state_directory) {
  Result<std::optional<Generation>> read = current_generation(state_directory);
  if (!read) return std::unexpected(std::move(read).error());
  std::optional<Generation>& current = *read;
  if (!current) return std::nullopt;
  return std::move(current->snapshot);
}

}  // namespace rolewall::apply
