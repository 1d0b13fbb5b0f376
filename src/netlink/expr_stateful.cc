// Expressions that remember. Sets, their elements and dynset hold some of them as well, with the
// same attributes.
#include <fmt/format.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include "base/visit.h"
#include "netlink/decode_expr.h"
#include "netlink/expr_attributes.h"
#include "netlink/expr_codec.h"
#include "netlink/expr_writer.h"
#include "ruleset/expr.h"

namespace rolewall::netlink {

using namespace ruleset;

Expr decode_counter(Attributes& attributes) {
  attributes.ignore(NFTA_COUNTER_PAD);
  return Counter{.packets = attributes.be64(NFTA_COUNTER_PACKETS),
                 .bytes = attributes.be64(NFTA_COUNTER_BYTES)};
}

Message encode(const Counter& counter) {
  return ExprWriter("counter")
      .be64(NFTA_COUNTER_BYTES, counter.bytes)
      .be64(NFTA_COUNTER_PACKETS, counter.packets)
      .finish();
}

Expr decode_limit(Attributes& attributes) {
  attributes.ignore(NFTA_LIMIT_PAD);
  return Limit{.unit = decode_enum<LimitUnit, LimitUnit::Bytes>(attributes, NFTA_LIMIT_TYPE),
               .rate = attributes.be64(NFTA_LIMIT_RATE),
               .per_seconds = attributes.be64(NFTA_LIMIT_UNIT),
               .burst = attributes.be32(NFTA_LIMIT_BURST),
               .over = decode_flag(attributes, NFTA_LIMIT_FLAGS, NFT_LIMIT_F_INV)};
}

Message encode(const Limit& limit) {
  return ExprWriter("limit")
      .be64(NFTA_LIMIT_RATE, limit.rate)
      .be64(NFTA_LIMIT_UNIT, limit.per_seconds)
      .be32(NFTA_LIMIT_BURST, limit.burst)
      .number(NFTA_LIMIT_TYPE, limit.unit)
      .be32(NFTA_LIMIT_FLAGS, limit.over ? NFT_LIMIT_F_INV : 0)
      .finish();
}

Expr decode_connlimit(Attributes& attributes) {
  return Connlimit{.count = attributes.be32(NFTA_CONNLIMIT_COUNT),
                   .over = decode_flag(attributes, NFTA_CONNLIMIT_FLAGS, NFT_CONNLIMIT_F_INV)};
}

Message encode(const Connlimit& connlimit) {
  return ExprWriter("connlimit")
      .be32(NFTA_CONNLIMIT_COUNT, connlimit.count)
      .be32(NFTA_CONNLIMIT_FLAGS, connlimit.over ? NFT_CONNLIMIT_F_INV : 0)
      .finish();
}

Expr decode_quota(Attributes& attributes) {
  attributes.ignore(NFTA_QUOTA_PAD);
  // NFT_QUOTA_F_DEPLETED follows from the numbers.
  return Quota{
      .bytes = attributes.be64(NFTA_QUOTA_BYTES),
      .consumed = attributes.be64_or(NFTA_QUOTA_CONSUMED, 0),
      .over = decode_flag(attributes, NFTA_QUOTA_FLAGS, NFT_QUOTA_F_INV, NFT_QUOTA_F_DEPLETED)};
}

Message encode(const Quota& quota) {
  return ExprWriter("quota")
      .be64(NFTA_QUOTA_BYTES, quota.bytes)
      .be64(NFTA_QUOTA_CONSUMED, quota.consumed)
      .be32(NFTA_QUOTA_FLAGS, quota.over ? NFT_QUOTA_F_INV : 0)
      .finish();
}

Expr decode_last(Attributes& attributes) {
  attributes.ignore(NFTA_LAST_PAD);
  return Last{.ms_ago = attributes.be64_or(NFTA_LAST_MSECS, 0),
              .set = attributes.be32_or(NFTA_LAST_SET, 0) != 0};
}

Message encode(const Last& last) {
  return ExprWriter("last")
      .be64(NFTA_LAST_MSECS, last.ms_ago)
      .be32(NFTA_LAST_SET, last.set ? 1 : 0)
      .finish();
}

Expr decode_dynset(Attributes& attributes) {
  attributes.ignore(NFTA_DYNSET_PAD);
  attributes.ignore(NFTA_DYNSET_SET_ID);
  Dynset dynset{
      .op = decode_enum<DynsetOp, DynsetOp::Delete>(attributes, NFTA_DYNSET_OP),
      .set = attributes.text(NFTA_DYNSET_SET_NAME),
      .key = decode_register(attributes, NFTA_DYNSET_SREG_KEY),
      .data = {},
      .timeout_ms = attributes.be64_or(NFTA_DYNSET_TIMEOUT, 0),
      .inverted = decode_flag(attributes, NFTA_DYNSET_FLAGS, NFT_DYNSET_F_INV, NFT_DYNSET_F_EXPR),
      .exprs = {}};
  if (attributes.has(NFTA_DYNSET_SREG_DATA)) {
    dynset.data = decode_register(attributes, NFTA_DYNSET_SREG_DATA);
  }
  for (const std::uint16_t type : {NFTA_DYNSET_EXPR, NFTA_DYNSET_EXPRESSIONS}) {
    if (!attributes.has(type)) continue;
    const std::string problem =
        decode_stateful(attributes.bytes(type), type == NFTA_DYNSET_EXPR, dynset.exprs);
    if (!problem.empty()) attributes.problem(problem);
  }
  return dynset;
}

Result<Message> encode(const Dynset& dynset) {
  TRY(check_name("a set", dynset.set));
  TRY(check_stateful("dynset on set " + dynset.set, dynset.exprs));
  ExprWriter writer("dynset");
  writer.reg(NFTA_DYNSET_SREG_KEY, dynset.key)
      .reg(NFTA_DYNSET_SREG_DATA, dynset.data)
      .number(NFTA_DYNSET_OP, dynset.op);
  if (dynset.timeout_ms != 0) writer.be64(NFTA_DYNSET_TIMEOUT, dynset.timeout_ms);
  std::uint32_t flags = dynset.inverted ? NFT_DYNSET_F_INV : 0;
  if (dynset.exprs.size() > 1) flags |= NFT_DYNSET_F_EXPR;
  return writer.text(NFTA_DYNSET_SET_NAME, dynset.set)
      .stateful(NFTA_DYNSET_EXPR, NFTA_DYNSET_EXPRESSIONS, dynset.exprs)
      .flags(NFTA_DYNSET_FLAGS, flags)
      .finish();
}

Message encode_stateful(const StatefulExpr& any) {
  return visit_closed([](const auto& expr) { return encode(expr); }, any);
}

void put_stateful(Writer& writer, std::uint16_t single, std::uint16_t list,
                  const std::vector<StatefulExpr>& exprs) {
  if (exprs.size() == 1) writer.put(single | NLA_F_NESTED, encode_stateful(exprs[0]));
  if (exprs.size() < 2) return;
  const std::size_t nest = writer.begin_nest(list);
  for (const StatefulExpr& expr : exprs) {
    writer.put(NFTA_LIST_ELEM | NLA_F_NESTED, encode_stateful(expr));
  }
  writer.end_nest(nest);
}

Result<void> check_stateful(std::string_view what, const std::vector<StatefulExpr>& exprs) {
  if (exprs.size() <= kMaxStateful) return {};
  return fail(ErrorKind::Usage, fmt::format("{} holds {} expressions, of at most {}", what,
                                            exprs.size(), kMaxStateful));
}

}  // namespace rolewall::netlink
