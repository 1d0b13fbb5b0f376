// The rules that give a packet its verdict, at the end of a chain.
//
// `reject` tells the sender in the way that it listens to: a connection's first packet over TCP
// (SYN and no ACK) gets a reset, on which connect() fails at once in both families; every other
// packet gets ICMP's "administratively prohibited", which a connection that is open survives. So it
// takes two rules, where accept and drop take one. Our own resets are `related` to what they answer
// (nf_send_reset() attaches its entry), and `related` lets them out (base_chains.h).
#pragma once

#include <string_view>
#include <vector>

#include "compile/match.h"
#include "policy/policy.h"
#include "ruleset/ruleset.h"

namespace rolewall::compile {

// Which packets can come to an end: a reset is for TCP alone.
enum class CanBeTcp : bool { No, Yes };

// Appends them, each with the comment.
void end_with(std::vector<ruleset::Rule>& rules, std::string_view comment, policy::Action action,
              CanBeTcp can_be_tcp);

}  // namespace rolewall::compile
