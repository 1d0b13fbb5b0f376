// What the verbs promise where something of the state directory is damaged or gone, on a kernel in
// memory: what waits, what was confirmed, the history, the links, the bans.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "apply/apply.h"
#include "apply/bans.h"
#include "apply/events.h"
#include "apply/state_directory.h"
#include "apply/waiting.h"
#include "support/memory_kernel.h"
#include "unit/apply/machine.h"
#include "unit/apply/table.h"

namespace rolewall::apply {
namespace {

using namespace test;

Snapshot third() {
  Snapshot snapshot = firewall();
  own_table(snapshot).chains[0].rules.push_back(rule("third", {Counter{}}));
  return snapshot;
}

void spoil(const Machine& machine, const std::string& file) {
  std::ofstream(machine.disk.state() + "/" + file, std::ios::app) << "\n";
}

std::string text_in(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Generation 1 is `firewall`, 2 `one_rule_changed`, both for good; 3, `third`, waits.
Machine three_generations() {
  Machine machine = waiting_machine();
  const MemoryWorld world(machine.store);
  CHECK(confirm(machine.disk.state(), world)->what == Confirmation::Confirmed);
  ApplyOptions options;
  options.confirm_within = std::chrono::seconds(60);
  REQUIRE(apply::apply(third(), machine.disk.state(), options, world)->report);
  return machine;
}

// --- What comes back ---------------------------------------------------------------------------

TEST_CASE(
    "what was confirmed is damaged: what nobody confirmed gives way to what was before that") {
  Machine machine = three_generations();
  const MemoryWorld world(machine.store);
  const std::string state = machine.disk.state();
  spoil(machine, "generations/2/snapshot.json");
  machine.store.now_ms += 61'000;
  const auto done = rollback_expired(state, world);
  REQUIRE(done);
  REQUIRE(*done);
  CHECK((*done)->event.to == 1U);
  CHECK((*done)->event.why.find("generation 2") != std::string::npos);
  CHECK(is_in_force(machine, firewall()));
}

TEST_CASE("an overdue rollback to what is damaged keeps nobody from what would mend it") {
  const auto overdue = [](const std::function<void(const std::string&, const MemoryWorld&)>& then) {
    Machine machine = waiting_machine();
    const MemoryWorld world(machine.store);
    spoil(machine, "generations/1/snapshot.json");
    machine.store.now_ms += 61'000;
    const auto now = status(machine.disk.state(), std::nullopt, world);
    CHECK(now->overdue);
    CHECK_FALSE(now->way_back.is_there);
    CHECK_FALSE(rollback_expired(machine.disk.state(), world));
    CHECK_FALSE(confirm(machine.disk.state(), world));
    CHECK_FALSE(rollback(machine.disk.state(), {}, world));
    CHECK(machine.store.own() != nullptr);
    then(machine.disk.state(), world);
    const auto after = status(machine.disk.state(), std::nullopt, world);
    CHECK_FALSE(after->pending);
    CHECK_FALSE(after->overdue);
  };
  overdue([](const auto& state, const auto& world) {
    const auto done = apply::apply(third(), state, {}, world);
    REQUIRE(done);
    REQUIRE(done->report);
    CHECK_FALSE(done->report->problems.empty());
    CHECK(boot_number(state).value() == 3U);
  });
  // The same policy as that which nobody confirmed: it is meant to stay.
  overdue([](const auto& state, const auto& world) {
    CHECK(apply::apply(one_rule_changed(), state, {}, world)->report->confirmed == 2U);
    CHECK(boot_number(state).value() == 2U);
  });
  overdue([](const auto& state, const auto& world) { CHECK(disable(state, world)->was_there); });
  overdue([](const auto& state, const auto& world) { CHECK_FALSE(boot(state, world)); });
}

TEST_CASE("one that is named can be gone to, whatever is damaged") {
  Machine machine = three_generations();
  const MemoryWorld world(machine.store);
  const std::string state = machine.disk.state();
  for (const char* file : {"generations/2/seal", "generations/3/applied.json"})
    spoil(machine, file);
  machine.store.now_ms += 61'000;
  const auto back = rollback(state, 1U, world);
  REQUIRE(back);
  CHECK(back->event.to == 1U);
  CHECK(is_in_force(machine, firewall()));
}

TEST_CASE("the way back past a damaged generation has to be named, by status and apply alike") {
  Machine machine = three_generations();
  const MemoryWorld world(machine.store);
  const std::string state = machine.disk.state();
  CHECK(confirm(state, world)->what == Confirmation::Confirmed);
  spoil(machine, "generations/2/snapshot.json");
  const WayBack way = status(state, std::nullopt, world)->way_back;
  CHECK(way.is_there);
  CHECK(way.command() == "rollback --to 1");
  CHECK(way.why_named.find("generation 2") != std::string::npos);
  const auto refused = rollback(state, {}, world);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::Refused);
  CHECK(refused.error().message.find("rolewall rollback --to 1") != std::string::npos);
  CHECK(is_in_force(machine, third()));
  spoil(machine, "generations/3/snapshot.json");
  const auto anew = apply::apply(firewall(), state, {}, world);
  REQUIRE(anew->report);
  // What the kernel held became generation 4, and is what was in force before.
  CHECK(anew->report->way_back.to == 4U);
}

// --- pending.json ------------------------------------------------------------------------------

TEST_CASE("pending.json is gone, or cannot be read: nobody has confirmed, for any verb") {
  for (const bool is_gone : {false, true}) {
    const auto lost = [&] {
      Machine machine = waiting_machine();
      const std::string path = machine.disk.state() + "/pending.json";
      is_gone ? void(fs::remove(path)) : void(std::ofstream(path) << "{");
      return machine;
    };
    {
      Machine machine = lost();
      MemoryWorld world(machine.store);
      const auto now = status(machine.disk.state(), std::nullopt, world);
      REQUIRE(now->pending);
      CHECK(now->pending->former == 1U);
      CHECK_FALSE(has_deadline(*now->pending));
      CHECK_FALSE(now->overdue);
      CHECK_FALSE(now->problems.empty());
      const auto refused = apply::apply(third(), machine.disk.state(), {}, world);
      REQUIRE_FALSE(refused);
      CHECK(refused.error().kind == ErrorKind::Refused);
      // As it was, in the same boot; and not after another.
      machine.store.flush_ruleset();
      CHECK(boot(machine.disk.state(), world)->pending);
      CHECK(is_in_force(machine, one_rule_changed()));
      world.reboot();
      CHECK(boot(machine.disk.state(), world)->unconfirmed == "generation 2");
      CHECK(is_in_force(machine, firewall()));
      CHECK_FALSE(status(machine.disk.state(), std::nullopt, world)->pending);
    }
    {
      Machine machine = lost();
      const MemoryWorld world(machine.store);
      const auto confirmed = confirm(machine.disk.state(), world);
      CHECK(confirmed->what == Confirmation::Confirmed);
      CHECK_FALSE(confirmed->problems.empty());
      CHECK(boot_number(machine.disk.state()).value() == 2U);
    }
    {
      Machine machine = lost();
      const MemoryWorld world(machine.store);
      CHECK(rollback(machine.disk.state(), {}, world)->event.to == 1U);
      CHECK(is_in_force(machine, firewall()));
    }
  }
}

// --- The history and the links -----------------------------------------------------------------

TEST_CASE("history.log is gone: that is said, and the way back has to be named") {
  Machine machine = three_generations();
  const MemoryWorld world(machine.store);
  const std::string state = machine.disk.state();
  CHECK(confirm(state, world)->what == Confirmation::Confirmed);
  fs::remove(state + "/history.log");
  const auto now = status(state, std::nullopt, world);
  CHECK(now->generation == 3U);
  CHECK_FALSE(now->problems.empty());
  CHECK_FALSE(now->way_back.is_there);
  CHECK_FALSE(history(state, world)->problems.empty());
  const auto refused = rollback(state, {}, world);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("rolewall rollback --to N") != std::string::npos);
  CHECK(rollback(state, 2U, world)->event.to == 2U);
  CHECK(is_in_force(machine, one_rule_changed()));
  CHECK(status(state, std::nullopt, world)->problems.empty());
  CHECK(rollback(state, {}, world)->event.to == 3U);
}

TEST_CASE("links and history are gone: all of it is lost, and no boot takes that for nothing") {
  Machine machine = waiting_machine();
  MemoryWorld world(machine.store);
  const std::string state = machine.disk.state();
  CHECK(confirm(state, world)->what == Confirmation::Confirmed);
  for (const char* name : {"/current", "/boot", "/history.log"}) fs::remove(state + name);
  world.reboot();
  const auto booted = boot(state, world);
  REQUIRE_FALSE(booted);
  CHECK(booted.error().kind == ErrorKind::Io);
  CHECK(fall_back(third(), state, booted.error().message, "third", world));
  const auto now = status(state, std::nullopt, world);
  CHECK(now->fallback->instead == "third");
}

TEST_CASE("where nothing was applied, nothing is made by a verb that has nothing to write") {
  Machine machine;
  const MemoryWorld world(machine.store);
  const std::string state = machine.disk.state();
  CHECK_FALSE(boot(state, world)->generation);
  CHECK(confirm(state, world)->what == Confirmation::NothingPending);
  CHECK(rollback(state, {}, world).error().kind == ErrorKind::Refused);
  CHECK_FALSE(*rollback_expired(state, world));
  CHECK_FALSE(disable(state, world)->was_there);
  CHECK_FALSE(disable(state, world, nullptr, std::chrono::seconds(60))->pending);
  CHECK_FALSE(fs::exists(state));
  fs::create_directories(state);
  CHECK_FALSE(boot(state, world)->generation);
  CHECK(fs::is_empty(state));
}

TEST_CASE("to what is in force already is success, and to what waits is refused") {
  Machine machine = waiting_machine();
  const MemoryWorld world(machine.store);
  const std::string state = machine.disk.state();
  const auto refused = rollback(state, 2U, world);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::Refused);
  CHECK(confirm(state, world)->what == Confirmation::Confirmed);
  const std::string before = text_in(state + "/history.log");
  const auto again = rollback(state, 2U, world);
  REQUIRE(again);
  CHECK(again->was_in_force);
  CHECK_FALSE(again->was_changed);
  machine.store.flush_ruleset();
  CHECK(rollback(state, 2U, world)->was_changed);
  CHECK(is_in_force(machine, one_rule_changed()));
  CHECK(text_in(state + "/history.log") == before);
}

TEST_CASE("where nothing could be written, nobody says that it was before the last boot") {
  Machine machine = waiting_machine();
  const MemoryWorld world(machine.store);
  const std::string state = machine.disk.state();
  CHECK(status(state, std::nullopt, world)->same_boot == true);
  fs::remove(state + "/kernel.json");
  fs::create_directory(state + "/kernel.json");
  CHECK(rollback(state, {}, world)->event.to == 1U);
  const auto now = status(state, std::nullopt, world);
  CHECK(now->generation == 1U);
  CHECK_FALSE(now->same_boot);
}

// --- Bans --------------------------------------------------------------------------------------

TEST_CASE("a damaged line of bans.log stays there, and each boot says it") {
  Machine machine;
  fs::create_directories(machine.disk.state());
  const std::string state = machine.disk.state();
  MemoryWorld world(machine.store);
  REQUIRE(apply::apply(firewall_with_bans(), state, {}, world)->report);
  REQUIRE(add_entry({.banned = net::parse_prefix("192.0.2.7")}, state, world));
  REQUIRE(add_entry({.banned = net::parse_prefix("192.0.2.8")}, state, world));
  std::string log = text_in(state + "/bans.log");
  log.replace(log.find("192.0.2.7"), 9, "192.0.2.6");
  std::ofstream(state + "/bans.log") << log;
  for (int boots = 0; boots < 3; ++boots) {
    world.reboot();
    const auto booted = boot(state, world);
    REQUIRE(booted);
    REQUIRE(booted->problems.size() == 1);
    CHECK(booted->problems[0].find("1 line is damaged") != std::string::npos);
    CHECK(list_entries(world)->size() == 1);
    CHECK(text_in(state + "/bans.log").find("192.0.2.6") != std::string::npos);
  }
}

}  // namespace
}  // namespace rolewall::apply
