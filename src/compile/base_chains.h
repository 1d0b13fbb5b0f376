// The base chains, which hold the built-in steps in their order and jump to dispatch before
// (default):
//
//   early    prerouting, raw      early rules, before conntrack
//   input    input, filter        (loopback) (established) -> unusual, (spoofed) -> run-time,
//                                 -> inbound, (default)
//   output   output, filter       (loopback) (established) -> unusual, -> outbound, (default)
//   forward  forward, filter      (established) -> unusual, (spoofed) -> banned, -> forwarding,
//                                 (default)
//
// The chain unusual has the rest of (established), which is ICMP errors, and (invalid); run-time
// has (banned) and (allowed). That and banned alone are entered for the families in the set
// run-time, which have had a ban or an opening.
#pragma once

#include "compile/table_builder.h"
#include "policy/effective.h"

namespace rolewall::compile {

// The chains that dispatch starts in (dispatch.h).
inline constexpr const char* kEarlyDispatch = "prerouting";
inline constexpr const char* kInboundDispatch = "inbound";
inline constexpr const char* kOutboundDispatch = "outbound";
inline constexpr const char* kForwardDispatch = "forwarding";

// `has_early`: there are early rules, so the chain for them is worth its hook. `forwards`: there is
// a chain kForwardDispatch.
void add_base_chains(TableBuilder& table, const policy::HostPolicy& host, bool has_early,
                     bool forwards);

}  // namespace rolewall::compile
