// What the reassembly before connection tracking does with one packet that arrives alone: the
// hooks at priority -400 (net/ipv4/netfilter/nf_defrag_ipv4.c, net/ipv6/netfilter/
// nf_conntrack_reasm.c). They are there where the ruleset uses conntrack.
#pragma once

#include <vector>

#include "eval/wire.h"

namespace rolewall::eval {

enum class Gathered : std::uint8_t {
  Untouched,  // no fragment, or one so malformed that the hook lets it go on as it is
  Rebuilt,    // an IPv6 fragment that is the whole datagram: its fragment header is taken out
  Held,       // it waits for its missing parts
  Discarded,
};

// Whether any part of the datagram is in another packet.
bool is_ipv4_fragment(ByteSpan packet);

// REQUIRES: a whole fixed IPv6 header, lengths checked. Fills `rebuilt` for Rebuilt.
Gathered gather_ipv6(ByteSpan packet, std::vector<std::uint8_t>& rebuilt);

}  // namespace rolewall::eval
