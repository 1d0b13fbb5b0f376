// The idioms of nf_tables bytecode: each function appends the expressions of one condition or
// statement to a rule. They are what nft 1.0.6 makes of the text beside them, so that our text and
// our netlink load the same ruleset.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/address.h"
#include "net/conntrack_helpers.h"
#include "net/protocol.h"
#include "policy/policy.h"
#include "ruleset/expr_list.h"
#include "ruleset/expressions.h"
#include "ruleset/ruleset.h"

namespace rolewall::compile::match {

using Exprs = ruleset::ExprList;

// Those of the original: as the client wrote it, before any translation, where conntrack has an
// entry. Those of the reply: as its answers come, before any translation.
enum class Side : std::uint8_t {
  Source,
  Destination,
  OriginalSource,
  OriginalDestination,
  ReplySource,
  ReplyDestination,
};
enum class IpVersion : std::uint8_t { V4, V6 };

void nfproto(Exprs& exprs, IpVersion version);                    // meta nfproto ipv4
void l4proto(Exprs& exprs, std::uint8_t protocol);                // meta l4proto tcp
void port(Exprs& exprs, Side side, const net::PortRange& range);  // th dport 80; th dport 80-90
void icmp_type(Exprs& exprs, const net::PortRange& types);        // icmp type 8
void device(Exprs& exprs, ruleset::MetaKey key, std::string_view device);  // iifname "eth0", "br-*"
void loopback(Exprs& exprs, ruleset::MetaKey key);                         // iif lo
void not_device(Exprs& exprs, ruleset::MetaKey key, std::string_view device);  // iifname != "eth0"
void user(Exprs& exprs, std::uint32_t id);                                     // meta skuid 0
void ct_state(Exprs& exprs, std::uint32_t bits);  // ct state established
// tcp flags & mask == value, as nft writes it: with `meta l4proto tcp` before.
void tcp_flags(Exprs& exprs, std::uint8_t mask, std::uint8_t value);
inline constexpr std::uint8_t kSyn = 0x02;
inline constexpr std::uint8_t kRst = 0x04;
inline constexpr std::uint8_t kAck = 0x10;
void translated(Exprs& exprs);                                    // ct status dnat
void ct_direction(Exprs& exprs, ruleset::CtDirection direction);  // ct direction original

// That conntrack expected the connection by what this helper has read in another: ct helper "ftp".
void expected_by(Exprs& exprs, const net::ConntrackHelper& helper);
// ct helper set "helper/ftp/tcp", for each protocol that the helper is for.
void set_helper(Exprs& exprs, const net::ConntrackHelper& helper);
// tcp option maxseg size set rt mtu, or to so many bytes. REQUIRES: a test for TCP stands before
// it.
void lower_segment_size(Exprs& exprs, std::optional<std::uint16_t> bytes);

// The address in register 0, its port, if there is one, in 1.
void nat(Exprs& exprs, ruleset::NatKind kind, const net::Address& address,
         std::optional<std::uint16_t> port);                     // dnat ip to 10.0.0.1:443
void redirect(Exprs& exprs, std::optional<std::uint16_t> port);  // redirect to :443

// REQUIRES: nfproto() of the prefix's family stands before it in the rule.
void prefix(Exprs& exprs, Side side, const net::Prefix& prefix);  // ip saddr 10.0.0.0/8
void address_in(Exprs& exprs, Side side, IpVersion version, std::string set);  // ip saddr @set

// Loads of keys for maps and sets, into consecutive registers from `first`.
void load_address(Exprs& exprs, Side side, IpVersion version, ruleset::Register first = 0);
void load_port(Exprs& exprs, Side side, ruleset::Register first = 0);
void load_icmp_type(Exprs& exprs, ruleset::Register first = 0);
void load_meta(Exprs& exprs, ruleset::MetaKey key, ruleset::Register first = 0);

void lookup_verdict(Exprs& exprs, std::string map);  // ... vmap @map, the key from register 0
void lookup_member(Exprs& exprs, std::string set);   // ... @set

void jump(Exprs& exprs, std::string chain);
void go_to(Exprs& exprs, std::string chain);
void go_back(Exprs& exprs);  // return
void counter(Exprs& exprs);
void log(Exprs& exprs, std::string prefix, const policy::LogTarget& to);  // log prefix "..."
void limit(Exprs& exprs, const policy::Rate& rate);                       // within the rate
ruleset::Limit limit_over(const policy::Rate& rate);
// accept; drop; reject with icmpx admin-prohibited, which is not all that a rule's reject means
// (ending.h).
void verdict(Exprs& exprs, policy::Action action);
void reset(Exprs& exprs);  // reject with tcp reset; REQUIRES: a test for TCP stands before it

}  // namespace rolewall::compile::match
