// What our table in the kernel is believed to be without reading it. There is one carrier, Belief,
// and one reader, read_own_table(), which takes the most that still stands and reads the rest: a
// million elements take the kernel seconds to list.
//
// What is believed             | when                            | what refutes it
// -----------------------------+---------------------------------+---------------------------------
// The table is the wanted one: | the kernel's generation is the  | any commit since, whoever made
// nothing is read, nothing is  | recorded one, what was recorded | it: the generation is another
// sent                         | is what is wanted, and no jumps |
//                              | to bans or openings may have to |
//                              | go (run_time_jumps.h)           |
// -----------------------------+---------------------------------+---------------------------------
// The elements of all sets     | the generation is the recorded  | the same; a set that was not
// that no packet, clock or ban | one, or that of the plan that   | believed to be there, or to be
// changes. Rules are read, for | was shown, or of our own commit | declared so: all is read then
// their handles; bans where    | a moment ago (detour.h)         |
// jumps lead to them           |                                 |
// -----------------------------+---------------------------------+---------------------------------
// The elements of large sets   | the generation is another, but  | another handle or count. The
// (a policy's, 4,096 and more) | the table and the set have the  | kernel's refusal of a change
//                              | same handles and the set holds  | made so: all is read, and the
//                              | as many elements; on kernels    | change made again, once.
//                              | that count them (from 6.16 on)  | NOT a program that takes some
//                              |                                 | out and puts as many others in
// -----------------------------+---------------------------------+---------------------------------
// What was put there before    | each transaction expects the    | a transaction that clashes: all
// the switch (staging.h)       | generation that the one before  | of it is taken away
//                              | it left                         |
// -----------------------------+---------------------------------+---------------------------------
// Nothing                      | in another boot or network      |
//                              | namespace; with --read-all; for |
//                              | `status`, rollback and boot     |
//
// Where a belief is wrong nonetheless (the one NOT above), the commit leaves in the kernel what the
// other program put there, until `status` shows it and `apply --read-all` puts it right. It never
// makes a rule other than the policy's.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "apply/kernel.h"
#include "apply/world.h"
#include "base/error.h"
#include "ruleset/ruleset.h"

namespace rolewall::apply {

// That the kernel, at this mark, holds this table as ours. Nothing but what is said above may be
// concluded from it; only read_own_table() does.
struct Belief {
  KernelMark mark;
  // Null: no table of ours, or one without a chain, which decides nothing and is what an apply that
  // was cut short has left.
  std::shared_ptr<const ruleset::Table> table;
};

// The first that stands is taken.
using Beliefs = std::vector<Belief>;

// What the record says of this world's kernel; none where it is of another.
Beliefs recorded_beliefs(std::shared_ptr<const Generation> recorded, const World& world);

struct Found {
  Belief there;
  bool is_wanted = false;  // it is believed to be the wanted table, and nothing was read
};

// A change that comes between what is asked here makes the commit clash.
Result<Found> read_own_table(Kernel& kernel, const ruleset::Table& wanted, const Beliefs& beliefs);

// The mark at which the kernel holds `table`, which a commit that left `generation` has put there
// (0: under other names, detour.h; no belief stands at that). Without large sets where something
// changed since: they are read the next time.
KernelMark mark_of(Kernel& kernel, const ruleset::Table& table, std::uint32_t generation);

}  // namespace rolewall::apply
