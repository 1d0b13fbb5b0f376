// A match or a target of iptables, as nf_tables holds it (net/netfilter/nft_compat.c): a program of
// the kernel's own with a payload of its own, which looks at the packet and not at registers.
//
// The payload is kept byte for byte, as the kernel gives it: what is read is written again
// unchanged, whether it is understood or not. What it means, xt_match.h and xt_target.h read.
#pragma once

#include <cstdint>
#include <string>

#include "ruleset/value.h"

namespace rolewall::ruleset {

struct XtMatch {
  std::string name;  // "multiport"
  std::uint32_t revision = 0;
  Bytes info;  // struct xt_multiport_v1, padded to 8 bytes (XT_ALIGN)
  bool operator==(const XtMatch&) const = default;
};

struct XtTarget {
  std::string name;  // "DNAT"
  std::uint32_t revision = 0;
  Bytes info;
  bool operator==(const XtTarget&) const = default;
};

}  // namespace rolewall::ruleset
