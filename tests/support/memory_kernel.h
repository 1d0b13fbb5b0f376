// A kernel in memory, for tests of what apply/ does when something goes wrong: no root, no
// namespace, and every step can be made to fail.
//
// It behaves as nf_tables does as far as an apply can see (net/netfilter/nf_tables_api.c):
// * a transaction is all or nothing, and nothing where its generation is not the kernel's any more;
// * each one that changes something raises the generation by one (nf_tables_commit());
// * tables, sets, chains and rules get handles that are never used twice, and keep them while they
//   stay;
// * what is named by a rule or a verdict cannot go (EBUSY), what is not there cannot be named
//   (ENOENT), what is there cannot be added (EEXIST), and a set that is full takes no more
//   (ENFILE);
// * elements whose time is over are gone.
// How large a transaction is and of which messages it consists, the real encoder says: the batch is
// made, though nobody sends it. What a packet would do is no concern of it, nor does it look for
// loops of jumps or check a hook.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apply/generations.h"
#include "apply/kernel.h"
#include "apply/pending.h"
#include "apply/world.h"

namespace rolewall::test {

// What the kernel was asked for, one by one.
struct Step {
  std::string what;          // "generation", "change table"
  std::size_t messages = 0;  // of a transaction, its begin and end among them
  bool committed = false;
};

enum class Trouble : std::uint8_t {
  Fails,         // the call fails, and nothing was done
  AnswerLost,    // it was done, and the answer is lost
  Refused,       // the kernel refuses message `message` of the transaction
  Others,        // another program does `others` just before
  KilledBefore,  // who asks is killed (Killed), and nothing was done
  KilledAfter,   // who asks is killed once it was done
};

// Thrown through whoever asked, so that nothing that it would still have done is done.
struct Killed {};

class MemoryStore;

// At one step, counted from 0.
struct Fault {
  std::size_t step = SIZE_MAX;
  Trouble trouble = Trouble::Fails;
  std::size_t message = 0;
  std::function<void(MemoryStore&)> others{};
  bool always = false;  // and at each step after it
};

// What the kernel holds. A copy is a kernel of its own.
class MemoryStore {
 public:
  std::vector<ruleset::Table> tables;  // times at which elements expire: expirations_ms, absolute
  std::uint32_t generation = 1;
  std::size_t send_buffer = SIZE_MAX;  // bytes that a transaction may have
  bool counts_elements = true;         // as kernels from 6.16 on
  netlink::TcpSockets sockets;
  std::vector<netlink::TcpSocket> tracked;  // have a conntrack entry
  std::vector<netlink::OpenConnection> open;
  std::uint64_t now_ms = 1'000;  // CLOCK_BOOTTIME

  std::vector<Step> steps;
  Fault fault;

  ruleset::Table* find(ruleset::Family family, std::string_view name);
  ruleset::Table* own() { return find(ruleset::kOwnFamily, ruleset::kOwnTable); }

  // What other programs do.
  void flush_ruleset();
  void touch() { ++generation; }
  std::uint64_t new_handle() { return next_handle_++; }
  void put(ruleset::Table table);

  // 0, or the error number of what the kernel refuses of it, with nothing changed.
  int change(const ruleset::Table& wanted, const ruleset::TableChange& change);
  int replace(const ruleset::Table& table);
  void remove(ruleset::Family family, std::string_view name);
  // As it would be dumped.
  ruleset::Table dump(const ruleset::Table& table, const apply::ElementsRead& which) const;

 private:
  std::uint64_t next_handle_ = 1;
};

class MemoryWorld : public apply::World {
 public:
  explicit MemoryWorld(MemoryStore& store) : store_(store) {}

  Result<std::unique_ptr<apply::Kernel>> open_kernel() const override;
  std::string boot_id() const override { return boot; }
  std::string network_namespace() const override { return "memory"; }
  std::int64_t wall_seconds() const override { return wall; }
  // Time passes with every look at the clock, so that nobody waits for it in vain.
  std::uint64_t boot_ns() const override;
  Result<int> start_watch(const std::string& state_directory, const apply::Pending& pending,
                          const std::optional<apply::Generation>& former,
                          std::chrono::seconds within) const override;

  // Nothing is left in the kernel, and CLOCK_BOOTTIME begins anew.
  void reboot();

  std::string boot = "boot 1";
  std::int64_t wall = 1'800'000'000;
  std::uint64_t tick_ms = 1;      // by which CLOCK_BOOTTIME goes on with each look
  std::optional<Error> no_watch;  // why no process can be started
  mutable int watches = 0;        // that were started
  // Of these of this boot, what they hold in memory.
  struct Timer {
    apply::Pending pending;
    std::optional<apply::Generation> former;
  };
  mutable std::vector<Timer> timers;

 private:
  MemoryStore& store_;
};

}  // namespace rolewall::test
