// The counterpart of expr_actions.cc.
#include <fmt/format.h>

#include "netlink/expr_codec.h"
#include "netlink/expr_writer.h"

namespace rolewall::netlink {
namespace {

using namespace ruleset;

Result<void> check_reference(const std::string& name) {
  if (!name.empty() && name.size() <= kMaxName) return {};
  return fail(ErrorKind::Usage,
              fmt::format("the name of an object or set has 1 to {} bytes", kMaxName));
}

}  // namespace

Message encode(const PayloadWrite& write) {
  return ExprWriter("payload")
      .reg(NFTA_PAYLOAD_SREG, write.source)
      .number(NFTA_PAYLOAD_BASE, write.base)
      .be32(NFTA_PAYLOAD_OFFSET, write.offset)
      .be32(NFTA_PAYLOAD_LEN, write.length)
      .number(NFTA_PAYLOAD_CSUM_TYPE, write.checksum)
      .be32(NFTA_PAYLOAD_CSUM_OFFSET, write.checksum_offset)
      .be32(NFTA_PAYLOAD_CSUM_FLAGS, write.pseudo_header ? NFT_PAYLOAD_L4CSUM_PSEUDOHDR : 0)
      .finish();
}

Message encode(const ExthdrWrite& write) {
  return ExprWriter("exthdr")
      .reg(NFTA_EXTHDR_SREG, write.source)
      .u8(NFTA_EXTHDR_TYPE, write.type)
      .be32(NFTA_EXTHDR_OFFSET, write.offset)
      .be32(NFTA_EXTHDR_LEN, write.length)
      .number(NFTA_EXTHDR_OP, write.kind)
      .finish();
}

Message encode(const ExthdrReset& reset) {
  return ExprWriter("exthdr")
      .u8(NFTA_EXTHDR_TYPE, reset.type)
      .number(NFTA_EXTHDR_OP, reset.kind)
      .finish();
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

Message encode(const Masquerade& masquerade) {
  return ExprWriter("masq")
      .reg(NFTA_MASQ_REG_PROTO_MIN, masquerade.port_min)
      .reg(NFTA_MASQ_REG_PROTO_MAX, masquerade.port_max)
      .flags(NFTA_MASQ_FLAGS, masquerade.flags)
      .finish();
}

Message encode(const Redirect& redirect) {
  return ExprWriter("redir")
      .reg(NFTA_REDIR_REG_PROTO_MIN, redirect.port_min)
      .reg(NFTA_REDIR_REG_PROTO_MAX, redirect.port_max)
      .flags(NFTA_REDIR_FLAGS, redirect.flags)
      .finish();
}

Message encode(const Tproxy& tproxy) {
  return ExprWriter("tproxy")
      .be32(NFTA_TPROXY_FAMILY, tproxy.family)
      .reg(NFTA_TPROXY_REG_ADDR, tproxy.address)
      .reg(NFTA_TPROXY_REG_PORT, tproxy.port)
      .finish();
}

Message encode(const Synproxy& synproxy) {
  return ExprWriter("synproxy")
      .be16(NFTA_SYNPROXY_MSS, synproxy.mss)
      .u8(NFTA_SYNPROXY_WSCALE, synproxy.window_scale)
      .be32(NFTA_SYNPROXY_FLAGS, synproxy.flags)
      .finish();
}

Message encode(const Dup& dup) {
  return ExprWriter("dup")
      .reg(NFTA_DUP_SREG_ADDR, dup.address)
      .reg(NFTA_DUP_SREG_DEV, dup.device)
      .finish();
}

Message encode(const Fwd& fwd) {
  ExprWriter writer("fwd");
  writer.reg(NFTA_FWD_SREG_DEV, fwd.device).reg(NFTA_FWD_SREG_ADDR, fwd.address);
  if (fwd.address) writer.be32(NFTA_FWD_NFPROTO, fwd.family);
  return writer.finish();
}

Result<Message> encode(const ObjectRef& object) {
  TRY(check_reference(object.name));
  return ExprWriter("objref")
      .be32(NFTA_OBJREF_IMM_TYPE, object.type)
      .text(NFTA_OBJREF_IMM_NAME, object.name)
      .finish();
}

Result<Message> encode(const ObjectLookup& lookup) {
  TRY(check_reference(lookup.set));
  return ExprWriter("objref")
      .reg(NFTA_OBJREF_SET_SREG, lookup.source)
      .text(NFTA_OBJREF_SET_NAME, lookup.set)
      .finish();
}

}  // namespace rolewall::netlink
