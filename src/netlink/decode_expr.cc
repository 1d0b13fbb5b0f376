#include "netlink/decode_expr.h"

#include <fmt/format.h>
#include <linux/netfilter/nf_tables.h>

#include <array>
#include <optional>

#include "netlink/expr_codec.h"
#include "ruleset/expr.h"

namespace rolewall::netlink {
namespace {

using namespace ruleset;

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
    Decoder{"synproxy", decode_synproxy},
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

Expr decode_named_expr(std::string_view name, View data) {
  return decode_by_name(std::string(name), data, Place::Rule);
}

Expr decode_expr(View bytes) {
  return decode_one(bytes, Place::Rule);
}

ruleset::ExprList decode_exprs(View list) {
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
      return "it has an expression without state";
    }
  }
  return "";
}

}  // namespace rolewall::netlink
