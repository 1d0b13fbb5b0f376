// The base chains, which hold the built-in steps in their order, and dispatch (dispatch.h) before
// (default):
//
//   early    prerouting, raw      early rules, before conntrack
//   input    input, filter        (loopback) (established) -> unusual, (spoofed)
//                                 [-> run-time], inbound rules, (default)
//   output   output, filter       (loopback) (established) -> unusual, outbound rules, (default)
//   forward  forward, filter      (established) -> unusual, (spoofed)
//                                 [-> banned], forward rules, (default)
//
// The chain unusual has the rest of (established), which is ICMP errors, and (invalid); run-time
// has (banned) and (allowed). What leads there, and to banned alone from forward, is added with the
// first ban or opening (apply/run_time_jumps.h).
#pragma once

#include "compile/lower.h"
#include "compile/table_builder.h"

namespace rolewall::compile {

// What dispatch has put into chains of these names comes into them at its place. Without early
// rules there is no chain for them, whose hook each packet would pay for.
void add_base_chains(TableBuilder& table, const LoweredPolicy& policy);

}  // namespace rolewall::compile
