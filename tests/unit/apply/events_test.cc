// What was in force before, by what happened.
#include "apply/events.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "unit/apply/machine.h"

namespace rolewall::apply {
namespace {

using test::Machine;
using Number = std::optional<std::uint32_t>;

Event event(EventKind kind, Number from, Number to) {
  Event event;
  event.kind = kind;
  event.from = from;
  event.to = to;
  return event;
}
Event applied(Number from, Number to, bool waits = false) {
  Event made = event(EventKind::Applied, from, to);
  made.waits = waits;
  return made;
}
Event rolled_back(Number from, Number to, bool named = false) {
  Event made = event(EventKind::RolledBack, from, to);
  made.named = named;
  return made;
}

TEST_CASE("nothing happened") {
  CHECK_FALSE(in_force_by({}));
  CHECK_FALSE(confirmed_by({}));
  CHECK_FALSE(in_force_before({}, {}));
  CHECK_FALSE(in_force_before({}, 7));
  CHECK_FALSE(last_taken_back({}));
}

TEST_CASE("what was rolled back is nothing to go back to") {
  const std::vector<Event> events{applied({}, 1), applied(1, 2, true),
                                  event(EventKind::Expired, 2, 1), applied(1, 3)};
  CHECK(in_force_by(events) == 3U);
  CHECK(in_force_before(events, 3) == 1U);
  CHECK(confirmed_by(events) == 3U);
  CHECK_FALSE(last_taken_back(events));
}

Event refreshed(Number from, Number to, bool waits = false) {
  Event made = event(EventKind::Refreshed, from, to);
  made.waits = waits;
  return made;
}

TEST_CASE("a refresh takes the place of what it refreshed") {
  std::vector<Event> events{applied({}, 1), applied(1, 2), refreshed(2, 3), refreshed(3, 4)};
  CHECK(in_force_by(events) == 4U);
  CHECK(confirmed_by(events) == 4U);
  CHECK(in_force_before(events, 4) == 1U);
  CHECK(refreshed_away(events) == std::set<std::uint32_t>{2, 3});
  events.push_back(rolled_back(4, 1));
  CHECK_FALSE(in_force_before(events, 1));
  CHECK(last_taken_back(events)->from == 4U);
  events.push_back(refreshed(1, 5));
  CHECK(last_taken_back(events)->from == 4U);  // nobody has applied anything since
  CHECK_FALSE(in_force_before(events, 5));
}

TEST_CASE("one that waits does so once it is confirmed") {
  std::vector<Event> events{applied({}, 1), applied(1, 2), refreshed(2, 3, true)};
  CHECK(unconfirmed_by(events)->what == 3U);
  CHECK(unconfirmed_by(events)->confirmed == 2U);
  events.push_back(event(EventKind::Confirmed, 3, 3));
  CHECK_FALSE(unconfirmed_by(events));
  CHECK(in_force_before(events, 3) == 1U);
  events.back() = event(EventKind::Expired, 3, 2);
  CHECK(in_force_by(events) == 2U);
  CHECK(in_force_before(events, 2) == 1U);
}

TEST_CASE("a log full of refreshes loses these, and nothing that somebody did") {
  Machine machine;
  const std::string directory = machine.disk.state();
  std::filesystem::create_directories(directory);
  std::vector<Event> events{applied({}, 1), applied(1, 2)};
  for (std::uint32_t i = 2; i < 9000; ++i) {
    events.push_back(refreshed(i, i + 1));
    events.back().why =
        "intake: + 192.0.2.7, - 192.0.2.8, and what makes a line as long as they are";
  }
  REQUIRE(write_events(directory, events));
  REQUIRE(append_event(directory, refreshed(9000, 9001)));
  const auto read = read_events(directory);
  REQUIRE(read);
  CHECK(read->damaged == 0);
  CHECK(read->all.size() < 10);
  CHECK(in_force_by(read->all) == 9001U);
  CHECK(in_force_before(read->all, 9001) == 1U);
}

TEST_CASE("one rollback after the other goes on; one to what was rolled back can be taken back") {
  std::vector<Event> events{applied({}, 1), applied(1, 2), applied(2, 3)};
  CHECK(in_force_before(events, 3) == 2U);
  events.push_back(rolled_back(3, 2));
  CHECK(last_taken_back(events)->from == 3U);
  CHECK(in_force_before(events, 2) == 1U);
  events.push_back(rolled_back(2, 1));
  CHECK_FALSE(in_force_before(events, 1));
  events.push_back(rolled_back(1, 3, true));
  CHECK(in_force_by(events) == 3U);
  CHECK(in_force_before(events, 3) == 1U);
}

TEST_CASE("a rollback goes on from where a named one went back to") {
  std::vector<Event> events{applied({}, 1), applied(1, 2), applied(2, 3), applied(3, 4)};
  events.push_back(rolled_back(4, 2, true));
  CHECK(in_force_by(events) == 2U);
  CHECK(in_force_before(events, 2) == 1U);
  // One that waited, once it is confirmed; past one that waits.
  std::vector<Event> confirmed{applied({}, 1), applied(1, 2), applied(2, 3), applied(3, 4)};
  confirmed.push_back(rolled_back(4, 2, true));
  confirmed.back().waits = true;
  CHECK(in_force_before(confirmed, 4) == 3U);
  confirmed.push_back(event(EventKind::Confirmed, 2, 2));
  CHECK(in_force_by(confirmed) == 2U);
  CHECK(in_force_before(confirmed, 2) == 1U);
  std::vector<Event> past{applied({}, 1), applied(1, 2), applied(2, 3, true)};
  past.push_back(rolled_back(3, 2));
  past.push_back(rolled_back(2, 1, true));
  CHECK(in_force_by(past) == 1U);
  CHECK_FALSE(in_force_before(past, 1));
}

TEST_CASE("several that wait go back together") {
  const std::vector<Event> events{applied({}, 1), applied(1, 2, true), applied(2, 3, true)};
  CHECK(confirmed_by(events) == 1U);
  std::vector<Event> after = events;
  after.push_back(event(EventKind::Expired, 3, 1));
  CHECK(in_force_by(after) == 1U);
  CHECK_FALSE(in_force_before(after, 1));
}

TEST_CASE("disabled: the generation before; and behind an apply it is passed over") {
  std::vector<Event> events{applied({}, 1), applied(1, 2), event(EventKind::Disabled, 2, {})};
  CHECK_FALSE(in_force_by(events));
  CHECK_FALSE(confirmed_by(events));
  CHECK(in_force_before(events, {}) == 2U);
  events.push_back(applied({}, 3));
  CHECK(in_force_before(events, 3) == 2U);
}

TEST_CASE("what was disabled stays so behind an apply that is taken back") {
  std::vector<Event> events{applied({}, 1), event(EventKind::Disabled, 1, {})};
  REQUIRE(disabled_by(events));
  events.push_back(applied({}, 2, true));
  CHECK_FALSE(disabled_by(events));
  events.push_back(event(EventKind::Expired, 2, {}));
  REQUIRE(disabled_by(events));
  CHECK(disabled_by(events)->from == 1U);
  CHECK_FALSE(disabled_by({applied({}, 1, true), event(EventKind::RolledBack, 1, {})}));
  // The removal itself was taken back, and then all before it.
  events = {applied({}, 1, true), event(EventKind::Disabled, 1, {}),
            event(EventKind::RolledBack, {}, 1), event(EventKind::Expired, 1, {})};
  CHECK_FALSE(disabled_by(events));
  CHECK_FALSE(disabled_by({}));
}

TEST_CASE("a first apply that expires leaves nothing") {
  const std::vector<Event> events{applied({}, 1, true), event(EventKind::Expired, 1, {})};
  CHECK_FALSE(in_force_by(events));
  CHECK_FALSE(in_force_before(events, {}));
  CHECK(last_taken_back(events)->why == "");
}

TEST_CASE("a crash before the line was written: the last one known is before") {
  const std::vector<Event> events{applied({}, 1), applied(1, 2)};
  CHECK(in_force_before(events, 3) == 2U);
  // `disable` that was cut short.
  const std::vector<Event> cut{applied({}, 1), applied(1, 2), event(EventKind::Disabled, 2, {})};
  CHECK(in_force_before(cut, 2) == 1U);
  // `disable` whose line found no room.
  CHECK(in_force_before(events, {}) == 2U);
  // A rollback whose line found no room: the next apply says what it found in force.
  const std::vector<Event> went_back{applied({}, 1), applied(1, 2), applied(1, 3)};
  CHECK(in_force_before(went_back, 3) == 1U);
  std::vector<Event> and_again = went_back;
  and_again.push_back(rolled_back(3, 1));
  CHECK_FALSE(in_force_before(and_again, 1));
}

TEST_CASE("what nobody confirmed is nothing to go back to, though its end was not written down") {
  std::vector<Event> events{applied({}, 1), applied(1, 2, true)};
  CHECK(in_force_before(events, {}) == 1U);
  events.push_back(event(EventKind::Confirmed, 2, 2));
  CHECK(in_force_before(events, {}) == 2U);
  // An apply for good over it confirms it, too.
  const std::vector<Event> over{applied({}, 1), applied(1, 2, true), applied(2, 3)};
  CHECK(in_force_before(over, 3) == 2U);
}

TEST_CASE(
    "what is confirmed is what was in force, not what waited by the last line that found room") {
  // `rollback --to 2` found no room for its line.
  const std::vector<Event> events{applied({}, 1), applied(1, 2), rolled_back(2, 1),
                                  applied(1, 3, true), event(EventKind::Confirmed, 2, 2)};
  CHECK(in_force_by(events) == 2U);
  CHECK(in_force_before(events, 2) == 1U);
}

TEST_CASE("a log that begins in the middle") {
  const std::vector<Event> events{applied(6, 7), applied(7, 8)};
  CHECK(in_force_before(events, 7) == 6U);
  std::vector<Event> older = events;
  older.push_back(rolled_back(8, 3));
  CHECK(in_force_by(older) == 3U);
  CHECK(in_force_before(older, 3) == 7U);
}

TEST_CASE("a boot that fell back changes nothing of what is recorded") {
  const std::vector<Event> events{applied({}, 1), event(EventKind::FellBack, 1, 1),
                                  event(EventKind::Recovered, 1, 1)};
  CHECK(in_force_by(events) == 1U);
  CHECK(confirmed_by(events) == 1U);
  CHECK_FALSE(in_force_before(events, 1));
}

}  // namespace
}  // namespace rolewall::apply
