#include "apply/events.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <utility>

#include "apply/seal.h"
#include "apply/state_files.h"
#include "base/file.h"

namespace rolewall::apply {
namespace {

using Json = nlohmann::json;
using Number = std::optional<std::uint32_t>;

constexpr std::size_t kMaxHistory = std::size_t{1} << 26;
// A log that is longer than this, some 4,000 events, loses its older half.
constexpr off_t kLongHistory = off_t{1} << 20;
constexpr std::size_t kRoomForOne = 4096;  // bytes

struct Name {
  EventKind kind;
  std::string_view name;
};
constexpr std::array<Name, 9> kNames{{{EventKind::Applied, "applied"},
                                      {EventKind::Confirmed, "confirmed"},
                                      {EventKind::Expired, "expired"},
                                      {EventKind::RolledBack, "rolled-back"},
                                      {EventKind::Disabled, "disabled"},
                                      {EventKind::Dropped, "dropped"},
                                      {EventKind::FellBack, "fell-back"},
                                      {EventKind::Recovered, "recovered"},
                                      {EventKind::Refreshed, "refreshed"}}};

std::string history_path(const std::string& directory) {
  return fmt::format("{}/{}", directory, kHistoryFile);
}

std::string line_of(const Event& event) {
  Json json{{"event", name_of(event.kind)}, {"at", event.at}, {"by", event.by}, {"why", event.why}};
  if (event.from) json["from"] = *event.from;
  if (event.to) json["to"] = *event.to;
  if (event.waits) json["waits"] = true;
  if (event.named) json["named"] = true;
  if (event.over_confirmed) json["over-confirmed"] = true;
  if (!event.instead.empty()) json["instead"] = event.instead;
  return sealed_line(std::move(json));
}

std::optional<Event> event_of(const std::string& line) {
  const auto json = unsealed(line);
  if (!json) return std::nullopt;
  Event event;
  try {
    const std::string name = json->at("event").get<std::string>();
    const auto* const known = std::ranges::find(kNames, name, &Name::name);
    if (known == kNames.end()) return std::nullopt;
    event.kind = known->kind;
    json->at("at").get_to(event.at);
    json->at("by").get_to(event.by);
    json->at("why").get_to(event.why);
    if (json->contains("from")) event.from = json->at("from").get<std::uint32_t>();
    if (json->contains("to")) event.to = json->at("to").get<std::uint32_t>();
    event.waits = json->contains("waits");
    event.named = json->contains("named");
    event.over_confirmed = json->contains("over-confirmed");
    event.instead = json->value("instead", std::string());
  } catch (const Json::exception&) {
    return std::nullopt;
  }
  return event;
}

struct State {
  Number generation;
  bool waits = false;  // nobody has confirmed it
  bool goes_back =
      false;  // it waits, and once confirmed, all that came after it first is taken away
  bool refreshes = false;  // it waits, and once confirmed, is there in place of what is below it
};

// What was in force, the present on top. Never empty. What waits stands above all that does not, so
// that each event costs what it changes, however long the history is.
class Stack {
 public:
  explicit Stack(Number first) : states_{{first}} {}

  void put(State state) {
    if (states_.back().generation != state.generation) states_.push_back(state);
    if (!state.waits) confirm();
  }
  // The next event says what was in force before it. Where that is another, something was done and
  // not written down; what waited is over then. Each apply has a number of its own: one that was in
  // force before was gone back to.
  void expect(Number generation) {
    if (states_.back().generation == generation) return;
    while (states_.size() > 1 && states_.back().waits) states_.pop_back();
    if (generation && take_above(generation)) return confirm();
    put({generation});
  }
  void go_back_to(Number generation) {
    if (!take_above(generation)) {
      // From before the log's beginning, or another has taken its place and is gone with what
      // waits.
      while (states_.size() > 1 && states_.back().waits) states_.pop_back();
      states_.back() = {generation};
    }
    confirm();
  }
  void take_the_place(Number generation) {
    confirm();
    states_.back() = {generation};
  }
  // To where it was in force before; else it is the next.
  void go_to(Number generation) {
    if (!take_above(generation)) put({generation});
    confirm();
  }
  // What is in force for good, and with it what it replaced: the top, and below it what waits.
  void confirm() {
    auto from = states_.end() - 1;
    while (from != states_.begin() && std::prev(from)->waits) --from;
    const std::vector<State> anew(from, states_.end());
    states_.erase(from, states_.end());
    for (const State& state : anew) {
      if (state.goes_back && take_above(state.generation)) continue;
      if (state.refreshes && !states_.empty()) states_.pop_back();
      states_.push_back({state.generation});
    }
  }
  const std::vector<State>& states() const { return states_; }

  // Whether it is there.
  bool take_above(Number generation) {
    const auto last = std::find_if(states_.rbegin(), states_.rend(), [&](const State& state) {
      return state.generation == generation;
    });
    if (last == states_.rend()) return false;
    states_.erase(last.base(), states_.end());
    return true;
  }

 private:
  std::vector<State> states_;
};

// What was in force before the first of them.
Number begins_with(const std::vector<Event>& events) {
  if (events.empty()) return std::nullopt;
  const Event& first = events.front();
  // What could not be loaded need not be what is recorded as in force.
  return first.kind == EventKind::FellBack ? first.to : first.from;
}

Stack stack_of(const std::vector<Event>& events) {
  Stack stack(begins_with(events));
  for (const Event& event : events) {
    switch (event.kind) {
      case EventKind::Applied:
      case EventKind::Disabled:
        stack.expect(event.from);
        if (event.over_confirmed) stack.confirm();
        stack.put({event.to, event.waits});
        break;
      case EventKind::Refreshed:
        stack.expect(event.from);
        if (event.over_confirmed) stack.confirm();
        if (event.waits) {
          stack.put({event.to, /*waits=*/true, /*goes_back=*/false, /*refreshes=*/true});
        } else {
          stack.take_the_place(event.to);
        }
        break;
      case EventKind::RolledBack:
        if (event.waits) {
          stack.expect(event.from);
          if (event.over_confirmed) stack.confirm();
          stack.put({event.to, /*waits=*/true, /*goes_back=*/true});
        } else if (event.named) {
          stack.expect(event.from);
          stack.go_to(event.to);
        } else {
          stack.go_back_to(event.to);
        }
        break;
      case EventKind::Expired:
      case EventKind::Dropped:
        stack.go_back_to(event.to);
        break;
      case EventKind::Confirmed:
        stack.expect(event.from);
        stack.confirm();
        break;
      case EventKind::FellBack:
      case EventKind::Recovered:
        break;
    }
  }
  return stack;
}

// Of refreshes that follow each other the last one tells it all: a timer makes one every few
// minutes, and the log is to hold what people did.
std::vector<Event> without_repeats(const std::vector<Event>& events) {
  std::vector<Event> fewer;
  for (const Event& event : events) {
    const bool follows = !fewer.empty() && fewer.back().kind == EventKind::Refreshed &&
                         event.kind == EventKind::Refreshed && !fewer.back().waits &&
                         !event.waits && fewer.back().to == event.from;
    if (!follows) {
      fewer.push_back(event);
      continue;
    }
    const Number from = fewer.back().from;
    fewer.back() = event;
    fewer.back().from = from;
  }
  return fewer;
}

// Of a log that has become long: the older half goes, unless there is enough to fold together.
std::vector<Event> shortened(const std::vector<Event>& events) {
  std::vector<Event> fewer = without_repeats(events);
  const std::size_t half = events.size() / 2;
  if (fewer.size() > half) {
    fewer.erase(fewer.begin(), fewer.end() - static_cast<std::ptrdiff_t>(half));
  }
  return fewer;
}

}  // namespace

std::string_view name_of(EventKind kind) {
  return std::ranges::find(kNames, kind, &Name::kind)->name;
}

Result<Events> read_events(const std::string& directory) {
  const Result<std::string> text = read_state_file(directory, kHistoryFile, kMaxHistory);
  if (!text && text.error().os_errno == ENOENT) return Events();
  if (!text) return std::unexpected(text.error());
  Events events;
  for (const std::string& line : lines_of(*text)) {
    if (auto event = event_of(line)) {
      events.all.push_back(std::move(*event));
    } else if (!line.empty()) {
      ++events.damaged;
    }
  }
  return events;
}

Result<void> append_event(const std::string& directory, const Event& event) {
  struct stat status{};
  if (::lstat(history_path(directory).c_str(), &status) == 0 && status.st_size > kLongHistory) {
    const auto there = read_events(directory);
    // A full disk keeps the long one.
    if (there) {
      [[maybe_unused]] const auto done = write_events(directory, shortened(there->all));
    }
  }
  return append_to_state_file(directory, kHistoryFile, line_of(event), kMaxHistory,
                              /*on_disk=*/true);
}

void reserve_event(const std::string& directory) {
  const int fd = ::open(history_path(directory).c_str(),
                        O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, kPrivateFile);
  if (fd < 0) return;
  struct stat status{};
  if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
    ::fallocate(fd, FALLOC_FL_KEEP_SIZE, status.st_size, static_cast<off_t>(kRoomForOne));
  }
  ::close(fd);
}

Result<void> write_events(const std::string& directory, const std::vector<Event>& events) {
  std::string text;
  for (const Event& event : events) text += line_of(event) + "\n";
  return write_file_atomically(history_path(directory), text, kPrivateFile);
}

Number in_force_by(const std::vector<Event>& events) {
  return stack_of(events).states().back().generation;
}

std::set<std::uint32_t> refreshed_away(const std::vector<Event>& events) {
  std::set<std::uint32_t> gone;
  for (const Event& event : events) {
    if (event.kind == EventKind::Refreshed && event.from) gone.insert(*event.from);
  }
  return gone;
}

Number confirmed_by(const std::vector<Event>& events) {
  Number confirmed;
  for (const Event& event : events) {
    const bool changes_it = event.kind != EventKind::FellBack && !event.waits;
    if (changes_it) confirmed = event.to;
  }
  return confirmed;
}

std::optional<Unconfirmed> unconfirmed_by(const std::vector<Event>& events) {
  const Stack stack = stack_of(events);
  if (!stack.states().back().waits) return std::nullopt;
  const auto confirmed =
      std::ranges::find(stack.states().rbegin(), stack.states().rend(), false, &State::waits);
  return Unconfirmed{stack.states().back().generation,
                     confirmed == stack.states().rend() ? std::nullopt : confirmed->generation};
}

std::vector<std::uint32_t> ways_back(const std::vector<Event>& events, Number current) {
  Stack stack = stack_of(events);
  // Where a crash came between what was done and its line here, or no line found room, the last
  // that we know of is on top of the one before.
  if (current) stack.take_above(current);
  std::vector<std::uint32_t> ways;
  std::set<std::uint32_t> listed;
  // Before `disable` and an apply after it, it is the generation before; never one that nobody
  // confirmed.
  for (auto state = stack.states().rbegin(); state != stack.states().rend(); ++state) {
    const Number there = state->generation;
    if (!there || there == current || state->waits) continue;
    if (listed.insert(*there).second) ways.push_back(*there);
  }
  return ways;
}

Number in_force_before(const std::vector<Event>& events, Number current) {
  const std::vector<std::uint32_t> ways = ways_back(events, current);
  return ways.empty() ? Number() : ways.front();
}

std::optional<Event> disabled_by(const std::vector<Event>& events) {
  if (events.empty() || in_force_by(events)) return std::nullopt;
  std::optional<Event> last;
  for (const Event& event : events) {
    const bool goes_back = event.kind == EventKind::Expired ||
                           event.kind == EventKind::RolledBack || event.kind == EventKind::Dropped;
    if (event.kind == EventKind::Disabled) last = event;
    if (goes_back && !event.from && event.to) last.reset();
  }
  return last;
}

std::optional<Event> last_taken_back(const std::vector<Event>& events) {
  std::optional<Event> last;
  for (const Event& event : events) {
    switch (event.kind) {
      case EventKind::Applied:
      case EventKind::Disabled:
        last.reset();
        break;
      case EventKind::Expired:
      case EventKind::RolledBack:
      case EventKind::Dropped:
        last = event;
        break;
      case EventKind::Confirmed:
      case EventKind::FellBack:
      case EventKind::Recovered:
      case EventKind::Refreshed:
        break;
    }
  }
  return last;
}

std::string in_words(const Event& event) {
  const auto generation = [](Number number) {
    return number ? fmt::format("generation {}", *number) : std::string("nothing");
  };
  const std::string back = event.to
                               ? fmt::format("generation {} is in force again", *event.to)
                               : std::string("the table was removed: none was in force before");
  switch (event.kind) {
    case EventKind::Applied:
      return fmt::format("{} was applied: {}", generation(event.to), event.why);
    case EventKind::Confirmed:
      return fmt::format("{} was confirmed",
                         event.to ? generation(event.to) : "the removal of the table");
    case EventKind::Expired:
    case EventKind::RolledBack:
    case EventKind::Dropped:
      return fmt::format("{} was rolled back ({}): {}{}",
                         event.from ? generation(event.from) : "the removal of the table",
                         event.why, back, event.waits ? ", until confirmed" : "");
    case EventKind::Disabled:
      return fmt::format("{} was removed (rolewall disable{})", generation(event.from),
                         event.waits ? " --confirm" : "");
    case EventKind::FellBack:
      if (event.instead.empty()) {
        return fmt::format("{} could not be loaded: {}", generation(event.from), event.why);
      }
      return fmt::format("{} is in force in place of {}, which could not be loaded: {}",
                         event.instead, generation(event.from), event.why);
    case EventKind::Refreshed:
      return fmt::format("{} takes the place of {}: {}", generation(event.to),
                         generation(event.from), event.why);
    case EventKind::Recovered:
      return fmt::format("{} was loaded", generation(event.to));
  }
  return "";
}

std::string in_words(const TakenBack& taken_back) {
  std::string text = in_words(taken_back.event);
  for (const std::string& problem : taken_back.problems) text += "; " + problem;
  if (taken_back.unrecorded) text += "; " + taken_back.unrecorded->message;
  return text;
}

}  // namespace rolewall::apply
