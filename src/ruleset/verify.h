// What every reader of a Ruleset may rely on, whoever made it: registers and values are in bounds,
// what is named exists and is of the right kind, columns are as long as their set, ranges of one
// field do not overlap, and no packet can jump for ever. The kernel refuses the same
// (nf_tables_api.c).
//
// Left to the kernel is what no reader relies on: on which hooks and in which families and types of
// chain an expression may stand (the validate functions), what a base chain's hook, type, priority
// and device may be together, combinations of flags (sets, NAT, logs), how many rules may look in
// an anonymous set, and the types of what registers hold.
//
// It is asked once of every ruleset that comes in, and nobody asks again: of a file (print/), which
// it then refuses; of a compiled one (compile/), where a flaw is our mistake; of a dump (netlink/),
// where what has a flaw is set aside, since a kernel may know more than we do.
//
// Sets that the decoder could not read whole (Set::unsupported) are checked as far as they go.
#pragma once

#include <optional>
#include <string>

#include "ruleset/ruleset.h"

namespace rolewall::ruleset {

// NFT_JUMP_STACK_SIZE: a path of this many jumps and gotos is refused (nft_chain_validate).
inline constexpr unsigned kJumpStackSize = 16;
// NFT_NAME_MAXLEN less the closing zero.
inline constexpr std::size_t kMaxNameSize = 255;
// NFT_USERDATA_MAXLEN bounds it; what is longer the kernel would not take.
inline constexpr std::size_t kMaxCommentSize = 255;
// NF_LOG_PREFIXLEN less the closing zero.
inline constexpr std::size_t kMaxLogPrefixSize = 127;

struct Flaw {
  std::string path;  // "tables[0].chains[2].rules[5].exprs[1]"
  std::string what;  // "fib: 16 bytes do not fit in the registers from 13 on"
};

// The first flaw, in the order of the ruleset.
std::optional<Flaw> verify(const Ruleset& ruleset);

// Makes verify() hold: what has a flaw gives way to what says so, and a packet that comes to it is
// undecided by that name. An expression, and the jumps of a chain that run in a circle, become
// Unsupported, as does an object's body; a set loses its elements and says why in
// Set::unsupported. What has no such form (a table or chain that cannot be named) is returned, and
// the ruleset is of no use.
std::optional<Flaw> set_flaws_aside(Ruleset& ruleset);
std::optional<Flaw> set_flaws_aside(Table& table);  // Flaw::path begins within it

}  // namespace rolewall::ruleset
