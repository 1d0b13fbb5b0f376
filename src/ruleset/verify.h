// What every reader of a Ruleset may rely on, whoever made it: registers and values are in bounds,
// what is named exists and is of the right kind, columns are as long as their set, and no packet
// can jump for ever. The kernel refuses the same (nf_tables_api.c); a file from outside is checked
// with this before anything runs on it.
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
  std::string what;  // "16 bytes do not fit in the registers from 13 on"
};

// The first flaw, in the order of the ruleset.
std::optional<Flaw> verify(const Ruleset& ruleset);

}  // namespace rolewall::ruleset
