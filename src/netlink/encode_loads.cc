// The counterpart of expr_loads.cc.
#include "netlink/expr_codec.h"
#include "netlink/expr_writer.h"

namespace rolewall::netlink {

using namespace ruleset;

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

Message encode(const Fib& fib) {
  return ExprWriter("fib")
      .reg(NFTA_FIB_DREG, fib.destination)
      .number(NFTA_FIB_RESULT, fib.result)
      .be32(NFTA_FIB_FLAGS, fib.flags)
      .finish();
}

Message encode(const Rt& rt) {
  return ExprWriter("rt").number(NFTA_RT_KEY, rt.key).reg(NFTA_RT_DREG, rt.destination).finish();
}

Message encode(const Socket& socket) {
  ExprWriter writer("socket");
  writer.number(NFTA_SOCKET_KEY, socket.key).reg(NFTA_SOCKET_DREG, socket.destination);
  if (socket.key == SocketKey::CgroupV2) writer.be32(NFTA_SOCKET_LEVEL, socket.level);
  return writer.finish();
}

Message encode(const Osf& osf) {
  return ExprWriter("osf")
      .reg(NFTA_OSF_DREG, osf.destination)
      .u8(NFTA_OSF_TTL, osf.ttl)
      .flags(NFTA_OSF_FLAGS, osf.flags)
      .finish();
}

Message encode(const Numgen& numgen) {
  return ExprWriter("numgen")
      .reg(NFTA_NG_DREG, numgen.destination)
      .be32(NFTA_NG_MODULUS, numgen.modulus)
      .number(NFTA_NG_TYPE, numgen.kind)
      .be32(NFTA_NG_OFFSET, numgen.offset)
      .finish();
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

Message encode(const Tunnel& tunnel) {
  return ExprWriter("tunnel")
      .number(NFTA_TUNNEL_KEY, tunnel.key)
      .reg(NFTA_TUNNEL_DREG, tunnel.destination)
      .number(NFTA_TUNNEL_MODE, tunnel.mode)
      .finish();
}

Message encode(const Xfrm& xfrm) {
  return ExprWriter("xfrm")
      .number(NFTA_XFRM_KEY, xfrm.key)
      .u8(NFTA_XFRM_DIR, static_cast<std::uint8_t>(xfrm.direction))
      .be32(NFTA_XFRM_SPNUM, xfrm.index)
      .reg(NFTA_XFRM_DREG, xfrm.destination)
      .finish();
}

Message encode(const BitwiseRegisters& bitwise) {
  return ExprWriter("bitwise")
      .reg(NFTA_BITWISE_SREG, bitwise.source)
      .reg(NFTA_BITWISE_DREG, bitwise.destination)
      .be32(NFTA_BITWISE_LEN, bitwise.length)
      .be32(NFTA_BITWISE_OP, kBitwiseAnd + static_cast<std::uint32_t>(bitwise.op))
      .reg(kBitwiseOther, bitwise.other)
      .finish();
}

}  // namespace rolewall::netlink
