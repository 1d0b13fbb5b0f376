// Expressions that rewrite, translate, copy or redirect the packet, or run a named object.
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_synproxy.h>
#include <linux/netfilter/nf_tables.h>

#include "netlink/expr_attributes.h"
#include "ruleset/expr.h"

namespace rolewall::netlink {
namespace {

using namespace ruleset;

std::uint8_t decode_protocol_family(Attributes& attributes, std::uint16_t type, bool may_be_any) {
  const std::uint32_t family = attributes.be32(type);
  const bool known =
      family == NFPROTO_IPV4 || family == NFPROTO_IPV6 || (may_be_any && family == NFPROTO_UNSPEC);
  if (!known) attributes.problem(fmt::format("family {} is unknown", family));
  return known ? static_cast<std::uint8_t>(family) : std::uint8_t{0};
}

// In an inet table, without an address, it may be of both families (nft_nat_init()).
std::uint8_t decode_nat_family(Attributes& attributes) {
  if (attributes.has(NFTA_NAT_REG_ADDR_MIN) || !attributes.has(NFTA_NAT_FAMILY) ||
      attributes.be32(NFTA_NAT_FAMILY) != NFPROTO_INET) {
    return decode_protocol_family(attributes, NFTA_NAT_FAMILY, false);
  }
  return NFPROTO_INET;
}

}  // namespace

Expr decode_payload_write(Attributes& attributes) {
  return PayloadWrite{
      .base = decode_enum<PayloadBase, PayloadBase::Inner>(attributes, NFTA_PAYLOAD_BASE),
      .offset = attributes.be32(NFTA_PAYLOAD_OFFSET),
      .length = attributes.be32(NFTA_PAYLOAD_LEN),
      .source = decode_register(attributes, NFTA_PAYLOAD_SREG),
      .checksum = decode_enum<ChecksumKind, ChecksumKind::Sctp>(
          attributes, NFTA_PAYLOAD_CSUM_TYPE, attributes.be32_or(NFTA_PAYLOAD_CSUM_TYPE, 0)),
      .checksum_offset = attributes.be32_or(NFTA_PAYLOAD_CSUM_OFFSET, 0),
      .pseudo_header =
          decode_flag(attributes, NFTA_PAYLOAD_CSUM_FLAGS, NFT_PAYLOAD_L4CSUM_PSEUDOHDR)};
}

Expr decode_nat(Attributes& attributes) {
  return Nat{.kind = decode_enum<NatKind, NatKind::Destination>(attributes, NFTA_NAT_TYPE),
             .family = decode_nat_family(attributes),
             .address_min = decode_optional_register(attributes, NFTA_NAT_REG_ADDR_MIN),
             .address_max = decode_optional_register(attributes, NFTA_NAT_REG_ADDR_MAX),
             .port_min = decode_optional_register(attributes, NFTA_NAT_REG_PROTO_MIN),
             .port_max = decode_optional_register(attributes, NFTA_NAT_REG_PROTO_MAX),
             .flags = decode_flags(attributes, NFTA_NAT_FLAGS, NF_NAT_RANGE_MASK)};
}

Expr decode_masquerade(Attributes& attributes) {
  return Masquerade{.port_min = decode_optional_register(attributes, NFTA_MASQ_REG_PROTO_MIN),
                    .port_max = decode_optional_register(attributes, NFTA_MASQ_REG_PROTO_MAX),
                    .flags = decode_flags(attributes, NFTA_MASQ_FLAGS, NF_NAT_RANGE_MASK)};
}

Expr decode_redirect(Attributes& attributes) {
  return Redirect{.port_min = decode_optional_register(attributes, NFTA_REDIR_REG_PROTO_MIN),
                  .port_max = decode_optional_register(attributes, NFTA_REDIR_REG_PROTO_MAX),
                  .flags = decode_flags(attributes, NFTA_REDIR_FLAGS, NF_NAT_RANGE_MASK)};
}

Expr decode_tproxy(Attributes& attributes) {
  return Tproxy{.family = decode_protocol_family(attributes, NFTA_TPROXY_FAMILY, true),
                .address = decode_optional_register(attributes, NFTA_TPROXY_REG_ADDR),
                .port = decode_optional_register(attributes, NFTA_TPROXY_REG_PORT)};
}

Synproxy decode_synproxy(Attributes& attributes) {
  constexpr std::uint32_t kKnownFlags = NF_SYNPROXY_OPT_MSS | NF_SYNPROXY_OPT_WSCALE |
                                        NF_SYNPROXY_OPT_SACK_PERM | NF_SYNPROXY_OPT_TIMESTAMP |
                                        NF_SYNPROXY_OPT_ECN;
  Synproxy synproxy;
  synproxy.flags = decode_flags(attributes, NFTA_SYNPROXY_FLAGS, kKnownFlags);
  if (attributes.has(NFTA_SYNPROXY_MSS)) synproxy.mss = attributes.be16(NFTA_SYNPROXY_MSS);
  if (attributes.has(NFTA_SYNPROXY_WSCALE)) {
    synproxy.window_scale = attributes.u8(NFTA_SYNPROXY_WSCALE);
  }
  return synproxy;
}

Expr decode_dup(Attributes& attributes) {
  return Dup{.address = decode_optional_register(attributes, NFTA_DUP_SREG_ADDR),
             .device = decode_optional_register(attributes, NFTA_DUP_SREG_DEV)};
}

Expr decode_fwd(Attributes& attributes) {
  Fwd fwd{.device = decode_register(attributes, NFTA_FWD_SREG_DEV),
          .address = decode_optional_register(attributes, NFTA_FWD_SREG_ADDR),
          .family = 0};
  if (fwd.address) fwd.family = decode_protocol_family(attributes, NFTA_FWD_NFPROTO, false);
  return fwd;
}

Expr decode_objref(Attributes& attributes) {
  if (attributes.has(NFTA_OBJREF_SET_SREG)) {
    attributes.ignore(NFTA_OBJREF_SET_ID);
    return ObjectLookup{.source = decode_register(attributes, NFTA_OBJREF_SET_SREG),
                        .set = attributes.text(NFTA_OBJREF_SET_NAME)};
  }
  return ObjectRef{.type = attributes.be32(NFTA_OBJREF_IMM_TYPE),
                   .name = attributes.text(NFTA_OBJREF_IMM_NAME)};
}

}  // namespace rolewall::netlink
