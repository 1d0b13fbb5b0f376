// `mss`: lowering the segment size that TCP announces, in both directions of a forwarded
// connection.
//
//   mss            forward, mangle: before the step (established), which would accept the SYN+ACK.
//                  Of TCP with SYN alone it asks mss/forward.
//   mss/forward    the forward rules in order, up to the last that has `mss`, so that here too the
//                  first that matches decides: one with `mss` leads to its chain, another returns
//   mss/expected/HELPER  before mss/forward, what a helper expects: (established) accepts it, and
//   its
//                  size is that of the rule which names the helper and has its ends, in either
//                  order
//   RULE/mss       tcp option maxseg size set ...
//
// An answer is of the connection whose first packet the rule speaks of: all is asked of conntrack's
// original tuple, and the devices of an answer are the rule's in the other order. The kernel never
// makes a segment size larger (net/netfilter/nft_exthdr.c).
#pragma once

#include "compile/address_sets.h"
#include "compile/lower.h"
#include "compile/table_builder.h"

namespace rolewall::compile {

// Nothing, where no rule has `mss`.
void add_segment_sizes(TableBuilder& table, AddressSets& sets, const LoweredPolicy& policy);

}  // namespace rolewall::compile
