// What switches on connection tracking and reassembly by being in a table: the parts of effects.cc
// that say it. Inside ruleset/ alone; others read Effects::tracking and tracking_of().
#pragma once

#include <vector>

#include "ruleset/effects.h"

namespace rolewall::ruleset {

// A tunnel's key, NFT_OBJECT_TUNNEL: not modelled, and it ends no rule and tracks nothing.
inline constexpr std::uint32_t kTunnelObject = 6;

// `table`: the family of the table that it is in.
TrackingUse tracking_by(const Unsupported& expr, Family table);
TrackingUse tracking_by(const std::vector<StatefulExpr>& exprs, Family table);
TrackingUse tracking_by(const Nat& nat, Family table);
TrackingUse tracking_by(const Tproxy& tproxy);

}  // namespace rolewall::ruleset
