#include "netlink/decode_expr.h"

#include <fmt/format.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>

#include <array>
#include <optional>

#include "netlink/expr_attributes.h"
#include "netlink/kernel_numbers.h"
#include "ruleset/expr.h"

namespace rolewall::netlink {
namespace {

using namespace ruleset;

Expr decode_payload(Attributes& attributes) {
  if (attributes.has(NFTA_PAYLOAD_SREG)) return decode_payload_write(attributes);
  return Payload{
      .base = decode_enum<PayloadBase, PayloadBase::Inner>(attributes, NFTA_PAYLOAD_BASE),
      .offset = attributes.be32(NFTA_PAYLOAD_OFFSET),
      .length = attributes.be32(NFTA_PAYLOAD_LEN),
      .destination = decode_register(attributes, NFTA_PAYLOAD_DREG)};
}

Expr decode_meta(Attributes& attributes) {
  const auto key = decode_enum<MetaKey, MetaKey::BriBroute>(attributes, NFTA_META_KEY);
  if (attributes.has(NFTA_META_SREG)) {
    return MetaSet{.key = key, .source = decode_register(attributes, NFTA_META_SREG)};
  }
  return Meta{.key = key, .destination = decode_register(attributes, NFTA_META_DREG)};
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

Expr decode_immediate(Attributes& attributes) {
  if (attributes.be32(NFTA_IMMEDIATE_DREG) == NFT_REG_VERDICT) {
    return ImmediateVerdict{decode_verdict(attributes, NFTA_IMMEDIATE_DATA)};
  }
  return Immediate{.destination = decode_register(attributes, NFTA_IMMEDIATE_DREG),
                   .value = decode_value(attributes, NFTA_IMMEDIATE_DATA)};
}

// Of kernel 6.13 on. With a value in the other register's place it lacks an attribute here.
Expr decode_bitwise_registers(Attributes& attributes, BitwiseOp op) {
  return BitwiseRegisters{.op = op,
                          .source = decode_register(attributes, NFTA_BITWISE_SREG),
                          .other = decode_register(attributes, kBitwiseOther),
                          .destination = decode_register(attributes, NFTA_BITWISE_DREG),
                          .length = attributes.be32(NFTA_BITWISE_LEN)};
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

Expr decode_byteorder(Attributes& attributes) {
  return Byteorder{
      .op = decode_enum<ByteorderOp, ByteorderOp::HostToNetwork>(attributes, NFTA_BYTEORDER_OP),
      .source = decode_register(attributes, NFTA_BYTEORDER_SREG),
      .destination = decode_register(attributes, NFTA_BYTEORDER_DREG),
      .length = attributes.be32(NFTA_BYTEORDER_LEN),
      .size = attributes.be32(NFTA_BYTEORDER_SIZE)};
}

Expr decode_cmp(Attributes& attributes) {
  return Cmp{.op = decode_enum<CmpOp, CmpOp::Gte>(attributes, NFTA_CMP_OP),
             .source = decode_register(attributes, NFTA_CMP_SREG),
             .value = decode_value(attributes, NFTA_CMP_DATA)};
}

Expr decode_range(Attributes& attributes) {
  enum class Op : std::uint8_t { Eq, Neq };
  return Range{.negated = decode_enum<Op, Op::Neq>(attributes, NFTA_RANGE_OP) == Op::Neq,
               .source = decode_register(attributes, NFTA_RANGE_SREG),
               .from = decode_value(attributes, NFTA_RANGE_FROM_DATA),
               .to = decode_value(attributes, NFTA_RANGE_TO_DATA)};
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

Expr decode_counter(Attributes& attributes) {
  attributes.ignore(NFTA_COUNTER_PAD);
  return Counter{.packets = attributes.be64(NFTA_COUNTER_PACKETS),
                 .bytes = attributes.be64(NFTA_COUNTER_BYTES)};
}

Expr decode_limit(Attributes& attributes) {
  attributes.ignore(NFTA_LIMIT_PAD);
  return Limit{.unit = decode_enum<LimitUnit, LimitUnit::Bytes>(attributes, NFTA_LIMIT_TYPE),
               .rate = attributes.be64(NFTA_LIMIT_RATE),
               .per_seconds = attributes.be64(NFTA_LIMIT_UNIT),
               .burst = attributes.be32(NFTA_LIMIT_BURST),
               .over = decode_flag(attributes, NFTA_LIMIT_FLAGS, NFT_LIMIT_F_INV)};
}

Expr decode_connlimit(Attributes& attributes) {
  return Connlimit{.count = attributes.be32(NFTA_CONNLIMIT_COUNT),
                   .over = decode_flag(attributes, NFTA_CONNLIMIT_FLAGS, NFT_CONNLIMIT_F_INV)};
}

Expr decode_quota(Attributes& attributes) {
  attributes.ignore(NFTA_QUOTA_PAD);
  // NFT_QUOTA_F_DEPLETED follows from the numbers.
  return Quota{
      .bytes = attributes.be64(NFTA_QUOTA_BYTES),
      .consumed = attributes.be64_or(NFTA_QUOTA_CONSUMED, 0),
      .over = decode_flag(attributes, NFTA_QUOTA_FLAGS, NFT_QUOTA_F_INV, NFT_QUOTA_F_DEPLETED)};
}

Expr decode_last(Attributes& attributes) {
  attributes.ignore(NFTA_LAST_PAD);
  return Last{.ms_ago = attributes.be64_or(NFTA_LAST_MSECS, 0),
              .set = attributes.be32_or(NFTA_LAST_SET, 0) != 0};
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

Expr decode_reject(Attributes& attributes) {
  return Reject{
      .type = decode_enum<RejectType, RejectType::IcmpxUnreachable>(attributes, NFTA_REJECT_TYPE),
      .code = attributes.has(NFTA_REJECT_ICMP_CODE) ? attributes.u8(NFTA_REJECT_ICMP_CODE)
                                                    : std::uint8_t{0}};
}

Expr decode_notrack(Attributes& /*attributes*/) {
  return Notrack{};
}

Expr decode_synproxy_expr(Attributes& attributes) {
  return decode_synproxy(attributes);
}

// iptables-nft's rules hold iptables' own matches and targets, each a program of its own in the
// kernel (net/netfilter/nft_compat.c). NFTA_TARGET_* are the same numbers.
Expr decode_xt(Attributes& attributes, std::string_view what) {
  attributes.ignore(NFTA_MATCH_REV);
  attributes.ignore(NFTA_MATCH_INFO);
  return Unsupported{std::string(what), fmt::format("iptables' {} `{}` is not modelled", what,
                                                    attributes.text(NFTA_MATCH_NAME))};
}

Expr decode_match(Attributes& attributes) {
  return decode_xt(attributes, "match");
}

Expr decode_target(Attributes& attributes) {
  return decode_xt(attributes, "target");
}

struct Decoder {
  std::string_view name;
  Expr (*decode)(Attributes&);
};

constexpr std::array kDecoders{
    Decoder{"bitwise", decode_bitwise},
    Decoder{"byteorder", decode_byteorder},
    Decoder{"cmp", decode_cmp},
    Decoder{"connlimit", decode_connlimit},
    Decoder{"counter", decode_counter},
    Decoder{"ct", decode_ct},
    Decoder{"dup", decode_dup},
    Decoder{"dynset", decode_dynset},
    Decoder{"exthdr", decode_exthdr},
    Decoder{"fib", decode_fib},
    Decoder{"fwd", decode_fwd},
    Decoder{"hash", decode_hash},
    Decoder{"immediate", decode_immediate},
    Decoder{"last", decode_last},
    Decoder{"limit", decode_limit},
    Decoder{"log", decode_log},
    Decoder{"lookup", decode_lookup},
    Decoder{"masq", decode_masquerade},
    Decoder{"match", decode_match},
    Decoder{"meta", decode_meta},
    Decoder{"nat", decode_nat},
    Decoder{"notrack", decode_notrack},
    Decoder{"numgen", decode_numgen},
    Decoder{"objref", decode_objref},
    Decoder{"osf", decode_osf},
    Decoder{"payload", decode_payload},
    Decoder{"quota", decode_quota},
    Decoder{"range", decode_range},
    Decoder{"redir", decode_redirect},
    Decoder{"reject", decode_reject},
    Decoder{"rt", decode_rt},
    Decoder{"socket", decode_socket},
    Decoder{"synproxy", decode_synproxy_expr},
    Decoder{"target", decode_target},
    Decoder{"tproxy", decode_tproxy},
    Decoder{"tunnel", decode_tunnel},
    Decoder{"xfrm", decode_xfrm},
};

// An element's expressions hold no others: what says so is malformed, and not followed.
enum class Place { Rule, Element };

Expr decode_by_name(const std::string& name, View data, Place place) {
  Attributes attributes(data);
  for (const Decoder& decoder : kDecoders) {
    if (decoder.name != name) continue;
    if (place == Place::Element && decoder.decode == decode_dynset) break;
    Expr expr = decoder.decode(attributes);
    if (std::string problem = attributes.finish(); !problem.empty()) {
      return Unsupported{name, problem};
    }
    return expr;
  }
  return Unsupported{name, "this expression is not modelled"};
}

Expr decode_one(View bytes, Place place) {
  Attributes outer(bytes);
  const std::string name = outer.text(NFTA_EXPR_NAME);
  const View data = outer.bytes_or_empty(NFTA_EXPR_DATA);
  if (std::string problem = outer.finish(); !problem.empty()) return Unsupported{name, problem};
  return decode_by_name(name, data, place);
}

std::vector<Expr> decode_list(View list, Place place) {
  std::vector<Expr> exprs;
  const bool whole = for_each_attribute(list, [&](std::uint16_t type, View payload) {
    exprs.push_back(type == NFTA_LIST_ELEM
                        ? decode_one(payload, place)
                        : Unsupported{"rule", fmt::format("list entry {} is unknown", type)});
  });
  if (!whole) exprs.push_back(Unsupported{"rule", "its expressions are cut short"});
  return exprs;
}

std::optional<StatefulExpr> as_stateful(const Expr& expr) {
  if (const auto* counter = std::get_if<Counter>(&expr)) return *counter;
  if (const auto* limit = std::get_if<Limit>(&expr)) return *limit;
  if (const auto* connlimit = std::get_if<Connlimit>(&expr)) return *connlimit;
  if (const auto* quota = std::get_if<Quota>(&expr)) return *quota;
  if (const auto* last = std::get_if<Last>(&expr)) return *last;
  return std::nullopt;
}

}  // namespace

Value decode_value(Attributes& attributes, std::uint16_t type) {
  Attributes nest(attributes.bytes(type));
  const View bytes = nest.bytes(NFTA_DATA_VALUE);
  if (bytes.empty() || bytes.size() > Value::kMaxSize) {
    nest.problem(fmt::format("a value of {} bytes", bytes.size()));
  }
  if (std::string problem = nest.finish(); !problem.empty()) {
    attributes.problem(fmt::format("attribute {}: {}", type, problem));
    return {};
  }
  return Value(bytes);
}

Verdict decode_verdict(Attributes& attributes, std::uint16_t type) {
  Attributes nest(attributes.bytes(type));
  Attributes inner(nest.bytes(NFTA_DATA_VERDICT));
  Verdict verdict;
  const std::uint32_t number = inner.be32(NFTA_VERDICT_CODE);
  if (const auto known = verdict_of(number)) {
    verdict = *known;
    inner.ignore(NFTA_VERDICT_CHAIN_ID);
    if (names_a_chain(verdict)) verdict.chain = inner.text(NFTA_VERDICT_CHAIN);
  } else {
    inner.problem(fmt::format("verdict {} is unknown", static_cast<std::int32_t>(number)));
  }
  std::string problem = inner.finish();
  if (problem.empty()) problem = nest.finish();
  if (!problem.empty()) attributes.problem(problem);
  return verdict;
}

Expr decode_named_expr(std::string_view name, View data) {
  return decode_by_name(std::string(name), data, Place::Rule);
}

Expr decode_expr(View bytes) {
  return decode_one(bytes, Place::Rule);
}

std::vector<Expr> decode_exprs(View list) {
  return decode_list(list, Place::Rule);
}

std::string decode_stateful(View bytes, bool single, std::vector<StatefulExpr>& exprs) {
  const std::vector<Expr> decoded = single ? std::vector<Expr>{decode_one(bytes, Place::Element)}
                                           : decode_list(bytes, Place::Element);
  for (const Expr& expr : decoded) {
    if (const auto stateful = as_stateful(expr)) {
      exprs.push_back(*stateful);
    } else if (const auto* unsupported = std::get_if<Unsupported>(&expr)) {
      return fmt::format("{}: {}", unsupported->name, unsupported->reason);
    } else {
      return "it holds an expression without state";
    }
  }
  return "";
}

}  // namespace rolewall::netlink
