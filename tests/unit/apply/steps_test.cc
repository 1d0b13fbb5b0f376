// Every step of an apply, and of a rollback, goes wrong once, in every way that it can: on a kernel
// in memory. Whatever happens, the kernel holds the old table or the new one and nothing else of
// ours, what another program has there is untouched, the record agrees, and the next apply works.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "apply/apply.h"
#include "apply/commit.h"
#include "apply/elements.h"
#include "apply/pending.h"
#include "apply/staging.h"
#include "ruleset/expr.h"
#include "support/memory_kernel.h"
#include "support/share.h"
#include "unit/apply/machine.h"
#include "unit/apply/table.h"

namespace rolewall::apply {
namespace {

using namespace test;
using rolewall::test::Fault;
using rolewall::test::Step;
using rolewall::test::Trouble;

// --- The tables ---------------------------------------------------------------------------------

Snapshot set_remade() {
  Snapshot snapshot = firewall();
  Set& offices = own_table(snapshot).sets[2];
  offices.size = 500;
  Rule by_office =
      rule("web.inbound.offices", {Payload{PayloadBase::Network, 12, 4, 0},
                                   Lookup{"offices", 0, LookupResult::Membership, 0, false},
                                   verdict(VerdictCode::Accept)});
  own_table(snapshot).chains[1].rules.push_back(std::move(by_office));
  return snapshot;
}

// With a policy's list that is large (is_large()), which a rule names. `first`: of its addresses.
Snapshot with_list(std::uint8_t first) {
  Snapshot snapshot = firewall();
  Set list = address_set("net/abusers/4");
  for (std::size_t i = 0; i < kLargeSet + 100; ++i) {
    add_address(list, {first, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)});
  }
  own_table(snapshot).sets.push_back(std::move(list));
  auto& rules = own_table(snapshot).chains[0].rules;
  rules.insert(
      rules.begin() + 1,
      rule("web.inbound.abusers", {Payload{PayloadBase::Network, 12, 4, 0},
                                   Lookup{"net/abusers/4", 0, LookupResult::Membership, 0, false},
                                   verdict(VerdictCode::Drop)}));
  return snapshot;
}

Table of_another_program() {
  Table table;
  table.name = "docker";
  table.sets = {address_set("theirs")};
  Chain chain;
  chain.name = "forward";
  chain.rules = {rule("", {Counter{}, verdict(VerdictCode::Accept)})};
  table.chains = {chain};
  return table;
}

constexpr std::uint8_t kBanned[] = {198, 51, 100, 1};

void ban_somebody(MemoryStore& store) {
  Set& banned = store.own()->sets[0];
  REQUIRE(banned.name == "banned");
  banned.elements.key_size = 4;
  banned.elements.keys.assign(std::begin(kBanned), std::end(kBanned));
  banned.elements.timeouts_ms = {3'600'000};
  banned.elements.expirations_ms = {store.now_ms + 3'600'000};
  store.touch();
}

// --- What is tried ------------------------------------------------------------------------------

// More than the rules and small sets of these tables take, less than a large list (100 kB).
constexpr std::size_t kSmallBuffer = 60'000;

struct Trial {
  std::string name;
  std::vector<Snapshot> before;  // applied one after the other
  Snapshot wanted;               // what is in force in the end
  bool by_rollback = false;
  bool banned = false;
  std::size_t send_buffer = SIZE_MAX;
  bool confirms = false;
};

std::vector<Trial> trials() {
  return {
      {.name = "first apply", .before = {}, .wanted = firewall()},
      {.name = "first apply, to be confirmed",
       .before = {},
       .wanted = firewall(),
       .confirms = true},
      {.name = "one rule changed",
       .before = {firewall()},
       .wanted = one_rule_changed(),
       .banned = true},
      {.name = "one rule changed, to be confirmed",
       .before = {firewall()},
       .wanted = one_rule_changed(),
       .confirms = true},
      {.name = "a set made again", .before = {firewall()}, .wanted = set_remade(), .banned = true},
      {.name = "rollback",
       .before = {firewall(), set_remade()},
       .wanted = firewall(),
       .by_rollback = true,
       .banned = true},
      {.name = "first apply, staged",
       .before = {},
       .wanted = with_list(10),
       .send_buffer = kSmallBuffer},
      {.name = "a large set added, staged",
       .before = {firewall()},
       .wanted = with_list(10),
       .banned = true,
       .send_buffer = kSmallBuffer},
      {.name = "a large set in use filled otherwise",
       .before = {with_list(10)},
       .wanted = with_list(11),
       .send_buffer = kSmallBuffer},
  };
}

ApplyOptions options_of(const Trial& trial) {
  ApplyOptions options;
  if (trial.confirms) options.confirm_within = std::chrono::seconds(60);
  return options;
}

// Whether it says that it was done.
bool go(const Trial& trial, Machine& machine) {
  const MemoryWorld world(machine.store);
  if (trial.by_rollback) return rollback(machine.disk.state(), {}, world).has_value();
  const auto outcome = apply::apply(trial.wanted, machine.disk.state(), options_of(trial), world);
  return outcome && outcome->report;
}

Machine before(const Trial& trial) {
  Machine machine;
  machine.store.put(of_another_program());
  fs::create_directories(machine.disk.state());
  const MemoryWorld world(machine.store);
  for (const Snapshot& snapshot : trial.before) {
    const auto outcome = apply::apply(snapshot, machine.disk.state(), {}, world);
    REQUIRE(outcome);
    REQUIRE(outcome->report);
  }
  if (trial.banned) ban_somebody(machine.store);
  machine.store.send_buffer = trial.send_buffer;
  machine.store.steps.clear();
  return machine;
}

// --- What must be so afterwards -----------------------------------------------------------------

bool is_banned(const Table& table) {
  const Set* set = find_set(table, "banned");
  return set != nullptr && set->elements.count() == 1 &&
         std::ranges::equal(set->elements.key(0), kBanned) && set->elements.expirations_ms[0] != 0;
}

enum class Holds : std::uint8_t { Nothing, Old, New, Else };

Holds holds(const Trial& trial, MemoryStore& store) {
  const Table* own = store.own();
  if (own == nullptr) return Holds::Nothing;
  if (policy_of(*own) == policy_of(trial.wanted.ruleset.tables[0])) return Holds::New;
  if (!trial.before.empty() &&
      policy_of(*own) == policy_of(trial.before.back().ruleset.tables[0])) {
    return Holds::Old;
  }
  return Holds::Else;
}

constexpr std::string_view kAside = ".new";  // detour.cc

// A detour whose way back failed: new, but for the list's name, which the next apply puts right.
bool is_new_by_another_name(const Trial& trial, MemoryStore& store) {
  MemoryStore renamed = store;
  if (renamed.own() == nullptr) return false;
  const auto strip = [&](std::string& name) {
    if (name.ends_with(kAside)) name.resize(name.size() - kAside.size());
  };
  for (Set& set : renamed.own()->sets) strip(set.name);
  for (Chain& chain : renamed.own()->chains) {
    for (Rule& each : chain.rules) {
      for (Expr& expr : each.exprs) {
        if (auto* lookup = std::get_if<Lookup>(&expr)) strip(lookup->set);
      }
    }
  }
  return holds(trial, renamed) == Holds::New;
}

void set_offices(MemoryStore& store, const Elements& elements) {
  if (store.own() == nullptr) return;
  for (Set& set : store.own()->sets) {
    if (set.name == "offices") set.elements = elements;
  }
}

// Without the sets that nobody who cannot reach the kernel any more could take away: no rule names
// them, and the next apply does it.
MemoryStore without_leftovers(const Trial& trial, MemoryStore store) {
  Table* own = store.own();
  if (own == nullptr) return store;
  if (own->chains.empty()) {
    store.remove(own->family, own->name);
    return store;
  }
  const Table& old = (trial.before.empty() ? trial.wanted : trial.before.back()).ruleset.tables[0];
  const Table there = *own;
  std::erase_if(own->sets, [&](const Set& set) {
    const bool two_names = find_set(there, set.name + std::string(kAside)) != nullptr;
    return (two_names || find_set(old, set.name) == nullptr) && !is_named(there, set.name);
  });
  return store;
}

Elements offices_of(const Trial& trial) {
  return find_set(trial.wanted.ruleset.tables[0], "offices")->elements;
}

bool no_leftovers(const Machine& machine) {
  for (const auto& entry : fs::recursive_directory_iterator(machine.disk.state())) {
    if (entry.path().filename().string().ends_with(".new")) return false;
  }
  return true;
}

bool other_table_untouched(MemoryStore& store) {
  const Table* there = store.find(Family::Inet, "docker");
  return there != nullptr && same_configuration({{*there}}, {{of_another_program()}});
}

void next_apply_works(const Trial& trial, Machine& machine) {
  machine.store.fault = {};
  const MemoryWorld world(machine.store);
  ApplyOptions options;
  options.for_good = true;
  const auto outcome = apply::apply(trial.wanted, machine.disk.state(), options, world);
  REQUIRE(outcome);
  REQUIRE(outcome->report);
  CHECK(holds(trial, machine.store) == Holds::New);
  CHECK(is_record_of(machine, {trial.wanted}));
  CHECK(no_leftovers(machine));
  const auto now = status(machine.disk.state(), std::nullopt, world);
  REQUIRE(now);
  CHECK(now->drift.empty());
  CHECK_FALSE(now->pending);
  // And then there is nothing to do, which one question shows.
  machine.store.steps.clear();
  const auto again = apply::apply(trial.wanted, machine.disk.state(), {}, world);
  REQUIRE(again);
  REQUIRE(again->report);
  CHECK(again->report->plan.empty());
  CHECK(machine.store.steps.size() == 1);
}

void check_after(const Trial& trial, Machine& machine, bool done, const Fault& fault) {
  const Trouble trouble = fault.trouble;
  MemoryStore store = machine.store;
  if (fault.always) store = without_leftovers(trial, std::move(store));
  // What the other program did to them, the next apply puts right.
  if (trouble == Trouble::Others) set_offices(store, offices_of(trial));
  const Holds now = holds(trial, store);
  const bool renamed = now == Holds::Else && is_new_by_another_name(trial, store);
  const bool is_new = now == Holds::New || renamed;
  const bool is_old = trial.before.empty() ? now == Holds::Nothing : now == Holds::Old;
  const auto pending = read_pending(machine.disk.state());
  REQUIRE(pending);
  if (trouble == Trouble::Others) {
    // It was done again, unless it was done before: then our table may be gone.
    CHECK((is_new || now == Holds::Nothing || is_old));
  } else {
    CHECK((done ? is_new : is_old || (trouble == Trouble::AnswerLost && is_new)));
    CHECK(other_table_untouched(machine.store));
    if (trial.banned) CHECK(is_banned(*machine.store.own()));
  }
  CHECK(is_record_of(machine, done ? std::vector{trial.wanted} : trial.before));
  CHECK(pending->has_value() == (done && trial.confirms));
  CHECK(no_leftovers(machine));
  next_apply_works(trial, machine);
}

// The trial with a fault, from `start` on.
void run(const Trial& trial, const Machine& start, const Fault& fault) {
  CAPTURE(trial.name);
  CAPTURE(fault.step);
  CAPTURE(static_cast<int>(fault.trouble));
  CAPTURE(fault.message);
  Machine machine(start);
  machine.store.fault = fault;
  const bool done = go(trial, machine);
  check_after(trial, machine, done, fault);
}

// What the trial asks of the kernel where nothing goes wrong.
std::vector<Step> steps_of(const Trial& trial, const Machine& start) {
  CAPTURE(trial.name);
  Machine machine(start);
  REQUIRE(go(trial, machine));
  std::vector<Step> steps = machine.store.steps;
  check_after(trial, machine, true, {});
  return steps;
}

void at_each_step(
    const std::function<void(const Trial&, const Machine&, std::size_t, const Step&)>& act) {
  static std::size_t turn = 0;  // over all tests, so that they leave out different steps
  for (const Trial& trial : trials()) {
    const Machine start = before(trial);
    const std::vector<Step> steps = steps_of(trial, start);
    for (std::size_t step = 0; step < steps.size(); ++step) {
      if (turn++ % rolewall::test::share() == 0) act(trial, start, step, steps[step]);
    }
  }
}

TEST_CASE("the connection to the kernel breaks at each step") {
  at_each_step([](const Trial& trial, const Machine& start, std::size_t step, const Step&) {
    run(trial, start, {.step = step, .trouble = Trouble::Fails});
    run(trial, start, {.step = step, .trouble = Trouble::Fails, .always = true});
  });
}

TEST_CASE("the answer to each step is lost") {
  at_each_step([](const Trial& trial, const Machine& start, std::size_t step, const Step&) {
    run(trial, start, {.step = step, .trouble = Trouble::AnswerLost});
  });
}

TEST_CASE("the kernel refuses each message of each transaction") {
  at_each_step([](const Trial& trial, const Machine& start, std::size_t step, const Step& what) {
    // The first and the last begin and end it.
    for (std::size_t message = 1; message + 1 < what.messages; ++message) {
      run(trial, start, {.step = step, .trouble = Trouble::Refused, .message = message});
    }
  });
}

TEST_CASE("another program changes something of its own before each step") {
  at_each_step([](const Trial& trial, const Machine& start, std::size_t step, const Step&) {
    run(trial, start, {.step = step, .trouble = Trouble::Others, .others = [](MemoryStore& store) {
                         store.touch();
                       }});
  });
}

TEST_CASE("another program flushes the ruleset before each step") {
  at_each_step([](const Trial& trial, const Machine& start, std::size_t step, const Step&) {
    run(trial, start, {.step = step, .trouble = Trouble::Others, .others = [](MemoryStore& store) {
                         store.flush_ruleset();
                       }});
  });
}

TEST_CASE("another program takes an element out of our table before each step") {
  at_each_step([](const Trial& trial, const Machine& start, std::size_t step, const Step&) {
    if (trial.send_buffer != SIZE_MAX) return;  // what is staged are other sets
    run(trial, start, {.step = step, .trouble = Trouble::Others, .others = [](MemoryStore& store) {
                         set_offices(store, {});
                         store.touch();
                       }});
  });
}

TEST_CASE("another program never stops: nothing is changed, and that is said") {
  for (const Trial& trial : trials()) {
    CAPTURE(trial.name);
    Machine machine = before(trial);
    machine.store.fault = {.step = 0,
                           .trouble = Trouble::Others,
                           .others = [](MemoryStore& store) { store.touch(); },
                           .always = true};
    MemoryWorld world(machine.store);
    world.tick_ms = 3'000;
    if (trial.by_rollback) {
      const auto done = rollback(machine.disk.state(), {}, world);
      REQUIRE_FALSE(done);
      CHECK(done.error().kind == ErrorKind::Conflict);
    } else {
      const auto outcome =
          apply::apply(trial.wanted, machine.disk.state(), options_of(trial), world);
      REQUIRE_FALSE(outcome);
      CHECK(outcome.error().kind == ErrorKind::Conflict);
    }
    check_after(trial, machine, false, {});
  }
}

TEST_CASE("however little a transaction may hold, it is done, in parts perhaps, or not at all") {
  for (Trial trial : trials()) {
    for (const std::size_t bytes : {600UL, 2'400UL, 9'600UL, 38'400UL}) {
      CAPTURE(trial.name);
      CAPTURE(bytes);
      trial.send_buffer = bytes;
      Machine machine = before(trial);
      const bool done = go(trial, machine);
      machine.store.send_buffer = SIZE_MAX;
      check_after(trial, machine, done, {});
    }
  }
}

TEST_CASE("no process can be started that would roll back: nothing is changed") {
  for (const Trial& trial : trials()) {
    if (!trial.confirms) continue;
    CAPTURE(trial.name);
    Machine machine = before(trial);
    MemoryWorld world(machine.store);
    world.no_watch = Error{ErrorKind::System, "no process", EAGAIN, {}};
    const auto outcome = apply::apply(trial.wanted, machine.disk.state(), options_of(trial), world);
    REQUIRE_FALSE(outcome);
    check_after(trial, machine, false, {});
  }
}

// --- What is believed (belief.h) ----------------------------------------------------------------

std::size_t count(const std::vector<Step>& steps, std::string_view what) {
  return static_cast<std::size_t>(
      std::ranges::count_if(steps, [&](const Step& step) { return step.what == what; }));
}

Machine with_large_list() {
  Machine machine;
  fs::create_directories(machine.disk.state());
  const MemoryWorld world(machine.store);
  REQUIRE(apply::apply(with_list(10), machine.disk.state(), {}, world)->report);
  machine.store.steps.clear();
  return machine;
}

// One rule more, nothing of the list.
Snapshot list_and_one_rule() {
  Snapshot snapshot = with_list(10);
  own_table(snapshot).chains[0].rules.push_back(rule("more", {Counter{}}));
  return snapshot;
}

TEST_CASE("while the kernel's generation stands, no element is read") {
  Machine machine = with_large_list();
  const MemoryWorld world(machine.store);
  REQUIRE(apply::apply(list_and_one_rule(), machine.disk.state(), {}, world)->report);
  CHECK(count(machine.store.steps, "table") == 0);
  CHECK(count(machine.store.steps, "table without elements") == 1);
  CHECK(is_in_force(machine, list_and_one_rule()));
}

TEST_CASE("what a plan has read is not read again; with --read-all the record is not believed") {
  Machine machine = with_large_list();
  const MemoryWorld world(machine.store);
  const auto planned = plan(list_and_one_rule(), machine.disk.state(), Reading::Everything, world);
  REQUIRE(planned);
  CHECK(count(machine.store.steps, "table") == 1);
  ApplyOptions options;
  options.reading = Reading::Everything;
  options.seen = planned->seen;
  REQUIRE(apply::apply(list_and_one_rule(), machine.disk.state(), options, world)->report);
  CHECK(count(machine.store.steps, "table") == 1);
  CHECK(is_in_force(machine, list_and_one_rule()));
}

TEST_CASE("at another generation a large set that looks untouched is not read, and else is") {
  for (const bool touched : {false, true}) {
    CAPTURE(touched);
    Machine machine = with_large_list();
    const MemoryWorld world(machine.store);
    if (touched) {
      auto& keys = find_set(*machine.store.own(), "net/abusers/4") == nullptr
                       ? machine.store.own()->sets[0].elements.keys
                       : machine.store.own()->sets.back().elements.keys;
      keys.resize(keys.size() - 4);
    }
    machine.store.touch();
    const auto outcome = apply::apply(with_list(10), machine.disk.state(), {}, world);
    REQUIRE(outcome);
    REQUIRE(outcome->report);
    CHECK(outcome->report->plan.empty() != touched);
    CHECK(is_in_force(machine, with_list(10)));
  }
}

TEST_CASE("what was taken out and replaced goes unseen, until everything is read") {
  Machine machine = with_large_list();
  const MemoryWorld world(machine.store);
  machine.store.own()->sets.back().elements.keys[0] = 99;
  machine.store.own()->sets.back().elements.sort();
  machine.store.touch();
  CHECK(apply::apply(with_list(10), machine.disk.state(), {}, world)->report->plan.empty());
  CHECK(status(machine.disk.state(), std::nullopt, world)->drift.size() == 2);
  ApplyOptions options;
  options.reading = Reading::Everything;
  CHECK_FALSE(
      apply::apply(with_list(10), machine.disk.state(), options, world)->report->plan.empty());
  CHECK(is_in_force(machine, with_list(10)));
}

TEST_CASE("a change made from a wrong belief is refused, and then made from what is there") {
  Machine machine = with_large_list();
  const MemoryWorld world(machine.store);
  // The first address is another: to take the recorded one away is refused (ENOENT).
  Set& list = machine.store.own()->sets.back();
  list.elements.keys[0] = 99;
  list.elements.sort();
  machine.store.touch();
  Snapshot shorter = with_list(10);
  Elements& elements = own_table(shorter).sets.back().elements;
  elements.keys.erase(elements.keys.begin(), elements.keys.begin() + 4);
  const auto outcome = apply::apply(shorter, machine.disk.state(), {}, world);
  REQUIRE(outcome);
  CHECK(outcome->report);
  CHECK(is_in_force(machine, shorter));
  CHECK(count(machine.store.steps, "change table") == 2);
}

}  // namespace
}  // namespace rolewall::apply
