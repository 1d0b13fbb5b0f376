// Struct by the kernel's include/uapi/linux/netfilter; which expressions stand for what is in
// iptables' iptables/nft.c and nft-shared.c.
#include "xt_older_forms.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "net/protocol.h"
#include "ruleset/expr.h"

namespace rolewall::kernel_judge {
namespace {

using namespace ruleset;

// What stands for a part of a match, and how many expressions that is; 0: none does.
struct OlderForm {
  std::size_t taken = 0;
  Expr expr = XtMatch{};
};

template <class Number>
void put(Bytes& info, std::size_t at, Number number) {
  std::memcpy(info.data() + at, &number, sizeof number);
}

std::uint16_t port_in(const Value& value) {
  return static_cast<std::uint16_t>(value.bytes[0] << 8 | value.bytes[1]);
}
std::uint32_t mark_in(const Value& value) {
  std::uint32_t mark = 0;
  std::memcpy(&mark, value.bytes.data(), sizeof mark);
  return mark;
}

// struct xt_tcp, xt_udp: what asks nothing.
XtMatch ports_of_any(bool tcp) {
  Bytes info(16);
  put<std::uint16_t>(info, 2, 0xffff);
  put<std::uint16_t>(info, 6, 0xffff);
  return {.name = tcp ? "tcp" : "udp", .revision = 0, .info = info};
}
constexpr std::size_t inverted_at(bool tcp) {
  return tcp ? 11 : 8;
}

// `load`, then the port or the range of ports that it is compared with.
OlderForm ports(const Payload& load, std::span<const Expr> rest, bool tcp) {
  if (rest.empty() || load.length != 2 || (load.offset != 0 && load.offset != 2)) return {};
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  bool inverted = false;
  if (const auto* cmp = std::get_if<Cmp>(&rest[0])) {
    if (cmp->op != CmpOp::Eq && cmp->op != CmpOp::Neq) return {};
    first = last = port_in(cmp->value);
    inverted = cmp->op == CmpOp::Neq;
  } else if (const auto* range = std::get_if<ruleset::Range>(&rest[0])) {
    first = port_in(range->from);
    last = port_in(range->to);
    inverted = range->negated;
  } else {
    return {};
  }
  XtMatch match = ports_of_any(tcp);
  put(match.info, load.offset * 2, first);
  put(match.info, load.offset * 2 + 2, last);
  if (inverted) match.info[inverted_at(tcp)] = load.offset == 0 ? 1 : 2;
  return {2, match};
}

OlderForm tcp_flags(const Payload& load, std::span<const Expr> rest) {
  constexpr std::uint32_t kFlags = 13;
  if (load.offset != kFlags || load.length != 1 || rest.size() < 2) return {};
  const auto* bits = std::get_if<BitwiseMask>(&rest[0]);
  const auto* cmp = std::get_if<Cmp>(&rest[1]);
  if (bits == nullptr || cmp == nullptr) return {};
  XtMatch match = ports_of_any(true);
  match.info[9] = bits->mask.bytes[0];
  match.info[10] = cmp->value.bytes[0];
  if (cmp->op == CmpOp::Neq) match.info[inverted_at(true)] = 4;
  return {3, match};
}

// struct xt_mark_mtinfo1
OlderForm mark(std::span<const Expr> rest) {
  std::uint32_t mask = 0xffffffff;
  std::size_t at = 0;
  if (at < rest.size()) {
    if (const auto* bits = std::get_if<BitwiseMask>(&rest[at])) {
      mask = mark_in(bits->mask);
      ++at;
    }
  }
  const auto* cmp = at < rest.size() ? std::get_if<Cmp>(&rest[at]) : nullptr;
  if (cmp == nullptr) return {};
  Bytes info(16);
  put(info, 0, mark_in(cmp->value));
  put(info, 4, mask);
  info[8] = cmp->op == CmpOp::Neq ? 1 : 0;
  return {at + 2, XtMatch{.name = "mark", .revision = 1, .info = info}};
}

// struct xt_rateinfo
OlderForm limit(const Limit& limit) {
  constexpr std::uint64_t kScale = 10'000;
  const std::uint64_t period = kScale * limit.per_seconds / std::max<std::uint64_t>(limit.rate, 1);
  const bool fits = period * limit.burst <= std::numeric_limits<std::uint32_t>::max();
  if (!fits || limit.over || limit.unit != LimitUnit::Packets) return {};
  Bytes info(40);
  put(info, 0, static_cast<std::uint32_t>(period));
  put(info, 4, limit.burst);
  return {1, XtMatch{.name = "limit", .revision = 0, .info = info}};
}

// struct xt_nflog_info
OlderForm nflog(const Log& log) {
  constexpr std::size_t kPrefix = 64;
  if (!log.group || log.prefix.size() >= kPrefix) return {};
  Bytes info(80);
  put(info, 0, log.snaplen);
  put(info, 4, *log.group);
  put(info, 6, log.queue_threshold);
  info[8] = log.snaplen != 0 ? 1 : 0;
  std::ranges::copy(log.prefix, info.begin() + 12);
  return {1, XtTarget{.name = "NFLOG", .revision = 0, .info = info}};
}

OlderForm older_form(std::span<const Expr> exprs, std::uint8_t protocol) {
  const std::span<const Expr> rest = exprs.subspan(1);
  if (const auto* load = std::get_if<Payload>(&exprs[0])) {
    if (load->base != PayloadBase::Transport) return {};
    const bool tcp = protocol == net::protocol::kTcp;
    if (!tcp && protocol != net::protocol::kUdp) return {};
    if (OlderForm form = ports(*load, rest, tcp); form.taken != 0) return form;
    return tcp ? tcp_flags(*load, rest) : OlderForm{};
  }
  if (const auto* load = std::get_if<Meta>(&exprs[0])) {
    return load->key == MetaKey::Mark ? mark(rest) : OlderForm{};
  }
  if (const auto* one = std::get_if<Limit>(&exprs[0])) return limit(*one);
  if (const auto* one = std::get_if<Log>(&exprs[0])) return nflog(*one);
  return {};
}

// Of one match's options, which iptables had in one payload: those of `next`, if `match` asks none
// of them.
bool takes_over(XtMatch& match, const XtMatch& next) {
  const XtMatch any = ports_of_any(match.name == "tcp");
  const std::size_t inverted = inverted_at(match.name == "tcp");
  for (std::size_t i = 0; i < any.info.size(); ++i) {
    if (i != inverted && match.info[i] != any.info[i] && next.info[i] != any.info[i]) return false;
  }
  if ((match.info[inverted] & next.info[inverted]) != 0) return false;
  for (std::size_t i = 0; i < any.info.size(); ++i) {
    if (i == inverted) {
      match.info[i] |= next.info[i];
    } else if (next.info[i] != any.info[i]) {
      match.info[i] = next.info[i];
    }
  }
  return true;
}

// The protocol that the rule asks for here: `meta l4proto`, or the field of IPv4's header.
std::optional<std::uint8_t> protocol_at(std::span<const Expr> exprs) {
  if (exprs.size() < 2) return std::nullopt;
  const auto* load = std::get_if<Meta>(&exprs[0]);
  const auto* cmp = std::get_if<Cmp>(&exprs[1]);
  if (load == nullptr || load->key != MetaKey::L4Proto || cmp == nullptr) return std::nullopt;
  return cmp->op == CmpOp::Eq ? cmp->value.bytes[0] : 0;
}

}  // namespace

void use_matches(Rule& rule, Random& random) {
  std::vector<Expr> exprs;
  std::uint8_t protocol = 0;
  bool merges = false;  // the last one is of `-m tcp` or `-m udp`, and was made here
  for (std::size_t at = 0; at < rule.exprs.size();) {
    const std::span<const Expr> rest = std::span<const Expr>(rule.exprs).subspan(at);
    protocol = protocol_at(rest).value_or(protocol);
    OlderForm form = older_form(rest, protocol);
    if (form.taken == 0) {
      exprs.push_back(rest[0]);
      ++at;
      merges = false;
      continue;
    }
    at += form.taken;
    const auto* match = std::get_if<XtMatch>(&form.expr);
    const bool has_ports = match != nullptr && (match->name == "tcp" || match->name == "udp");
    constexpr unsigned kInOnePayload = 70;
    if (has_ports && merges && random.percent(kInOnePayload) &&
        takes_over(std::get<XtMatch>(exprs.back()), *match)) {
      continue;
    }
    merges = has_ports;
    exprs.push_back(std::move(form.expr));
  }
  rule.exprs = ExprList(std::move(exprs));
}

}  // namespace rolewall::kernel_judge
