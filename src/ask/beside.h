// What decides about a machine's packets beside the rules that a question is put to
// (ruleset::Beside), in words and in answers.
#pragma once

#include <string>
#include <vector>

#include "ask/answer.h"
#include "eval/packet.h"
#include "ruleset/host.h"
#include "ruleset/ruleset.h"
#include "ruleset/snapshot.h"

namespace rolewall::ask {

// "no table of iptables-legacy drops or translates it (ip filter (3 rules)); their rules cannot be
// read"; those of the packet's family alone.
std::vector<std::string> assumed_of(const ruleset::Beside& beside, const eval::Packet& packet);

// The last hop of a packet that the rules accept is conditional where a policy of IPsec may be for
// it. `packet`: as it came; `after`: as it left, since the kernel asks by either
// (nf_nat_decode_session(), nf_xfrm_me_harder()).
void weigh(std::vector<Hop>& hops, const ruleset::Beside& beside, const eval::Packet& packet,
           const eval::Packet& after);

// A packet of an open connection that its rules deny may have been handed to a flowtable, which
// passes it on past all chains: then its last hop is conditional.
void weigh_offloaded(std::vector<Hop>& hops, const ruleset::Ruleset& ruleset,
                     const eval::Packet& packet);
// What carries a packet that leaves by a tunnel's device is a packet of its own; "": it does not
// leave by one.
std::string assumed_of_tunnel(const ruleset::Host& host, const std::string& device);
// The same of all packets; "": there is no tunnel.
std::string remark_on_tunnels(const ruleset::Host& host);

// The same of all packets, for whoever proves or compares: a sentence each.
std::vector<std::string> remarks_on(const ruleset::Beside& beside);

}  // namespace rolewall::ask
