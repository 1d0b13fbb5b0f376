#include "netlink/rule_compat.h"

#include <algorithm>

#include "ruleset/expr.h"

namespace rolewall::netlink {
namespace {

using namespace ruleset;

bool is_of_iptables(const Expr& expr) {
  return std::holds_alternative<XtMatch>(expr) || std::holds_alternative<XtTarget>(expr);
}

// As iptables-nft writes it: `meta l4proto`, or the field of the IP header.
std::optional<Register> register_of_protocol(const Expr& expr) {
  constexpr std::uint32_t kIpv4Protocol = 9;
  constexpr std::uint32_t kIpv6NextHeader = 6;
  if (const auto* meta = std::get_if<Meta>(&expr)) {
    if (meta->key == MetaKey::L4Proto) return meta->destination;
  }
  if (const auto* load = std::get_if<Payload>(&expr)) {
    const bool is_protocol = load->offset == kIpv4Protocol || load->offset == kIpv6NextHeader;
    if (load->base == PayloadBase::Network && load->length == 1 && is_protocol) {
      return load->destination;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<RuleCompat> compat_of(const Rule& rule) {
  if (std::ranges::none_of(rule.exprs, is_of_iptables)) return std::nullopt;
  RuleCompat compat;
  std::optional<Register> loaded;
  for (const Expr& expr : rule.exprs) {
    if (const auto protocol = register_of_protocol(expr)) {
      loaded = protocol;
    } else if (const auto* cmp = std::get_if<Cmp>(&expr)) {
      const bool tests = loaded == cmp->source && cmp->value.size == 1 &&
                         (cmp->op == CmpOp::Eq || cmp->op == CmpOp::Neq);
      if (tests) compat = {cmp->value.bytes[0], cmp->op == CmpOp::Neq};
      loaded.reset();
    }
  }
  return compat;
}

}  // namespace rolewall::netlink
