// The base chains, which hold the built-in steps in their order, and dispatch (dispatch.h) before
// (default):
//
//   early    prerouting, raw      early rules, before conntrack; not of the loopback and discovery
//   input    input, filter        (established) (loopback) [-> banned-input] -> unusual, (spoofed)
//                                 [-> allowed], inbound rules, (default)
//   output   output, filter       (established) (loopback) [-> banned-output] -> unusual,
//                                 outbound rules, (default)
//   forward  forward, filter      (established) [-> banned-forward] -> unusual, (spoofed),
//                                 forward rules, (default)
//
// (established) is first because nearly every packet is an answer. Its rest, which is ICMP errors,
// the resets of a reject and what helpers expect, is in the chain unusual, before (invalid): over
// the loopback those pass by (loopback).
//
// What leads to bans and openings is added with the first of them (apply/run_time_jumps.h). Of
// nearly every packet no ban is found. Where one is, the packet goes on to banned-drop or
// banned-reject, which first let pass what (banned) leaves out: related errors, and neighbour
// discovery with MLD. RFC 4890 (4.4.1) says why: a host that does not answer its router's
// solicitations has no router.
#pragma once

#include "compile/lower.h"
#include "compile/table_builder.h"

namespace rolewall::compile {

// What dispatch has put into chains of these names comes into them at its place. Without early
// rules there is no chain for them, whose hook each packet would pay for.
void add_base_chains(TableBuilder& table, const LoweredPolicy& policy);

}  // namespace rolewall::compile
