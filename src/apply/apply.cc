#include "apply/apply.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "apply/difference.h"
#include "apply/state_directory.h"
#include "ruleset/names.h"

namespace rolewall::apply {
namespace {

using ruleset::Snapshot;
using ruleset::Table;

// For how long the plan is made again because another program changed something meanwhile; where
// that takes longer than this, so often.
constexpr std::chrono::seconds kPatience{10};
constexpr int kLeastAttempts = 3;

// The snapshot's one table, which must be ours.
Result<const Table*> own_table(const Snapshot& snapshot) {
  const auto& tables = snapshot.ruleset.tables;
  if (tables.size() == 1 && tables[0].family == ruleset::kOwnFamily &&
      tables[0].name == ruleset::kOwnTable) {
    return tables.data();
  }
  return fail(ErrorKind::Usage,
              fmt::format("only a ruleset that is table {} {} and nothing else can be applied",
                          name_of(ruleset::kOwnFamily), ruleset::kOwnTable));
}

struct Size {
  std::size_t rules = 0;
  std::size_t sets = 0;
  std::size_t elements = 0;
};

Size size_of(const Table& table) {
  Size size;
  for (const ruleset::Chain& chain : table.chains) size.rules += chain.rules.size();
  size.sets = table.sets.size();
  for (const ruleset::Set& set : table.sets) {
    size.elements += set.elements.count() + (set.elements.has_catch_all ? 1 : 0);
  }
  return size;
}

bool same_world(const Applied& a, const Applied& b) {
  return a.boot_id == b.boot_id && a.network_namespace == b.network_namespace;
}

// What the kernel holds now, and at which generation.
struct Live {
  std::uint32_t generation = 0;
  std::optional<Table> table;
};

Result<Live> read_live(netlink::Connection& kernel) {
  const Result<std::uint32_t> generation = kernel.generation();
  if (!generation) return std::unexpected(generation.error());
  Result<std::optional<Table>> table =
      kernel.dump_table(ruleset::kOwnFamily, ruleset::kOwnTable, true);
  if (!table) return std::unexpected(std::move(table).error());
  // A change between the two makes the commit clash, and everything is read again.
  return Live{*generation, std::move(*table)};
}

// Whether the kernel is known to hold `wanted` without reading it: nobody has changed anything
// since it was put there.
Result<bool> untouched(netlink::Connection& kernel, const std::optional<Generation>& recorded,
                       const Table& wanted) {
  if (!recorded || !same_world(recorded->applied, applied_now("", 0))) return false;
  const Result<std::uint32_t> generation = kernel.generation();
  if (!generation) return std::unexpected(generation.error());
  if (*generation != recorded->applied.kernel_generation) return false;
  const Result<const Table*> there = own_table(recorded->snapshot);
  return there && **there == wanted;
}

// The table as it is before there is any.
Table nothing_of(const Table& wanted) {
  Table table;
  table.family = wanted.family;
  table.name = wanted.name;
  table.flags = wanted.flags;
  return table;
}

Plan nothing_to_do(const Table& wanted) {
  Plan plan;
  plan.rules_kept = size_of(wanted).rules;
  return plan;
}

Plan plan_of(const std::optional<Table>& live, const Table& wanted, const Difference& change) {
  Plan plan;
  plan.first = !live;
  const Table before = live ? *live : nothing_of(wanted);
  plan.lines = by_rule(before, wanted, in_words(before, change));
  plan.rules_added = change.change.added_rules.size();
  plan.rules_removed = change.change.removed_rules.size();
  plan.rules_kept = size_of(wanted).rules - plan.rules_added;
  if (change.whole) {
    plan.rules_added += std::exchange(plan.rules_kept, 0);
    plan.rules_removed = size_of(before).rules;
  }
  return plan;
}

Difference difference_from(const std::optional<Table>& live, const Table& wanted) {
  if (live) return difference(*live, wanted);
  Difference all = difference(nothing_of(wanted), wanted);
  all.whole = true;
  return all;
}

// What reached the kernel.
struct Committed {
  Plan plan;
  std::uint32_t kernel_generation = 0;
  Size size;
  std::vector<netlink::Refusal> refusals;  // if any, nothing was changed
};

Result<Committed> commit(netlink::Connection& kernel, const Table& wanted) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point deadline = Clock::now() + kPatience;
  for (int attempt = 1;; ++attempt) {
    Result<Live> read = read_live(kernel);
    if (!read) return std::unexpected(std::move(read).error());
    const Live& live = *read;
    const Difference change = difference_from(live.table, wanted);
    Committed committed{.plan = plan_of(live.table, wanted, change),
                        .kernel_generation = live.generation,
                        .size = size_of(change.table),
                        .refusals = {}};
    if (change.empty()) {
      committed.size = size_of(*live.table);
      return committed;
    }
    Result<netlink::CommitResult> result =
        change.whole ? kernel.replace_table(change.table, live.generation)
                     : kernel.change_table(change.table, change.change, live.generation);
    if (!result) return std::unexpected(std::move(result).error());
    if (result->committed) {
      committed.kernel_generation = result->generation;
      return committed;
    }
    if (!result->refusals.empty()) {
      committed.refusals = std::move(result->refusals);
      return committed;
    }
    if (attempt >= kLeastAttempts && Clock::now() > deadline) {
      return fail(ErrorKind::Conflict,
                  fmt::format("another program kept changing the firewall ({} attempts): nothing "
                              "was changed",
                              attempt));
    }
  }
}

}  // namespace

Result<Plan> plan(const Snapshot& snapshot, const std::string& state_directory) {
  const Result<const Table*> wanted = own_table(snapshot);
  if (!wanted) return std::unexpected(wanted.error());
  const Result<std::optional<Generation>> recorded = current_generation(state_directory);
  if (!recorded) return std::unexpected(recorded.error());
  Result<netlink::Connection> kernel = netlink::Connection::open();
  if (!kernel) return std::unexpected(std::move(kernel).error());
  const Result<bool> same = untouched(*kernel, *recorded, **wanted);
  if (!same) return std::unexpected(same.error());
  if (*same) return nothing_to_do(**wanted);
  const Result<Live> live = read_live(*kernel);
  if (!live) return std::unexpected(live.error());
  return plan_of(live->table, **wanted, difference_from(live->table, **wanted));
}

Result<Outcome> apply(const Snapshot& snapshot, const std::string& state_directory) {
  const Result<const Table*> wanted = own_table(snapshot);
  if (!wanted) return std::unexpected(wanted.error());
  Result<StateDirectory> state = StateDirectory::open(state_directory);
  if (!state) return std::unexpected(std::move(state).error());
  // Before the commit: a directory that cannot be read now would not be written either.
  const Result<std::optional<Generation>> read = state->current();
  if (!read) return std::unexpected(read.error());
  const std::optional<Generation>& before = *read;
  Result<netlink::Connection> kernel = netlink::Connection::open();
  if (!kernel) return std::unexpected(std::move(kernel).error());

  const Result<bool> same = untouched(*kernel, before, **wanted);
  if (!same) return std::unexpected(same.error());
  Committed committed;
  if (*same) {
    committed = {.plan = nothing_to_do(**wanted),
                 .kernel_generation = before->applied.kernel_generation,
                 .size = size_of(**wanted),
                 .refusals = {}};
  } else {
    Result<Committed> result = commit(*kernel, **wanted);
    if (!result) return std::unexpected(std::move(result).error());
    committed = std::move(*result);
  }
  if (!committed.refusals.empty()) return Outcome{std::nullopt, std::move(committed.refusals)};

  Report report{.plan = std::move(committed.plan),
                .rules = committed.size.rules,
                .sets = committed.size.sets,
                .elements = committed.size.elements};
  Applied applied = applied_now(snapshot.host.name, committed.kernel_generation);
  Result<std::uint32_t> generation = 0;
  // A policy that was only written differently changes no rule and still the lines they come from.
  const bool unchanged = report.plan.empty() && before && before->snapshot == snapshot &&
                         same_world(before->applied, applied);
  if (!unchanged) {
    generation = state->record(snapshot, std::move(applied));
  } else {
    generation = before->applied.generation;
    if (before->applied.kernel_generation != committed.kernel_generation) {
      const auto noted = state->note_kernel_generation(*before, committed.kernel_generation);
      if (!noted) generation = std::unexpected(noted.error());
    }
  }
  if (!generation) {
    Error error = generation.error();
    error.message = fmt::format("the table is in force, but not recorded: {}", error.message);
    return std::unexpected(std::move(error));
  }
  report.generation = *generation;
  return Outcome{std::move(report), {}};
}

Result<Status> status(const std::string& state_directory) {
  const Result<std::optional<Generation>> current = current_generation(state_directory);
  if (!current) return std::unexpected(current.error());
  const std::optional<Generation>& recorded = *current;
  Result<netlink::Connection> kernel = netlink::Connection::open();
  if (!kernel) return std::unexpected(std::move(kernel).error());
  const Result<std::optional<Table>> dumped =
      kernel->dump_table(ruleset::kOwnFamily, ruleset::kOwnTable, true);
  if (!dumped) return std::unexpected(dumped.error());
  const std::optional<Table>& live = *dumped;

  Status status;
  status.table_present = live.has_value();
  if (live) {
    const Size size = size_of(*live);
    status.rules = size.rules;
    status.sets = size.sets;
    status.elements = size.elements;
  }
  const std::string table =
      fmt::format("table {} {}", name_of(ruleset::kOwnFamily), ruleset::kOwnTable);
  if (!recorded) {
    if (live) status.drift.push_back(table + " is in the kernel, and no apply recorded it");
    return status;
  }
  const Generation& generation = *recorded;
  status.generation = generation.applied.generation;
  status.applied_at = generation.applied.at;
  status.host = generation.applied.host;
  status.same_boot = same_world(generation.applied, applied_now("", 0));
  const Result<const Table*> wanted = own_table(generation.snapshot);
  if (!wanted) return std::unexpected(wanted.error());
  if (live) {
    std::vector<ChangeItem> items = in_words(*live, difference(*live, **wanted));
    const std::size_t most = std::min(items.size(), kMaxDrift);
    for (std::size_t i = 0; i < most; ++i) status.drift.push_back(as_drift(items[i]));
    if (items.size() > most) {
      status.drift.push_back(fmt::format("and {} other differences", items.size() - most));
    }
  } else {
    status.drift.push_back(table + " is not in the kernel");
  }
  return status;
}

Result<bool> disable(const std::string& state_directory) {
  Result<StateDirectory> state = StateDirectory::open(state_directory);
  if (!state) return std::unexpected(std::move(state).error());
  Result<netlink::Connection> kernel = netlink::Connection::open();
  if (!kernel) return std::unexpected(std::move(kernel).error());
  // First, so that a boot in between finds nothing to load.
  const Result<bool> forgotten = state->forget_current();
  if (!forgotten) return std::unexpected(forgotten.error());
  const Result<std::optional<Table>> live =
      kernel->dump_table(ruleset::kOwnFamily, ruleset::kOwnTable, false);
  if (!live) return std::unexpected(live.error());
  if (!*live) return *forgotten;
  const Result<netlink::CommitResult> result =
      kernel->delete_table(ruleset::kOwnFamily, ruleset::kOwnTable, std::nullopt);
  if (!result) return std::unexpected(result.error());
  if (!result->committed) {
    const netlink::Refusal& refusal = result->refusals.front();
    return fail(
        ErrorKind::System,
        fmt::format("the kernel refused to remove {}: {}", refusal.what, refusal.explanation),
        refusal.os_errno);
  }
  return true;
}

Result<std::optional<Snapshot>> last_applied(const std::string& state_directory) {
  Result<std::optional<Generation>> read = current_generation(state_directory);
  if (!read) return std::unexpected(std::move(read).error());
  std::optional<Generation>& current = *read;
  if (!current) return std::nullopt;
  return std::move(current->snapshot);
}

}  // namespace rolewall::apply
