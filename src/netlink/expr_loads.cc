// Expressions that ask about what is around the packet, and the headers that are found by type.
#include <linux/netfilter/nf_tables.h>

#include "netlink/expr_attributes.h"
#include "ruleset/expr.h"

namespace rolewall::netlink {

using namespace ruleset;

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

Expr decode_fib(Attributes& attributes) {
  constexpr std::uint32_t kKnownFlags = fib_flag::kSource | fib_flag::kDestination |
                                        fib_flag::kMark | fib_flag::kIif | fib_flag::kOif |
                                        fib_flag::kPresent;
  return Fib{.result = decode_enum<FibResult, FibResult::AddressType, FibResult::Oif>(
                 attributes, NFTA_FIB_RESULT),
             .flags = decode_flags(attributes, NFTA_FIB_FLAGS, kKnownFlags),
             .destination = decode_register(attributes, NFTA_FIB_DREG)};
}

Expr decode_rt(Attributes& attributes) {
  return Rt{.key = decode_enum<RtKey, RtKey::Xfrm>(attributes, NFTA_RT_KEY),
            .destination = decode_register(attributes, NFTA_RT_DREG)};
}

Expr decode_socket(Attributes& attributes) {
  Socket socket{.key = decode_enum<SocketKey, SocketKey::CgroupV2>(attributes, NFTA_SOCKET_KEY),
                .level = 0,
                .destination = decode_register(attributes, NFTA_SOCKET_DREG)};
  if (socket.key == SocketKey::CgroupV2) socket.level = attributes.be32(NFTA_SOCKET_LEVEL);
  return socket;
}

Expr decode_osf(Attributes& attributes) {
  constexpr std::uint8_t kMostTtl = 2;  // NF_OSF_TTL_NOCHECK
  Osf osf{.ttl = attributes.has(NFTA_OSF_TTL) ? attributes.u8(NFTA_OSF_TTL) : std::uint8_t{0},
          .flags = decode_flags(attributes, NFTA_OSF_FLAGS, NFT_OSF_F_VERSION),
          .destination = decode_register(attributes, NFTA_OSF_DREG)};
  if (osf.ttl > kMostTtl) attributes.problem(fmt::format("a ttl check of {}", osf.ttl));
  return osf;
}

Expr decode_numgen(Attributes& attributes) {
  return Numgen{.kind = decode_enum<NumgenKind, NumgenKind::Random>(attributes, NFTA_NG_TYPE),
                .modulus = attributes.be32(NFTA_NG_MODULUS),
                .offset = attributes.be32_or(NFTA_NG_OFFSET, 0),
                .destination = decode_register(attributes, NFTA_NG_DREG)};
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

Expr decode_tunnel(Attributes& attributes) {
  return Tunnel{.key = decode_enum<TunnelKey, TunnelKey::Id>(attributes, NFTA_TUNNEL_KEY),
                .mode = decode_enum<TunnelMode, TunnelMode::Transmit>(
                    attributes, NFTA_TUNNEL_MODE, attributes.be32_or(NFTA_TUNNEL_MODE, 0)),
                .destination = decode_register(attributes, NFTA_TUNNEL_DREG)};
}

Expr decode_xfrm(Attributes& attributes) {
  return Xfrm{.key = decode_enum<XfrmKey, XfrmKey::Spi, XfrmKey::Daddr4>(attributes, NFTA_XFRM_KEY),
              .direction = decode_enum<XfrmDirection, XfrmDirection::Out>(
                  attributes, NFTA_XFRM_DIR, attributes.u8(NFTA_XFRM_DIR)),
              .index = attributes.be32_or(NFTA_XFRM_SPNUM, 0),
              .destination = decode_register(attributes, NFTA_XFRM_DREG)};
}

}  // namespace rolewall::netlink
