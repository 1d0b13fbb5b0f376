// The expressions that are written attribute by attribute, as the decoders read them:
// libnftnl 1.2.4 does not have all of theirs. Each gives an expression's name and attributes, the
// payload of an NFTA_LIST_ELEM.
#pragma once

#include "netlink/encode.h"
#include "ruleset/actions.h"
#include "ruleset/loads.h"
#include "ruleset/register_ops.h"

namespace rolewall::netlink {

// encode_loads.cc
Message encode(const ruleset::Exthdr& exthdr);
Message encode(const ruleset::Fib& fib);
Message encode(const ruleset::Rt& rt);
Message encode(const ruleset::Socket& socket);
Message encode(const ruleset::Osf& osf);
Message encode(const ruleset::Numgen& numgen);
Message encode(const ruleset::JenkinsHash& hash);
Message encode(const ruleset::SymmetricHash& hash);
Message encode(const ruleset::Tunnel& tunnel);
Message encode(const ruleset::Xfrm& xfrm);
Message encode(const ruleset::BitwiseRegisters& bitwise);

// encode_actions.cc
Message encode(const ruleset::PayloadWrite& write);
Message encode(const ruleset::ExthdrWrite& write);
Message encode(const ruleset::ExthdrReset& reset);
Message encode(const ruleset::Nat& nat);
Message encode(const ruleset::Masquerade& masquerade);
Message encode(const ruleset::Redirect& redirect);
Message encode(const ruleset::Tproxy& tproxy);
Message encode(const ruleset::Synproxy& synproxy);
Message encode(const ruleset::Dup& dup);
Message encode(const ruleset::Fwd& fwd);
Result<Message> encode(const ruleset::ObjectRef& object);
Result<Message> encode(const ruleset::ObjectLookup& lookup);

}  // namespace rolewall::netlink
