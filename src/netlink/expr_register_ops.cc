// Expressions that work on registers alone: constants and verdicts, arithmetic, comparisons, and
// what looks up in a set.
#include <fmt/format.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>

#include "netlink/expr_attributes.h"
#include "netlink/expr_codec.h"
#include "netlink/expr_writer.h"
#include "netlink/nft_data.h"
#include "ruleset/expr.h"

namespace rolewall::netlink {
namespace {

using namespace ruleset;

// Of kernel 6.13 on. With a value in the other register's place it lacks an attribute here.
Expr decode_bitwise_registers(Attributes& attributes, BitwiseOp op) {
  return BitwiseRegisters{.op = op,
                          .source = decode_register(attributes, NFTA_BITWISE_SREG),
                          .other = decode_register(attributes, kBitwiseOther),
                          .destination = decode_register(attributes, NFTA_BITWISE_DREG),
                          .length = attributes.be32(NFTA_BITWISE_LEN)};
}

}  // namespace

Expr decode_immediate(Attributes& attributes) {
  if (attributes.be32(NFTA_IMMEDIATE_DREG) == NFT_REG_VERDICT) {
    return ImmediateVerdict{decode_verdict(attributes, NFTA_IMMEDIATE_DATA)};
  }
  return Immediate{.destination = decode_register(attributes, NFTA_IMMEDIATE_DREG),
                   .value = decode_value(attributes, NFTA_IMMEDIATE_DATA)};
}

Message encode(const Immediate& immediate) {
  return ExprWriter("immediate")
      .reg(NFTA_IMMEDIATE_DREG, immediate.destination)
      .value(NFTA_IMMEDIATE_DATA, immediate.value)
      .finish();
}

Result<Message> encode(const ImmediateVerdict& immediate) {
  if (names_a_chain(immediate.verdict)) TRY(check_name("a chain", immediate.verdict.chain));
  return ExprWriter("immediate")
      .be32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT)
      .verdict(NFTA_IMMEDIATE_DATA, immediate.verdict)
      .finish();
}

Expr decode_bitwise(Attributes& attributes) {
  const Register source = decode_register(attributes, NFTA_BITWISE_SREG);
  const Register destination = decode_register(attributes, NFTA_BITWISE_DREG);
  const std::uint32_t length = attributes.be32(NFTA_BITWISE_LEN);
  const std::uint32_t op = attributes.be32_or(NFTA_BITWISE_OP, NFT_BITWISE_MASK_XOR);
  if (op == NFT_BITWISE_LSHIFT || op == NFT_BITWISE_RSHIFT) {
    const Value bits = decode_value(attributes, NFTA_BITWISE_DATA);
    if (bits.size != sizeof(std::uint32_t)) attributes.problem("its shift is not 4 bytes");
    return BitwiseShift{
        .direction = op == NFT_BITWISE_LSHIFT ? ShiftDirection::Left : ShiftDirection::Right,
        .source = source,
        .destination = destination,
        .length = length,
        .bits = native_u32(bits.bytes.data())};
  }
  if (op >= kBitwiseAnd && op <= kBitwiseXor) {
    return decode_bitwise_registers(attributes, static_cast<BitwiseOp>(op - kBitwiseAnd));
  }
  if (op != NFT_BITWISE_MASK_XOR) attributes.problem(fmt::format("operation {} is unknown", op));
  return BitwiseMask{.source = source,
                     .destination = destination,
                     .length = length,
                     .mask = decode_value(attributes, NFTA_BITWISE_MASK),
                     .xor_with = decode_value(attributes, NFTA_BITWISE_XOR)};
}

Message encode(const BitwiseMask& bitwise) {
  return ExprWriter("bitwise")
      .reg(NFTA_BITWISE_SREG, bitwise.source)
      .reg(NFTA_BITWISE_DREG, bitwise.destination)
      .be32(NFTA_BITWISE_OP, NFT_BITWISE_MASK_XOR)
      .be32(NFTA_BITWISE_LEN, bitwise.length)
      .value(NFTA_BITWISE_MASK, bitwise.mask)
      .value(NFTA_BITWISE_XOR, bitwise.xor_with)
      .finish();
}

Message encode(const BitwiseShift& shift) {
  const bool left = shift.direction == ShiftDirection::Left;
  return ExprWriter("bitwise")
      .reg(NFTA_BITWISE_SREG, shift.source)
      .reg(NFTA_BITWISE_DREG, shift.destination)
      .be32(NFTA_BITWISE_OP, left ? NFT_BITWISE_LSHIFT : NFT_BITWISE_RSHIFT)
      .be32(NFTA_BITWISE_LEN, shift.length)
      .value(NFTA_BITWISE_DATA, Value::host_u32(shift.bits))
      .finish();
}

Message encode(const BitwiseRegisters& bitwise) {
  return ExprWriter("bitwise")
      .reg(NFTA_BITWISE_SREG, bitwise.source)
      .reg(NFTA_BITWISE_DREG, bitwise.destination)
      .be32(NFTA_BITWISE_OP, kBitwiseAnd + static_cast<std::uint32_t>(bitwise.op))
      .be32(NFTA_BITWISE_LEN, bitwise.length)
      .reg(kBitwiseOther, bitwise.other)
      .finish();
}

Expr decode_byteorder(Attributes& attributes) {
  return Byteorder{
      .op = decode_enum<ByteorderOp, ByteorderOp::HostToNetwork>(attributes, NFTA_BYTEORDER_OP),
      .source = decode_register(attributes, NFTA_BYTEORDER_SREG),
      .destination = decode_register(attributes, NFTA_BYTEORDER_DREG),
      .length = attributes.be32(NFTA_BYTEORDER_LEN),
      .size = attributes.be32(NFTA_BYTEORDER_SIZE)};
}

Message encode(const Byteorder& byteorder) {
  return ExprWriter("byteorder")
      .reg(NFTA_BYTEORDER_SREG, byteorder.source)
      .reg(NFTA_BYTEORDER_DREG, byteorder.destination)
      .number(NFTA_BYTEORDER_OP, byteorder.op)
      .be32(NFTA_BYTEORDER_LEN, byteorder.length)
      .be32(NFTA_BYTEORDER_SIZE, byteorder.size)
      .finish();
}

Expr decode_cmp(Attributes& attributes) {
  return Cmp{.op = decode_enum<CmpOp, CmpOp::Gte>(attributes, NFTA_CMP_OP),
             .source = decode_register(attributes, NFTA_CMP_SREG),
             .value = decode_value(attributes, NFTA_CMP_DATA)};
}

Message encode(const Cmp& cmp) {
  return ExprWriter("cmp")
      .reg(NFTA_CMP_SREG, cmp.source)
      .number(NFTA_CMP_OP, cmp.op)
      .value(NFTA_CMP_DATA, cmp.value)
      .finish();
}

Expr decode_range(Attributes& attributes) {
  enum class Op : std::uint8_t { Eq, Neq };
  return Range{.negated = decode_enum<Op, Op::Neq>(attributes, NFTA_RANGE_OP) == Op::Neq,
               .source = decode_register(attributes, NFTA_RANGE_SREG),
               .from = decode_value(attributes, NFTA_RANGE_FROM_DATA),
               .to = decode_value(attributes, NFTA_RANGE_TO_DATA)};
}

Message encode(const Range& range) {
  return ExprWriter("range")
      .reg(NFTA_RANGE_SREG, range.source)
      .be32(NFTA_RANGE_OP, range.negated ? NFT_RANGE_NEQ : NFT_RANGE_EQ)
      .value(NFTA_RANGE_FROM_DATA, range.from)
      .value(NFTA_RANGE_TO_DATA, range.to)
      .finish();
}

Expr decode_lookup(Attributes& attributes) {
  attributes.ignore(NFTA_LOOKUP_SET_ID);
  Lookup lookup{.set = attributes.text(NFTA_LOOKUP_SET),
                .source = decode_register(attributes, NFTA_LOOKUP_SREG),
                .result = LookupResult::Membership,
                .destination = 0,
                .inverted = decode_flag(attributes, NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV)};
  if (attributes.has(NFTA_LOOKUP_DREG)) {
    if (attributes.be32(NFTA_LOOKUP_DREG) == NFT_REG_VERDICT) {
      lookup.result = LookupResult::Verdict;
    } else {
      lookup.result = LookupResult::Data;
      lookup.destination = decode_register(attributes, NFTA_LOOKUP_DREG);
    }
  }
  return lookup;
}

Result<Message> encode(const Lookup& lookup) {
  TRY(check_name("a set", lookup.set));
  ExprWriter writer("lookup");
  writer.reg(NFTA_LOOKUP_SREG, lookup.source);
  switch (lookup.result) {
    case LookupResult::Membership:
      break;
    case LookupResult::Data:
      writer.reg(NFTA_LOOKUP_DREG, lookup.destination);
      break;
    case LookupResult::Verdict:
      writer.be32(NFTA_LOOKUP_DREG, NFT_REG_VERDICT);
      break;
  }
  return writer.text(NFTA_LOOKUP_SET, lookup.set)
      .flags(NFTA_LOOKUP_FLAGS, lookup.inverted ? NFT_LOOKUP_F_INV : 0)
      .finish();
}

}  // namespace rolewall::netlink
