#include "found_values.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "kernel/random.h"
#include "ruleset/expr.h"
#include "ruleset/verify.h"

namespace rolewall::symbolic {
namespace {

using kernel_judge::Random;
using namespace ruleset;  // NOLINT: the file is made of its names

constexpr Register kFound = 8;
constexpr Register kWritten = 12;
constexpr std::string_view kScattered = "scattered";

class FoundValues {
 public:
  FoundValues(Table& table, Random& random) : table_(table), random_(random) {}

  // Of IPv4.
  std::vector<Rule> make() {
    switch (random_.below(7)) {
      case 0:
        return {rule(masked_member())};
      case 1:
        return {rule(masked_verdict(), false)};
      case 2:
        return {rule(hash())};
      case 3:
        return {rule(set_mark(), false), rule(routes()), rule(mark(0), false)};
      case 4:
        return {rule(checksum())};
      case 5:
        return {rule(hops(), false)};
      default:
        return {rule(fill_map(), false), rule(ask_map(12)), rule(ask_map(16))};
    }
  }

 private:
  Rule rule(std::vector<Expr> rest, bool decides = true) {
    Rule made;
    made.exprs = {Meta{MetaKey::NfProto, kFound}, Cmp{CmpOp::Eq, kFound, Value::u8(2)}};
    made.exprs.insert(made.exprs.end(), rest.begin(), rest.end());
    if (decides) {
      const auto code = random_.percent(60) ? VerdictCode::Drop : VerdictCode::Accept;
      made.exprs.emplace_back(ImmediateVerdict{{code, "", 0}});
    }
    return made;
  }

  // Two bytes of the address that do not stand together: too many intervals for a diagram.
  std::vector<Expr> masked_source() {
    BitwiseMask mask{kFound, kFound, 4, Value(Bytes{0, 0xff, 0, 0xff}), Value(Bytes{0, 0, 0, 0})};
    return {Payload{PayloadBase::Network, 12, 4, kFound}, mask};
  }
  Set& scattered_set(SetKind kind) {
    Set& set = table_.sets.emplace_back();
    set.name = kScattered;
    set.kind = kind;
    set.key = {{DataType::Ipv4Address, 4}};
    set.elements.key_size = 4;
    // 10.9.0.1, 10.9.1.1, 192.0.2.7 and 198.51.100.7, masked.
    for (const auto& [second, fourth] :
         {std::pair{0, 7}, std::pair{2, 2}, std::pair{9, 1}, std::pair{51, 7}}) {
      if (random_.percent(40)) continue;
      for (const int byte : {0, second, 0, fourth}) {
        set.elements.keys.push_back(static_cast<std::uint8_t>(byte));
      }
      if (kind == SetKind::VerdictMap) {
        set.elements.verdicts.push_back({VerdictCode::Drop, "", 0});
      }
    }
    return set;
  }
  std::vector<Expr> masked_member() {
    scattered_set(SetKind::Set);
    std::vector<Expr> exprs = masked_source();
    Lookup lookup;
    lookup.set = kScattered;
    lookup.source = kFound;
    exprs.emplace_back(lookup);
    return exprs;
  }
  std::vector<Expr> masked_verdict() {
    scattered_set(SetKind::VerdictMap);
    std::vector<Expr> exprs = masked_source();
    Lookup lookup;
    lookup.set = kScattered;
    lookup.source = kFound;
    lookup.result = LookupResult::Verdict;
    exprs.emplace_back(lookup);
    return exprs;
  }

  std::vector<Expr> mark(std::uint32_t value) {
    return {Immediate{kWritten, Value::host_u32(value)}, MetaSet{MetaKey::Mark, kWritten}};
  }
  std::vector<Expr> set_mark() { return mark(1 + random_.below(3)); }

  // Of the mark, which an earlier rule may have written: the hash of what it was has gone then.
  std::vector<Expr> hash() {
    std::vector<Expr> exprs = set_mark();
    JenkinsHash hash;
    hash.source = kFound;
    hash.length = 4;
    hash.modulus = random_.percent(50) ? 2 : 100;
    hash.seed = 7;
    hash.destination = kWritten;
    exprs.emplace_back(Meta{MetaKey::Mark, kFound});
    exprs.emplace_back(hash);
    for (Expr& each : mark(0)) exprs.push_back(std::move(each));
    exprs.insert(exprs.end() - 2, Cmp{CmpOp::Eq, kWritten, Value::host_u32(random_.below(2))});
    return exprs;
  }
  std::vector<Expr> routes() {
    Fib fib;
    fib.result = FibResult::AddressType;
    fib.flags = fib_flag::kDestination | fib_flag::kMark;
    fib.destination = kFound;
    return {fib, Cmp{CmpOp::Eq, kFound, Value::host_u32(2)}};  // RTN_LOCAL
  }
  std::vector<Expr> checksum() {
    constexpr std::uint8_t kUdpNumber = 17;
    return {Meta{MetaKey::L4Proto, kFound},
            Cmp{CmpOp::Eq, kFound, Value::u8(kUdpNumber)},
            Immediate{kWritten, Value::be16(static_cast<std::uint16_t>(random_.below(2)))},
            PayloadWrite{PayloadBase::Transport, 6, 2, kWritten, ChecksumKind::None, 0, false},
            Payload{PayloadBase::Transport, 6, 2, kFound},
            Cmp{CmpOp::Eq, kFound, Value::be16(0)}};
  }
  std::vector<Expr> hops() {
    const auto value = static_cast<std::uint8_t>(random_.of<unsigned>({1, 5, 10}));
    return {Immediate{kWritten, Value::u8(value)},
            PayloadWrite{PayloadBase::Network, 8, 1, kWritten, ChecksumKind::Inet, 10, false}};
  }

  std::vector<Expr> fill_map() {
    Set& set = table_.sets.emplace_back();
    set.name = "given";
    set.kind = SetKind::Map;
    set.key = {{DataType::Ipv4Address, 4}};
    set.data = {DataType::Mark, 4};
    set.dynamic = true;
    set.size = 100;
    set.elements.key_size = 4;
    set.elements.data_size = 4;
    Dynset dynset;
    dynset.op = DynsetOp::Update;
    dynset.set = set.name;
    dynset.key = kFound;
    dynset.data = kWritten;
    return {Payload{PayloadBase::Network, 12, 4, kFound},
            Immediate{kWritten, Value::host_u32(1 + random_.below(2))}, dynset};
  }
  std::vector<Expr> ask_map(std::uint32_t offset) {
    Lookup lookup;
    lookup.set = "given";
    lookup.source = kFound;
    lookup.result = LookupResult::Data;
    lookup.destination = kWritten;
    return {Payload{PayloadBase::Network, offset, 4, kFound}, lookup,
            Cmp{CmpOp::Eq, kWritten, Value::host_u32(1 + random_.below(2))}};
  }

  Table& table_;
  Random& random_;
};

bool is_written(const Rule& rule, std::size_t at) {
  if (!std::holds_alternative<Immediate>(rule.exprs[at])) return false;
  return std::get<Immediate>(rule.exprs[at]).destination == kWritten;
}

}  // namespace

Ruleset with_found_values(Ruleset ruleset, std::uint64_t seed) {
  Random random(seed * 53 + 11);
  std::vector<std::pair<Table*, Chain*>> chains;
  for (Table& table : ruleset.tables) {
    for (Chain& chain : table.chains) {
      const bool filters = chain.base && chain.base->type == ChainType::Filter;
      if (filters && table.family != Family::Ip6) chains.emplace_back(&table, &chain);
    }
  }
  if (chains.empty()) return ruleset;
  const auto [table, chain] = random.of(chains);
  const std::uint32_t at = random.below(chain->rules.size() + 1);
  std::vector<Rule> rules = FoundValues(*table, random).make();
  chain->rules.insert(chain->rules.begin() + at, rules.begin(), rules.end());
  return ruleset;
}

std::optional<Edited> edit_found_values(const Ruleset& ruleset, std::uint64_t seed) {
  Random random(seed * 271 + 3);
  Edited edited{ruleset, ""};
  std::vector<Value*> written;
  for (Table& table : edited.ruleset.tables) {
    for (Set& set : table.sets) {
      if (set.name != kScattered || set.elements.keys.empty()) continue;
      set.elements.keys[1] ^= 0x80;
      edited.what = "another element of the set that is asked by a masked key";
      if (verify(edited.ruleset)) return std::nullopt;
      return edited;
    }
    for (Chain& chain : table.chains) {
      for (Rule& rule : chain.rules) {
        for (std::size_t i = 0; i < rule.exprs.size(); ++i) {
          if (is_written(rule, i)) written.push_back(&std::get<Immediate>(rule.exprs[i]).value);
        }
      }
    }
  }
  if (written.empty()) return std::nullopt;
  Value& value = *random.of(written);
  const std::size_t byte =
      value.size == 2 ? 1 : 0;  // the lowest: a port, or a number of the host's
  value.bytes[byte] ^= static_cast<std::uint8_t>(1 + random.below(3));
  edited.what = "another value is written";
  if (verify(edited.ruleset)) return std::nullopt;
  return edited;
}

}  // namespace rolewall::symbolic
