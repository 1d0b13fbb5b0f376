// iptables' own matches and targets, each a program of its own in the kernel
// (net/netfilter/nft_compat.c), as an Unsupported bears them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ruleset/actions.h"

namespace rolewall::ruleset {

// `kind`: "match" or "target".
Unsupported iptables_extension(std::string_view kind, std::string_view name);

// The name of the target ("DNAT"), of the match ("multiport"); "" where it is none.
std::string_view iptables_target(const Unsupported& expr);
std::string_view iptables_match(const Unsupported& expr);

// What a target does, by its name (net/netfilter/xt_*.c).
enum class TargetWork : std::uint8_t {
  Notes,    // where no chain of another table sees it; the rule goes on
  Writes,   // to the packet, its mark or its connection; the rule goes on
  Rejects,  // and does no more
  Unknown,  // it may translate, untrack, drop: anything
};
TargetWork work_of_target(std::string_view name);

}  // namespace rolewall::ruleset
