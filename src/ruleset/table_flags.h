// Table::flags that mean something here.
#pragma once

#include <cstdint>

namespace rolewall::ruleset {

// NFT_TABLE_F_DORMANT: its chains are on no hook. The other flags belong to a running program.
inline constexpr std::uint32_t kTableDormant = 1;

}  // namespace rolewall::ruleset
