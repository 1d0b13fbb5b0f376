// Table::flags that mean something here.
#pragma once

#include <cstdint>

namespace rolewall::ruleset {

// NFT_TABLE_F_DORMANT: its chains are on no hook.
inline constexpr std::uint32_t kTableDormant = 1;
// NFT_TABLE_F_OWNER: nobody but the socket that has made it may change it, and it is gone with that
// socket, however its program ends.
inline constexpr std::uint32_t kTableOwner = 2;

}  // namespace rolewall::ruleset
