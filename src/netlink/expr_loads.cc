// Expressions that look at the packet, at what travels with it and at the host's tables. Where one
// name of the kernel's both loads and writes, both are here.
#include <fmt/format.h>
#include <linux/netfilter/nf_tables.h>

#include "netlink/expr_attributes.h"
#include "netlink/expr_codec.h"
#include "netlink/expr_writer.h"
#include "ruleset/expr.h"

namespace rolewall::netlink {
namespace {

using namespace ruleset;

PayloadWrite decode_payload_write(Attributes& attributes) {
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

}  // namespace

Expr decode_payload(Attributes& attributes) {
  if (attributes.has(NFTA_PAYLOAD_SREG)) return decode_payload_write(attributes);
  return Payload{
      .base = decode_enum<PayloadBase, PayloadBase::Inner>(attributes, NFTA_PAYLOAD_BASE),
      .offset = attributes.be32(NFTA_PAYLOAD_OFFSET),
      .length = attributes.be32(NFTA_PAYLOAD_LEN),
      .destination = decode_register(attributes, NFTA_PAYLOAD_DREG)};
}

Message encode(const Payload& payload) {
  return ExprWriter("payload")
      .reg(NFTA_PAYLOAD_DREG, payload.destination)
      .number(NFTA_PAYLOAD_BASE, payload.base)
      .be32(NFTA_PAYLOAD_OFFSET, payload.offset)
      .be32(NFTA_PAYLOAD_LEN, payload.length)
      .finish();
}

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

Expr decode_exthdr(Attributes& attributes) {
  const auto kind = decode_enum<ExthdrKind, ExthdrKind::Dccp>(
      attributes, NFTA_EXTHDR_OP, attributes.be32_or(NFTA_EXTHDR_OP, NFT_EXTHDR_OP_IPV6));
  const std::uint8_t type = attributes.u8(NFTA_EXTHDR_TYPE);
  const std::uint32_t offset = attributes.be32_or(NFTA_EXTHDR_OFFSET, 0);
  const std::uint32_t length = attributes.be32_or(NFTA_EXTHDR_LEN, 0);
  const bool present = decode_flag(attributes, NFTA_EXTHDR_FLAGS, NFT_EXTHDR_F_PRESENT);
  if (attributes.has(NFTA_EXTHDR_DREG)) {
    return Exthdr{.kind = kind,
                  .type = type,
                  .offset = offset,
                  .length = length,
                  .present = present,
                  .destination = decode_register(attributes, NFTA_EXTHDR_DREG)};
  }
  if (present) attributes.problem("it writes, and asks whether the header is there");
  if (attributes.has(NFTA_EXTHDR_SREG)) {
    return ExthdrWrite{.kind = kind,
                       .type = type,
                       .offset = offset,
                       .length = length,
                       .source = decode_register(attributes, NFTA_EXTHDR_SREG)};
  }
  if (offset != 0 || length != 0) attributes.problem("it resets a part of an option");
  return ExthdrReset{.kind = kind, .type = type};
}

Message encode(const Exthdr& exthdr) {
  return ExprWriter("exthdr")
      .reg(NFTA_EXTHDR_DREG, exthdr.destination)
      .u8(NFTA_EXTHDR_TYPE, exthdr.type)
      .be32(NFTA_EXTHDR_OFFSET, exthdr.offset)
      .be32(NFTA_EXTHDR_LEN, exthdr.length)
      .be32(NFTA_EXTHDR_FLAGS, exthdr.present ? NFT_EXTHDR_F_PRESENT : 0)
      .number(NFTA_EXTHDR_OP, exthdr.kind)
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

Expr decode_meta(Attributes& attributes) {
  const auto key = decode_enum<MetaKey, MetaKey::BriBroute>(attributes, NFTA_META_KEY);
  if (attributes.has(NFTA_META_SREG)) {
    return MetaSet{.key = key, .source = decode_register(attributes, NFTA_META_SREG)};
  }
  return Meta{.key = key, .destination = decode_register(attributes, NFTA_META_DREG)};
}

Message encode(const Meta& meta) {
  return ExprWriter("meta")
      .number(NFTA_META_KEY, meta.key)
      .reg(NFTA_META_DREG, meta.destination)
      .finish();
}

Message encode(const MetaSet& meta) {
  return ExprWriter("meta")
      .number(NFTA_META_KEY, meta.key)
      .reg(NFTA_META_SREG, meta.source)
      .finish();
}

Expr decode_ct(Attributes& attributes) {
  const auto key = decode_enum<CtKey, CtKey::Id>(attributes, NFTA_CT_KEY);
  std::optional<CtDirection> direction;
  if (attributes.has(NFTA_CT_DIRECTION)) {
    direction = decode_enum<CtDirection, CtDirection::Reply>(attributes, NFTA_CT_DIRECTION,
                                                             attributes.u8(NFTA_CT_DIRECTION));
  }
  if (attributes.has(NFTA_CT_SREG)) {
    return CtSet{
        .key = key, .direction = direction, .source = decode_register(attributes, NFTA_CT_SREG)};
  }
  return Ct{
      .key = key, .direction = direction, .destination = decode_register(attributes, NFTA_CT_DREG)};
}

Message encode(const Ct& ct) {
  ExprWriter writer("ct");
  writer.number(NFTA_CT_KEY, ct.key).reg(NFTA_CT_DREG, ct.destination);
  if (ct.direction) writer.u8(NFTA_CT_DIRECTION, static_cast<std::uint8_t>(*ct.direction));
  return writer.finish();
}

Message encode(const CtSet& ct) {
  ExprWriter writer("ct");
  writer.number(NFTA_CT_KEY, ct.key);
  if (ct.direction) writer.u8(NFTA_CT_DIRECTION, static_cast<std::uint8_t>(*ct.direction));
  return writer.reg(NFTA_CT_SREG, ct.source).finish();
}

Expr decode_fib(Attributes& attributes) {
  constexpr std::uint32_t kKnownFlags = fib_flag::kSource | fib_flag::kDestination |
                                        fib_flag::kMark | fib_flag::kIif | fib_flag::kOif |
                                        fib_flag::kPresent;
  return Fib{.result = decode_enum<FibResult, FibResult::AddressType, FibResult::Oif>(
                 attributes, NFTA_FIB_RESULT),
             .flags = decode_flags(attributes, NFTA_FIB_FLAGS, kKnownFlags),
             .destination = decode_register(attributes, NFTA_FIB_DREG)};
}

Message encode(const Fib& fib) {
  return ExprWriter("fib")
      .reg(NFTA_FIB_DREG, fib.destination)
      .number(NFTA_FIB_RESULT, fib.result)
      .be32(NFTA_FIB_FLAGS, fib.flags)
      .finish();
}

Expr decode_rt(Attributes& attributes) {
  return Rt{.key = decode_enum<RtKey, RtKey::Xfrm>(attributes, NFTA_RT_KEY),
            .destination = decode_register(attributes, NFTA_RT_DREG)};
}

Message encode(const Rt& rt) {
  return ExprWriter("rt").number(NFTA_RT_KEY, rt.key).reg(NFTA_RT_DREG, rt.destination).finish();
}

Expr decode_socket(Attributes& attributes) {
  ruleset::Socket socket{
      .key = decode_enum<SocketKey, SocketKey::CgroupV2>(attributes, NFTA_SOCKET_KEY),
      .level = 0,
      .destination = decode_register(attributes, NFTA_SOCKET_DREG)};
  if (socket.key == SocketKey::CgroupV2) socket.level = attributes.be32(NFTA_SOCKET_LEVEL);
  return socket;
}

Message encode(const ruleset::Socket& socket) {
  ExprWriter writer("socket");
  writer.number(NFTA_SOCKET_KEY, socket.key).reg(NFTA_SOCKET_DREG, socket.destination);
  if (socket.key == SocketKey::CgroupV2) writer.be32(NFTA_SOCKET_LEVEL, socket.level);
  return writer.finish();
}

Expr decode_osf(Attributes& attributes) {
  constexpr std::uint8_t kMostTtl = 2;  // NF_OSF_TTL_NOCHECK
  Osf osf{.ttl = attributes.has(NFTA_OSF_TTL) ? attributes.u8(NFTA_OSF_TTL) : std::uint8_t{0},
          .flags = decode_flags(attributes, NFTA_OSF_FLAGS, NFT_OSF_F_VERSION),
          .destination = decode_register(attributes, NFTA_OSF_DREG)};
  if (osf.ttl > kMostTtl) attributes.problem(fmt::format("a ttl check of {}", osf.ttl));
  return osf;
}

Message encode(const Osf& osf) {
  return ExprWriter("osf")
      .reg(NFTA_OSF_DREG, osf.destination)
      .u8(NFTA_OSF_TTL, osf.ttl)
      .flags(NFTA_OSF_FLAGS, osf.flags)
      .finish();
}

Expr decode_numgen(Attributes& attributes) {
  return Numgen{.kind = decode_enum<NumgenKind, NumgenKind::Random>(attributes, NFTA_NG_TYPE),
                .modulus = attributes.be32(NFTA_NG_MODULUS),
                .offset = attributes.be32_or(NFTA_NG_OFFSET, 0),
                .destination = decode_register(attributes, NFTA_NG_DREG)};
}

Message encode(const Numgen& numgen) {
  return ExprWriter("numgen")
      .reg(NFTA_NG_DREG, numgen.destination)
      .be32(NFTA_NG_MODULUS, numgen.modulus)
      .number(NFTA_NG_TYPE, numgen.kind)
      .be32(NFTA_NG_OFFSET, numgen.offset)
      .finish();
}

Expr decode_hash(Attributes& attributes) {
  const std::uint32_t type = attributes.be32_or(NFTA_HASH_TYPE, NFT_HASH_JENKINS);
  const std::uint32_t modulus = attributes.be32(NFTA_HASH_MODULUS);
  const std::uint32_t offset = attributes.be32_or(NFTA_HASH_OFFSET, 0);
  const Register destination = decode_register(attributes, NFTA_HASH_DREG);
  if (type == NFT_HASH_SYM) {
    return SymmetricHash{.modulus = modulus, .offset = offset, .destination = destination};
  }
  if (type != NFT_HASH_JENKINS) attributes.problem(fmt::format("hash {} is unknown", type));
  JenkinsHash hash{.source = decode_register(attributes, NFTA_HASH_SREG),
                   .length = attributes.be32(NFTA_HASH_LEN),
                   .modulus = modulus,
                   .seed = {},
                   .offset = offset,
                   .destination = destination};
  if (attributes.has(NFTA_HASH_SEED)) hash.seed = attributes.be32(NFTA_HASH_SEED);
  return hash;
}

Message encode(const JenkinsHash& hash) {
  ExprWriter writer("hash");
  writer.reg(NFTA_HASH_SREG, hash.source)
      .reg(NFTA_HASH_DREG, hash.destination)
      .be32(NFTA_HASH_LEN, hash.length)
      .be32(NFTA_HASH_MODULUS, hash.modulus)
      .be32(NFTA_HASH_OFFSET, hash.offset)
      .be32(NFTA_HASH_TYPE, NFT_HASH_JENKINS);
  if (hash.seed) writer.be32(NFTA_HASH_SEED, *hash.seed);
  return writer.finish();
}

Message encode(const SymmetricHash& hash) {
  return ExprWriter("hash")
      .reg(NFTA_HASH_DREG, hash.destination)
      .be32(NFTA_HASH_MODULUS, hash.modulus)
      .be32(NFTA_HASH_OFFSET, hash.offset)
      .be32(NFTA_HASH_TYPE, NFT_HASH_SYM)
      .finish();
}

Expr decode_tunnel(Attributes& attributes) {
  return Tunnel{.key = decode_enum<TunnelKey, TunnelKey::Id>(attributes, NFTA_TUNNEL_KEY),
                .mode = decode_enum<TunnelMode, TunnelMode::Transmit>(
                    attributes, NFTA_TUNNEL_MODE, attributes.be32_or(NFTA_TUNNEL_MODE, 0)),
                .destination = decode_register(attributes, NFTA_TUNNEL_DREG)};
}

Message encode(const Tunnel& tunnel) {
  return ExprWriter("tunnel")
      .number(NFTA_TUNNEL_KEY, tunnel.key)
      .reg(NFTA_TUNNEL_DREG, tunnel.destination)
      .number(NFTA_TUNNEL_MODE, tunnel.mode)
      .finish();
}

Expr decode_xfrm(Attributes& attributes) {
  return Xfrm{.key = decode_enum<XfrmKey, XfrmKey::Spi, XfrmKey::Daddr4>(attributes, NFTA_XFRM_KEY),
              .direction = decode_enum<XfrmDirection, XfrmDirection::Out>(
                  attributes, NFTA_XFRM_DIR, attributes.u8(NFTA_XFRM_DIR)),
              .index = attributes.be32_or(NFTA_XFRM_SPNUM, 0),
              .destination = decode_register(attributes, NFTA_XFRM_DREG)};
}

Message encode(const Xfrm& xfrm) {
  return ExprWriter("xfrm")
      .number(NFTA_XFRM_KEY, xfrm.key)
      .u8(NFTA_XFRM_DIR, static_cast<std::uint8_t>(xfrm.direction))
      .be32(NFTA_XFRM_SPNUM, xfrm.index)
      .reg(NFTA_XFRM_DREG, xfrm.destination)
      .finish();
}

}  // namespace rolewall::netlink
