#include "apply/restore.h"

#include <fmt/format.h>

#include <random>
#include <utility>

#include "apply/ask_guard.h"
#include "apply/bans.h"
#include "apply/commit.h"
#include "apply/machine_facts.h"

namespace rolewall::apply {
namespace {

std::string new_token() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

}  // namespace

Result<Pending> arm(const World& world, StateDirectory& state, std::uint32_t generation,
                    const std::optional<Generation>& former, std::chrono::seconds within) {
  Pending pending;
  pending.generation = generation;
  if (former) pending.former = former->applied.generation;
  pending.token = new_token();
  pending.boot_id = world.boot_id();
  pending.deadline_ns =
      world.boot_ns() + static_cast<std::uint64_t>(std::chrono::nanoseconds(within).count());
  pending.deadline = clock_time(world, within.count());
  // Before the process, which ends where it finds nothing pending.
  TRY(state.write(kPendingFile, to_json(pending)));
  const Result<int> watcher = world.start_watch(state.path(), pending, former, within);
  if (!watcher) {
    TRY(disarm(state));
    return std::unexpected(watcher.error());
  }
  pending.watcher = *watcher;
  TRY(state.write(kPendingFile, to_json(pending)));
  return pending;
}

Result<void> disarm(StateDirectory& state) {
  return state.remove(kPendingFile);
}

Result<std::uint32_t> put_back(const World& world, Kernel& kernel,
                               const std::optional<Generation>& former,
                               const std::string& state_directory) {
  if (!former) {
    TRY(remove_table(kernel));
    return 0;
  }
  const auto table = own_table(former->snapshot);
  if (!table) return std::unexpected(table.error());
  const auto recall = [&](const Plan& plan, ruleset::Table& made) {
    return plan.first ? recall_entries(state_directory, world, made) : Result<void>{};
  };
  const auto committed =
      commit(world, kernel, **table,
             {.beliefs = {}, .before_sending = recall, .state_directory = state_directory});
  if (!committed) return std::unexpected(committed.error());
  if (committed->refusals.empty()) return committed->mark.generation;
  const netlink::Refusal& refusal = committed->refusals.front();
  return fail(ErrorKind::System,
              fmt::format("the kernel refused {}: {}", refusal.what, refusal.explanation),
              refusal.os_errno);
}

Result<RolledBack> restore(const World& world, StateDirectory& state, Kernel& kernel,
                           std::uint32_t generation, const std::optional<Generation>& former,
                           std::string why) {
  RolledBack done{
      .generation = generation, .to = {}, .at = clock_time(world), .why = std::move(why)};
  const Result<std::uint32_t> kernel_generation = put_back(world, kernel, former, state.path());
  if (!kernel_generation) return std::unexpected(kernel_generation.error());
  if (former) done.to = former->applied.generation;
  const auto record = [&]() -> Result<void> {
    if (former) {
      TRY(state.make_current(*done.to));
      TRY(state.make_boot(*done.to));
      Applied applied = former->applied;
      applied.mark = {.generation = *kernel_generation};
      TRY(state.note(applied));
    } else {
      TRY(state.forget_current());
    }
    TRY(state.write(kRolledBackFile, to_json(done)));
    return disarm(state);
  };
  if (auto recorded = record(); !recorded) {
    Error error = std::move(recorded).error();
    error.message = "the previous table is in force again, but not recorded: " + error.message;
    return std::unexpected(std::move(error));
  }
  return done;
}

std::string what_is_lost(Kernel& kernel, const std::optional<Generation>& former) {
  if (!former || former->applied.management.empty()) return "";
  const auto table = own_table(former->snapshot);
  auto facts = machine_facts();
  if (!table || !facts) return "";
  facts->management = former->applied.management;
  const auto answer = ask_guard(kernel, *table, *facts);
  if (!answer || answer->losses.empty()) return "";
  std::string text = "; it shuts out: " + answer->losses.front().what;
  if (answer->losses.size() > 1) {
    text += fmt::format(", and {} more", answer->losses.size() - 1);
  }
  return text;
}

std::string in_words(const RolledBack& done) {
  const std::string to = done.to ? fmt::format("generation {} is in force again", *done.to)
                                 : std::string("the table was removed, as before the first apply");
  return fmt::format("generation {} was rolled back ({}): {}", done.generation, done.why, to);
}

}  // namespace rolewall::apply
