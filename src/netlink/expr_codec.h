// The expressions of nf_tables on the wire. Each has its decoder and, beside it in the same file,
// the encoders of the structs that it becomes: what one reads the other writes, by the same
// attribute numbers (enum nft_*_attributes of linux/netfilter/nf_tables.h).
//
// A decoder takes the attributes within NFTA_EXPR_DATA and reads all that it knows; whoever calls
// it asks for what is left over (Attributes::finish()). An encoder gives an expression's name and
// attributes, the payload of an NFTA_LIST_ELEM, in the order in which libnftnl writes them. It
// fails where the kernel would cut something off without a word.
//
// All of it is written here and not by libnftnl: docs/dependencies.md says why.
#pragma once

#include "netlink/encode.h"
#include "ruleset/expr_list.h"
#include "ruleset/expressions.h"

namespace rolewall::netlink {

// expr_loads.cc: what looks at the packet, what travels with it and the host's tables, and writes
// there.
ruleset::Expr decode_payload(Attributes& attributes);
Message encode(const ruleset::Payload& payload);
Message encode(const ruleset::PayloadWrite& write);
ruleset::Expr decode_exthdr(Attributes& attributes);
Message encode(const ruleset::Exthdr& exthdr);
Message encode(const ruleset::ExthdrWrite& write);
Message encode(const ruleset::ExthdrReset& reset);
ruleset::Expr decode_meta(Attributes& attributes);
Message encode(const ruleset::Meta& meta);
Message encode(const ruleset::MetaSet& meta);
ruleset::Expr decode_ct(Attributes& attributes);
Message encode(const ruleset::Ct& ct);
Message encode(const ruleset::CtSet& ct);
ruleset::Expr decode_fib(Attributes& attributes);
Message encode(const ruleset::Fib& fib);
ruleset::Expr decode_rt(Attributes& attributes);
Message encode(const ruleset::Rt& rt);
ruleset::Expr decode_socket(Attributes& attributes);
Message encode(const ruleset::Socket& socket);
ruleset::Expr decode_osf(Attributes& attributes);
Message encode(const ruleset::Osf& osf);
ruleset::Expr decode_numgen(Attributes& attributes);
Message encode(const ruleset::Numgen& numgen);
ruleset::Expr decode_hash(Attributes& attributes);
Message encode(const ruleset::JenkinsHash& hash);
Message encode(const ruleset::SymmetricHash& hash);
ruleset::Expr decode_tunnel(Attributes& attributes);
Message encode(const ruleset::Tunnel& tunnel);
ruleset::Expr decode_xfrm(Attributes& attributes);
Message encode(const ruleset::Xfrm& xfrm);

// expr_register_ops.cc: what works on registers alone.
ruleset::Expr decode_immediate(Attributes& attributes);
Message encode(const ruleset::Immediate& immediate);
Result<Message> encode(const ruleset::ImmediateVerdict& immediate);
ruleset::Expr decode_bitwise(Attributes& attributes);
Message encode(const ruleset::BitwiseMask& bitwise);
Message encode(const ruleset::BitwiseShift& shift);
Message encode(const ruleset::BitwiseRegisters& bitwise);
ruleset::Expr decode_byteorder(Attributes& attributes);
Message encode(const ruleset::Byteorder& byteorder);
ruleset::Expr decode_cmp(Attributes& attributes);
Message encode(const ruleset::Cmp& cmp);
ruleset::Expr decode_range(Attributes& attributes);
Message encode(const ruleset::Range& range);
ruleset::Expr decode_lookup(Attributes& attributes);
Result<Message> encode(const ruleset::Lookup& lookup);

// expr_stateful.cc: what remembers.
ruleset::Expr decode_counter(Attributes& attributes);
Message encode(const ruleset::Counter& counter);
ruleset::Expr decode_limit(Attributes& attributes);
Message encode(const ruleset::Limit& limit);
ruleset::Expr decode_connlimit(Attributes& attributes);
Message encode(const ruleset::Connlimit& connlimit);
ruleset::Expr decode_quota(Attributes& attributes);
Message encode(const ruleset::Quota& quota);
ruleset::Expr decode_last(Attributes& attributes);
Message encode(const ruleset::Last& last);
ruleset::Expr decode_dynset(Attributes& attributes);
Result<Message> encode(const ruleset::Dynset& dynset);

// expr_actions.cc: what logs, answers, translates, copies, or runs an object.
ruleset::Expr decode_log(Attributes& attributes);
Result<Message> encode(const ruleset::Log& log);
ruleset::Expr decode_reject(Attributes& attributes);
Message encode(const ruleset::Reject& reject);
ruleset::Expr decode_notrack(Attributes& attributes);
Message encode(const ruleset::Notrack& notrack);
ruleset::Expr decode_nat(Attributes& attributes);
Message encode(const ruleset::Nat& nat);
ruleset::Expr decode_masquerade(Attributes& attributes);
Message encode(const ruleset::Masquerade& masquerade);
ruleset::Expr decode_redirect(Attributes& attributes);
Message encode(const ruleset::Redirect& redirect);
ruleset::Expr decode_tproxy(Attributes& attributes);
Message encode(const ruleset::Tproxy& tproxy);
ruleset::Expr decode_synproxy(Attributes& attributes);
Message encode(const ruleset::Synproxy& synproxy);
ruleset::Expr decode_dup(Attributes& attributes);
Message encode(const ruleset::Dup& dup);
ruleset::Expr decode_fwd(Attributes& attributes);
Message encode(const ruleset::Fwd& fwd);
ruleset::Expr decode_objref(Attributes& attributes);
Result<Message> encode(const ruleset::ObjectRef& object);
Result<Message> encode(const ruleset::ObjectLookup& lookup);

// expr_xt.cc: what iptables brings with it.
ruleset::Expr decode_match(Attributes& attributes);
Result<Message> encode(const ruleset::XtMatch& match);
ruleset::Expr decode_target(Attributes& attributes);
Result<Message> encode(const ruleset::XtTarget& target);

}  // namespace rolewall::netlink
