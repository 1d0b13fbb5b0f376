// The kernel's numbers where they are not those of our enumerators.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "ruleset/ruleset.h"

namespace rolewall::netlink {

// Of enum nft_bitwise_ops and nft_bitwise_attributes, newer than the headers here (kernel 6.13).
inline constexpr std::uint32_t kBitwiseAnd = 3;
inline constexpr std::uint32_t kBitwiseXor = 5;
inline constexpr std::uint16_t kBitwiseOther = 8;  // NFTA_BITWISE_SREG2

// Of enum nft_set_attributes (kernel 6.16): how the set is stored, and how many elements it has.
inline constexpr std::uint16_t kSetType = 19;   // NFTA_SET_TYPE
inline constexpr std::uint16_t kSetCount = 20;  // NFTA_SET_COUNT

// NF_INET_*, NF_ARP_*, NF_BR_* or NF_NETDEV_*, by family (include/uapi/linux/netfilter*.h);
// std::nullopt where the family has no such hook.
std::optional<std::uint32_t> hook_number(ruleset::Family family, ruleset::Hook hook);
std::optional<ruleset::Hook> hook_of(ruleset::Family family, std::uint32_t number);

std::optional<ruleset::Family> family_of(std::uint8_t number);
std::optional<ruleset::ChainType> chain_type_of(std::string_view name);

// NF_* and NFT_* verdicts; a queue's upper bits along.
std::uint32_t verdict_number(const ruleset::Verdict& verdict);
// Without the chain, which stands in an attribute of its own.
std::optional<ruleset::Verdict> verdict_of(std::uint32_t number);
inline bool names_a_chain(const ruleset::Verdict& verdict) {
  return verdict.code == ruleset::VerdictCode::Jump || verdict.code == ruleset::VerdictCode::Goto;
}

// NFT_REG32_00 + n; the kernel itself writes NFT_REG_1 to NFT_REG_4 for each fourth one.
std::uint32_t register_number(ruleset::Register index);
std::optional<ruleset::Register> register_of(std::uint32_t number);

}  // namespace rolewall::netlink
