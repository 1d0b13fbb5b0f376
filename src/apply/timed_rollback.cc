#include "apply/timed_rollback.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "apply/interrupted.h"
#include "apply/restore.h"
#include "apply/state_directory.h"
#include "apply/state_files.h"
#include "apply/state_links.h"
#include "apply/waiting.h"

namespace rolewall::apply {

TimedRollback::TimedRollback(const World& world, std::string directory, Pending pending,
                             const std::optional<Generation>& former)
    : world_(world),
      directory_(std::move(directory)),
      pending_(std::move(pending)),
      former_(former) {}

TimedRollback::Sight TimedRollback::look() {
  const auto file = read_pending(directory_);
  if (file && *file) return seen_ = (*file)->token == pending_.token ? Sight::Ours : Sight::Another;
  const auto waits = whatever_waits(directory_).pending;
  const bool is_the_same = waits && waits->generation == pending_.generation;
  return is_the_same || !file || !is_settled() ? seen_ : Sight::NothingWaits;
}

// Whether the directory says what became of it. One that was moved away, emptied or made anew
// does not.
bool TimedRollback::is_settled() const {
  const auto events = read_events(directory_);
  if (events && !events->all.empty()) return true;
  const auto current = current_number(directory_);
  const auto boots = boot_number(directory_);
  if (!current || !boots || !is_there(directory_, kCurrentLink)) return false;
  return *current == pending_.generation ? *boots == *current : current->has_value();
}

// Whether it says anything of what waits, or waited.
bool TimedRollback::is_told_of() const {
  const auto file = read_pending(directory_);
  if (!file || *file) return true;
  const auto events = read_events(directory_);
  if (!events || !events->all.empty()) return true;
  const auto current = current_number(directory_);
  return !current || (*current && *current == pending_.generation);
}

Result<TakenBack> TimedRollback::attempt(int number) {
  constexpr int kWithoutRecord = 3;
  Result<std::unique_ptr<Kernel>> kernel = world_.open_kernel();
  if (!kernel) return std::unexpected(kernel.error());
  Result<std::optional<StateDirectory>> state = StateDirectory::open_existing(directory_);
  Event event = event_now(world_, EventKind::Expired);
  event.from = pending_.generation;
  event.why = "not confirmed by " + pending_.deadline;
  if (!state) {
    // Better unrecorded than shut out. Who holds the lock will let it go.
    const bool is_locked = state.error().kind == ErrorKind::Conflict;
    if (number >= kWithoutRecord && !is_locked) {
      return return_unrecorded(**kernel, std::move(event));
    }
    if (number >= kWithoutRecord) TRY(put_back(world_, **kernel, former_, directory_));
    return std::unexpected(state.error());
  }
  const auto before = read_pending(directory_);
  if (*state) clear_interrupted(**state, **kernel, world_);
  const auto now = read_pending(directory_);
  const bool is_cleared = before && *before && now && !*now;
  // Under the lock: a confirm may have come in between. Or nothing came of it.
  if (is_cleared || look() != Sight::Ours) return fail(ErrorKind::Refused, "nothing waits");
  if (!*state || !is_told_of()) return return_unrecorded(**kernel, std::move(event));
  // It may wait in the place of one that never came into force.
  if (const auto waits = read_pending(directory_); waits && *waits) {
    event.from = (*waits)->generation;
  }
  return return_by_itself(world_, **state, **kernel, std::move(event), former_);
}

// A directory that knows nothing of what waits is told nothing of its end.
Result<TakenBack> TimedRollback::return_unrecorded(Kernel& kernel, Event event) {
  auto put = put_back(world_, kernel, former_, directory_);
  if (!put) return std::unexpected(std::move(put).error());
  if (former_) event.to = former_->applied.generation;
  TakenBack done;
  done.event = std::move(event);
  done.problems = std::move(put->problems);
  done.problems.push_back(
      fmt::format("{} is gone, or cannot be written: it is not recorded there", directory_));
  return done;
}

}  // namespace rolewall::apply
