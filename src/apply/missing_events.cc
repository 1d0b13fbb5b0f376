#include "apply/missing_events.h"

#include <algorithm>
#include <utility>

#include "apply/generations.h"
#include "apply/pending.h"
#include "apply/restore.h"
#include "apply/state_files.h"
#include "apply/state_links.h"
#include "apply/waiting.h"

namespace rolewall::apply {
namespace {

using Number = std::optional<std::uint32_t>;

constexpr const char* kWasInterrupted = "interrupted before it was written down";

// Of a history that was lost once, older ones are not told of either: they are gone back to.
bool is_newer(std::uint32_t generation, const std::vector<Event>& events) {
  return std::ranges::none_of(events, [&](const Event& event) {
    return event.from.value_or(0) >= generation || event.to.value_or(0) >= generation;
  });
}

// An apply's, or a refresh's, as its own record has it.
Event applied_event(const std::string& directory, const World& world, Number before,
                    std::uint32_t generation) {
  Event event = event_now(world, EventKind::Applied);
  event.from = before;
  event.to = generation;
  event.why = kWasInterrupted;
  if (const auto applied = read_applied(directory, generation)) {
    event.at = applied->at;
    event.by = applied->by;
    event.why = applied->changes;
    if (applied->refreshes && applied->refreshes == before) event.kind = EventKind::Refreshed;
  }
  return event;
}

// The end of what waited by the history.
Event end_of(const Unconfirmed& waited, const std::optional<Pending>& pending, const World& world) {
  const bool is_known = pending && pending->generation == waited.what;
  Event event = event_now(world, EventKind::RolledBack);
  event.from = waited.what;
  event.to = waited.confirmed;
  event.why = kWasInterrupted;
  if (is_known && pending->boot_id != world.boot_id()) {
    event.kind = EventKind::Dropped;
    event.why = kNotConfirmedBeforeBoot;
  } else if (is_known && is_overdue(*pending, world)) {
    event.kind = EventKind::Expired;
    event.why = "not confirmed by " + pending->deadline;
  }
  return event;
}

// Who confirms makes the link first. As long as pending.json stands beside it, it is not confirmed.
std::vector<Event> missing_confirmation(const Events& events, Number current,
                                        const Result<Number>& boots,
                                        const std::optional<Pending>& pending, const World& world) {
  const auto waits = unconfirmed_by(events.all);
  const bool is_confirmed = waits && waits->what == current && boots && *boots == current &&
                            !(pending && pending->generation == current);
  if (!is_confirmed) return {};
  Event event = event_now(world, EventKind::Confirmed);
  event.from = event.to = current;
  event.why = kWasInterrupted;
  return {std::move(event)};
}

// The first apply of all, of which nothing is written yet: the file is made before the commit.
bool is_first(const std::string& directory, const Events& events, Number current) {
  if (!events.all.empty() || current != 1U || !is_there(directory, kHistoryFile)) return false;
  const auto kept = list_generations(directory);
  return kept && kept->size() == 1;
}

}  // namespace

std::vector<Event> missing_events(const std::string& directory, const World& world) {
  const auto current = current_number(directory);
  const auto events = read_events(directory);
  if (!current || !events || events->damaged != 0) return {};
  const bool is_lost = events->all.empty() && !is_first(directory, *events, *current);
  if (is_lost) return {};
  const Number logged = in_force_by(events->all);
  const auto read = read_pending(directory);
  const std::optional<Pending> pending = read ? *read : std::nullopt;
  const auto boots = boot_number(directory);
  if (logged == *current) return missing_confirmation(*events, *current, boots, pending, world);
  // A file that is spoilt still says that something waits.
  const bool is_spoilt = !read && boots && *boots != *current;
  const bool waits = is_spoilt || (pending && pending->generation == *current);

  if (*current && is_newer(**current, events->all)) {
    Event event = applied_event(directory, world, logged, **current);
    event.waits = waits;
    event.over_confirmed = pending && waits && pending->former == logged;
    return {std::move(event)};
  }
  std::vector<Event> missing;
  Number before = logged;
  if (const auto waited = unconfirmed_by(events->all)) {
    missing.push_back(end_of(*waited, pending, world));
    before = waited->confirmed;
  }
  if (before == *current) return missing;
  Event event = event_now(world, *current ? EventKind::RolledBack : EventKind::Disabled);
  event.from = before;
  event.to = *current;
  event.waits = waits;
  event.over_confirmed = pending && waits && pending->former == before;
  event.named = *current && !waits;
  event.why = kWasInterrupted;
  missing.push_back(std::move(event));
  return missing;
}

Result<Events> all_events(const std::string& directory, const World& world) {
  auto events = read_events(directory);
  if (!events) return events;
  for (Event& event : missing_events(directory, world)) events->all.push_back(std::move(event));
  return events;
}

void write_missing_events(StateDirectory& state, const World& world) {
  for (const Event& event : missing_events(state.path(), world)) {
    if (!state.append(event)) return;
  }
}

Result<void> record_applied(StateDirectory& state, const World& world, Number before,
                            std::uint32_t generation) {
  TRY(state.make_current(generation));
  return state.append(applied_event(state.path(), world, before, generation));
}

Result<std::uint32_t> newest_known(const std::string& directory) {
  const auto events = read_events(directory);
  if (!events) return std::unexpected(events.error());
  const auto current = current_number(directory);
  if (!current) return std::unexpected(current.error());
  const auto boots = boot_number(directory);
  if (!boots) return std::unexpected(boots.error());
  const auto pending = read_pending(directory);
  if (!pending) return std::unexpected(pending.error());
  std::uint32_t newest = std::max(current->value_or(0), boots->value_or(0));
  for (const Event& event : events->all) {
    newest = std::max({newest, event.from.value_or(0), event.to.value_or(0)});
  }
  if (*pending) {
    newest = std::max({newest, (*pending)->generation.value_or(0), (*pending)->former.value_or(0)});
  }
  return newest;
}

}  // namespace rolewall::apply
