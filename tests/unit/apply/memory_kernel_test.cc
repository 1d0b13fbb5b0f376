// The kernel in memory does what the real one does, as far as an apply relies on it. The same
// behaviours of the real one are judged by tests/kernel/change_test and unit/netlink.
#include "support/memory_kernel.h"

#include <doctest/doctest.h>

#include <cerrno>

#include "apply/difference.h"
#include "unit/apply/table.h"

namespace rolewall::apply {
namespace {

using namespace test;
using rolewall::test::MemoryStore;
using rolewall::test::MemoryWorld;

struct Opened {
  MemoryStore store;
  MemoryWorld world{store};
  std::unique_ptr<Kernel> kernel = std::move(*world.open_kernel());
};

const Table& wanted_table() {
  static const Snapshot snapshot = firewall();
  return snapshot.ruleset.tables[0];
}

TEST_CASE("a transaction of another generation is none") {
  Opened machine;
  const auto first = machine.kernel->replace_table(wanted_table(), 1);
  REQUIRE(first);
  CHECK(first->committed);
  CHECK(first->generation == 2);
  const auto late = machine.kernel->delete_table(kOwnFamily, kOwnTable, 1);
  REQUIRE(late);
  CHECK(late->generation_clash);
  CHECK(machine.store.own() != nullptr);
}

TEST_CASE("what is refused changes nothing, and says its error") {
  Opened machine;
  REQUIRE(machine.kernel->replace_table(wanted_table(), std::nullopt)->committed);
  const Table before = *machine.store.own();
  const auto refuses = [&](const TableChange& change) {
    const auto result = machine.kernel->change_table(wanted_table(), change, std::nullopt);
    REQUIRE(result);
    REQUIRE(result->refusals.size() == 1);
    CHECK(*machine.store.own() == before);
    CHECK(machine.store.generation == 2);
    return result->refusals[0].os_errno;
  };
  TableChange change;
  change.removed_sets = {"banned"};
  CHECK(refuses(change) == EBUSY);
  change = {};
  change.removed_chains = {"web.inbound.https"};
  CHECK(refuses(change) == EBUSY);
  change = {};
  change.removed_sets = {"nothing"};
  CHECK(refuses(change) == ENOENT);
  change = {};
  change.added_elements = {{.set = 2, .elements = wanted_table().sets[2].elements}};
  CHECK(refuses(change) == EEXIST);
  change = {};
  change.removed_rules = {{.chain = "input", .handle = 9'999}};
  CHECK(refuses(change) == ENOENT);
}

TEST_CASE("rules that stay keep their handles, those that are made again get others") {
  Opened machine;
  REQUIRE(machine.kernel->replace_table(wanted_table(), std::nullopt)->committed);
  const Table before = *machine.store.own();
  Table other = wanted_table();
  other.chains[0].rules.erase(other.chains[0].rules.begin());
  other.chains[0].rules.push_back(rule("new", {Counter{}}));
  const Difference change = difference(before, other);
  REQUIRE(machine.kernel->change_table(change.table, change.change, 2)->committed);
  const auto& rules = machine.store.own()->chains[0].rules;
  REQUIRE(rules.size() == 3);
  CHECK(rules[0].handle == before.chains[0].rules[1].handle);
  CHECK(rules[1].handle == before.chains[0].rules[2].handle);
  CHECK(rules[2].handle > before.chains[1].rules[1].handle);
  CHECK(difference(*machine.store.own(), other).empty());
}

TEST_CASE("what is larger than the send buffer is not sent") {
  Opened machine;
  machine.store.send_buffer = 100;
  const auto result = machine.kernel->replace_table(wanted_table(), std::nullopt);
  REQUIRE_FALSE(result);
  CHECK(result.error().os_errno == EMSGSIZE);
  CHECK(machine.store.own() == nullptr);
}

TEST_CASE("an element is gone when its time is over, by the clock that nobody sets") {
  Opened machine;
  REQUIRE(machine.kernel->replace_table(wanted_table(), std::nullopt)->committed);
  Elements row;
  row.key_size = 4;
  row.keys = {198, 51, 100, 1};
  row.timeouts_ms = {5'000};
  TableChange change;
  change.added_elements = {{.set = 0, .elements = row}};
  REQUIRE(machine.kernel->change_table(wanted_table(), change, std::nullopt)->committed);
  const auto left = [&] {
    const auto table = machine.kernel->read_table(kOwnFamily, kOwnTable, {});
    const Elements& elements = (*table)->sets[0].elements;
    return elements.count() == 0 ? 0 : elements.expirations_ms[0];
  };
  CHECK(left() == 5'000);
  machine.world.wall += 100'000;
  machine.store.now_ms += 4'000;
  CHECK(left() == 1'000);
  machine.store.now_ms += 1'000;
  CHECK(left() == 0);
}

}  // namespace
}  // namespace rolewall::apply
