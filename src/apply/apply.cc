#include "apply/apply.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "apply/compare.h"
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

Report report(const Size& size, std::uint32_t generation, bool changed) {
  return {.generation = generation,
          .changed = changed,
          .rules = size.rules,
          .sets = size.sets,
          .elements = size.elements};
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

// What reached the kernel.
struct Committed {
  bool changed = false;
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
    if (live.table && same_table(*live.table, wanted)) {
      return Committed{false, live.generation, size_of(*live.table), {}};
    }
    Table table = wanted;
    if (live.table) carry_over(*live.table, table);
    Result<netlink::CommitResult> result = kernel.replace_table(table, live.generation);
    if (!result) return std::unexpected(std::move(result).error());
    if (result->committed) return Committed{true, result->generation, size_of(table), {}};
    if (!result->refusals.empty()) {
      return Committed{false, live.generation, {}, std::move(result->refusals)};
    }
    if (attempt >= kLeastAttempts && Clock::now() > deadline) {
      return fail(ErrorKind::Conflict,
                  fmt::format("another program kept changing the firewall ({} attempts): nothing "
                              "was changed",
                              attempt));
    }
  }
}

bool same_world(const Applied& a, const Applied& b) {
  return a.boot_id == b.boot_id && a.network_namespace == b.network_namespace;
}

}  // namespace

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

  Result<Committed> committed = commit(*kernel, **wanted);
  if (!committed) return std::unexpected(std::move(committed).error());
  if (!committed->refusals.empty()) return Outcome{std::nullopt, std::move(committed->refusals)};

  Applied applied = applied_now(snapshot.host.name, committed->kernel_generation);
  // A policy that was only written differently changes no rule and still the lines they come from.
  if (!committed->changed && before && before->snapshot == snapshot &&
      same_world(before->applied, applied)) {
    return Outcome{report(committed->size, before->applied.generation, false), {}};
  }
  const Result<std::uint32_t> recorded = state->record(snapshot, std::move(applied));
  if (!recorded) {
    Error error = recorded.error();
    error.message = fmt::format("the table is in force, but not recorded: {}", error.message);
    return std::unexpected(std::move(error));
  }
  return Outcome{report(committed->size, *recorded, committed->changed), {}};
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
    status.drift = drift(*live, **wanted);
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
