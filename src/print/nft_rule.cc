#include "print/nft_rule.h"

#include <fmt/format.h>
#include <linux/netfilter/nf_nat.h>

#include <array>
#include <utility>
#include <vector>

#include "base/one_of.h"
#include "base/overloaded.h"
#include "base/visit.h"
#include "net/protocol.h"
#include "print/nft_operand.h"
#include "print/nft_set.h"
#include "print/nft_statement.h"
#include "print/print.h"
#include "ruleset/expr.h"
#include "ruleset/load_size.h"
#include "ruleset/names.h"
#include "ruleset/registers.h"

namespace rolewall::print {
namespace {

using namespace ruleset;  // NOLINT(google-build-using-namespace)
using net::HeaderKind;

constexpr std::uint8_t kNfProtoInet = 1;
constexpr std::uint8_t kNfProtoIpv4 = 2;
constexpr std::uint8_t kNfProtoIpv6 = 10;
constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
constexpr std::uint16_t kEtherTypeIpv6 = 0x86dd;

class RuleText {
 public:
  RuleText(const Table& table, const Rule& rule, Xt xt, IpsetNumbers sets)
      : table_(table), rule_(rule), xt_(xt), sets_(sets) {
    if (table.family == Family::Ip) known_.version = 4;
    if (table.family == Family::Ip6) known_.version = 6;
  }

  Text write() {
    for (at_ = 0; at_ < rule_.exprs.size(); ++at_) {
      const std::size_t begin = at_;
      if (!visit(rule_.exprs[at_])) {
        return cannot(fmt::format("expression {}, {}: {}", begin + 1,
                                  bytecode(rule_.exprs[begin], table_.family), why_));
      }
    }
    for (const auto& held : registers_) {
      if (held && !held->used) return cannot(held->operand.text + " is loaded and never used");
    }
    if (pieces_.empty()) return cannot("a rule without statements");
    std::string text;
    for (const Piece& piece : pieces_) {
      if (!text.empty()) text += ' ';
      text += piece.text;
    }
    return text;
  }

 private:
  // A test that nft makes by itself before a field that needs it.
  enum class Test : std::uint8_t { None, Version, Protocol };
  struct Piece {
    std::string text;
    Test test = Test::None;
  };
  struct Held {
    Operand operand;
    bool used = false;
  };

  bool fails(std::string why) {
    why_ = std::move(why);
    return false;
  }

  // --- registers ---

  bool hold(Register first, Operand operand) {
    const std::size_t slots = registers_in(operand.size);
    for (std::size_t slot = first; slot < first + slots && slot < kRegisterCount; ++slot) {
      auto& held = registers_[slot];
      if (held && !held->used) {
        return fails(held->operand.text + " is overwritten before it is used");
      }
      held.reset();
    }
    registers_[first] = Held{std::move(operand), false};
    return true;
  }

  // What a register holds, once.
  Operand* use(Register first) {
    auto& held = registers_[first];
    if (!held) {
      fails("the register does not hold one whole load");
      return nullptr;
    }
    if (held->used) {
      fails(held->operand.text + " is loaded once and used twice");
      return nullptr;
    }
    held->used = true;
    return &held->operand;
  }

  // For what changes a register's content: what is in it is not used up.
  Operand* change(Register source, Register destination, std::uint32_t length) {
    if (source != destination) {
      fails("the result goes to another register");
      return nullptr;
    }
    auto& held = registers_[source];
    if (use(source) == nullptr || !held) return nullptr;
    held->used = false;
    if (held->operand.size != length) {
      fails(fmt::format("{} of {} bytes are changed", length, held->operand.size));
      return nullptr;
    }
    if (held->operand.constant || held->operand.mask || held->operand.swapped) {
      fails(held->operand.text + " is changed twice");
      return nullptr;
    }
    return &held->operand;
  }

  // --- pieces ---

  // Every load before a piece must be used by it or by one before: nft loads just before it uses.
  bool add(const Text& text, Test test = Test::None) {
    if (!text) return fails(text.error());
    for (const auto& held : registers_) {
      if (held && !held->used) {
        return fails(held->operand.text + " was loaded before this and is used later");
      }
    }
    pieces_.push_back({*text, test});
    return true;
  }

  // Before a piece that is about one field alone: drops the tests right before it that nft makes by
  // itself for such a field, in the same place.
  void drop_implied_tests(const Operand& operand) {
    if (!operand.header || table_.family != Family::Inet) return;
    const auto stands = [&](std::size_t back, Test test) {
      return pieces_.size() >= back && pieces_[pieces_.size() - back].test == test;
    };
    switch (*operand.header) {
      case HeaderKind::Ipv4:
      case HeaderKind::Ipv6:
        if (stands(1, Test::Version)) pieces_.pop_back();
        return;
      case HeaderKind::Tcp:
      case HeaderKind::Udp:
      case HeaderKind::Sctp:
        if (stands(1, Test::Protocol)) pieces_.pop_back();
        return;
      case HeaderKind::Icmp:
      case HeaderKind::Icmpv6:
        if (stands(1, Test::Protocol) && stands(2, Test::Version)) {
          pieces_.resize(pieces_.size() - 2);
        }
        return;
      case HeaderKind::Ether:
      case HeaderKind::AnyTransport:
        return;
    }
  }

  // The parts of a set's key, joined, from consecutive registers.
  Text key_text(const Set& set, Register first) {
    if (set.key.empty()) return cannot(fmt::format("the set {} was not read completely", set.name));
    std::string text;
    std::size_t slot = first;
    for (const KeyField& field : set.key) {
      const Operand* operand = use(static_cast<Register>(slot));
      if (operand == nullptr) return cannot(why_);
      if (operand->size != field.size)
        return cannot(operand->text + " does not have the size of the key");
      // Where the set holds intervals, nft brings numbers into network order.
      const bool numeric = order_of(field.type) == Order::Host && field.type != DataType::IfName;
      if (operand->swapped != (numeric && set.interval && !operand->constant)) {
        return cannot(operand->text + " is looked up in another byte order than nft's");
      }
      const Text part = operand_text(*operand, field.type);
      if (!part) return part;
      if (set.key.size() == 1) drop_implied_tests(*operand);
      if (!text.empty()) text += " . ";
      text += *part;
      slot += registers_in(field.size);
    }
    return text;
  }

  // "@name", or the elements themselves.
  Text set_text(const Set& set) {
    if (set.anonymous) {
      // nft makes a plain comparison of a set of one.
      if (set.kind == SetKind::Set && set.elements.count() < 2) {
        return cannot("an anonymous set of one element");
      }
      return inline_elements(set);
    }
    const Text name = identifier(set.name);
    return name ? "@" + *name : name;
  }

  // --- expressions ---

  bool no_form(std::string_view what) { return fails(fmt::format("{} has no nft syntax", what)); }

  bool visit(const Expr& expr) {
    return visit_closed(
        Overloaded{
            [&](const Payload& load) {
              return hold(load.destination, payload_operand(load, known_, table_.family));
            },
            [&](const Meta& load) {
              auto operand = meta_operand(load.key);
              return operand ? hold(load.destination, *std::move(operand)) : fails(operand.error());
            },
            [&](const Ct& load) {
              auto operand = ct_operand(load, known_, table_.family);
              return operand ? hold(load.destination, *std::move(operand)) : fails(operand.error());
            },
            [&](const Immediate& load) {
              Operand operand;
              operand.text = "a value";
              operand.size = load.value.size;
              operand.constant = load.value;
              return hold(load.destination, std::move(operand));
            },
            [&](const BitwiseMask& mask) {
              Operand* operand = change(mask.source, mask.destination, mask.length);
              if (operand == nullptr) return false;
              if (operand->type == DataType::IfName || operand->type == DataType::String) {
                return fails("a mask on a name");
              }
              operand->mask = mask.mask;
              operand->xor_with = mask.xor_with;
              return true;
            },
            [&](const BitwiseShift& shift) {
              Operand* operand = change(shift.source, shift.destination, shift.length);
              if (operand == nullptr) return false;
              if (operand->order != Order::Host) return fails("a shift of a packet field");
              operand->text =
                  fmt::format("{} {} {}", operand->text,
                              shift.direction == ShiftDirection::Left ? "<<" : ">>", shift.bits);
              return true;
            },
            [&](const Byteorder& swap) { return visit_byteorder(swap); },
            [&](const Cmp& cmp) { return visit_cmp(cmp); },
            [&](const Range& range) {
              const Operand* operand = use(range.source);
              if (operand == nullptr) return false;
              const Text text = in_range_text(*operand, range.negated, range.from, range.to);
              if (text) drop_implied_tests(*operand);
              return add(text);
            },
            [&](const Lookup& lookup) { return visit_lookup(lookup); },
            [&](const Counter& counter) { return add(stateful_text(counter)); },
            [&](const Limit& limit) { return add(stateful_text(limit)); },
            [&](const Connlimit& limit) { return add(stateful_text(limit)); },
            [&](const Quota& quota) { return add(stateful_text(quota)); },
            [&](const Last& last) { return add(stateful_text(last)); },
            [&](const Dynset& dynset) { return visit_dynset(dynset); },
            [&](const ImmediateVerdict& immediate) { return add(verdict_text(immediate.verdict)); },
            [&](const MetaSet& set) { return visit_meta_set(set); },
            [&](const CtSet& set) {
              const bool mark = set.key == CtKey::Mark && !set.direction;
              return mark ? visit_set("ct mark", DataType::Mark, set.source)
                          : fails(fmt::format("`ct {} set` has no nft syntax", name_of(set.key)));
            },
            [&](const Log& log) { return add(log_text(log)); },
            [&](const Reject& reject) { return visit_reject(reject); },
            [&](const Notrack&) { return add("notrack"); },
            [&](const Nat& nat) { return visit_nat(nat); },
            [&](const Masquerade& masquerade) { return visit_local_nat("masquerade", masquerade); },
            [&](const Redirect& redirect) { return visit_local_nat("redirect", redirect); },
            // What our compiler does not write.
            [&](const Exthdr&) { return no_form("an option"); },
            [&](const Fib&) { return no_form("fib"); },
            [&](const Rt& load) { return visit_rt(load); },
            [&](const Socket&) { return no_form("socket"); },
            [&](const Osf&) { return no_form("osf"); },
            [&](const Numgen&) { return no_form("numgen"); },
            [&](const JenkinsHash&) { return no_form("jhash"); },
            [&](const SymmetricHash&) { return no_form("symhash"); },
            [&](const Tunnel&) { return no_form("tunnel"); },
            [&](const Xfrm&) { return no_form("ipsec"); },
            [&](const BitwiseRegisters&) {
              return no_form("a bitwise operation of two registers");
            },
            [&](const PayloadWrite&) { return no_form("a write into the packet"); },
            [&](const ExthdrWrite& write) { return visit_option_write(write); },
            [&](const ExthdrReset&) { return no_form("a reset of an option"); },
            [&](const Tproxy&) { return no_form("tproxy"); },
            [&](const Synproxy&) { return no_form("synproxy"); },
            [&](const Dup&) { return no_form("dup"); }, [&](const Fwd&) { return no_form("fwd"); },
            [&](const ObjectRef& reference) { return visit_object(reference); },
            [&](const ObjectLookup&) { return no_form("a map of objects"); },
            [&](const OneOf<XtMatch, XtTarget> auto&) { return visit_iptables(expr); },
            [&](const Unsupported& unsupported) { return fails(unsupported.reason); }},
        expr);
  }

  bool visit_iptables(const Expr& expr) {
    if (xt_ == Xt::NoForm) return no_form("what iptables has brought");
    pieces_.push_back({iptables_words(expr, table_.family, sets_)});
    return true;
  }

  // "80" or "80-90"; nft asks for a test of the protocol before it.
  Text nat_ports(Register from, std::optional<Register> to) {
    if (!known_.protocol)
      return cannot("nft translates ports only if the rule has tested the protocol");
    const Operand* low = use(from);
    if (low == nullptr) return cannot(why_);
    Text text = operand_text(*low, DataType::InetService);
    if (!text || !to || to == from) return text;
    const Operand* high = use(*to);
    if (high == nullptr) return cannot(why_);
    const Text last = operand_text(*high, DataType::InetService);
    return last ? Text(fmt::format("{}-{}", *text, *last)) : last;
  }

  // " random,persistent". The kernel adds by itself the flags that say what is translated.
  bool nat_flags(std::uint32_t flags, std::string& text) {
    constexpr std::pair<std::uint32_t, std::string_view> kWords[] = {
        {NF_NAT_RANGE_PROTO_RANDOM, "random"},
        {NF_NAT_RANGE_PERSISTENT, "persistent"},
        {NF_NAT_RANGE_PROTO_RANDOM_FULLY, "fully-random"}};
    flags &= ~std::uint32_t{NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED};
    char separator = ' ';
    for (const auto& [flag, word] : kWords) {
      if ((flags & flag) == 0) continue;
      flags &= ~flag;
      text += separator;
      text += word;
      separator = ',';
    }
    return flags == 0 || fails("translation flags without nft syntax");
  }

  bool visit_nat(const Nat& nat) {
    // Of ports alone a translation may be of both families.
    const bool of_both = nat.family == kNfProtoInet && !nat.address_min;
    if (nat.family != kNfProtoIpv4 && nat.family != kNfProtoIpv6 && !of_both) {
      return fails("a translation of a family that nft does not know");
    }
    if (!nat.address_min && !nat.port_min) return fails("a translation to nothing");
    const bool v4 = nat.family == kNfProtoIpv4;
    std::string text = nat.kind == NatKind::Source ? "snat" : "dnat";
    if (table_.family == Family::Inet && !of_both) text += v4 ? " ip" : " ip6";
    text += " to ";
    if (nat.address_min) {
      const DataType type = v4 ? DataType::Ipv4Address : DataType::Ipv6Address;
      std::vector<Register> ends{*nat.address_min};
      if (nat.address_max && nat.address_max != nat.address_min) ends.push_back(*nat.address_max);
      for (const Register end : ends) {
        const Operand* operand = use(end);
        if (operand == nullptr) return false;
        const Text address = operand_text(*operand, type);
        if (!address) return fails(address.error());
        if (end != ends.front()) text += '-';
        const bool brackets = !v4 && nat.port_min && operand->constant;
        text += brackets ? fmt::format("[{}]", *address) : *address;
      }
    }
    if (nat.port_min) {
      const Text ports = nat_ports(*nat.port_min, nat.port_max);
      if (!ports) return fails(ports.error());
      text += ":" + *ports;
    }
    return nat_flags(nat.flags, text) && add(text);
  }

  template <class LocalNat>
  bool visit_local_nat(std::string text, const LocalNat& nat) {
    if (nat.port_min) {
      const Text ports = nat_ports(*nat.port_min, nat.port_max);
      if (!ports) return fails(ports.error());
      text += " to :" + *ports;
    }
    return nat_flags(nat.flags, text) && add(text);
  }

  // nft brings numbers of the host's into network order before it compares them by size.
  bool visit_byteorder(const Byteorder& swap) {
    Operand* operand = change(swap.source, swap.destination, swap.length);
    if (operand == nullptr) return false;
    const bool whole = swap.size == swap.length || (swap.length == 1 && swap.size == 2);
    if (swap.op != ByteorderOp::HostToNetwork || operand->order != Order::Host || !whole) {
      return fails("this byte order has no nft syntax");
    }
    operand->order = Order::Network;
    operand->swapped = true;
    return true;
  }

  bool visit_cmp(const Cmp& cmp) {
    const Operand* operand = use(cmp.source);
    if (operand == nullptr) return false;
    if (cmp.op == CmpOp::Eq || cmp.op == CmpOp::Neq) {
      const bool negated = cmp.op == CmpOp::Neq;
      const Text text = equals_text(*operand, negated, cmp.value);
      if (text) drop_implied_tests(*operand);
      const Test test = negated ? Test::None : learn(*operand, cmp.value);
      return add(text, test);
    }
    // A pair of bounds is a range.
    if (cmp.op == CmpOp::Gte && at_ + 1 < rule_.exprs.size()) {
      const auto* upper = std::get_if<Cmp>(&rule_.exprs[at_ + 1]);
      if (upper != nullptr && upper->op == CmpOp::Lte && upper->source == cmp.source) {
        ++at_;
        const Text text = in_range_text(*operand, false, cmp.value, upper->value);
        if (text) drop_implied_tests(*operand);
        return add(text);
      }
    }
    constexpr auto kSigns = std::to_array<std::string_view>({"==", "!=", "<", "<=", ">", ">="});
    const Text text = ordered_text(*operand, kSigns[static_cast<std::size_t>(cmp.op)], cmp.value);
    if (text) drop_implied_tests(*operand);
    return add(text);
  }

  // What an equality says about the headers, and whether nft would have said it itself.
  Test learn(const Operand& operand, const Value& value) {
    if (!operand.meta || operand.mask || value.size != operand.size) return Test::None;
    const auto is_new = [](auto& known, auto fact, Test test) {
      const bool fresh = !known;
      known = fact;
      return fresh ? test : Test::None;
    };
    const MetaKey key = *operand.meta;
    if (key == MetaKey::NfProto) {
      if (value.bytes[0] == kNfProtoIpv4) return is_new(known_.version, 4, Test::Version);
      if (value.bytes[0] == kNfProtoIpv6) return is_new(known_.version, 6, Test::Version);
    }
    if (key == MetaKey::L4Proto) return is_new(known_.protocol, value.bytes[0], Test::Protocol);
    const bool by_ether_type = table_.family == Family::Bridge || table_.family == Family::Netdev;
    if (key == MetaKey::Protocol && by_ether_type) {
      if (value == Value::be16(kEtherTypeIpv4)) known_.version = 4;
      if (value == Value::be16(kEtherTypeIpv6)) known_.version = 6;
    }
    return Test::None;
  }

  bool visit_lookup(const Lookup& lookup) {
    const Set* set = find_set(table_, lookup.set);
    if (set == nullptr) return fails(fmt::format("there is no set {}", lookup.set));
    const Text key = key_text(*set, lookup.source);
    if (!key) return fails(key.error());
    const Text members = set_text(*set);
    if (!members) return fails(members.error());
    switch (lookup.result) {
      case LookupResult::Membership:
        return add(fmt::format("{}{} {}", *key, lookup.inverted ? " !=" : "", *members));
      case LookupResult::Verdict:
        return add(fmt::format("{} vmap {}", *key, *members));
      case LookupResult::Data: {
        Operand value;
        value.text = fmt::format("{} map {}", *key, *members);
        value.type = set->data.type;
        value.order = order_of(set->data.type);
        value.size = set->data.size;
        return hold(lookup.destination, std::move(value));
      }
    }
    return fails("a lookup without a result");
  }

  bool visit_dynset(const Dynset& dynset) {
    const Set* set = find_set(table_, dynset.set);
    if (set == nullptr) return fails(fmt::format("there is no set {}", dynset.set));
    if (dynset.inverted) return fails("nft has no syntax for the inverse");
    const Text name = identifier(set->name);
    if (!name) return fails(name.error());
    const Text key = key_text(*set, dynset.key);
    if (!key) return fails(key.error());
    std::string element = *key;
    if (dynset.timeout_ms != 0) element += " timeout " + duration(dynset.timeout_ms);
    for (const StatefulExpr& expr : dynset.exprs) {
      const Text state = stateful_text(expr);
      if (!state) return fails(state.error());
      element += ' ' + *state;
    }
    if (dynset.data) {
      const Operand* operand = use(*dynset.data);
      if (operand == nullptr) return false;
      const Text data = operand_text(*operand, set->data.type);
      if (!data) return fails(data.error());
      element += " : " + *data;
    }
    return add(fmt::format("{} @{} {{ {} }}", name_of(dynset.op), *name, element));
  }

  bool visit_meta_set(const MetaSet& set) {
    const auto target = meta_operand(set.key);
    if (!target) return fails(target.error());
    const bool settable = set.key == MetaKey::Mark || set.key == MetaKey::PktType;
    if (!settable) return fails(fmt::format("`{} set` has no nft syntax", target->text));
    return visit_set(target->text, target->type, set.source);
  }

  bool visit_set(std::string_view target, DataType type, Register source) {
    const Operand* operand = use(source);
    if (operand == nullptr) return false;
    if (operand->swapped) return fails("the value is in network order");
    const Text value = operand_text(*operand, type);
    return value ? add(fmt::format("{} set {}", target, *value)) : fails(value.error());
  }

  // A segment size is a number of two bytes in network order, as a port is.
  static constexpr DataType kSegmentSize = DataType::InetService;

  bool visit_rt(const Rt& load) {
    if (load.key != RtKey::TcpMss) return no_form("rt");
    Operand operand;
    operand.text = "rt mtu";
    operand.type = kSegmentSize;
    operand.order = Order::Host;
    operand.size = 2;
    return hold(load.destination, std::move(operand));
  }

  bool visit_option_write(const ExthdrWrite& write) {
    constexpr std::uint8_t kMaximumSegmentSize = 2;
    const bool segment_size = write.kind == ExthdrKind::TcpOption &&
                              write.type == kMaximumSegmentSize && write.offset == 2 &&
                              write.length == 2;
    if (!segment_size) return no_form("a write into an option");
    if (known_.protocol != net::protocol::kTcp) {
      return fails("nft writes into a TCP option only if the rule has tested for tcp");
    }
    Operand* operand = use(write.source);
    if (operand == nullptr) return false;
    // nft brings what it has loaded into network order by itself.
    if (!operand->constant && !std::exchange(operand->swapped, false)) {
      return fails("the segment size is in the host's byte order");
    }
    const Text value = operand_text(*operand, kSegmentSize);
    return value ? add("tcp option maxseg size set " + *value) : fails(value.error());
  }

  bool visit_object(const ObjectRef& reference) {
    if (reference.type != object_type::kCtHelper) return no_form("a named object");
    const Text name = in_quotes(reference.name);
    return name ? add(fmt::format("ct helper set {}", *name)) : fails(name.error());
  }

  bool visit_reject(const Reject& reject) {
    switch (reject.type) {
      case RejectType::TcpReset:
        if (known_.protocol != net::protocol::kTcp) {
          return fails("nft rejects with a reset only if the rule has tested for tcp");
        }
        return add("reject with tcp reset");
      case RejectType::IcmpUnreachable:
        if (!known_.version) {
          return fails("nft rejects with ICMP only if the rule has tested for ipv4 or ipv6");
        }
        return add(fmt::format("reject with {} {}", *known_.version == 4 ? "icmp" : "icmpv6",
                               reject.code));
      case RejectType::IcmpxUnreachable: {
        if (table_.family != Family::Inet && table_.family != Family::Bridge &&
            table_.family != Family::Netdev) {
          return fails("nft knows icmpx only in tables of both families");
        }
        constexpr auto kCodes = std::to_array<std::string_view>(
            {"no-route", "port-unreachable", "host-unreachable", "admin-prohibited"});
        if (reject.code >= kCodes.size()) return fails("an unknown code");
        return add(fmt::format("reject with icmpx {}", kCodes[reject.code]));
      }
    }
    return fails("an unknown kind of reject");
  }

  const Table& table_;
  const Rule& rule_;
  const Xt xt_;
  const IpsetNumbers sets_;
  std::size_t at_ = 0;
  std::string why_;
  KnownHeaders known_;
  std::vector<Piece> pieces_;
  std::array<std::optional<Held>, kRegisterCount> registers_;
};

}  // namespace

Text rule_statements(const Table& table, const Rule& rule, Xt xt, IpsetNumbers sets) {
  return RuleText(table, rule, xt, sets).write();
}

}  // namespace rolewall::print
