#include <fmt/format.h>

#include <iterator>
#include <optional>

#include "base/visit.h"
#include "print/bytecode_words.h"
#include "print/print.h"
#include "ruleset/expr.h"
#include "ruleset/names.h"
#include "ruleset/xt_match.h"
#include "ruleset/xt_target.h"

// A text for each alternative of Expr: one that has none does not compile. (No `text` may take a
// variant, which every alternative would turn into.)
namespace rolewall::print {
namespace {

using namespace ruleset;  // NOLINT(google-build-using-namespace)

// --- names and registers ---

// A register's number in netlink: NFT_REG_1 and on where one of 16 bytes begins, else
// NFT_REG32_00 and on.
unsigned number(Register first) {
  return first % 4 == 0 ? 1U + first / 4U : 8U + first;
}

std::string_view name(MetaKey key) {
  switch (key) {
    case MetaKey::Length:
      return "len";
    case MetaKey::BriIifName:
      return "bri_iifname";
    case MetaKey::BriOifName:
      return "bri_oifname";
    case MetaKey::Prandom:
      return "prandom";
    case MetaKey::SecPath:
      return "secpath";
    case MetaKey::BriIifPvid:
      return "bri_iifpvid";
    case MetaKey::BriIifVproto:
      return "bri_iifvproto";
    case MetaKey::Protocol:
    case MetaKey::Priority:
    case MetaKey::Mark:
    case MetaKey::Iif:
    case MetaKey::Oif:
    case MetaKey::IifName:
    case MetaKey::OifName:
    case MetaKey::IifType:
    case MetaKey::OifType:
    case MetaKey::SkUid:
    case MetaKey::SkGid:
    case MetaKey::NfTrace:
    case MetaKey::RtClassId:
    case MetaKey::SecMark:
    case MetaKey::NfProto:
    case MetaKey::L4Proto:
    case MetaKey::PktType:
    case MetaKey::Cpu:
    case MetaKey::IifGroup:
    case MetaKey::OifGroup:
    case MetaKey::Cgroup:
    case MetaKey::IifKind:
    case MetaKey::OifKind:
    case MetaKey::TimeNs:
    case MetaKey::TimeDay:
    case MetaKey::TimeHour:
    case MetaKey::SdIif:
    case MetaKey::SdIfName:
    case MetaKey::BriBroute:
      return name_of(key);
  }
  return {};
}

std::string_view name(CtKey key) {
  switch (key) {
    case CtKey::L3Protocol:
      return "l3protocol";
    case CtKey::Source:
      return "src";
    case CtKey::Destination:
      return "dst";
    case CtKey::ProtoSource:
      return "proto_src";
    case CtKey::ProtoDestination:
      return "proto_dst";
    case CtKey::SourceIp:
      return "src_ip";
    case CtKey::DestinationIp:
      return "dst_ip";
    case CtKey::SourceIp6:
      return "src_ip6";
    case CtKey::DestinationIp6:
      return "dst_ip6";
    case CtKey::State:
    case CtKey::Direction:
    case CtKey::Status:
    case CtKey::Mark:
    case CtKey::SecMark:
    case CtKey::Expiration:
    case CtKey::Helper:
    case CtKey::Protocol:
    case CtKey::Labels:
    case CtKey::Packets:
    case CtKey::Bytes:
    case CtKey::AvgPacket:
    case CtKey::Zone:
    case CtKey::EventMask:
    case CtKey::Id:
      return name_of(key);
  }
  return {};
}

std::string direction(const std::optional<CtDirection>& direction) {
  return direction ? fmt::format(", dir {} ", name_of(*direction)) : "";
}

// libnftnl's word for a period that it does not know.
std::string_view unit(std::uint64_t seconds) {
  const std::string_view name = name_of_period(seconds);
  return name.empty() ? "error" : name;
}

// Registers that an expression may leave out.
std::string where_set(std::string_view label, const std::optional<Register>& index) {
  return index ? fmt::format("{} {} ", label, number(*index)) : "";
}

// libnftnl's word for what is found by its type; it has none for the newer ones.
std::string_view word(ExthdrKind kind) {
  switch (kind) {
    case ExthdrKind::Ipv6:
      return "ipv6 ";
    case ExthdrKind::TcpOption:
      return "tcpopt ";
    case ExthdrKind::Ipv4Option:
      return "ipv4 ";
    case ExthdrKind::Sctp:
    case ExthdrKind::Dccp:
      break;
  }
  return "";
}

// --- what loads a register ---

std::string text(const Payload& load) {
  return fmt::format("payload load {}b @ {} header + {} => reg {} ", load.length,
                     name_of(load.base), load.offset, number(load.destination));
}
std::string text(const Meta& load) {
  return fmt::format("meta load {} => reg {} ", name(load.key), number(load.destination));
}
std::string text(const Ct& load) {
  return fmt::format("ct load {} => reg {} {}", name(load.key), number(load.destination),
                     direction(load.direction));
}
std::string text(const Exthdr& load) {
  return fmt::format("exthdr load {}{}b @ {} + {}{} => reg {} ", word(load.kind), load.length,
                     load.type, load.offset, load.present ? " present" : "",
                     number(load.destination));
}
std::string text(const Fib& fib) {
  std::string out = "fib ";
  const auto flag = [&](std::uint32_t bit, std::string_view word) {
    if ((fib.flags & bit) != 0) out += fmt::format("{} . ", word);
  };
  flag(fib_flag::kSource, "saddr");
  flag(fib_flag::kDestination, "daddr");
  flag(fib_flag::kMark, "mark");
  flag(fib_flag::kIif, "iif");
  flag(fib_flag::kOif, "oif");
  if (out.ends_with(". ")) out.resize(out.size() - 2);
  return out + fmt::format("{} {}=> reg {} ", name_of(fib.result),
                           (fib.flags & fib_flag::kPresent) != 0 ? "present " : "",
                           number(fib.destination));
}
std::string text(const Rt& load) {
  return fmt::format("rt load {} => reg {} ", name_of(load.key), number(load.destination));
}
std::string text(const Socket& load) {
  return fmt::format("socket load {}{} => reg {} ", name_of(load.key),
                     load.key == SocketKey::CgroupV2 ? fmt::format(" level {}", load.level) : "",
                     number(load.destination));
}
std::string text(const Osf& load) {
  return fmt::format("osf dreg {} ttl {} flags {:#x} ", number(load.destination), load.ttl,
                     load.flags);
}
std::string text(const Numgen& numgen) {
  return fmt::format("numgen reg {} = {} mod {} {}", number(numgen.destination),
                     numgen.kind == NumgenKind::Incremental ? "inc" : "random", numgen.modulus,
                     numgen.offset != 0 ? fmt::format("offset {} ", numgen.offset) : "");
}
std::string text(const JenkinsHash& hash) {
  return fmt::format("hash reg {} = jhash(reg {}, {}, {}) % mod {} {}", number(hash.destination),
                     number(hash.source), hash.length,
                     hash.seed ? fmt::format("0x{:x}", *hash.seed) : "random seed", hash.modulus,
                     hash.offset != 0 ? fmt::format("offset {} ", hash.offset) : "");
}
std::string text(const SymmetricHash& hash) {
  return fmt::format("hash reg {} = symhash() % mod {} {}", number(hash.destination), hash.modulus,
                     hash.offset != 0 ? fmt::format("offset {} ", hash.offset) : "");
}
std::string text(const Tunnel& load) {
  return fmt::format("tunnel load {} mode {} => reg {} ", name_of(load.key), name_of(load.mode),
                     number(load.destination));
}
std::string text(const Xfrm& load) {
  return fmt::format("xfrm load {} {} {} => reg {} ", name_of(load.direction), load.index,
                     name_of(load.key), number(load.destination));
}
std::string text(const Immediate& load) {
  return fmt::format("immediate reg {} {} ", number(load.destination), words(load.value));
}

// --- what works on registers ---

std::string text(const BitwiseMask& mask) {
  return fmt::format("bitwise reg {} = ( reg {} & {} ) ^ {} ", number(mask.destination),
                     number(mask.source), words(mask.mask), words(mask.xor_with));
}
std::string text(const BitwiseShift& shift) {
  return fmt::format("bitwise reg {} = ( reg {} {} 0x{:08x} ) ", number(shift.destination),
                     number(shift.source), shift.direction == ShiftDirection::Left ? "<<" : ">>",
                     shift.bits);
}
std::string text(const BitwiseRegisters& bitwise) {
  return fmt::format("bitwise reg {} = ( reg {} {} reg {} ) ", number(bitwise.destination),
                     number(bitwise.source), name_of(bitwise.op), number(bitwise.other));
}
std::string text(const Byteorder& swap) {
  return fmt::format("byteorder reg {} = {}(reg {}, {}, {}) ", number(swap.destination),
                     name_of(swap.op), number(swap.source), swap.size, swap.length);
}
std::string text(const Cmp& cmp) {
  return fmt::format("cmp {} reg {} {} ", name_of(cmp.op), number(cmp.source), words(cmp.value));
}
std::string text(const Range& range) {
  return fmt::format("range {} reg {} {} {} ", range.negated ? "neq" : "eq", number(range.source),
                     words(range.from), words(range.to));
}
std::string text(const Lookup& lookup) {
  std::string out = fmt::format("lookup reg {} set {} ", number(lookup.source), lookup.set);
  switch (lookup.result) {
    case LookupResult::Membership:
      break;
    case LookupResult::Data:
      out += fmt::format("dreg {} ", number(lookup.destination));
      break;
    case LookupResult::Verdict:
      out += "dreg 0 ";
      break;
  }
  if (lookup.inverted) out += "0x1 ";
  return out;
}

// --- what remembers ---

std::string text(const Counter& counter) {
  return fmt::format("counter pkts {} bytes {} ", counter.packets, counter.bytes);
}
std::string text(const Limit& limit) {
  return fmt::format("limit rate {}/{} burst {} type {} flags {:#x} ", limit.rate,
                     unit(limit.per_seconds), limit.burst, name_of(limit.unit), limit.over ? 1 : 0);
}
std::string text(const Connlimit& limit) {
  return fmt::format("connlimit count {} flags {:x} ", limit.count, limit.over ? 1 : 0);
}
std::string text(const Quota& quota) {
  return fmt::format("quota bytes {} consumed {} flags {} ", quota.bytes, quota.consumed,
                     quota.over ? 1 : 0);
}
std::string text(const Last& last) {
  return last.set ? fmt::format("last {} ", last.ms_ago) : "last never ";
}

std::string state_listing(const StatefulExpr& expr) {
  return visit_closed([](const auto& stateful) { return text(stateful); }, expr);
}

std::string text(const Dynset& dynset) {
  std::string out = fmt::format("dynset {} reg_key {} set {} ", name_of(dynset.op),
                                number(dynset.key), dynset.set);
  if (dynset.data) out += fmt::format("sreg_data {} ", number(*dynset.data));
  if (dynset.timeout_ms != 0) out += fmt::format("timeout {}ms ", dynset.timeout_ms);
  for (const StatefulExpr& expr : dynset.exprs)
    out += fmt::format("expr [ {}] ", state_listing(expr));
  if (dynset.inverted) out += "inverted ";
  return out;
}

// --- what writes the packet, or what belongs to it ---

std::string text(const MetaSet& set) {
  return fmt::format("meta set {} with reg {} ", name(set.key), number(set.source));
}
std::string text(const CtSet& set) {
  return fmt::format("ct set {} with reg {} {}", name(set.key), number(set.source),
                     direction(set.direction));
}
std::string text(const PayloadWrite& write) {
  return fmt::format(
      "payload write reg {} => {}b @ {} header + {} csum_type {} csum_off "
      "{} csum_flags {:#x} ",
      number(write.source), write.length, name_of(write.base), write.offset,
      static_cast<unsigned>(write.checksum), write.checksum_offset, write.pseudo_header ? 1 : 0);
}
std::string text(const ExthdrWrite& write) {
  return fmt::format("exthdr write {}reg {} => {}b @ {} + {} ", word(write.kind),
                     number(write.source), write.length, write.type, write.offset);
}
std::string text(const ExthdrReset& reset) {
  return fmt::format("exthdr reset {}{} ", word(reset.kind), reset.type);
}
std::string text(const Notrack&) {
  return std::string("notrack ");
}

std::string_view nat_family(std::uint8_t family) {
  switch (static_cast<Family>(family)) {
    case Family::Ip:
      return "ip";
    case Family::Ip6:
      return "ip6";
    case Family::Inet:
    case Family::Arp:
    case Family::Netdev:
    case Family::Bridge:
      break;
  }
  return "inet";
}

std::string text(const Nat& nat) {
  std::string out = fmt::format("nat {} {} ", nat.kind == NatKind::Source ? "snat" : "dnat",
                                nat_family(nat.family));
  out += where_set("addr_min reg", nat.address_min) + where_set("addr_max reg", nat.address_max);
  out += where_set("proto_min reg", nat.port_min) + where_set("proto_max reg", nat.port_max);
  if (nat.flags != 0) out += fmt::format("flags {:#x} ", nat.flags);
  return out;
}

// Masquerade and Redirect.
template <class Translation>
std::string text_of_ports(std::string_view name, const Translation& translation) {
  std::string out = fmt::format("{} ", name);
  out += where_set("proto_min reg", translation.port_min);
  out += where_set("proto_max reg", translation.port_max);
  if (translation.flags != 0) out += fmt::format("flags {:#x} ", translation.flags);
  return out;
}
std::string text(const Masquerade& masquerade) {
  return text_of_ports("masq", masquerade);
}
std::string text(const Redirect& redirect) {
  return text_of_ports("redir", redirect);
}

// --- what ends a rule, and statements ---

std::string text(const ImmediateVerdict& immediate) {
  return fmt::format("immediate reg 0 {} ", verdict_words(immediate.verdict));
}
std::string text(const Reject& reject) {
  return fmt::format("reject type {} code {} ", static_cast<unsigned>(reject.type), reject.code);
}
std::string text(const Log& log) {
  std::string out = "log ";
  const auto add = [&out]<class... Args>(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
  };
  if (!log.prefix.empty()) add("prefix {} ", log.prefix);
  if (log.group) {
    add("group {} snaplen {} qthreshold {} ", *log.group, log.snaplen, log.queue_threshold);
    return out;
  }
  const std::uint32_t default_level = Log{}.level;
  if (log.level != default_level) add("level {} ", log.level);
  // NF_LOG_* of include/net/netfilter/nf_log.h.
  if ((log.flags & 0x01) != 0) out += "tcpseq ";
  if ((log.flags & 0x02) != 0) out += "tcpopt ";
  if ((log.flags & 0x04) != 0) out += "ipopt ";
  if ((log.flags & 0x08) != 0) out += "uid ";
  if ((log.flags & 0x20) != 0) out += "macdecode ";
  return out;
}
std::string text(const Tproxy& tproxy) {
  return fmt::format("tproxy {}{}{}",
                     tproxy.family == 2    ? "ip "
                     : tproxy.family == 10 ? "ip6 "
                                           : "",
                     where_set("addr reg", tproxy.address), where_set("port reg", tproxy.port));
}
std::string text(const Synproxy& synproxy) {
  return fmt::format("synproxy mss {} wscale {} flags {:#x} ", synproxy.mss, synproxy.window_scale,
                     synproxy.flags);
}
std::string text(const Dup& dup) {
  return "dup " + where_set("sreg_addr", dup.address) + where_set("sreg_dev", dup.device);
}
std::string text(const Fwd& fwd) {
  return fmt::format("fwd sreg_dev {} {}{}", number(fwd.device),
                     where_set("sreg_addr", fwd.address),
                     fwd.address ? fmt::format("nfproto {} ", fwd.family) : "");
}
std::string text(const ObjectRef& object) {
  return fmt::format("objref type {} name {} ", object.type, object.name);
}
std::string text(const ObjectLookup& lookup) {
  return fmt::format("objref sreg {} set {} ", number(lookup.source), lookup.set);
}
// As nft does, by name alone: bytecode() puts iptables' own words behind it.
std::string text(const XtMatch& match) {
  return fmt::format("match name {} rev {} ", match.name, match.revision);
}
std::string text(const XtTarget& target) {
  return fmt::format("target name {} rev {} ", target.name, target.revision);
}
std::string text(const Unsupported& unsupported) {
  return fmt::format("{} ({}) ", unsupported.name, unsupported.reason);
}

}  // namespace

std::string bytecode(const Expr& expr, Family family) {
  const std::string words = iptables_words(expr, family);
  return fmt::format("[ {}{}]",
                     visit_closed([](const auto& alternative) { return text(alternative); },
                                  static_cast<const ExprVariant&>(expr)),
                     words.empty() ? "" : words + " ");
}

std::string iptables_words(const Expr& expr, Family family, IpsetNumbers sets) {
  const XtFamily xt_family = family == Family::Ip6 ? XtFamily::Ipv6 : XtFamily::Ipv4;
  if (const auto* match = std::get_if<XtMatch>(&expr)) return in_words(*match, xt_family, sets);
  if (const auto* target = std::get_if<XtTarget>(&expr)) return in_words(*target, xt_family, sets);
  return "";
}

}  // namespace rolewall::print
