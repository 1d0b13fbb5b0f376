// The way into the kernel: what it holds is read (belief.h) and compared (difference.h), what
// differs is sent, and all of it again where another program changed something meanwhile.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "apply/apply.h"
#include "apply/belief.h"
#include "apply/kernel.h"
#include "apply/world.h"
#include "netlink/netlink.h"
#include "ruleset/ruleset.h"

namespace rolewall::apply {

struct Size {
  std::size_t rules = 0;
  std::size_t sets = 0;
  std::size_t elements = 0;
};
Size size_of(const ruleset::Table& table);

// The snapshot's one table, which must be ours.
Result<const ruleset::Table*> own_table(const ruleset::Snapshot& snapshot);

// What an apply of `wanted` would change now.
Result<Plan> plan_for(Kernel& kernel, const ruleset::Table& wanted, const Beliefs& beliefs);

// Called before each attempt with what will be sent and the table that it makes, whose run-time
// sets it may fill where the plan is the first. Its error ends all.
using BeforeSending = std::function<Result<void>(const Plan&, ruleset::Table&)>;

struct CommitOptions {
  Beliefs beliefs{};
  BeforeSending before_sending{};
  // Where our other processes see whose turn it is (file_lock.h); "": nowhere.
  std::string state_directory{};
};

struct Committed {
  Plan plan;        // empty: nothing was sent
  KernelMark mark;  // at which the kernel holds it
  Size size;
  std::vector<netlink::Refusal> refusals;  // if any, nothing was changed
};

// An error of kind Conflict where others changed something again and again for ten seconds of the
// world's clock.
Result<Committed> commit(const World& world, Kernel& kernel, const ruleset::Table& wanted,
                         const CommitOptions& options);

// Takes our table away; success where there is none. Returns whether there was.
Result<bool> remove_table(Kernel& kernel);

}  // namespace rolewall::apply
