#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>

#include <array>

#include "base/check.h"
#include "base/overloaded.h"
#include "netlink/expr_codec.h"
#include "netlink/kernel_numbers.h"
#include "ruleset/expr.h"

namespace rolewall::netlink {
namespace {

using namespace ruleset;

constexpr std::size_t kMaxLogPrefix = 127;  // NF_LOG_PREFIXLEN, without the NUL

ExprPtr make(const char* name) {
  ExprPtr expr(nftnl_expr_alloc(name));
  CHECK(expr != nullptr, "libnftnl knows the expression, and there is memory");
  return expr;
}

void put_register(const ExprPtr& expr, std::uint16_t attribute, Register index) {
  nftnl_expr_set_u32(expr.get(), attribute, register_number(index));
}

void put_value(const ExprPtr& expr, std::uint16_t attribute, const Value& value) {
  nftnl_expr_set(expr.get(), attribute, value.bytes.data(), value.size);
}

void put_text(const ExprPtr& expr, std::uint16_t attribute, const std::string& text) {
  nftnl_expr_set_str(expr.get(), attribute, text.c_str());
}

template <class Enum>
void put_enum(const ExprPtr& expr, std::uint16_t attribute, Enum value) {
  nftnl_expr_set_u32(expr.get(), attribute, static_cast<std::uint32_t>(value));
}

std::unexpected<Error> refuse(std::string reason) {
  return fail(ErrorKind::Usage, std::move(reason));
}

bool fits(const std::string& name) {
  return !name.empty() && name.size() <= kMaxName;
}

ExprPtr encode(const Counter& counter) {
  ExprPtr expr = make("counter");
  nftnl_expr_set_u64(expr.get(), NFTNL_EXPR_CTR_PACKETS, counter.packets);
  nftnl_expr_set_u64(expr.get(), NFTNL_EXPR_CTR_BYTES, counter.bytes);
  return expr;
}

ExprPtr encode(const Limit& limit) {
  ExprPtr expr = make("limit");
  put_enum(expr, NFTNL_EXPR_LIMIT_TYPE, limit.unit);
  nftnl_expr_set_u64(expr.get(), NFTNL_EXPR_LIMIT_RATE, limit.rate);
  nftnl_expr_set_u64(expr.get(), NFTNL_EXPR_LIMIT_UNIT, limit.per_seconds);
  nftnl_expr_set_u32(expr.get(), NFTNL_EXPR_LIMIT_BURST, limit.burst);
  nftnl_expr_set_u32(expr.get(), NFTNL_EXPR_LIMIT_FLAGS, limit.over ? NFT_LIMIT_F_INV : 0);
  return expr;
}

ExprPtr encode(const Connlimit& connlimit) {
  ExprPtr expr = make("connlimit");
  nftnl_expr_set_u32(expr.get(), NFTNL_EXPR_CONNLIMIT_COUNT, connlimit.count);
  nftnl_expr_set_u32(expr.get(), NFTNL_EXPR_CONNLIMIT_FLAGS,
                     connlimit.over ? NFT_CONNLIMIT_F_INV : 0);
  return expr;
}

ExprPtr encode(const Quota& quota) {
  ExprPtr expr = make("quota");
  nftnl_expr_set_u64(expr.get(), NFTNL_EXPR_QUOTA_BYTES, quota.bytes);
  nftnl_expr_set_u64(expr.get(), NFTNL_EXPR_QUOTA_CONSUMED, quota.consumed);
  nftnl_expr_set_u32(expr.get(), NFTNL_EXPR_QUOTA_FLAGS, quota.over ? NFT_QUOTA_F_INV : 0);
  return expr;
}

ExprPtr encode(const Last& last) {
  ExprPtr expr = make("last");
  nftnl_expr_set_u32(expr.get(), NFTNL_EXPR_LAST_SET, last.set ? 1 : 0);
  nftnl_expr_set_u64(expr.get(), NFTNL_EXPR_LAST_MSECS, last.ms_ago);
  return expr;
}

Result<EncodedExpr> encode(const ImmediateVerdict& immediate) {
  const Verdict& verdict = immediate.verdict;
  if (names_a_chain(verdict) && !fits(verdict.chain)) {
    return refuse(fmt::format("a chain's name has 1 to {} bytes", kMaxName));
  }
  ExprPtr expr = make("immediate");
  nftnl_expr_set_u32(expr.get(), NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32(expr.get(), NFTNL_EXPR_IMM_VERDICT, verdict_number(verdict));
  if (names_a_chain(verdict)) put_text(expr, NFTNL_EXPR_IMM_CHAIN, verdict.chain);
  return expr;
}

Result<EncodedExpr> encode(const Lookup& lookup) {
  if (!fits(lookup.set)) return refuse(fmt::format("a set's name has 1 to {} bytes", kMaxName));
  ExprPtr expr = make("lookup");
  put_register(expr, NFTNL_EXPR_LOOKUP_SREG, lookup.source);
  put_text(expr, NFTNL_EXPR_LOOKUP_SET, lookup.set);
  switch (lookup.result) {
    case LookupResult::Membership:
      break;
    case LookupResult::Data:
      put_register(expr, NFTNL_EXPR_LOOKUP_DREG, lookup.destination);
      break;
    case LookupResult::Verdict:
      nftnl_expr_set_u32(expr.get(), NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
      break;
  }
  if (lookup.inverted) {
    nftnl_expr_set_u32(expr.get(), NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
  }
  return expr;
}

Result<EncodedExpr> encode(const Dynset& dynset) {
  if (!fits(dynset.set)) return refuse(fmt::format("a set's name has 1 to {} bytes", kMaxName));
  ExprPtr expr = make("dynset");
  put_enum(expr, NFTNL_EXPR_DYNSET_OP, dynset.op);
  put_text(expr, NFTNL_EXPR_DYNSET_SET_NAME, dynset.set);
  put_register(expr, NFTNL_EXPR_DYNSET_SREG_KEY, dynset.key);
  if (dynset.data) put_register(expr, NFTNL_EXPR_DYNSET_SREG_DATA, *dynset.data);
  if (dynset.timeout_ms != 0) {
    nftnl_expr_set_u64(expr.get(), NFTNL_EXPR_DYNSET_TIMEOUT, dynset.timeout_ms);
  }
  std::uint32_t flags = dynset.inverted ? NFT_DYNSET_F_INV : 0;
  if (dynset.exprs.size() > 1) flags |= NFT_DYNSET_F_EXPR;
  if (flags != 0) nftnl_expr_set_u32(expr.get(), NFTNL_EXPR_DYNSET_FLAGS, flags);
  for (const StatefulExpr& inner : dynset.exprs) {
    nftnl_expr_add_expr(
        expr.get(),
        dynset.exprs.size() > 1 ? NFTNL_EXPR_DYNSET_EXPRESSIONS : NFTNL_EXPR_DYNSET_EXPR,
        encode_stateful(inner).release());
  }
  return expr;
}

Result<EncodedExpr> encode(const Log& log) {
  if (log.prefix.size() > kMaxLogPrefix) {
    return refuse(fmt::format("a log prefix has at most {} bytes", kMaxLogPrefix));
  }
  ExprPtr expr = make("log");
  if (!log.prefix.empty()) put_text(expr, NFTNL_EXPR_LOG_PREFIX, log.prefix);
  if (log.group) {
    nftnl_expr_set_u16(expr.get(), NFTNL_EXPR_LOG_GROUP, *log.group);
    if (log.snaplen != 0) nftnl_expr_set_u32(expr.get(), NFTNL_EXPR_LOG_SNAPLEN, log.snaplen);
    if (log.queue_threshold != 0) {
      nftnl_expr_set_u16(expr.get(), NFTNL_EXPR_LOG_QTHRESHOLD, log.queue_threshold);
    }
  } else {
    nftnl_expr_set_u32(expr.get(), NFTNL_EXPR_LOG_LEVEL, log.level);
    if (log.flags != 0) nftnl_expr_set_u32(expr.get(), NFTNL_EXPR_LOG_FLAGS, log.flags);
  }
  return expr;
}

ExprPtr encode_ct(CtKey key, const std::optional<CtDirection>& direction, std::uint16_t attribute,
                  Register index) {
  ExprPtr expr = make("ct");
  put_enum(expr, NFTNL_EXPR_CT_KEY, key);
  if (direction) {
    nftnl_expr_set_u8(expr.get(), NFTNL_EXPR_CT_DIR, static_cast<std::uint8_t>(*direction));
  }
  put_register(expr, attribute, index);
  return expr;
}

ExprPtr encode_bitwise(Register source, Register destination, std::uint32_t length, int op) {
  ExprPtr expr = make("bitwise");
  put_register(expr, NFTNL_EXPR_BITWISE_SREG, source);
  put_register(expr, NFTNL_EXPR_BITWISE_DREG, destination);
  nftnl_expr_set_u32(expr.get(), NFTNL_EXPR_BITWISE_LEN, length);
  nftnl_expr_set_u32(expr.get(), NFTNL_EXPR_BITWISE_OP, static_cast<std::uint32_t>(op));
  return expr;
}

}  // namespace

ExprPtr encode_stateful(const StatefulExpr& expr) {
  return std::visit(Overloaded{[](const Counter& counter) { return encode(counter); },
                               [](const Limit& limit) { return encode(limit); },
                               [](const Connlimit& connlimit) { return encode(connlimit); },
                               [](const Quota& quota) { return encode(quota); },
                               [](const Last& last) { return encode(last); }},
                    expr);
}

Message stateful_attributes(const StatefulExpr& expr) {
  // A stateful expression takes less than 200 bytes.
  std::array<char, 1024> scratch{};
  nlmsghdr* header = mnl_nlmsg_put_header(scratch.data());
  nftnl_expr_build_payload(header, encode_stateful(expr).get());
  const auto* begin = static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload(header));
  return {begin, begin + mnl_nlmsg_get_payload_len(header)};
}

Result<EncodedExpr> encode_expr(const Expr& any) {
  using Encoded = Result<EncodedExpr>;
  return std::visit(
      Overloaded{
          [](const Payload& payload) -> Encoded {
            ExprPtr expr = make("payload");
            put_register(expr, NFTNL_EXPR_PAYLOAD_DREG, payload.destination);
            put_enum(expr, NFTNL_EXPR_PAYLOAD_BASE, payload.base);
            nftnl_expr_set_u32(expr.get(), NFTNL_EXPR_PAYLOAD_OFFSET, payload.offset);
            nftnl_expr_set_u32(expr.get(), NFTNL_EXPR_PAYLOAD_LEN, payload.length);
            return expr;
          },
          [](const Meta& meta) -> Encoded {
            ExprPtr expr = make("meta");
            put_enum(expr, NFTNL_EXPR_META_KEY, meta.key);
            put_register(expr, NFTNL_EXPR_META_DREG, meta.destination);
            return expr;
          },
          [](const Ct& ct) -> Encoded {
            return encode_ct(ct.key, ct.direction, NFTNL_EXPR_CT_DREG, ct.destination);
          },
          [](const Immediate& immediate) -> Encoded {
            ExprPtr expr = make("immediate");
            put_register(expr, NFTNL_EXPR_IMM_DREG, immediate.destination);
            put_value(expr, NFTNL_EXPR_IMM_DATA, immediate.value);
            return expr;
          },
          [](const BitwiseMask& bitwise) -> Encoded {
            ExprPtr expr = encode_bitwise(bitwise.source, bitwise.destination, bitwise.length,
                                          NFT_BITWISE_MASK_XOR);
            put_value(expr, NFTNL_EXPR_BITWISE_MASK, bitwise.mask);
            put_value(expr, NFTNL_EXPR_BITWISE_XOR, bitwise.xor_with);
            return expr;
          },
          [](const BitwiseShift& shift) -> Encoded {
            ExprPtr expr = encode_bitwise(
                shift.source, shift.destination, shift.length,
                shift.direction == ShiftDirection::Left ? NFT_BITWISE_LSHIFT : NFT_BITWISE_RSHIFT);
            put_value(expr, NFTNL_EXPR_BITWISE_DATA, Value::host_u32(shift.bits));
            return expr;
          },
          [](const Byteorder& byteorder) -> Encoded {
            ExprPtr expr = make("byteorder");
            put_register(expr, NFTNL_EXPR_BYTEORDER_SREG, byteorder.source);
            put_register(expr, NFTNL_EXPR_BYTEORDER_DREG, byteorder.destination);
            put_enum(expr, NFTNL_EXPR_BYTEORDER_OP, byteorder.op);
            nftnl_expr_set_u32(expr.get(), NFTNL_EXPR_BYTEORDER_LEN, byteorder.length);
            nftnl_expr_set_u32(expr.get(), NFTNL_EXPR_BYTEORDER_SIZE, byteorder.size);
            return expr;
          },
          [](const Cmp& cmp) -> Encoded {
            ExprPtr expr = make("cmp");
            put_register(expr, NFTNL_EXPR_CMP_SREG, cmp.source);
            put_enum(expr, NFTNL_EXPR_CMP_OP, cmp.op);
            put_value(expr, NFTNL_EXPR_CMP_DATA, cmp.value);
            return expr;
          },
          [](const Range& range) -> Encoded {
            ExprPtr expr = make("range");
            put_register(expr, NFTNL_EXPR_RANGE_SREG, range.source);
            nftnl_expr_set_u32(expr.get(), NFTNL_EXPR_RANGE_OP,
                               range.negated ? NFT_RANGE_NEQ : NFT_RANGE_EQ);
            put_value(expr, NFTNL_EXPR_RANGE_FROM_DATA, range.from);
            put_value(expr, NFTNL_EXPR_RANGE_TO_DATA, range.to);
            return expr;
          },
          [](const Lookup& lookup) -> Encoded { return encode(lookup); },
          [](const Counter& counter) -> Encoded { return encode(counter); },
          [](const Limit& limit) -> Encoded { return encode(limit); },
          [](const Connlimit& connlimit) -> Encoded { return encode(connlimit); },
          [](const Quota& quota) -> Encoded { return encode(quota); },
          [](const Last& last) -> Encoded { return encode(last); },
          [](const Dynset& dynset) -> Encoded { return encode(dynset); },
          [](const ImmediateVerdict& immediate) -> Encoded { return encode(immediate); },
          [](const MetaSet& meta) -> Encoded {
            ExprPtr expr = make("meta");
            put_enum(expr, NFTNL_EXPR_META_KEY, meta.key);
            put_register(expr, NFTNL_EXPR_META_SREG, meta.source);
            return expr;
          },
          [](const CtSet& ct) -> Encoded {
            return encode_ct(ct.key, ct.direction, NFTNL_EXPR_CT_SREG, ct.source);
          },
          [](const Log& log) -> Encoded { return encode(log); },
          [](const Reject& reject) -> Encoded {
            ExprPtr expr = make("reject");
            put_enum(expr, NFTNL_EXPR_REJECT_TYPE, reject.type);
            nftnl_expr_set_u8(expr.get(), NFTNL_EXPR_REJECT_CODE, reject.code);
            return expr;
          },
          [](const Notrack&) -> Encoded { return make("notrack"); },
          [](const Exthdr& expr) -> Encoded { return encode(expr); },
          [](const Fib& expr) -> Encoded { return encode(expr); },
          [](const Rt& expr) -> Encoded { return encode(expr); },
          [](const ruleset::Socket& expr) -> Encoded { return encode(expr); },
          [](const Osf& expr) -> Encoded { return encode(expr); },
          [](const Numgen& expr) -> Encoded { return encode(expr); },
          [](const JenkinsHash& expr) -> Encoded { return encode(expr); },
          [](const SymmetricHash& expr) -> Encoded { return encode(expr); },
          [](const Tunnel& expr) -> Encoded { return encode(expr); },
          [](const Xfrm& expr) -> Encoded { return encode(expr); },
          [](const BitwiseRegisters& expr) -> Encoded { return encode(expr); },
          [](const PayloadWrite& expr) -> Encoded { return encode(expr); },
          [](const ExthdrWrite& expr) -> Encoded { return encode(expr); },
          [](const ExthdrReset& expr) -> Encoded { return encode(expr); },
          [](const Nat& expr) -> Encoded { return encode(expr); },
          [](const Masquerade& expr) -> Encoded { return encode(expr); },
          [](const Redirect& expr) -> Encoded { return encode(expr); },
          [](const Tproxy& expr) -> Encoded { return encode(expr); },
          [](const Synproxy& expr) -> Encoded { return encode(expr); },
          [](const Dup& expr) -> Encoded { return encode(expr); },
          [](const Fwd& expr) -> Encoded { return encode(expr); },
          [](const ObjectRef& expr) -> Encoded { return encode(expr); },
          [](const ObjectLookup& expr) -> Encoded { return encode(expr); },
          [](const Unsupported& unsupported) -> Encoded {
            return refuse(fmt::format("`{}` was not read whole ({}), so it cannot be written",
                                      unsupported.name, unsupported.reason));
          }},
      any);
}

}  // namespace rolewall::netlink
