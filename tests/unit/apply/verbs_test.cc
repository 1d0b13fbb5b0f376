// What the verbs promise of the record, in whatever order they come, on a kernel in memory: clocks,
// what lies beside the record, the history, an older directory.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "apply/apply.h"
#include "apply/ask_guard.h"
#include "apply/bans.h"
#include "apply/events.h"
#include "apply/state_directory.h"
#include "base/file.h"
#include "support/memory_kernel.h"
#include "unit/apply/guard_scene.h"
#include "unit/apply/machine.h"
#include "unit/apply/table.h"

namespace rolewall::apply {
namespace {

using namespace test;
using rolewall::test::Killed;
using rolewall::test::Trouble;

// --- Clocks -------------------------------------------------------------------------------------

TEST_CASE("whoever sets the wall clock neither hastens a rollback nor puts it off") {
  Machine machine = waiting_machine();
  MemoryWorld world(machine.store);
  world.wall += 1'000'000;
  auto done = rollback_expired(machine.disk.state(), world);
  REQUIRE(done);
  CHECK_FALSE(*done);
  CHECK(is_in_force(machine, one_rule_changed()));
  world.wall -= 2'000'000;
  machine.store.now_ms += 61'000;
  done = rollback_expired(machine.disk.state(), world);
  REQUIRE(done);
  REQUIRE(*done);
  CHECK((*done)->event.to == 1U);
  CHECK(is_in_force(machine, firewall()));
  CHECK(confirm(machine.disk.state(), world)->what == Confirmation::TooLate);
}

TEST_CASE("who is killed before the commit has left nothing that waits") {
  bool is_done = false;
  std::size_t before_the_commit = 0;
  for (std::size_t step = 0; !is_done; ++step) {
    CAPTURE(step);
    Machine machine;
    fs::create_directories(machine.disk.state());
    MemoryWorld world(machine.store);
    const std::string state = machine.disk.state();
    REQUIRE(apply::apply(firewall(), state, {}, world)->report);
    ApplyOptions options;
    options.confirm_within = std::chrono::seconds(60);
    machine.store.steps.clear();
    machine.store.fault = {.step = step, .trouble = Trouble::KilledBefore};
    try {
      REQUIRE(apply::apply(one_rule_changed(), state, options, world));
      is_done = true;
    } catch (const Killed&) {
    }
    machine.store.fault = {};
    const bool is_as_before =
        policy_of(*machine.store.own()) == policy_of(firewall().ruleset.tables[0]);
    const auto now = status(state, std::nullopt, world);
    REQUIRE(now);
    CHECK(now->pending.has_value() == !is_as_before);
    machine.store.now_ms += 61'000;
    const auto over = rollback_expired(state, world);
    REQUIRE(over);
    CHECK(over->has_value() == !is_as_before);
    CHECK(is_in_force(machine, firewall()));
    CHECK_FALSE(fs::exists(state + "/pending.json"));
    if (!is_as_before) continue;
    ++before_the_commit;
    CHECK(read_events(state)->all.size() == 1);
    CHECK(confirm(state, world)->what == Confirmation::NothingPending);
    // What was made ready may have a number that somebody has seen.
    const bool is_prepared = fs::exists(state + "/generations/2");
    const auto next = apply::apply(one_rule_changed(), state, {}, world);
    REQUIRE(next);
    CHECK(next->report->generation == (is_prepared ? 3 : 2));
  }
  CHECK(before_the_commit > 1);
}

TEST_CASE("what the kernel refuses is no event") {
  bool is_done = false;
  for (std::size_t step = 0; !is_done; ++step) {
    CAPTURE(step);
    Machine machine = waiting_machine();
    MemoryWorld world(machine.store);
    const std::string state = machine.disk.state();
    const std::size_t before = read_events(state)->all.size();
    machine.store.steps.clear();
    machine.store.fault = {.step = step, .trouble = Trouble::Fails};
    is_done = disable(state, world).has_value();
    if (is_done) break;
    CHECK(read_events(state)->all.size() == before);
    CHECK(is_in_force(machine, one_rule_changed()));
    machine.store.fault = {};
    CHECK(confirm(state, world)->what == Confirmation::Confirmed);
  }
}

TEST_CASE("what was rolled back by hand was not too late") {
  Machine machine = waiting_machine();
  MemoryWorld world(machine.store);
  REQUIRE(rollback(machine.disk.state(), {}, world));
  const auto confirmed = confirm(machine.disk.state(), world);
  REQUIRE(confirmed);
  CHECK(confirmed->what == Confirmation::RolledBack);
  REQUIRE(confirmed->taken_back);
  CHECK(confirmed->taken_back->from == 2U);
}

TEST_CASE("a reboot before the confirmation boots the former policy") {
  Machine machine = waiting_machine();
  MemoryWorld world(machine.store);
  world.reboot();
  const auto booted = boot(machine.disk.state(), world);
  REQUIRE(booted);
  CHECK(booted->generation == 1U);
  CHECK(booted->unconfirmed == "generation 2");
  CHECK(is_in_force(machine, firewall()));
  // The deadline of the boot before means nothing.
  machine.store.now_ms += 1'000'000;
  CHECK_FALSE(*rollback_expired(machine.disk.state(), world));
}

TEST_CASE("confirmed: it is what the next boot loads") {
  Machine machine = waiting_machine();
  MemoryWorld world(machine.store);
  CHECK(confirm(machine.disk.state(), world)->what == Confirmation::Confirmed);
  machine.store.now_ms += 1'000'000;
  CHECK_FALSE(*rollback_expired(machine.disk.state(), world));
  world.reboot();
  REQUIRE(boot(machine.disk.state(), world));
  CHECK(is_in_force(machine, one_rule_changed()));
}

// --- What lies beside the record ----------------------------------------------------------------

Machine with_log(std::string_view lines) {
  Machine machine;
  fs::create_directories(machine.disk.state());
  const MemoryWorld world(machine.store);
  REQUIRE(apply::apply(firewall_with_bans(), machine.disk.state(), {}, world)->report);
  std::ofstream(machine.disk.state() + "/bans.log") << lines;
  return machine;
}

std::vector<RunTimeEntry> after_reboot(Machine& machine, std::int64_t wall) {
  MemoryWorld world(machine.store);
  world.wall = wall;
  world.reboot();
  const auto booted = boot(machine.disk.state(), world);
  REQUIRE(booted);
  CHECK(booted->generation == 1U);
  const auto entries = list_entries(world);
  REQUIRE(entries);
  return *entries;
}

TEST_CASE("a wrong clock makes no opening longer than it was given, and deletes no ban for good") {
  constexpr std::int64_t kNow = 1'800'000'000;
  constexpr std::int64_t kYear2000 = 946'684'800;
  constexpr std::int64_t kYear = 365 * 86'400;
  Machine machine = with_log(R"({"entry":"allow 6 22 192.0.2.9","until":1800003600,"for":3600})"
                             "\n"
                             R"({"entry":"ban 192.0.2.7","until":1800003600,"for":3600})"
                             "\n");
  for (const RunTimeEntry& entry : after_reboot(machine, kYear2000)) {
    CHECK(*entry.left <= std::chrono::seconds(3600));
  }
  CHECK(after_reboot(machine, kYear2000).size() == 2);
  CHECK(after_reboot(machine, kNow + kYear).empty());
  CHECK(after_reboot(machine, kNow).size() == 2);
  CHECK(after_reboot(machine, kNow + 3'601).empty());
}

TEST_CASE("of prefixes that overlap the widest is recalled, with the longest time") {
  Machine machine = with_log(R"({"entry":"ban 10.77.0.0/16","until":1800000600,"for":600})"
                             "\n"
                             R"({"entry":"ban 10.76.0.0/14","until":1800000060,"for":60})"
                             "\n"
                             R"({"entry":"ban 10.80.0.0/16"})"
                             "\n"
                             R"({"entry":"ban 10.77.3.4"})"
                             "\n");
  const auto entries = after_reboot(machine, 1'800'000'000);
  REQUIRE(entries.size() == 3);
  const auto wide = std::ranges::find_if(
      entries, [](const RunTimeEntry& entry) { return entry.banned->length == 14; });
  REQUIRE(wide != entries.end());
  CHECK(wide->left->count() > 500);
}

// --- Who manages this host ----------------------------------------------------------------------

TEST_CASE("whatever makes the table, remembered bans end what is open with them") {
  Machine machine;
  fs::create_directories(machine.disk.state());
  const std::string state = machine.disk.state();
  const MemoryWorld world(machine.store);
  REQUIRE(apply::apply(firewall_with_bans(), state, {}, world)->report);
  Snapshot changed = firewall_with_bans();
  own_table(changed).chains[0].rules.push_back(rule("more", {Counter{}}));
  REQUIRE(apply::apply(changed, state, {}, world)->report);
  REQUIRE(add_entry({.banned = net::parse_prefix("192.0.2.0/24")}, state, world));
  const auto session = [](const char* remote) {
    return netlink::TcpSocket{.local = *net::parse_address("203.0.113.10"),
                              .local_port = 443,
                              .remote = *net::parse_address(remote),
                              .remote_port = 40'000};
  };
  machine.store.sockets.established = {session("192.0.2.7"), session("198.51.100.7")};
  const auto goes_on = [&](auto verb) {
    machine.store.flush_ruleset();
    machine.store.tracked.clear();
    REQUIRE(verb());
    REQUIRE(machine.store.tracked.size() == 1);
    CHECK(machine.store.tracked[0].remote == *net::parse_address("198.51.100.7"));
  };
  goes_on([&] { return apply::apply(changed, state, {}, world)->report.has_value(); });
  goes_on([&] { return boot(state, world).has_value(); });
  goes_on([&] { return rollback(state, {}, world).has_value(); });
}

TEST_CASE("who manages this host is what the ruleset in force was applied for") {
  Machine machine;
  fs::create_directories(machine.disk.state());
  const std::string state = machine.disk.state();
  const MemoryWorld world(machine.store);
  const auto apply_for = [&](const Snapshot& snapshot, const char* management, const char* host) {
    ApplyOptions options;
    options.guard = GuardFacts();
    options.guard->management = {*net::parse_prefix(management)};
    options.guard->site = {{host, {*net::parse_prefix("192.0.2.9")}}};
    options.force = true;
    const auto done = apply::apply(snapshot, state, options, world);
    REQUIRE(done);
    REQUIRE(done->report);
  };
  const auto known = [&] {
    const auto applied = last_known_applied(state);
    REQUIRE(applied);
    REQUIRE(*applied);
    CHECK((*applied)->site.size() == 1);
    return net::format((*applied)->management.front()) + " " + (*applied)->site.begin()->first;
  };
  apply_for(firewall(), "198.51.100.0/24", "web-01");
  apply_for(one_rule_changed(), "203.0.113.0/24", "web-02");
  CHECK(known() == "203.0.113.0/24 web-02");
  REQUIRE(rollback(state, {}, world));
  CHECK(known() == "198.51.100.0/24 web-01");
  REQUIRE(disable(state, world));
  CHECK(known() == "198.51.100.0/24 web-01");
  REQUIRE(rollback(state, 2, world));
  CHECK(known() == "203.0.113.0/24 web-02");
  // Its record is damaged: as what was in force before.
  std::ofstream(state + "/generations/2/applied.json") << "{}";
  CHECK(known() == "198.51.100.0/24 web-01");
}

// --- The history --------------------------------------------------------------------------------

std::vector<EventKind> kinds(const Machine& machine) {
  std::vector<EventKind> kinds;
  const auto events = read_events(machine.disk.state());
  REQUIRE(events);
  for (const Event& event : events->all) kinds.push_back(event.kind);
  return kinds;
}

TEST_CASE("what nobody rolled back in time is, by whichever verb comes first") {
  const std::vector<std::function<void(const std::string&, const MemoryWorld&)>> verbs{
      [](const auto& state, const auto& world) {
        CHECK(confirm(state, world)->what == Confirmation::TooLate);
      },
      [](const auto& state, const auto& world) {
        CHECK(rollback(state, {}, world)->event.to == 1U);
      },
      [](const auto& state, const auto& world) { CHECK(*rollback_expired(state, world)); },
      [](const auto& state, const auto& world) {
        CHECK(boot(state, world)->unconfirmed == "generation 2");
      },
      [](const auto& state, const auto& world) {
        CHECK(apply::apply(firewall(), state, {}, world)->report->plan.empty());
      },
  };
  for (const auto& verb : verbs) {
    Machine machine = waiting_machine();
    const MemoryWorld world(machine.store);
    machine.store.now_ms += 61'000;
    CHECK(status(machine.disk.state(), std::nullopt, world)->overdue);
    verb(machine.disk.state(), world);
    CHECK(is_in_force(machine, firewall()));
    CHECK(kinds(machine) ==
          std::vector{EventKind::Applied, EventKind::Applied, EventKind::Expired});
    const auto now = status(machine.disk.state(), std::nullopt, world);
    CHECK_FALSE(now->overdue);
    CHECK_FALSE(now->pending);
    CHECK(now->rolled_back->from == 2U);
  }
}

TEST_CASE("the way back by the history, over every way in which something came into force") {
  Machine machine = waiting_machine();
  MemoryWorld world(machine.store);
  const std::string& state = machine.disk.state();
  CHECK(confirm(state, world)->what == Confirmation::Confirmed);
  REQUIRE(disable(state, world));
  CHECK(machine.store.own() == nullptr);
  world.reboot();
  CHECK_FALSE(boot(state, world)->generation);
  CHECK(rollback(state, {}, world)->event.to == 2U);
  CHECK(is_in_force(machine, one_rule_changed()));
  CHECK(rollback(state, {}, world)->event.to == 1U);
  CHECK(is_in_force(machine, firewall()));
  const auto none = rollback(state, {}, world);
  REQUIRE_FALSE(none);
  CHECK(none.error().kind == ErrorKind::Refused);
  CHECK(is_in_force(machine, firewall()));
}

TEST_CASE("nothing to do, but for what waits: its time begins anew, or it is confirmed") {
  for (const bool for_good : {false, true}) {
    Machine machine = waiting_machine();
    const MemoryWorld world(machine.store);
    machine.store.now_ms += 30'000;
    ApplyOptions options;
    options.for_good = for_good;
    if (!for_good) options.confirm_within = std::chrono::seconds(60);
    const auto done = apply::apply(one_rule_changed(), machine.disk.state(), options, world);
    REQUIRE(done);
    REQUIRE(done->report);
    CHECK(done->report->plan.empty());
    CHECK(done->report->time_begins_anew != for_good);
    CHECK(done->report->confirmed.has_value() == for_good);
    machine.store.now_ms += 40'000;
    CHECK_FALSE(*rollback_expired(machine.disk.state(), world));
    CHECK(is_in_force(machine, one_rule_changed()));
    machine.store.now_ms += 21'000;
    CHECK((*rollback_expired(machine.disk.state(), world)).has_value() != for_good);
    CHECK(is_in_force(machine, for_good ? one_rule_changed() : firewall()));
  }
}

TEST_CASE("by its number past what was confirmed: what waited is no state to return to") {
  Machine machine = waiting_machine();
  const MemoryWorld world(machine.store);
  const std::string& state = machine.disk.state();
  CHECK(confirm(state, world)->what == Confirmation::Confirmed);
  ApplyOptions options;
  options.confirm_within = std::chrono::seconds(60);
  REQUIRE(apply::apply(firewall_with_bans(), state, options, world)->report);
  CHECK(rollback(state, 1U, world)->event.to == 1U);
  CHECK(is_in_force(machine, firewall()));
  CHECK(kinds(machine) == std::vector{EventKind::Applied, EventKind::Applied, EventKind::Confirmed,
                                      EventKind::Applied, EventKind::RolledBack,
                                      EventKind::RolledBack});
  // What was in force before it, and not what came after.
  CHECK_FALSE(rollback(state, {}, world));
  CHECK(is_in_force(machine, firewall()));
}

TEST_CASE("a removal that somebody confirms is still told as one") {
  Machine machine = waiting_machine();
  const MemoryWorld world(machine.store);
  const std::string& state = machine.disk.state();
  CHECK(confirm(state, world)->what == Confirmation::Confirmed);
  REQUIRE(disable(state, world, nullptr, std::chrono::seconds(60))->pending);
  CHECK(confirm(state, world)->what == Confirmation::Confirmed);
  const auto now = status(state, std::nullopt, world);
  REQUIRE(now->disabled);
  CHECK(now->disabled->from == 2U);
}

TEST_CASE("what nobody confirmed is no way back, though pending.json cannot be read") {
  for (const bool removed_first : {false, true}) {
    Machine machine = waiting_machine();
    const MemoryWorld world(machine.store);
    const std::string& state = machine.disk.state();
    std::ofstream(state + "/pending.json") << "{";
    if (removed_first) CHECK_FALSE(disable(state, world)->problems.empty());
    const auto back = rollback(state, {}, world);
    REQUIRE(back);
    CHECK(back->event.to == 1U);
    CHECK(is_in_force(machine, firewall()));
    CHECK_FALSE(fs::exists(state + "/pending.json"));
  }
}

TEST_CASE("a boot by hand that the guard refuses leaves kernel and record as they were") {
  Machine machine = waiting_machine();
  const MemoryWorld world(machine.store);
  const std::string& state = machine.disk.state();
  machine.store.now_ms += 61'000;
  GuardCall guard;
  guard.facts = scene::facts();
  const net::Address leased = net::parse_prefix("203.0.113.10").value().address;
  guard.facts.leases = {{.address = {leased, 24}, .device = "eth0"}};
  const auto booted = boot(state, world, &guard);
  REQUIRE_FALSE(booted);
  CHECK(booted.error().kind == ErrorKind::Refused);
  CHECK(is_in_force(machine, one_rule_changed()));
  CHECK(kinds(machine) == std::vector{EventKind::Applied, EventKind::Applied});
  CHECK(status(state, std::nullopt, world)->overdue);
  guard.force = true;
  CHECK(boot(state, world, &guard)->unconfirmed == "generation 2");
  CHECK(is_in_force(machine, firewall()));
}

// --- An older directory -------------------------------------------------------------------------

std::string content_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The members of an object that stands on several lines, without one of them.
std::string members_without(const std::string& text, std::string_view left_out) {
  std::string members;
  for (const std::string& line : lines_of(text)) {
    if (line != "{" && line != "}" && !line.starts_with(left_out)) members += line + "\n";
  }
  return members;
}

// As the rolewall before wrote it (older_format.h).
void make_old(const Machine& machine) {
  const std::string state = machine.disk.state();
  const std::string kernel = members_without(content_of(state + "/kernel.json"), "  \"seal\"");
  for (const auto& folder : fs::directory_iterator(state + "/generations")) {
    const std::string path = folder.path().string() + "/applied.json";
    const std::string applied = members_without(content_of(path), "  \"version\"");
    std::ofstream(path) << "{\n" << applied << "  \"version\": 2,\n" << kernel << "}\n";
    fs::remove(folder.path() / "seal");
  }
  fs::remove(state + "/kernel.json");
  fs::remove(state + "/history.log");
  std::ofstream(state + "/format") << "2\n";
}

TEST_CASE("a directory of format 2 is read as it is, and brought to the format of now") {
  Machine machine = waiting_machine();
  MemoryWorld world(machine.store);
  CHECK(confirm(machine.disk.state(), world)->what == Confirmation::Confirmed);
  make_old(machine);
  // By readers.
  const auto before = status(machine.disk.state(), std::nullopt, world);
  REQUIRE(before);
  CHECK(before->unreadable == "");
  CHECK(before->generation == 2U);
  CHECK(before->drift.empty());
  CHECK(content_of(machine.disk.state() + "/format") == "2\n");
  // By the first writer.
  world.reboot();
  CHECK(boot(machine.disk.state(), world)->generation == 2U);
  CHECK(content_of(machine.disk.state() + "/format") == "3\n");
  CHECK(fs::exists(machine.disk.state() + "/generations/1/seal"));
  CHECK(is_in_force(machine, one_rule_changed()));
  CHECK(rollback(machine.disk.state(), {}, world)->event.to == 1U);
  CHECK(is_in_force(machine, firewall()));
}

}  // namespace
}  // namespace rolewall::apply
