#include "ruleset_random.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "random.h"
#include "ruleset/expr.h"
#include "ruleset/load_size.h"

namespace rolewall::kernel_judge {
namespace {

using namespace ruleset;

constexpr std::size_t kRegisterSize = 4;
constexpr std::uint32_t kMostOfAValue = 16;                        // struct nft_data
constexpr std::uint32_t kMostOfRegisters = 64;                     // and all that hold data
constexpr std::array<std::uint32_t, 5> kKeySizes{1, 2, 4, 8, 16};  // sets there are for

std::size_t registers_for(std::size_t size) {
  return (size + kRegisterSize - 1) / kRegisterSize;
}

// Bytes somewhere in the registers, all of them written by an earlier expression.
struct Span {
  Register first = 0;
  std::uint32_t size = 0;
};

// One rule, as it is written. The kernel refuses to read a register that the rule has not written.
class RuleWriter {
 public:
  RuleWriter(Random& random, const Table& table) : random_(random), table_(table) {}

  Rule write(const std::vector<std::string>& targets) {
    for (std::uint32_t left = 1 + random_.below(3); left > 0; --left) {
      Span span = load();
      for (std::uint32_t times = random_.weighted({50, 30, 15, 5}); times > 0; --times) {
        span = transform(span);
      }
      test(span);
    }
    if (random_.percent(45)) effect();
    if (random_.percent(85)) add(ImmediateVerdict{verdict(targets)});
    return std::move(rule_);
  }

 private:
  void add(Expr expr) { rule_.exprs.push_back(std::move(expr)); }

  // --- registers ---

  Register place(std::size_t size) {
    const std::size_t count = registers_for(size);
    const auto first = static_cast<Register>(random_.below(kRegisterCount - count + 1));
    for (std::size_t i = 0; i < count; ++i) written_.set(first + i);
    return first;
  }
  // Any span of that size that is written; none: there is none.
  std::optional<Span> any(std::uint32_t size) {
    std::vector<Register> starts;
    const std::size_t count = registers_for(size);
    for (std::size_t first = 0; first + count <= kRegisterCount; ++first) {
      bool whole = true;
      for (std::size_t i = 0; i < count; ++i) whole = whole && written_.test(first + i);
      if (whole) starts.push_back(static_cast<Register>(first));
    }
    if (starts.empty()) return std::nullopt;
    return Span{random_.of(starts), size};
  }
  // Of a size that is wanted: what is there, or a constant.
  Span some(std::uint32_t size) {
    if (const auto found = any(size)) return *found;
    const Register to = place(size);
    add(Immediate{to, value(size)});
    return {to, size};
  }

  // --- values ---

  std::uint8_t byte() {
    return random_.percent(50) ? random_.of<std::uint8_t>(
                                     {0, 1, 2, 6, 10, 16, 17, 20, 22, 64, 80, 128, 192, 254, 255})
                               : random_.byte();
  }
  Value value(std::size_t size) {
    Value made;
    made.size = static_cast<std::uint8_t>(size);
    // Numbers are small more often than not, in either order.
    const std::uint32_t shape = random_.weighted({50, 25, 25});
    for (std::size_t i = 0; i < size; ++i) {
      const bool fills = shape == 0 || (shape == 1 && i + 2 >= size) || (shape == 2 && i < 2);
      made.bytes[i] = fills ? byte() : 0;
    }
    return made;
  }
  Value mask(std::size_t size) {
    Value made = value(size);
    if (random_.percent(40)) {
      made.bytes.fill(0);
      made.bytes[random_.below(size)] = static_cast<std::uint8_t>(1U << random_.below(8));
    }
    return made;
  }

  // --- what is loaded ---

  Span load() {
    switch (random_.weighted({45, 16, 8, 12, 5, 6, 4, 4})) {
      case 0:
        return payload();
      case 1:
        return meta();
      case 2:
        return ct();
      case 3:
        return exthdr();
      case 4: {
        const std::uint32_t size = 1 + random_.below(kMostOfAValue);
        const Register to = place(size);
        add(Immediate{to, value(size)});
        return {to, size};
      }
      case 5: {
        const std::uint32_t modulus = 2 + random_.below(6);
        const auto wide = any(1 + random_.below(kMostOfRegisters));
        const Span from = wide ? *wide : some(1 + random_.below(kMostOfAValue));
        const Register to = place(4);
        add(JenkinsHash{from.first, from.size, modulus, static_cast<std::uint32_t>(random_.next()),
                        random_.below(3), to});
        return {to, 4};
      }
      case 6: {
        const Register to = place(4);
        const auto kind = random_.percent(50) ? NumgenKind::Incremental : NumgenKind::Random;
        add(Numgen{kind, 2 + random_.below(3), random_.below(3), to});
        return {to, 4};
      }
      default:
        return looked_up();
    }
  }

  Span payload() {
    const auto base =
        random_.of({PayloadBase::Network, PayloadBase::Network, PayloadBase::Transport,
                    PayloadBase::Transport, PayloadBase::Inner, PayloadBase::Link});
    const std::uint32_t size =
        random_.of<std::uint32_t>({1, 1, 2, 2, 3, 4, 4, 5, 6, 7, 8, 12, 16, 20, 33, 64});
    const std::uint32_t offset = random_.below(base == PayloadBase::Network ? 28 : 20);
    const Register to = place(size);
    add(Payload{base, offset, size, to});
    return {to, size};
  }

  Span meta() {
    const MetaKey key =
        random_.of({MetaKey::Length,   MetaKey::Protocol, MetaKey::Priority, MetaKey::Mark,
                    MetaKey::Iif,      MetaKey::Oif,      MetaKey::IifName,  MetaKey::OifName,
                    MetaKey::IifType,  MetaKey::OifType,  MetaKey::SkUid,    MetaKey::SkGid,
                    MetaKey::NfProto,  MetaKey::L4Proto,  MetaKey::PktType,  MetaKey::IifGroup,
                    MetaKey::OifGroup, MetaKey::IifKind,  MetaKey::OifKind,  MetaKey::Cpu,
                    MetaKey::Prandom});
    const std::uint32_t size = load_size(key);
    const Register to = place(size);
    add(Meta{key, to});
    return {to, size};
  }

  Span ct() {
    const CtKey key =
        random_.of({CtKey::State, CtKey::Direction, CtKey::Status, CtKey::Mark, CtKey::L3Protocol,
                    CtKey::Source, CtKey::Destination, CtKey::Protocol, CtKey::ProtoSource,
                    CtKey::ProtoDestination, CtKey::Labels, CtKey::Packets, CtKey::Bytes,
                    CtKey::AvgPacket, CtKey::Zone, CtKey::SourceIp, CtKey::DestinationIp,
                    CtKey::SourceIp6, CtKey::DestinationIp6});
    const bool needs = key == CtKey::Source || key == CtKey::Destination ||
                       key == CtKey::L3Protocol || key == CtKey::Protocol ||
                       key >= CtKey::SourceIp || key == CtKey::ProtoSource ||
                       key == CtKey::ProtoDestination;
    const bool may = key == CtKey::Packets || key == CtKey::Bytes || key == CtKey::AvgPacket ||
                     key == CtKey::Zone;
    std::optional<CtDirection> direction;
    if (needs || (may && random_.percent(50))) {
      direction = random_.percent(50) ? CtDirection::Original : CtDirection::Reply;
    }
    const std::uint32_t size = load_size(key, table_.family);
    const Register to = place(size);
    add(Ct{key, direction, to});
    return {to, size};
  }

  Span exthdr() {
    Exthdr made;
    made.kind = random_.of(
        {ExthdrKind::Ipv6, ExthdrKind::TcpOption, ExthdrKind::Ipv4Option, ExthdrKind::Sctp});
    if (table_.family == Family::Ip6 && made.kind == ExthdrKind::Ipv4Option) {
      made.kind = ExthdrKind::Sctp;
    }
    switch (made.kind) {
      case ExthdrKind::Ipv6:
        made.type = random_.of<std::uint8_t>({0, 43, 44, 51, 60, 135});
        break;
      case ExthdrKind::TcpOption:
        made.type = random_.of<std::uint8_t>({1, 2, 3, 4, 5, 8, 30, 34});
        break;
      case ExthdrKind::Ipv4Option:
        made.type = random_.of<std::uint8_t>({7, 131, 137, 148});
        break;
      case ExthdrKind::Sctp:
        made.type = random_.of<std::uint8_t>({0, 1, 1, 2, 3, 6, 10, 14});
        break;
      case ExthdrKind::Dccp:
        break;  // not drawn
    }
    made.present = random_.percent(40);
    made.offset = made.present && random_.percent(60) ? 0 : random_.below(6);
    made.length = made.present ? 1 : random_.of<std::uint32_t>({1, 1, 2, 2, 3, 4, 8, 20});
    made.destination = place(made.length);
    add(made);
    return {made.destination, made.length};
  }

  // By a map: what there is in a register decides what another gets.
  Span looked_up() {
    const std::uint32_t size = random_.of<std::uint32_t>({1, 2, 4});
    const std::uint32_t data = random_.of<std::uint32_t>({4, 8, 16});
    const Span key = random_.percent(50) ? fresh(size) : some(size);
    const Register to = place(data);
    add(Lookup{fmt::format("map{}to{}", size, data), key.first, LookupResult::Data, to, false});
    return {to, data};
  }
  Span fresh(std::uint32_t size) {
    const Register to = place(size);
    add(Payload{random_.percent(50) ? PayloadBase::Network : PayloadBase::Transport,
                random_.below(12), size, to});
    return {to, size};
  }

  // --- what becomes of it ---

  Span transform(Span from) {
    switch (random_.below(5)) {
      case 0: {
        from.size = std::min(from.size, kMostOfAValue);
        if (random_.percent(30)) from.size = 1 + random_.below(from.size);
        const Register to = target(from);
        const auto whole = static_cast<std::uint32_t>(registers_for(from.size) * kRegisterSize);
        // What pads the value becomes zero, and can be read: of a value that is all masked away it
        // is known what is there.
        if (from.size != whole && random_.percent(40)) {
          Value known = value(from.size);
          Value none = known;
          none.bytes = {};
          add(BitwiseMask{from.first, to, from.size, none, known});
          known.size = static_cast<decltype(known.size)>(whole);
          add(Cmp{CmpOp::Eq, to, known});
          return {to, whole};
        }
        add(BitwiseMask{from.first, to, from.size, mask(from.size), value(from.size)});
        return {to, random_.percent(40) ? whole : from.size};
      }
      case 1: {
        const Register to = target(from);
        add(BitwiseShift{random_.percent(50) ? ShiftDirection::Left : ShiftDirection::Right,
                         from.first, to, from.size, 1 + random_.below(31)});
        return {to, from.size};
      }
      case 2: {
        from.size = std::min(from.size, kMostOfAValue);
        const Span other = some(from.size);
        Register to = target(from);
        const std::size_t count = registers_for(from.size);
        const auto overlaps = [&](Register a, Register b) {
          return a != b && a < b + count && b < a + count;
        };
        if (overlaps(other.first, to)) to = other.first;
        if (overlaps(from.first, to)) return from;
        add(BitwiseRegisters{random_.of({BitwiseOp::And, BitwiseOp::Or, BitwiseOp::Xor}),
                             from.first, other.first, to, from.size});
        return {to, from.size};
      }
      case 3:
        return swapped(from);
      default:  // a part of it
        return {from.first, 1 + random_.below(from.size)};
    }
  }
  // Units of the size, as many as there are whole ones in the length: none, one or more.
  Span swapped(Span from) {
    const std::uint32_t size = random_.of<std::uint32_t>({2, 4, 8});
    const auto room = static_cast<std::uint32_t>(registers_for(from.size) * kRegisterSize);
    const bool one = size <= room && random_.percent(50);
    const std::uint32_t length = one ? size : 1 + random_.below(room);
    // What is left over stays what it was, so that it must be something.
    const bool whole = length % size == 0 && length % kRegisterSize == 0;
    const Register to = whole ? target({from.first, length}) : from.first;
    add(Byteorder{random_.percent(50) ? ByteorderOp::NetworkToHost : ByteorderOp::HostToNetwork,
                  from.first, to, length, size});
    return {to, length};
  }
  // In place, or elsewhere: newer kernels refuse what overlaps by halves.
  Register target(Span from) {
    const std::size_t count = registers_for(from.size);
    for (int tries = random_.percent(50) ? 0 : 4; tries > 0; --tries) {
      const auto to = static_cast<Register>(random_.below(kRegisterCount - count + 1));
      if (to + count > from.first && from.first + count > to) continue;
      for (std::size_t i = 0; i < count; ++i) written_.set(to + i);
      return to;
    }
    return from.first;
  }

  void test(Span span) {
    span.size = std::min(span.size, kMostOfAValue);
    switch (random_.weighted({55, 20, 25})) {
      case 0:
        add(Cmp{random_.of({CmpOp::Eq, CmpOp::Neq, CmpOp::Neq, CmpOp::Lt, CmpOp::Lte, CmpOp::Gt,
                            CmpOp::Gte, CmpOp::Gte}),
                span.first, value(span.size)});
        return;
      case 1: {
        Range range{random_.percent(50), span.first, value(span.size), value(span.size)};
        if (range.to < range.from) std::swap(range.from, range.to);
        add(range);
        return;
      }
      default:
        break;
    }
    std::uint32_t size = kKeySizes[0];
    for (const std::uint32_t known : kKeySizes) {
      if (registers_for(known) <= registers_for(span.size)) size = known;
    }
    switch (random_.below(3)) {
      case 0:
        add(Lookup{fmt::format("set{}", size), span.first, LookupResult::Membership, 0,
                   random_.percent(60)});
        return;
      case 1:
        add(Lookup{fmt::format("ranges{}", size), span.first, LookupResult::Membership, 0,
                   random_.percent(50)});
        return;
      default:
        look_up_several();
        return;
    }
  }

  // A key of several fields, each with a load of its own; now and then with its bytes swapped, by
  // whichever unit.
  void look_up_several() {
    std::vector<const Set*> joined;
    for (const Set& set : table_.sets) {
      if (set.key.size() > 1) joined.push_back(&set);
    }
    const Set& set = *random_.of(joined);
    Register to = place(set.key_size());
    const Register first = to;
    for (const KeyField& field : set.key) {
      if (field.size == 1 && random_.percent(50)) {
        add(Meta{random_.of({MetaKey::L4Proto, MetaKey::NfProto, MetaKey::PktType}), to});
      } else if (field.size == 4 && random_.percent(40)) {
        add(Meta{random_.of({MetaKey::Mark, MetaKey::Length, MetaKey::Priority}), to});
      } else {
        add(Payload{random_.percent(60) ? PayloadBase::Network : PayloadBase::Transport,
                    random_.below(17), field.size, to});
      }
      if (random_.percent(40)) {
        const std::uint32_t length =
            random_.percent(70) ? field.size : 1 + random_.below(field.size);
        add(Byteorder{ByteorderOp::HostToNetwork, to, to, length,
                      random_.of<std::uint32_t>({2, 2, 4, 8})});
      }
      to = static_cast<Register>(to + registers_for(field.size));
    }
    add(Lookup{set.name, first, LookupResult::Membership, 0, random_.percent(50)});
  }

  void effect() {
    switch (random_.weighted({14, 12, 10, 10, 20, 20, 14})) {
      case 0:
        add(MetaSet{random_.of({MetaKey::Mark, MetaKey::Mark, MetaKey::Priority}), some(4).first});
        return;
      case 1:
        add(CtSet{CtKey::Mark, std::nullopt, some(4).first});
        return;
      case 2:
        add(Last{});
        return;
      case 3: {
        // Most packets are 64 bytes long: just over, or just within.
        const std::uint32_t bytes =
            random_.percent(30) ? 63 + random_.below(2) : 1 + random_.below(400);
        const std::uint32_t consumed = random_.percent(50) ? random_.below(bytes) : 0;
        add(Quota{bytes, consumed, random_.percent(50)});
        return;
      }
      case 4: {
        PayloadWrite write;
        const bool network = random_.percent(50);
        write.base = network ? PayloadBase::Network : PayloadBase::Transport;
        write.length = random_.of<std::uint32_t>({1, 2, 3, 4, 6, 8});
        // Behind what leads the packet on: addresses, and all of the transport's header.
        write.offset = network ? random_.of<std::uint32_t>({1, 4, 8}) : random_.below(12);
        if (network) write.length = std::min(write.length, write.offset == 4 ? 2U : 1U);
        write.source = some(write.length).first;
        write.checksum = random_.percent(70) ? ChecksumKind::Inet : ChecksumKind::None;
        write.checksum_offset = network ? 10 : random_.of<std::uint32_t>({2, 6, 6, 16, 16, 60});
        write.pseudo_header = network && random_.percent(30);
        add(write);
        return;
      }
      case 5: {
        const bool wide = random_.percent(50);
        Dynset fill;
        fill.op = random_.of({DynsetOp::Add, DynsetOp::Update, DynsetOp::Delete});
        fill.set = wide ? "seen16" : "seen4";
        fill.key = some(wide ? 16 : 4).first;
        fill.inverted = random_.percent(30);
        if (fill.op != DynsetOp::Delete && random_.percent(70)) {
          fill.exprs = {Counter{}, Limit{LimitUnit::Packets, 2, 3600, 1, random_.percent(50)}};
          if (random_.percent(30)) fill.exprs.pop_back();
        }
        add(fill);
        return;
      }
      default:
        if (random_.percent(40)) {
          add(ObjectLookup{some(2).first, "objects"});
        } else {
          static const std::array<std::pair<std::uint32_t, const char*>, 4> kObjects{
              {{object_type::kCounter, "c0"},
               {object_type::kQuota, "q0"},
               {object_type::kQuota, "q1"},
               {object_type::kLimit, "l0"}}};
          const auto& [type, name] = kObjects[random_.below(kObjects.size())];
          add(ObjectRef{type, name});
        }
        return;
    }
  }

  Verdict verdict(const std::vector<std::string>& targets) {
    switch (random_.weighted({35, 25, 10, 20, 10})) {
      case 0:
        return {VerdictCode::Accept, "", 0};
      case 1:
        return {VerdictCode::Drop, "", 0};
      case 2:
        return {random_.percent(50) ? VerdictCode::Continue : VerdictCode::Return, "", 0};
      default:
        if (targets.empty()) return {VerdictCode::Return, "", 0};
        return {random_.percent(60) ? VerdictCode::Jump : VerdictCode::Goto, random_.of(targets),
                0};
    }
  }

  Random& random_;
  const Table& table_;

  Rule rule_;
  std::bitset<kRegisterCount> written_;
};

class TableMaker {
 public:
  TableMaker(Random& random, Family family, std::string name) : random_(random) {
    table_.family = family;
    table_.name = std::move(name);
  }

  Table write() {
    add_objects();
    add_sets();
    const std::uint32_t bases = 1 + random_.below(3);
    const std::uint32_t others = random_.below(4);
    for (std::uint32_t i = 0; i < others; ++i) targets_.push_back(fmt::format("c{}", i));
    for (std::uint32_t i = 0; i < bases; ++i) {
      const Hook hook =
          random_.of({Hook::Prerouting, Hook::Input, Hook::Input, Hook::Output, Hook::Postrouting});
      const auto policy = random_.percent(70) ? VerdictCode::Accept : VerdictCode::Drop;
      Chain chain;
      chain.name = fmt::format("b{}", i);
      chain.base = BaseChain{
          ChainType::Filter, hook, random_.of<std::int32_t>({-150, -10, 0, 0, 10}), policy, {}};
      fill(std::move(chain), 1 + random_.below(6));
    }
    // Jumps lead to chains behind the one that jumps, so that there is no loop.
    for (std::uint32_t i = 0; i < others; ++i) {
      targets_.erase(targets_.begin());
      Chain chain;
      chain.name = fmt::format("c{}", i);
      fill(std::move(chain), 1 + random_.below(4));
    }
    return std::move(table_);
  }

 private:
  void fill(Chain chain, std::uint32_t rules) {
    for (std::uint32_t i = 0; i < rules; ++i) {
      chain.rules.push_back(RuleWriter(random_, table_).write(targets_));
    }
    table_.chains.push_back(std::move(chain));
  }

  void add_objects() {
    const auto object = [&](std::uint32_t type, const char* name, ObjectBody body) {
      Object& made = table_.objects.emplace_back();
      made.type = type;
      made.name = name;
      made.body = std::move(body);
    };
    object(object_type::kCounter, "c0", Counter{});
    object(object_type::kCounter, "c1", Counter{});
    object(object_type::kQuota, "q0", Quota{150, 0, false});
    object(object_type::kQuota, "q1", Quota{150, 0, true});
    object(object_type::kLimit, "l0", Limit{LimitUnit::Packets, 3, 3600, 2, random_.percent(50)});
  }

  Set& set(std::string name, std::vector<KeyField> key) {
    Set& made = table_.sets.emplace_back();
    made.name = std::move(name);
    made.key = std::move(key);
    made.elements.key_size = made.key_size();
    return made;
  }
  Bytes bytes(std::size_t size) {
    Bytes made(size);
    const bool small = random_.percent(50);
    for (std::size_t i = 0; i < size; ++i) {
      if (!small || i + 1 >= size) made[i] = random_.byte();
    }
    return made;
  }
  static void append(const Bytes& from, std::vector<std::uint8_t>& to) {
    to.insert(to.end(), from.begin(), from.end());
  }
  // Ascending, no two alike.
  std::vector<Bytes> cuts(std::size_t size, std::size_t count) {
    std::vector<Bytes> made;
    for (std::size_t i = 0; i < count; ++i) made.push_back(bytes(size));
    std::ranges::sort(made);
    made.erase(std::ranges::unique(made).begin(), made.end());
    return made;
  }

  void add_sets() {
    for (const std::uint32_t size : kKeySizes) {
      Set& plain = set(fmt::format("set{}", size), {{DataType::Integer, size}});
      for (const Bytes& key : cuts(size, 6)) append(key, plain.elements.keys);
      Set& ranges = set(fmt::format("ranges{}", size), {{DataType::Integer, size}});
      ranges.interval = true;
      const auto ends = cuts(size, 6);
      for (std::size_t i = 0; i + 1 < ends.size(); i += 2) {
        append(ends[i], ranges.elements.keys);
        append(ends[i + 1], ranges.elements.key_ends);
      }
    }
    for (const std::uint32_t size : {1U, 2U, 4U}) {
      for (const std::uint32_t data : {4U, 8U, 16U}) add_map(size, data);
    }
    for (std::uint32_t i = 0; i < 3; ++i) add_joined(fmt::format("joined{}", i));
    for (const std::uint32_t size : {4U, 16U}) {
      Set& seen = set(fmt::format("seen{}", size), {{DataType::Integer, size}});
      seen.dynamic = true;
      seen.size = 8;
    }
    Set& objects = set("objects", {{DataType::Integer, 2}});
    objects.kind = SetKind::ObjectMap;
    objects.object_type = object_type::kCounter;
    for (const Bytes& key : cuts(2, 4)) {
      append(key, objects.elements.keys);
      objects.elements.objects.emplace_back(random_.percent(50) ? "c0" : "c1");
    }
    if (random_.percent(50)) {
      objects.elements.has_catch_all = true;
      objects.elements.catch_all_object = "c1";
    }
  }

  // Several fields, padded to registers each, of sizes that there are and that there are not.
  void add_joined(std::string name) {
    std::vector<KeyField> fields;
    for (std::uint32_t left = 2 + random_.below(3); left > 0; --left) {
      fields.push_back(
          {DataType::Integer, random_.of<std::uint32_t>({1, 1, 2, 2, 3, 4, 4, 5, 6, 8, 16})});
    }
    Set& joined = set(std::move(name), fields);
    joined.interval = random_.percent(75);
    // Elements must not overlap: their first fields do not.
    const auto ends = cuts(fields[0].size, 6);
    for (std::size_t i = 0; i + 1 < ends.size(); i += 2) {
      for (const KeyField& field : fields) {
        const bool is_first = &field == fields.data();
        Bytes low = is_first ? ends[i] : bytes(field.size);
        Bytes high = is_first ? ends[i + 1] : bytes(field.size);
        if (!is_first && random_.percent(60)) {
          low.assign(field.size, 0);
          high.assign(field.size, 0xff);
        }
        if (high < low) std::swap(low, high);
        for (Bytes* end : {&low, &high}) end->resize(registers_for(field.size) * kRegisterSize);
        append(low, joined.elements.keys);
        if (joined.interval) append(high, joined.elements.key_ends);
      }
    }
  }

  void add_map(std::uint32_t size, std::uint32_t data) {
    Set& map = set(fmt::format("map{}to{}", size, data), {{DataType::Integer, size}});
    map.kind = SetKind::Map;
    map.data = {DataType::Integer, data};
    map.elements.data_size = data;
    for (const Bytes& key : cuts(size, 5)) {
      append(key, map.elements.keys);
      append(bytes(data), map.elements.data);
    }
    if (random_.percent(70)) {
      map.elements.has_catch_all = true;
      map.elements.catch_all_data = bytes(data);
    }
  }

  Random& random_;
  Table table_;
  std::vector<std::string> targets_;
};

}  // namespace

Ruleset generate_expressions(std::uint64_t seed) {
  Random random(Random(seed).next());
  Ruleset ruleset;
  for (std::uint32_t left = 1 + random.below(2); left > 0; --left) {
    const Family family = random.of({Family::Inet, Family::Inet, Family::Ip, Family::Ip6});
    ruleset.tables.push_back(TableMaker(random, family, fmt::format("t{}", left)).write());
  }
  return ruleset;
}

}  // namespace rolewall::kernel_judge
