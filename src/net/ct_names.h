// What conntrack's states and status bits are called, in nft and in packets in words.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace rolewall::net {

struct BitName {
  std::uint32_t bit;
  std::string_view name;
};

// NF_CT_STATE_* of nf_conntrack_common.h.
inline constexpr std::array kCtStates = {BitName{1, "invalid"}, BitName{2, "established"},
                                         BitName{4, "related"}, BitName{8, "new"},
                                         BitName{64, "untracked"}};
// IPS_* of the same, those that nft names.
inline constexpr std::array kCtStatuses = {BitName{0x01, "expected"}, BitName{0x02, "seen-reply"},
                                           BitName{0x04, "assured"},  BitName{0x08, "confirmed"},
                                           BitName{0x10, "snat"},     BitName{0x20, "dnat"},
                                           BitName{0x200, "dying"}};

}  // namespace rolewall::net
