// What the kernel must be told of a rule that holds matches or targets of iptables, and does not
// tell itself: which protocol the rule has tested (NFTA_RULE_COMPAT). Many of them are taken for
// their protocol alone (xt_check_match() of net/netfilter/x_tables.c).
#pragma once

#include <cstdint>
#include <optional>

#include "ruleset/ruleset.h"

namespace rolewall::netlink {

struct RuleCompat {
  std::uint32_t protocol = 0;  // 0: none was tested
  bool inverted = false;
};

// Absent: the rule holds none of iptables'.
std::optional<RuleCompat> compat_of(const ruleset::Rule& rule);

}  // namespace rolewall::netlink
