// The way into the kernel: what it holds is read and compared, what differs is sent, and all of it
// again where another program changed something meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "apply/apply.h"
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

// What the kernel held at this generation of its own: while that stands, nobody has changed it, and
// a million elements need not be read to know them. What packets add and time takes away is never
// known so.
//
// At another generation all is read but the elements of large sets: where the table and the set are
// the very same, by their handles, and hold as many elements, they are believed to be the recorded
// ones. Whoever took some out of our table and put as many others in goes unseen here; `status`
// reads everything. Where the kernel refuses a change that was made so, everything is read.
struct Known {
  std::uint32_t kernel_generation = 0;
  const ruleset::Table* table = nullptr;  // null: nothing is known
  netlink::TableState large_sets{};
};

// What an apply of `wanted` would change now.
Result<Plan> plan_for(netlink::Connection& kernel, const ruleset::Table& wanted,
                      const Known& known = {});

struct Committed {
  Plan plan;  // empty: nothing was sent
  std::uint32_t kernel_generation = 0;
  netlink::TableState large_sets{};  // as they are after it
  Size size;
  std::vector<netlink::Refusal> refusals;  // if any, nothing was changed
};

// Called before each attempt with what will be sent and the table that it makes, whose run-time
// sets it may fill where the plan is the first. Its error ends all.
using BeforeSending = std::function<Result<void>(const Plan&, ruleset::Table&)>;

// `state_directory`: where our other processes see whose turn it is (file_lock.h); "": nowhere.
Result<Committed> commit(netlink::Connection& kernel, const ruleset::Table& wanted,
                         const BeforeSending& before_sending, const std::string& state_directory,
                         const Known& known = {});

// Takes our table away; success where there is none. Returns whether there was.
Result<bool> remove_table(netlink::Connection& kernel);

}  // namespace rolewall::apply
