// Network address translation: net/netfilter/nf_nat_core.c and nf_nat_proto.c, and the expressions
// that ask for it (nft_nat.c, nft_masq.c, nft_redir.c with nf_nat_masquerade.c, nf_nat_redirect.c).
// A flow's first packet settles what is translated, by changing the tuple that the reply will have;
// every packet of the flow is then rewritten by that difference.
//
// Exact where the kernel has no choice. A port that it would draw at random is a Condition of the
// frame; so is an address of a device that the host's description does not settle.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "eval/frame.h"
#include "ruleset/actions.h"

namespace rolewall::eval {

// IPS_* of include/uapi/linux/netfilter/nf_conntrack_common.h.
namespace flow_status {
inline constexpr std::uint32_t kExpected = 1 << 0;
inline constexpr std::uint32_t kSeenReply = 1 << 1;
inline constexpr std::uint32_t kAssured = 1 << 2;
inline constexpr std::uint32_t kConfirmed = 1 << 3;
inline constexpr std::uint32_t kSourceNat = 1 << 4;
inline constexpr std::uint32_t kDestinationNat = 1 << 5;
inline constexpr std::uint32_t kSourceNatDone = 1 << 7;
inline constexpr std::uint32_t kDestinationNatDone = 1 << 8;
inline constexpr std::uint32_t kDying = 1 << 9;
}  // namespace flow_status

enum class NatAnswer : std::uint8_t {
  Accept,
  Drop,
  Continue,   // of the other family: the rule goes on
  Undecided,  // frame.flow.why says why
};

// struct nf_nat_range2, without the base of ports; unused bytes of an IPv4 address are zero.
struct NatRange {
  std::uint32_t flags = 0;  // NF_NAT_RANGE_*
  std::array<std::uint8_t, 16> first{};
  std::array<std::uint8_t, 16> last{};
  std::uint16_t first_port = 0;
  std::uint16_t last_port = 0;
};
// NF_NAT_RANGE_PROTO_OFFSET: ports by their distance from a base.
inline constexpr std::uint32_t kNatPortOffset = 1 << 5;

// What iptables' targets ask for (net/netfilter/xt_nat.c, xt_MASQUERADE.c, xt_REDIRECT.c,
// xt_NETMAP.c).
NatAnswer translate_to(NatRange range, ruleset::NatKind kind, Frame& frame);
NatAnswer masquerade_with(NatRange range, Frame& frame);
NatAnswer redirect_with(NatRange range, Frame& frame);
NatAnswer map_prefix(NatRange range, ruleset::NatKind kind, Frame& frame);

// The expressions; `registers` are the interpreter's, as bytes.
using RegisterBytes = std::span<const std::uint8_t>;
NatAnswer run_nat(const ruleset::Nat& nat, RegisterBytes registers, Frame& frame);
NatAnswer run_masquerade(const ruleset::Masquerade& nat, RegisterBytes registers, Frame& frame);
NatAnswer run_redirect(const ruleset::Redirect& nat, RegisterBytes registers, Frame& frame);

// The part of the translation that a hook is for: destinations before routing, sources after.
ruleset::NatKind kind_at(ruleset::Hook hook);
// Whether that part is settled (nf_nat_initialized()).
bool is_settled(const Flow& flow, ruleset::NatKind kind);

// nf_nat_alloc_null_binding(): no chain translates the flow, but its port may be in use.
void settle_without_nat(Frame& frame, ruleset::NatKind kind);

// nf_nat_packet(): rewrites the packet as the hook and the flow say, checksums too. False where the
// packet has not the bytes for it: it is dropped.
bool translate(Frame& frame);

// Gives a packet the addresses and ports of a tuple, checksums too. False where it has not the
// bytes for it.
bool give_tuple(std::span<std::uint8_t> packet, const Tuple& tuple);

// nf_nat_icmp_reply_translation(): an ICMP error about the flow, and the packet that it quotes.
// False: it is dropped.
bool translate_error(Frame& frame, bool trust_checksums);

}  // namespace rolewall::eval
