// How many bytes a load writes into registers where the expression itself does not say it.
#pragma once

#include <cstdint>

#include "ruleset/ruleset.h"

namespace rolewall::ruleset {

// net/netfilter/nft_meta.c, nft_meta_get_init().
std::uint32_t load_size(MetaKey key);

// net/netfilter/nft_ct.c, nft_ct_get_init(). The family counts for Source and Destination, which
// take 4 bytes in a table of family ip and 16 in others.
std::uint32_t load_size(CtKey key, Family family);

// IFNAMSIZ: what an interface's name fills in registers.
inline constexpr std::uint32_t kInterfaceNameSize = 16;

}  // namespace rolewall::ruleset
