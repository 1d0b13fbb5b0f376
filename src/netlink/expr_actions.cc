// Expressions that log, answer, translate, copy or divert the packet, or run a named object.
#include <netinet/in.h>  // before linux/in.h, which says nothing twice

#include <fmt/format.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_synproxy.h>
#include <linux/netfilter/nf_tables.h>

#include "netlink/expr_attributes.h"
#include "netlink/expr_codec.h"
#include "netlink/expr_writer.h"

namespace rolewall::netlink {
namespace {

using namespace ruleset;

constexpr std::size_t kMaxLogPrefix = 127;  // NF_LOG_PREFIXLEN, without the NUL

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

Expr decode_log(Attributes& attributes) {
  Log log;
  if (attributes.has(NFTA_LOG_PREFIX)) log.prefix = attributes.text(NFTA_LOG_PREFIX);
  if (attributes.has(NFTA_LOG_GROUP)) log.group = attributes.be16(NFTA_LOG_GROUP);
  log.level = attributes.be32_or(NFTA_LOG_LEVEL, log.level);
  log.flags = attributes.be32_or(NFTA_LOG_FLAGS, 0);
  log.snaplen = attributes.be32_or(NFTA_LOG_SNAPLEN, 0);
  if (attributes.has(NFTA_LOG_QTHRESHOLD)) {
    log.queue_threshold = attributes.be16(NFTA_LOG_QTHRESHOLD);
  }
  return log;
}

// Of the kernel's log and of a group, each has attributes that the other has not.
Result<Message> encode(const Log& log) {
  if (log.prefix.size() > kMaxLogPrefix || log.prefix.find('\0') != std::string::npos) {
    return fail(ErrorKind::Usage,
                fmt::format("a log prefix has at most {} bytes, and no NUL", kMaxLogPrefix));
  }
  ExprWriter writer("log");
  if (!log.prefix.empty()) writer.text(NFTA_LOG_PREFIX, log.prefix);
  if (log.group) {
    writer.be16(NFTA_LOG_GROUP, *log.group).flags(NFTA_LOG_SNAPLEN, log.snaplen);
    if (log.queue_threshold != 0) writer.be16(NFTA_LOG_QTHRESHOLD, log.queue_threshold);
  } else {
    writer.be32(NFTA_LOG_LEVEL, log.level).flags(NFTA_LOG_FLAGS, log.flags);
  }
  return writer.finish();
}

Expr decode_reject(Attributes& attributes) {
  return Reject{
      .type = decode_enum<RejectType, RejectType::IcmpxUnreachable>(attributes, NFTA_REJECT_TYPE),
      .code = attributes.has(NFTA_REJECT_ICMP_CODE) ? attributes.u8(NFTA_REJECT_ICMP_CODE)
                                                    : std::uint8_t{0}};
}

Message encode(const Reject& reject) {
  return ExprWriter("reject")
      .number(NFTA_REJECT_TYPE, reject.type)
      .u8(NFTA_REJECT_ICMP_CODE, reject.code)
      .finish();
}

Expr decode_notrack(Attributes& /*attributes*/) {
  return Notrack{};
}

// As the kernel dumps it, without NFTA_EXPR_DATA: it has no attributes.
Message encode(const Notrack& /*notrack*/) {
  Message message;
  Writer(message).text(NFTA_EXPR_NAME, "notrack");
  return message;
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

Message encode(const Nat& nat) {
  return ExprWriter("nat")
      .number(NFTA_NAT_TYPE, nat.kind)
      .be32(NFTA_NAT_FAMILY, nat.family)
      .reg(NFTA_NAT_REG_ADDR_MIN, nat.address_min)
      .reg(NFTA_NAT_REG_ADDR_MAX, nat.address_max)
      .reg(NFTA_NAT_REG_PROTO_MIN, nat.port_min)
      .reg(NFTA_NAT_REG_PROTO_MAX, nat.port_max)
      .flags(NFTA_NAT_FLAGS, nat.flags)
      .finish();
}

Expr decode_masquerade(Attributes& attributes) {
  return Masquerade{.port_min = decode_optional_register(attributes, NFTA_MASQ_REG_PROTO_MIN),
                    .port_max = decode_optional_register(attributes, NFTA_MASQ_REG_PROTO_MAX),
                    .flags = decode_flags(attributes, NFTA_MASQ_FLAGS, NF_NAT_RANGE_MASK)};
}

Message encode(const Masquerade& masquerade) {
  return ExprWriter("masq")
      .reg(NFTA_MASQ_REG_PROTO_MIN, masquerade.port_min)
      .reg(NFTA_MASQ_REG_PROTO_MAX, masquerade.port_max)
      .flags(NFTA_MASQ_FLAGS, masquerade.flags)
      .finish();
}

Expr decode_redirect(Attributes& attributes) {
  return Redirect{.port_min = decode_optional_register(attributes, NFTA_REDIR_REG_PROTO_MIN),
                  .port_max = decode_optional_register(attributes, NFTA_REDIR_REG_PROTO_MAX),
                  .flags = decode_flags(attributes, NFTA_REDIR_FLAGS, NF_NAT_RANGE_MASK)};
}

Message encode(const Redirect& redirect) {
  return ExprWriter("redir")
      .reg(NFTA_REDIR_REG_PROTO_MIN, redirect.port_min)
      .reg(NFTA_REDIR_REG_PROTO_MAX, redirect.port_max)
      .flags(NFTA_REDIR_FLAGS, redirect.flags)
      .finish();
}

Expr decode_tproxy(Attributes& attributes) {
  return Tproxy{.family = decode_protocol_family(attributes, NFTA_TPROXY_FAMILY, true),
                .address = decode_optional_register(attributes, NFTA_TPROXY_REG_ADDR),
                .port = decode_optional_register(attributes, NFTA_TPROXY_REG_PORT)};
}

Message encode(const Tproxy& tproxy) {
  return ExprWriter("tproxy")
      .be32(NFTA_TPROXY_FAMILY, tproxy.family)
      .reg(NFTA_TPROXY_REG_ADDR, tproxy.address)
      .reg(NFTA_TPROXY_REG_PORT, tproxy.port)
      .finish();
}

Expr decode_synproxy(Attributes& attributes) {
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

Message encode(const Synproxy& synproxy) {
  return ExprWriter("synproxy")
      .be16(NFTA_SYNPROXY_MSS, synproxy.mss)
      .u8(NFTA_SYNPROXY_WSCALE, synproxy.window_scale)
      .be32(NFTA_SYNPROXY_FLAGS, synproxy.flags)
      .finish();
}

Expr decode_dup(Attributes& attributes) {
  return Dup{.address = decode_optional_register(attributes, NFTA_DUP_SREG_ADDR),
             .device = decode_optional_register(attributes, NFTA_DUP_SREG_DEV)};
}

Message encode(const Dup& dup) {
  return ExprWriter("dup")
      .reg(NFTA_DUP_SREG_ADDR, dup.address)
      .reg(NFTA_DUP_SREG_DEV, dup.device)
      .finish();
}

Expr decode_fwd(Attributes& attributes) {
  Fwd fwd{.device = decode_register(attributes, NFTA_FWD_SREG_DEV),
          .address = decode_optional_register(attributes, NFTA_FWD_SREG_ADDR),
          .family = 0};
  if (fwd.address) fwd.family = decode_protocol_family(attributes, NFTA_FWD_NFPROTO, false);
  return fwd;
}

Message encode(const Fwd& fwd) {
  ExprWriter writer("fwd");
  writer.reg(NFTA_FWD_SREG_DEV, fwd.device).reg(NFTA_FWD_SREG_ADDR, fwd.address);
  if (fwd.address) writer.be32(NFTA_FWD_NFPROTO, fwd.family);
  return writer.finish();
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

Result<Message> encode(const ObjectRef& object) {
  TRY(check_name("an object", object.name));
  return ExprWriter("objref")
      .be32(NFTA_OBJREF_IMM_TYPE, object.type)
      .text(NFTA_OBJREF_IMM_NAME, object.name)
      .finish();
}

Result<Message> encode(const ObjectLookup& lookup) {
  TRY(check_name("a map", lookup.set));
  return ExprWriter("objref")
      .reg(NFTA_OBJREF_SET_SREG, lookup.source)
      .text(NFTA_OBJREF_SET_NAME, lookup.set)
      .finish();
}

}  // namespace rolewall::netlink
