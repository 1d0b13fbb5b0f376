#include "apply/way_back.h"

#include <fmt/format.h>

#include <vector>

#include "apply/events.h"
#include "apply/generations.h"
#include "apply/state_files.h"
#include "apply/state_links.h"

namespace rolewall::apply {
namespace {

using Number = std::optional<std::uint32_t>;

// The first of these that can be loaded.
WayBack first_whole(const std::string& directory, const std::vector<std::uint32_t>& nearest_first,
                    std::string why_named) {
  for (const std::uint32_t generation : nearest_first) {
    const auto whole = check_generation(directory, generation);
    if (whole) return {.is_there = true, .to = generation, .why_named = why_named};
    if (why_named.empty()) {
      why_named = fmt::format("generation {}, in force before, cannot be loaded: {}", generation,
                              whole.error().message);
    }
  }
  return {.is_there = false, .to = {}, .why_named = why_named};
}

// Where generations are kept that the history says nothing of: "" for nothing.
std::string lost_history(const std::string& directory, const Events& events) {
  if (!events.all.empty()) return "";
  const std::string path = fmt::format("{}/{}", directory, kHistoryFile);
  if (events.damaged != 0) {
    return path + ": no line of it can be read: what was in force before cannot be told";
  }
  const auto current = current_number(directory);
  const bool was_applied = current && *current;
  // It is made before the first event.
  const auto kept = list_generations(directory);
  const bool is_gone = kept && !kept->empty() && !is_there(directory, kHistoryFile);
  if (!was_applied && !is_gone) return "";
  return fmt::format("{}: is {}: what was in force before cannot be told", path,
                     is_there(directory, kHistoryFile) ? "empty" : "gone");
}

}  // namespace

std::string WayBack::command() const {
  return why_named.empty() || !to ? "rollback" : fmt::format("rollback --to {}", *to);
}

WayBack way_back(const std::string& directory, Number current,
                 const std::optional<Pending>& pending) {
  return way_back(directory, current, pending, read_events(directory));
}

WayBack way_back(const std::string& directory, Number current,
                 const std::optional<Pending>& pending, const Result<Events>& events) {
  std::string why;
  if (pending) {
    if (!pending->former) return {.is_there = true};
    WayBack confirmed = first_whole(directory, {*pending->former}, "");
    if (confirmed.is_there) return confirmed;
    why = confirmed.why_named;
    current = pending->former;
  }
  if (!events || events->all.empty()) {
    if (why.empty()) {
      why = events ? lost_history(directory, *events) : events.error().message;
    }
    return {.is_there = false, .to = {}, .why_named = why};
  }
  return first_whole(directory, ways_back(events->all, current), why);
}

std::string history_problem(const std::string& directory, const Result<Events>& events) {
  if (!events) return events.error().message;
  if (std::string lost = lost_history(directory, *events); !lost.empty()) return lost;
  if (events->damaged == 0) return "";
  return fmt::format(
      "{}/{}: {} damaged and left out; delete what is damaged to end this message", directory,
      kHistoryFile,
      events->damaged == 1 ? "1 line is" : fmt::format("{} lines are", events->damaged));
}

}  // namespace rolewall::apply
