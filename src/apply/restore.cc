#include "apply/restore.h"

#include <fmt/format.h>

#include <random>
#include <utility>

#include "apply/ask_guard.h"
#include "apply/bans.h"
#include "apply/commit.h"
#include "apply/elsewhere.h"
#include "apply/interrupted.h"
#include "apply/machine_facts.h"
#include "apply/open_sessions.h"
#include "apply/waiting.h"
#include "apply/way_back.h"

namespace rolewall::apply {
namespace {

std::string new_token() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

// Whom the ruleset that is in force again shuts out, for people; "" where that is nobody, or was
// never asked for. Nothing is refused for it: whoever waits has no one to ask.
std::string what_is_lost(Kernel& kernel, const std::optional<Generation>& former) {
  if (!former || former->applied.management.empty()) return "";
  const auto table = own_table(former->snapshot);
  auto facts = machine_facts();
  if (!table || !facts) return "";
  facts->management = former->applied.management;
  const auto answer = ask_guard(kernel, *table, *facts);
  if (!answer || answer->losses.empty()) return "";
  std::string text = "it shuts out: " + answer->losses.front().what;
  if (answer->losses.size() > 1) {
    text += fmt::format(", and {} more", answer->losses.size() - 1);
  }
  return text;
}

}  // namespace

Result<std::optional<Writer>> open_to_write(const std::string& state_directory,
                                            const World& world) {
  TRY(refuse_elsewhere(state_directory, world));
  Result<std::optional<StateDirectory>> state = StateDirectory::open_existing(state_directory);
  if (!state) return std::unexpected(std::move(state).error());
  if (!*state) return std::nullopt;
  Result<std::unique_ptr<Kernel>> kernel = world.open_kernel();
  if (!kernel) return std::unexpected(std::move(kernel).error());
  clear_interrupted(**state, **kernel, world);
  return Writer{std::move(**state), std::move(*kernel)};
}

Result<Pending> arm(const World& world, StateDirectory& state,
                    std::optional<std::uint32_t> generation,
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

Result<void> arm_again(StateDirectory& state, const std::optional<Pending>& earlier) {
  return earlier ? state.write(kPendingFile, to_json(*earlier)) : disarm(state);
}

Result<PutBack> put_table(const World& world, Kernel& kernel, const ruleset::Table& table,
                          const std::string& state_directory) {
  PutBack put;
  net::AddressSet banned;
  const auto send = [&](bool with_entries) {
    const auto fill = [&](const Plan& plan, ruleset::Table& made) -> Result<void> {
      if (!plan.first) return {};
      put.problems.clear();  // of an earlier attempt
      banned = {};
      if (const auto tracked = track_open_sessions(kernel); !tracked) {
        put.problems.push_back("open sessions are not known to the kernel and may be cut: " +
                               tracked.error().message);
      }
      if (!with_entries) return {};
      for (std::string& problem : recall_entries(state_directory, world, made)) {
        put.problems.push_back(std::move(problem));
      }
      banned = banned_by(made);
      return {};
    };
    return commit(world, kernel, table,
                  {.beliefs = {}, .before_sending = fill, .state_directory = state_directory});
  };
  auto committed = send(true);
  if (committed && !committed->refusals.empty() && committed->plan.first) {
    // It may be a ban that is refused: better the policy without it than no policy.
    const netlink::Refusal refusal = committed->refusals.front();
    committed = send(false);
    if (committed && committed->refusals.empty()) {
      put.problems.push_back(fmt::format(
          "no ban and no opening is in force: with them the kernel refused {}: {} ({}/bans.log)",
          refusal.what, refusal.explanation, state_directory));
    }
  }
  if (!committed) return std::unexpected(std::move(committed).error());
  if (committed->refusals.empty()) {
    put.kernel_generation = committed->mark.generation;
    put.changed = !committed->plan.empty();
    if (std::string problem = cut_banned_sessions(kernel, banned); !problem.empty()) {
      put.problems.push_back(std::move(problem));
    }
    return put;
  }
  const netlink::Refusal& refusal = committed->refusals.front();
  return fail(ErrorKind::System,
              fmt::format("the kernel refused {}: {}", refusal.what, refusal.explanation),
              refusal.os_errno);
}

Result<PutBack> put_back(const World& world, Kernel& kernel,
                         const std::optional<Generation>& former,
                         const std::string& state_directory) {
  if (!former) {
    const Result<bool> removed = remove_table(kernel);
    if (!removed) return std::unexpected(removed.error());
    PutBack put;
    put.changed = *removed;
    return put;
  }
  const auto table = own_table(former->snapshot);
  if (!table) return std::unexpected(table.error());
  return put_table(world, kernel, **table, state_directory);
}

Result<TakenBack> record_return(const World& world, StateDirectory& state, Event event,
                                const std::optional<Generation>& former, PutBack put) {
  if (former) event.to = former->applied.generation;
  const auto record = [&]() -> Result<void> {
    TRY(state.make_current(event.to));
    if (!event.waits) TRY(state.make_boot(event.to));
    if (former) {
      note_in_kernel(world, state, former->applied, {.generation = put.kernel_generation});
    }
    // A disk that is full leaves no doubt what is in force, nor lets it wait on.
    if (const auto told = state.append(event); !told) {
      put.problems.push_back("it is not recorded in the history: " + told.error().message);
    }
    return event.waits ? Result<void>() : disarm(state);
  };
  if (auto recorded = record(); !recorded) {
    Error error = std::move(recorded).error();
    error.message = "the previous table is in force again, but not recorded: " + error.message;
    return std::unexpected(std::move(error));
  }
  TakenBack done;
  done.event = std::move(event);
  done.problems = std::move(put.problems);
  return done;
}

Result<TakenBack> restore(const World& world, StateDirectory& state, Kernel& kernel, Event event,
                          const std::optional<Generation>& former) {
  Result<PutBack> put = put_back(world, kernel, former, state.path());
  if (!put) return std::unexpected(std::move(put).error());
  return record_return(world, state, std::move(event), former, std::move(*put));
}

Result<TakenBack> return_by_itself(const World& world, StateDirectory& state, Kernel& kernel,
                                   Event event, const std::optional<Generation>& former) {
  auto done = restore(world, state, kernel, std::move(event), former);
  if (!done) return done;
  if (std::string lost = what_is_lost(kernel, former); !lost.empty()) {
    done->problems.push_back(std::move(lost));
  }
  return done;
}

Result<std::optional<TakenBack>> end_what_is_over(const World& world, StateDirectory& state,
                                                  Kernel& kernel) {
  // What cannot be read of it is for the verb to say.
  std::optional<Pending> pending = whatever_waits(state.path()).pending;
  if (!pending || !is_over(*pending, world)) return std::nullopt;
  const auto current = current_number(state.path());
  if (current && *current != pending->generation) {
    // Another is recorded as in force. Whether it is the kernel tells, which may not have answered
    // when that was asked.
    clear_interrupted(state, kernel, world);
    pending = whatever_waits(state.path()).pending;
    if (!pending || !is_over(*pending, world)) return std::nullopt;
  }
  const bool of_this_boot = pending->boot_id == world.boot_id();
  Event event = event_now(world, of_this_boot ? EventKind::Expired : EventKind::Dropped);
  event.from = pending->generation;
  event.why = of_this_boot ? "not confirmed by " + pending->deadline : kNotConfirmedBeforeBoot;
  Pending over = *pending;
  if (!of_this_boot) {
    const auto number = boot_number(state.path());
    if (!number) return std::unexpected(number.error());
    over.former = *number;
  }
  const WayBack way = way_back(state.path(), over.generation, over);
  if (!way.is_there) {
    return fail(ErrorKind::Io,
                fmt::format("{} was not confirmed in time and is still in force: {}. `rolewall "
                            "apply` loads the policies, `rolewall disable` removes the table",
                            name_of_waiting(over), way.why_named));
  }
  if (!way.why_named.empty()) event.why += "; " + way.why_named;
  const auto former = read_former(state.path(), way.to);
  if (!former) return std::unexpected(former.error());
  auto done = return_by_itself(world, state, kernel, std::move(event), *former);
  if (!done) return std::unexpected(std::move(done).error());
  return std::move(*done);
}

Event event_now(const World& world, EventKind kind) {
  Event event;
  event.kind = kind;
  event.at = clock_time(world);
  event.by = own_name();
  return event;
}

void note_in_kernel(const World& world, StateDirectory& state, Applied applied, KernelMark mark) {
  applied.boot_id = world.boot_id();
  applied.network_namespace = world.network_namespace();
  applied.mark = std::move(mark);
  [[maybe_unused]] const auto noted = state.note(applied);
}

}  // namespace rolewall::apply
