#include "random_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "kernel/random.h"
#include "ruleset/expr.h"
#include "ruleset/verify.h"

namespace rolewall::symbolic {
namespace {

using kernel_judge::Random;
using namespace ruleset;  // NOLINT: the file is made of its names

Value bytes(std::initializer_list<std::uint8_t> list) {
  return Value(std::vector<std::uint8_t>(list));
}
Value host16(std::uint16_t number) {
  Value value = Value::host_u32(number);
  value.size = 2;
  return value;
}
Value name(std::string_view text) {
  std::vector<std::uint8_t> padded(16);
  std::copy(text.begin(), text.end(), padded.begin());
  return Value(padded);
}

// What can be loaded, and values that packets have near it.
struct Field {
  Expr load;
  std::uint32_t size;
  std::vector<Value> values;
  bool host_order = false;
};

constexpr Register kFirst = 8;

Value ipv4(Random& random) {
  static const std::vector<Value> kSome{
      bytes({10, 9, 0, 1}),  bytes({10, 9, 1, 1}),     bytes({10, 9, 2, 9}), bytes({192, 0, 2, 1}),
      bytes({192, 0, 2, 7}), bytes({198, 51, 100, 7}), bytes({224, 0, 0, 1})};
  return random.of(kSome);
}
Value ipv6(Random& random) {
  Value value;
  value.size = 16;
  const std::array<std::uint8_t, 4> head{0x20, 0x01, 0x0d, 0xb8};
  std::copy(head.begin(), head.end(), value.bytes.begin());
  value.bytes[5] = 9;
  value.bytes[7] = static_cast<std::uint8_t>(random.below(3));
  value.bytes[15] = static_cast<std::uint8_t>(1 + random.below(3));
  return value;
}
Value port(Random& random) {
  return Value::be16(random.of<std::uint16_t>({0, 22, 53, 80, 443, 1024, 40000, 65535}));
}

Field random_field(Random& random, bool is_ipv6, Register to) {
  const auto payload = [&](PayloadBase base, std::uint32_t offset, std::uint32_t length) {
    return Expr(Payload{base, offset, length, to});
  };
  const auto meta = [&](MetaKey key) { return Expr(Meta{key, to}); };
  switch (random.below(14)) {
    case 0:
    case 1:
    case 2: {
      const bool source = random.percent(60);
      if (is_ipv6) {
        return {
            payload(PayloadBase::Network, source ? 8 : 24, 16), 16, {ipv6(random), ipv6(random)}};
      }
      return {payload(PayloadBase::Network, source ? 12 : 16, 4), 4, {ipv4(random), ipv4(random)}};
    }
    case 3:
    case 4:
    case 5:
      return {payload(PayloadBase::Transport, random.percent(70) ? 2 : 0, 2),
              2,
              {port(random), port(random)}};
    case 6:
      return {meta(MetaKey::L4Proto),
              1,
              {Value::u8(random.of<std::uint8_t>({6, 17, 1, 58})), Value::u8(17)}};
    case 7:
      return {meta(random.percent(60) ? MetaKey::IifName : MetaKey::OifName),
              16,
              {name("eth0"), name("eth1"), name("lo"), name("")}};
    case 8:
      return {meta(MetaKey::Mark),
              4,
              {Value::host_u32(0), Value::host_u32(1), Value::host_u32(2)},
              true};
    case 9:
      return {Ct{CtKey::State, std::nullopt, to},
              4,
              {Value::host_u32(8), Value::host_u32(1), Value::host_u32(2), Value::host_u32(64)},
              true};
    case 10:
      return {meta(MetaKey::Length), 4, {Value::host_u32(64), Value::host_u32(60)}, true};
    case 11:
      return {payload(PayloadBase::Transport, 13, 1),
              1,
              {Value::u8(2), Value::u8(16), Value::u8(18), Value::u8(0)}};
    case 12:
      return {payload(PayloadBase::Network, is_ipv6 ? 7 : 8, 1), 1, {Value::u8(64), Value::u8(1)}};
    default:
      return {meta(MetaKey::NfProto), 1, {Value::u8(2), Value::u8(10)}};
  }
}

class Maker {
 public:
  explicit Maker(std::uint64_t seed) : random_(seed) {}

  Ruleset make() {
    const std::uint32_t tables = 1 + (random_.percent(40) ? 1 : 0);
    for (std::uint32_t i = 0; i < tables; ++i) {
      table_ = &ruleset_.tables.emplace_back();
      table_->name = fmt::format("t{}", i);
      table_->family = random_.percent(60)   ? Family::Inet
                       : random_.percent(60) ? Family::Ip
                                             : Family::Ip6;
      fill();
    }
    return std::move(ruleset_);
  }

 private:
  // What packets put there and take away, and what was there before.
  static constexpr const char* kFilled = "filled";
  static inline const Expr kSource{Payload{PayloadBase::Network, 12, 4, kFirst}};

  void add_filled_set() {
    Set& set = new_set(SetKind::Set);
    set.name = kFilled;
    set.key = {{DataType::Integer, 4}};
    set.dynamic = true;
    set.size = 1 + random_.below(4);
    set.elements.key_size = 4;
    if (random_.percent(70)) add_element(set, {bytes({192, 0, 2, 7})}, {});
  }

  void fill_set(ExprList& exprs) {
    Dynset dynset;
    dynset.op = random_.of({DynsetOp::Add, DynsetOp::Add, DynsetOp::Update, DynsetOp::Delete});
    dynset.set = kFilled;
    dynset.key = kFirst;
    if (dynset.op != DynsetOp::Delete && random_.percent(20)) dynset.exprs = {stateful()};
    exprs.push_back(kSource);
    exprs.push_back(dynset);
  }

  Limit random_limit() {
    const bool bytes = random_.percent(40);
    return {bytes ? LimitUnit::Bytes : LimitUnit::Packets,
            random_.of<std::uint64_t>({1, 1'000'000}), 1, bytes ? 40U : 5U, random_.percent(20)};
  }
  Quota random_quota() {
    return {random_.of<std::uint64_t>({40, 1'000'000}), random_.of<std::uint64_t>({0, 1'000'000}),
            random_.percent(50)};
  }
  Connlimit random_count() { return {random_.below(3), random_.percent(50)}; }
  StatefulExpr stateful() {
    if (random_.percent(40)) return random_limit();
    if (random_.percent(50)) return random_quota();
    return random_count();
  }

  void fill() {
    has_filled_ = random_.percent(30);
    if (has_filled_) add_filled_set();
    const std::uint32_t called = random_.below(4);
    const std::uint32_t bases = 1 + random_.below(4);
    for (std::uint32_t i = 0; i < called; ++i)
      table_->chains.emplace_back().name = fmt::format("c{}", i);
    for (std::uint32_t i = 0; i < bases; ++i) {
      Chain chain;
      chain.name = fmt::format("b{}", i);
      BaseChain base;
      base.hook = random_.of({Hook::Prerouting, Hook::Input, Hook::Input, Hook::Forward,
                              Hook::Output, Hook::Output, Hook::Postrouting});
      base.priority = static_cast<std::int32_t>(random_.below(3)) * 10 - 10;
      if (random_.percent(10)) base.priority = -300;
      base.policy = random_.percent(50) ? VerdictCode::Accept : VerdictCode::Drop;
      if (random_.percent(15) && base.hook != Hook::Forward) {
        base.type = ChainType::Nat;
        base.policy = VerdictCode::Accept;
        base.priority = 0;
      }
      chain.base = base;
      table_->chains.push_back(std::move(chain));
    }
    for (std::uint32_t i = 0; i < table_->chains.size(); ++i) {
      const std::uint32_t rules = 1 + random_.below(6);
      for (std::uint32_t r = 0; r < rules; ++r) {
        // A chain calls those before it alone: no loop.
        rule(table_->chains[i], table_->chains[i].base ? called : i);
      }
    }
  }

  bool ipv6_table() {
    return table_->family == Family::Ip6 || (table_->family == Family::Inet && random_.percent(40));
  }

  void rule(Chain& chain, std::uint32_t callable) {
    ExprList exprs;
    const bool is_ipv6 = ipv6_table();
    const bool guards = table_->family == Family::Inet && random_.percent(70);
    if (guards) {
      exprs.push_back(Meta{MetaKey::NfProto, kFirst});
      exprs.push_back(Cmp{CmpOp::Eq, kFirst, Value::u8(is_ipv6 ? 10 : 2)});
    }
    if (random_.percent(30)) {
      exprs.push_back(Meta{MetaKey::L4Proto, kFirst});
      exprs.push_back(Cmp{CmpOp::Eq, kFirst, Value::u8(random_.percent(70) ? 6 : 17)});
    }
    const std::uint32_t matches = random_.below(3);
    for (std::uint32_t i = 0; i < matches; ++i) match(exprs, is_ipv6);
    end(chain, exprs, callable, is_ipv6);
    chain.rules.push_back({.handle = 0, .comment = {}, .exprs = std::move(exprs)});
  }

  void match(ExprList& exprs, bool is_ipv6) {
    Field field = random_field(random_, is_ipv6, kFirst);
    exprs.push_back(field.load);
    const Value value = random_.of(field.values);
    if (has_filled_ && random_.percent(15)) {
      exprs.push_back(kSource);
      exprs.push_back(Lookup{kFilled, kFirst, LookupResult::Membership, 0, random_.percent(30)});
      return;
    }
    switch (random_.below(8)) {
      case 0:
      case 1:
        exprs.push_back(Cmp{random_.percent(70) ? CmpOp::Eq : CmpOp::Neq, kFirst, value});
        return;
      case 2: {
        BitwiseMask mask{kFirst, kFirst, field.size, value, value};
        for (std::size_t i = 0; i < field.size; ++i) {
          mask.mask.bytes[i] = random_.of<std::uint8_t>({0xff, 0xff, 0xf0, 0x0f, 0x12});
          if (random_.percent(80)) mask.xor_with.bytes[i] = 0;
        }
        // A prefix of a wide field, as nft has it.
        if (field.size >= 4) {
          const std::uint32_t kept = 1 + random_.below(field.size);
          for (std::size_t i = 0; i < field.size; ++i) mask.mask.bytes[i] = i < kept ? 0xff : 0;
          for (std::size_t i = 0; i < field.size; ++i) mask.xor_with.bytes[i] = 0;
        }
        Value wanted = value;
        for (std::size_t i = 0; i < field.size; ++i) {
          wanted.bytes[i] = static_cast<std::uint8_t>((value.bytes[i] & mask.mask.bytes[i]) ^
                                                      mask.xor_with.bytes[i]);
        }
        exprs.push_back(mask);
        exprs.push_back(Cmp{random_.percent(60) ? CmpOp::Eq : CmpOp::Neq, kFirst, wanted});
        return;
      }
      case 3: {
        if (field.host_order) {
          exprs.push_back(
              Byteorder{ByteorderOp::HostToNetwork, kFirst, kFirst, field.size, field.size});
        }
        exprs.push_back(
            Cmp{random_.of({CmpOp::Lt, CmpOp::Lte, CmpOp::Gt, CmpOp::Gte}), kFirst, value});
        return;
      }
      case 4: {
        Value from = value;
        Value to = random_.of(field.values);
        if (to < from) std::swap(from, to);
        exprs.push_back(Range{random_.percent(40), kFirst, from, to});
        return;
      }
      case 5:
        exprs.push_back(
            Lookup{set_of(field, false), kFirst, LookupResult::Membership, 0, random_.percent(30)});
        return;
      case 6:
        exprs.push_back(
            Lookup{set_of(field, true), kFirst, LookupResult::Membership, 0, random_.percent(30)});
        return;
      default:
        concatenation(exprs, field, is_ipv6);
        return;
    }
  }

  Set& new_set(SetKind kind) {
    Set& set = table_->sets.emplace_back();
    set.name = fmt::format("s{}", table_->sets.size());
    set.kind = kind;
    return set;
  }

  void add_element(Set& set, const std::vector<Value>& key, const std::vector<Value>& end) {
    const auto put = [](std::vector<std::uint8_t>& to, const std::vector<Value>& values) {
      for (const Value& value : values) {
        to.insert(to.end(), value.begin(), value.end());
        while (values.size() > 1 && to.size() % 4 != 0) to.push_back(0);
      }
    };
    put(set.elements.keys, key);
    if (set.interval) put(set.elements.key_ends, end);
  }

  std::string set_of(const Field& field, bool ranges) {
    Set& set = new_set(SetKind::Set);
    set.key = {{DataType::Integer, field.size}};
    set.interval = ranges;
    set.elements.key_size = field.size;
    std::vector<Value> values = field.values;
    std::ranges::sort(values);
    values.erase(std::unique(values.begin(), values.end()), values.end());
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (random_.percent(30)) continue;
      Value last = values[i];
      if (ranges && random_.percent(50)) {
        // Up to just before the next.
        last.bytes[last.size - 1] = 0xff;
        if (i + 1 < values.size() && !(last < values[i + 1])) last = values[i];
      }
      add_element(set, {values[i]}, {last});
    }
    return set.name;
  }

  void concatenation(ExprList& exprs, const Field& first, bool is_ipv6) {
    const auto next = static_cast<Register>(kFirst + (first.size + 3) / 4);
    Field second = random_field(random_, is_ipv6, next);
    if (next + (second.size + 3) / 4 > 16)
      second = {Meta{MetaKey::L4Proto, next}, 1, {Value::u8(6)}};
    exprs.push_back(second.load);
    const bool ranges = random_.percent(50);
    const bool verdicts = random_.percent(40);
    Set& set = new_set(verdicts ? SetKind::VerdictMap : SetKind::Set);
    set.key = {{DataType::Integer, first.size}, {DataType::Integer, second.size}};
    set.interval = ranges;
    set.elements.key_size = (first.size + 3) / 4 * 4 + (second.size + 3) / 4 * 4;
    std::set<std::pair<Value, Value>> keys;  // in order, each once
    for (int i = 0; i < 3; ++i) keys.emplace(random_.of(first.values), random_.of(second.values));
    for (const auto& [a, b] : keys) {
      Value a_end = a;
      Value b_end = b;
      if (random_.percent(50)) a_end.bytes[a.size - 1] = 0xff;
      if (random_.percent(50)) b_end.bytes[b.size - 1] = 0xff;
      add_element(set, {a, b}, {a_end, b_end});
      if (!verdicts) continue;
      const VerdictCode code = random_.of(
          {VerdictCode::Accept, VerdictCode::Drop, VerdictCode::Return, VerdictCode::Continue});
      set.elements.verdicts.push_back({code, "", 0});
    }
    const LookupResult result = verdicts ? LookupResult::Verdict : LookupResult::Membership;
    exprs.push_back(Lookup{set.name, kFirst, result, 0, !verdicts && random_.percent(30)});
  }

  void end(const Chain& chain, ExprList& exprs, std::uint32_t callable, bool is_ipv6) {
    const bool nat = chain.base && chain.base->type == ChainType::Nat;
    if (random_.percent(12)) {
      exprs.push_back(Immediate{kFirst, Value::host_u32(random_.below(3))});
      exprs.push_back(MetaSet{MetaKey::Mark, kFirst});
    }
    if (has_filled_ && random_.percent(25)) fill_set(exprs);
    switch (random_.below(40)) {
      case 0:
      case 1:
        exprs.push_back(random_limit());
        break;
      case 2:
        exprs.push_back(random_quota());
        break;
      case 3:
        exprs.push_back(random_count());
        break;
      default:
        break;
    }
    if (random_.percent(5)) {
      exprs.push_back(Immediate{kFirst, host16(static_cast<std::uint16_t>(random_.below(65536)))});
      exprs.push_back(
          PayloadWrite{PayloadBase::Transport, 2, 2, kFirst, ChecksumKind::None, 0, false});
    }
    if (nat && random_.percent(70)) {
      const bool destination =
          chain.base->hook == Hook::Prerouting || chain.base->hook == Hook::Output;
      exprs.push_back(Immediate{kFirst, is_ipv6 ? ipv6(random_) : ipv4(random_)});
      Nat translation;
      translation.kind = destination ? NatKind::Destination : NatKind::Source;
      translation.family = static_cast<std::uint8_t>(is_ipv6 ? 10 : 2);
      translation.address_min = kFirst;
      translation.address_max = kFirst;
      translation.flags = 1;
      if (random_.percent(40)) {
        exprs.push_back(Immediate{12, port(random_)});
        translation.port_min = 12;
        translation.port_max = 12;
        translation.flags |= 2;
      }
      exprs.push_back(translation);
      return;
    }
    switch (random_.below(callable > 0 ? 9 : 6)) {
      case 0:
      case 1:
        exprs.push_back(ImmediateVerdict{{VerdictCode::Accept, "", 0}});
        return;
      case 2:
        exprs.push_back(ImmediateVerdict{{VerdictCode::Drop, "", 0}});
        return;
      case 3:
        exprs.push_back(Reject{});
        return;
      case 4:
        exprs.push_back(ImmediateVerdict{{VerdictCode::Return, "", 0}});
        return;
      case 5:
        return;
      case 6:
      case 7:
        exprs.push_back(
            ImmediateVerdict{{VerdictCode::Jump, fmt::format("c{}", random_.below(callable)), 0}});
        return;
      default:
        exprs.push_back(
            ImmediateVerdict{{VerdictCode::Goto, fmt::format("c{}", random_.below(callable)), 0}});
        return;
    }
  }

  Random random_;
  Ruleset ruleset_;
  Table* table_ = nullptr;
  bool has_filled_ = false;
};

}  // namespace

Host host_of_universe(bool forwards, bool with_bridge) {
  const auto prefix = [](const char* text) { return *net::parse_prefix(text); };
  Host host;
  host.name = "universe";
  host.forwards_ipv4 = forwards;
  host.forwards_ipv6 = forwards;
  host.addresses = {prefix("198.51.100.7"), prefix("10.9.0.1"), prefix("10.9.1.1"),
                    prefix("2001:db8:9::1"), prefix("2001:db8:9:2::1")};
  for (const char* device : {"eth0", "eth1"}) {
    Interface& interface = host.interfaces.emplace_back();
    interface.name = device;
    interface.device = device;
  }
  if (with_bridge) {
    host.interfaces[1].kind = "bridge";
    host.interfaces[1].shows_ipv4 = host.interfaces[1].shows_ipv6 = true;
  }
  host.interfaces[1].behind =
      net::AddressSet::from({prefix("10.9.1.0/24"), prefix("2001:db8:9:1::/64")});
  return host;
}

Ruleset random_rules(std::uint64_t seed) {
  return Maker(seed).make();
}

}  // namespace rolewall::symbolic
