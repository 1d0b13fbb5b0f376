// A machine of the test's own: a kernel in memory, and a state directory.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apply/apply.h"
#include "ruleset/expr.h"
#include "ruleset/own_table.h"
#include "support/memory_kernel.h"
#include "unit/apply/table.h"

namespace rolewall::apply::test {

namespace fs = std::filesystem;
using rolewall::test::MemoryStore;
using rolewall::test::MemoryWorld;

// A state directory of the test's own, in memory where that is to be had.
class Scratch {
 public:
  Scratch() {
    const fs::path where = fs::exists("/dev/shm") ? "/dev/shm" : fs::temp_directory_path();
    std::string pattern = (where / "rolewall-steps-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    root_ = pattern;
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::string state() const { return (root_ / "state").string(); }
  // Of the state directory, by the paths; but for the locks.
  std::map<std::string, std::string> content() const {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(state())) {
      const std::string path = entry.path().string();
      if (entry.is_symlink()) {
        all[path] = fs::read_symlink(entry.path()).string();
      } else if (entry.is_regular_file() && !path.ends_with("lock") && !path.ends_with("turn")) {
        std::ifstream file(path);
        all[path].assign(std::istreambuf_iterator<char>(file), {});
      }
    }
    return all;
  }
  void copy_from(const Scratch& other) const {
    fs::remove_all(state());
    fs::copy(other.state(), state(), fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  }

 private:
  fs::path root_;
};

// The kernel and the disk, as far as somebody has brought them.
struct Machine {
  MemoryStore store;
  Scratch disk;

  Machine() = default;
  Machine(const Machine& other) : store(other.store) { disk.copy_from(other.disk); }
  Machine& operator=(const Machine&) = delete;
};

// As configured: without handles, counts, and what was added at run time.
inline Ruleset policy_of(Table table) {
  for (Set& set : table.sets) {
    if (set.has_timeout || set.dynamic) set.elements = {};
    set.elements.sort();
  }
  return configuration({{std::move(table)}});
}

// What stands in the record as being in force.
inline std::optional<Ruleset> recorded(const Machine& machine) {
  const auto last = last_applied(machine.disk.state());
  REQUIRE(last);
  if (!*last) return std::nullopt;
  return policy_of((*last)->ruleset.tables[0]);
}

inline bool is_record_of(const Machine& machine, const std::vector<Snapshot>& none_or_last) {
  const auto there = recorded(machine);
  if (none_or_last.empty()) return !there;
  return there == policy_of(none_or_last.back().ruleset.tables[0]);
}

inline Snapshot one_rule_changed() {
  Snapshot snapshot = firewall();
  own_table(snapshot).chains[1].rules[1].exprs = {verdict(VerdictCode::Drop)};
  return snapshot;
}

// With the sets that bans and openings go into.
inline Snapshot firewall_with_bans() {
  Snapshot snapshot = firewall();
  Set banned = address_set(own::banned_set(true));
  banned.has_timeout = true;
  Set prefixes = banned;
  prefixes.name = own::prefixes(banned.name);
  prefixes.interval = true;
  Set allowed = banned;
  allowed.name = own::allowed_set(true);
  allowed.key = {
      {DataType::InetProtocol, 1}, {DataType::InetService, 2}, {DataType::Ipv4Address, 4}};
  for (const Set& set : {banned, prefixes, allowed}) own_table(snapshot).sets.push_back(set);
  return snapshot;
}

inline Machine waiting_machine() {
  Machine machine;
  fs::create_directories(machine.disk.state());
  const MemoryWorld world(machine.store);
  REQUIRE(apply::apply(firewall(), machine.disk.state(), {}, world)->report);
  ApplyOptions options;
  options.confirm_within = std::chrono::seconds(60);
  REQUIRE(apply::apply(one_rule_changed(), machine.disk.state(), options, world)->report->pending);
  CHECK(world.watches == 1);
  return machine;
}

inline bool is_in_force(Machine& machine, const Snapshot& snapshot) {
  return machine.store.own() != nullptr &&
         policy_of(*machine.store.own()) == policy_of(snapshot.ruleset.tables[0]) &&
         is_record_of(machine, {snapshot});
}

}  // namespace rolewall::apply::test
