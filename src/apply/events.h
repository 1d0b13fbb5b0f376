// What happened, in `history.log` of the state directory: an object of JSON a line, each with its
// checksum (seal.h), only ever appended to. Every change of what is in force is one, whoever made
// it: an apply, its confirmation, its expiry, a rollback, `refresh`, `disable`, a boot that dropped
// what nobody had confirmed or that had to fall back.
//
// `rollback` goes by it, not by the numbers of generations: a generation that was itself rolled
// back is nothing to go back to. What was in force is a stack: an apply puts its generation on top,
// `disable` nothing, and whatever goes back takes away all above that to which it goes back, named
// or not. One that is named and not in it, since it was itself rolled back, is put on top. A
// refresh takes the place of what it refreshed: the same policy, and nothing that anybody would go
// back to.
//
// A line that is damaged says nothing, and is counted.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "apply/pending.h"
#include "base/error.h"

namespace rolewall::apply {

inline constexpr const char* kHistoryFile = "history.log";

enum class EventKind : std::uint8_t {
  Applied,     // `to` is in force
  Confirmed,   // `to`, in force before as well, is what boot loads
  Expired,     // nobody confirmed `from`: `to` is in force again
  RolledBack,  // by hand
  Disabled,    // nothing is in force, nor will be after a boot
  Dropped,     // at a boot: nobody had confirmed `from`
  FellBack,    // at a boot: `from` could not be loaded; the record says `to`, as before
  Recovered,   // at a boot after that: `to` was loaded
  Refreshed,   // `to` is in force in place of `from`: its names' addresses, or what expired
};

std::string_view name_of(EventKind kind);  // "rolled-back"

struct Event {
  EventKind kind = EventKind::Applied;
  std::optional<std::uint32_t> from;  // in force before; absent: no table
  std::optional<std::uint32_t> to;    // in force after it
  bool waits = false;  // of Applied, Refreshed, RolledBack, Disabled: for its confirmation
  bool named = false;  // of RolledBack: `to` was asked for by its number
  // Of what waits: nothing did when it began, whatever the events before say. Their last may have
  // found no room.
  bool over_confirmed = false;
  std::string at;  // RFC 3339, UTC
  std::string by;
  std::string why;
  std::string instead{};  // of FellBack: what was loaded
  bool operator==(const Event&) const = default;
};

// Something was taken back, and what of bans and other things beside the ruleset was not, in words.
struct TakenBack {
  Event event;
  std::vector<std::string> problems;
  std::optional<Pending> pending;     // where it waits for its confirmation
  bool audits = false;                // is_in_audit_mode() of what is in force again
  bool was_in_force = false;          // for good, by the record; and if so:
  bool was_changed = false;           // by another program, and is loaded again
  std::optional<Error> unrecorded{};  // the kernel has done it, and the record says otherwise
};

struct Events {
  std::vector<Event> all;  // the oldest first
  std::size_t damaged = 0;
};

// Nothing where there is no such file.
Result<Events> read_events(const std::string& directory);

// On the disk when it returns. REQUIRES: the directory's lock.
Result<void> append_event(const std::string& directory, const Event& event);
// So that the next append_event() succeeds on a disk that is full by then. Where the filesystem has
// no such thing, it is not so.
void reserve_event(const std::string& directory);

// In place of whatever is there: what an older rolewall's record says (state_directory.cc).
Result<void> write_events(const std::string& directory, const std::vector<Event>& events);

// What is in force by these events; std::nullopt where nothing is.
std::optional<std::uint32_t> in_force_by(const std::vector<Event>& events);
// Those that a refresh took the place of.
std::set<std::uint32_t> refreshed_away(const std::vector<Event>& events);
// The generation that boot loads by them.
std::optional<std::uint32_t> confirmed_by(const std::vector<Event>& events);

// What is in force by them and waits for its confirmation, and what would come back without one;
// std::nullopt where nothing waits.
struct Unconfirmed {
  std::optional<std::uint32_t> what;
  std::optional<std::uint32_t> confirmed;
};
std::optional<Unconfirmed> unconfirmed_by(const std::vector<Event>& events);

// The generations that were in force before `current` (before nothing, where that is std::nullopt),
// the nearest first.
std::vector<std::uint32_t> ways_back(const std::vector<Event>& events,
                                     std::optional<std::uint32_t> current);
// The first of these; std::nullopt where there was none.
std::optional<std::uint32_t> in_force_before(const std::vector<Event>& events,
                                             std::optional<std::uint32_t> current);

// The `disable` since which nothing is in force; what was applied after it and taken back, passed
// over. std::nullopt where something is, or nothing was disabled.
std::optional<Event> disabled_by(const std::vector<Event>& events);

// The last that took something back, unless there was an apply or `disable` since.
std::optional<Event> last_taken_back(const std::vector<Event>& events);

// For people: "generation 3 was rolled back (by rolewall rollback): generation 1 is in force
// again".
std::string in_words(const Event& event);
// The same, with what went wrong beside it.
std::string in_words(const TakenBack& taken_back);

}  // namespace rolewall::apply
