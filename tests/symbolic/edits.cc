#include "edits.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "kernel/random.h"
#include "ruleset/expr.h"
#include "ruleset/names.h"
#include "ruleset/verify.h"

namespace rolewall::symbolic {
namespace {

using kernel_judge::Random;
using namespace ruleset;  // NOLINT: the file is made of its names

// A rule without a jump, which may stand in any chain of its table.
bool calls_nobody(const Rule& rule) {
  return std::ranges::none_of(rule.exprs, [](const Expr& expr) {
    const auto* verdict = std::get_if<ImmediateVerdict>(&expr);
    return verdict != nullptr && !verdict->verdict.chain.empty();
  });
}

// Translations stand in chains of their type alone, at their hook.
bool same_kind_of_chain(const Chain& a, const Chain& b) {
  if (!a.base || !b.base) return a.base.has_value() == b.base.has_value();
  return a.base->type == b.base->type && a.base->hook == b.base->hook;
}

bool change_verdict(Rule& rule, Random& random) {
  if (rule.exprs.empty()) return false;
  Expr& last = rule.exprs.back();
  const auto* had = std::get_if<ImmediateVerdict>(&last);
  if (had == nullptr && !std::holds_alternative<Reject>(last)) return false;
  const Expr before = last;
  switch (random.below(3)) {
    case 0:
      last = ImmediateVerdict{{VerdictCode::Accept, "", 0}};
      break;
    case 1:
      last = ImmediateVerdict{{VerdictCode::Drop, "", 0}};
      break;
    default:
      last = Reject{};
      break;
  }
  return !(last == before);
}

bool change_compared(Rule& rule, Random& random) {
  std::vector<Cmp*> all;
  for (Expr& expr : rule.exprs) {
    if (auto* cmp = std::get_if<Cmp>(&expr)) all.push_back(cmp);
  }
  if (all.empty()) return false;
  Cmp& cmp = *random.of(all);
  if (random.percent(30) && (cmp.op == CmpOp::Eq || cmp.op == CmpOp::Neq)) {
    cmp.op = cmp.op == CmpOp::Eq ? CmpOp::Neq : CmpOp::Eq;
  } else {
    cmp.value.bytes[cmp.value.size - 1] ^= static_cast<std::uint8_t>(1 + random.below(3));
  }
  return true;
}

bool take_element(Table& table, Random& random) {
  std::vector<Set*> sets;
  for (Set& set : table.sets) {
    if (set.elements.count() > 0) sets.push_back(&set);
  }
  if (sets.empty()) return false;
  Elements& elements = random.of(sets)->elements;
  Elements kept = elements;
  kept.keys.clear();
  kept.key_ends.clear();
  kept.data.clear();
  kept.verdicts.clear();
  kept.objects.clear();
  kept.timeouts_ms.clear();
  kept.expirations_ms.clear();
  kept.exprs.clear();
  kept.comments.clear();
  const std::size_t gone = random.below(static_cast<std::uint32_t>(elements.count()));
  for (std::size_t i = 0; i < elements.count(); ++i) {
    if (i != gone) kept.append(elements, i);
  }
  elements = std::move(kept);
  return true;
}

// What a map gives for one of its keys: another address, port, mark, verdict or object.
bool change_given(Table& table, Random& random) {
  std::vector<Set*> maps;
  for (Set& set : table.sets) {
    if (set.kind != SetKind::Set && set.elements.count() > 0) maps.push_back(&set);
  }
  if (maps.empty()) return false;
  Set& map = *random.of(maps);
  const std::size_t at = random.below(static_cast<std::uint32_t>(map.elements.count()));
  if (map.kind == SetKind::VerdictMap) {
    Verdict& verdict = map.elements.verdicts[at];
    const bool drops = verdict.code == VerdictCode::Drop;
    verdict = {drops ? VerdictCode::Accept : VerdictCode::Drop, "", 0};
    return true;
  }
  if (map.kind == SetKind::Map) {
    const std::size_t size = map.elements.data_size;
    const std::size_t byte = random.below(static_cast<std::uint32_t>(size));
    map.elements.data[at * size + byte] ^= static_cast<std::uint8_t>(1 + random.below(3));
    return true;
  }
  std::vector<std::string> others;
  for (const Object& object : table.objects) {
    const bool is_other = object.type == map.object_type && object.name != map.elements.objects[at];
    if (is_other) others.push_back(object.name);
  }
  if (others.empty()) return false;
  map.elements.objects[at] = random.of(others);
  return true;
}

// How much a named limit or quota lets through.
bool change_object(Table& table, Random& random) {
  std::vector<Object*> all;
  for (Object& object : table.objects) {
    if (std::holds_alternative<Limit>(object.body) || std::holds_alternative<Quota>(object.body)) {
      all.push_back(&object);
    }
  }
  if (all.empty()) return false;
  ObjectBody& body = random.of(all)->body;
  if (auto* limit = std::get_if<Limit>(&body)) limit->over = !limit->over;
  if (auto* quota = std::get_if<Quota>(&body)) quota->over = !quota->over;
  return true;
}

constexpr std::string_view kMemory = "known";
constexpr std::string_view kWriter = "writer";

Chain* filter_chain(Ruleset& ruleset, Random& random, Table** of = nullptr) {
  std::vector<std::pair<Table*, Chain*>> all;
  for (Table& table : ruleset.tables) {
    for (Chain& chain : table.chains) {
      if (chain.base && chain.base->type == ChainType::Filter) all.emplace_back(&table, &chain);
    }
  }
  if (all.empty()) return nullptr;
  const auto [table, chain] = random.of(all);
  if (of != nullptr) *of = table;
  return chain;
}

// The rule that with_memory() puts in.
bool fills(const Rule& rule) {
  if (rule.exprs.size() < 3 || !std::holds_alternative<Cmp>(rule.exprs[1])) return false;
  const auto* const dynset = std::get_if<Dynset>(&rule.exprs.back());
  return dynset != nullptr && dynset->set == kMemory;
}

}  // namespace

Ruleset with_memory(Ruleset ruleset, std::uint64_t seed) {
  constexpr Register kKey = 8;
  Random random(seed * 31 + 5);
  Table* table = nullptr;
  Chain* chain = filter_chain(ruleset, random, &table);
  if (chain == nullptr) return ruleset;
  Set& set = table->sets.emplace_back();
  set.name = kMemory;
  set.key = {{DataType::InetProtocol, 1}};
  set.elements.key_size = 1;
  set.dynamic = true;
  set.size = 100;
  Rule adds;
  adds.exprs = {Meta{MetaKey::NfProto, kKey}, Cmp{CmpOp::Eq, kKey, Value::u8(2)},
                Meta{MetaKey::L4Proto, kKey},
                Dynset{DynsetOp::Add, set.name, kKey, {}, 0, false, {}}};
  Rule asks;
  asks.exprs = {
      Meta{MetaKey::L4Proto, kKey},
      Lookup{set.name, kKey, LookupResult::Membership, 0, random.percent(30)},
      ImmediateVerdict{{random.percent(50) ? VerdictCode::Drop : VerdictCode::Accept, "", 0}}};
  const auto place = [&] {
    return chain->rules.begin() + random.below(static_cast<std::uint32_t>(chain->rules.size()) + 1);
  };
  chain->rules.insert(place(), adds);
  chain->rules.insert(place(), asks);
  return ruleset;
}

std::optional<Edited> edit_memory(const Ruleset& ruleset, std::uint64_t seed) {
  Random random(seed * 131 + 7);
  Edited edited{ruleset, ""};
  for (Table& table : edited.ruleset.tables) {
    for (Chain& chain : table.chains) {
      const auto adds = std::ranges::find_if(chain.rules, fills);
      if (adds == chain.rules.end()) continue;
      switch (random.below(6)) {
        case 0:
          std::get<Cmp>(adds->exprs[1]).value = Value::u8(10);
          edited.what = "the set is filled by IPv6";
          break;
        case 1:
          std::get<Dynset>(adds->exprs.back()).op = DynsetOp::Delete;
          edited.what = "the rule takes from the set";
          break;
        case 2: {
          const Rule moved = *adds;
          chain.rules.erase(adds);
          chain.rules.insert(chain.rules.begin() +
                                 random.below(static_cast<std::uint32_t>(chain.rules.size()) + 1),
                             moved);
          edited.what = "the rule that fills the set is moved";
          break;
        }
        case 3:
          for (Set& set : table.sets) {
            if (set.name == kMemory) set.elements.keys = {17};
          }
          edited.what = "the set holds UDP";
          break;
        case 4:
          chain.rules.erase(adds);
          edited.what = "no rule fills the set";
          break;
        default: {
          Table& device = edited.ruleset.tables.emplace_back();
          device.family = Family::Netdev;
          device.name = "below";
          Chain& below = device.chains.emplace_back();
          below.name = "in";
          below.base = BaseChain{ChainType::Filter, Hook::Ingress, 0, VerdictCode::Drop, {"eth0"}};
          edited.what = "a device has a chain";
          if (verify(edited.ruleset)) return std::nullopt;
          return edited;
        }
      }
      if (verify(edited.ruleset)) return std::nullopt;
      return edited;
    }
  }
  return std::nullopt;
}

// Of UDP, in a chain of its own.
Ruleset with_kept(Ruleset ruleset, std::uint64_t seed) {
  constexpr Register kLoaded = 8;
  Random random(seed * 37 + 11);
  Table* table = nullptr;
  Chain* chain = filter_chain(ruleset, random, &table);
  if (chain == nullptr) return ruleset;
  const std::uint32_t what = random.below(4);
  Rule asks;
  if (what == 0) {
    asks.exprs = {Ct{CtKey::Mark, std::nullopt, kLoaded},
                  Cmp{CmpOp::Eq, kLoaded, Value::host_u32(1)}};
  } else {
    const std::uint32_t state = random.percent(70) ? ct_state::kEstablished : ct_state::kNew;
    asks.exprs = {Ct{CtKey::State, std::nullopt, kLoaded},
                  Cmp{CmpOp::Eq, kLoaded, Value::host_u32(state)}};
  }
  asks.exprs.emplace_back(
      ImmediateVerdict{{random.percent(40) ? VerdictCode::Drop : VerdictCode::Accept, "", 0}});
  const bool is_asked = random.percent(85);
  if (is_asked) chain->rules.insert(chain->rules.begin(), asks);
  // Before conntrack, but for a mark.
  const bool arrives = chain->base->hook != Hook::Output;
  Chain& writer = table->chains.emplace_back();
  writer.name = std::string(kWriter);
  writer.base = BaseChain{ChainType::Filter,
                          arrives ? Hook::Prerouting : Hook::Output,
                          what == 0 ? -150 : -300,
                          VerdictCode::Accept,
                          {}};
  Rule& writes = writer.rules.emplace_back();
  writes.exprs = {Meta{MetaKey::L4Proto, kLoaded}, Cmp{CmpOp::Eq, kLoaded, Value::u8(17)}};
  if (what == 1) {
    writes.exprs.emplace_back(Notrack{});
  } else {
    Value value = Value::host_u32(1 + random.below(2));
    if (what == 2) value.size = 2;
    writes.exprs.emplace_back(Immediate{kLoaded, value});
    writes.exprs.emplace_back(CtSet{what == 2 ? CtKey::Zone : CtKey::Mark, std::nullopt, kLoaded});
  }
  return ruleset;
}

std::optional<Edited> edit_kept(const Ruleset& ruleset, std::uint64_t seed) {
  Random random(seed * 137 + 13);
  Edited edited{ruleset, ""};
  for (Table& table : edited.ruleset.tables) {
    const auto writer = std::ranges::find(table.chains, kWriter, &Chain::name);
    if (writer == table.chains.end()) continue;
    ExprList& exprs = writer->rules.front().exprs;
    switch (random.below(3)) {
      case 0:
        writer->rules.clear();
        edited.what = "nothing is kept with connections";
        break;
      case 1:
        std::get<Cmp>(exprs[1]).value = Value::u8(6);
        edited.what = "it is kept of TCP";
        break;
      default:
        for (Expr& expr : exprs) {
          if (auto* value = std::get_if<Immediate>(&expr)) value->value.bytes[0] ^= 3;
        }
        edited.what = "another mark or zone is kept";
        break;
    }
    if (edited.ruleset == ruleset || verify(edited.ruleset)) return std::nullopt;
    return edited;
  }
  return std::nullopt;
}

std::optional<Edited> edit(const Ruleset& ruleset, std::uint64_t seed) {
  Random random(seed * 7919 + 17);
  Edited edited{ruleset, ""};
  std::vector<std::pair<Table*, Chain*>> chains;
  for (Table& table : edited.ruleset.tables) {
    for (Chain& chain : table.chains) {
      if (!chain.rules.empty()) chains.emplace_back(&table, &chain);
    }
  }
  if (chains.empty()) return std::nullopt;
  const auto [table, chain] = random.of(chains);
  auto& rules = chain->rules;
  const std::uint32_t at = random.below(static_cast<std::uint32_t>(rules.size()));
  const auto place = rules.begin() + at;
  const std::string where =
      fmt::format("rule {} of {} {} {}", at + 1, name_of(table->family), table->name, chain->name);
  switch (random.below(10)) {
    case 0:
    case 1:
      rules.erase(place);
      edited.what = where + " is taken away";
      break;
    case 2: {
      std::vector<const Rule*> others;
      for (const Chain& other : table->chains) {
        for (const Rule& rule : other.rules) {
          if (calls_nobody(rule) && same_kind_of_chain(other, *chain)) others.push_back(&rule);
        }
      }
      if (others.empty()) return std::nullopt;
      const Rule added = *random.of(others);
      rules.insert(place, added);
      edited.what = where + " is new";
      break;
    }
    case 3:
      if (rules.size() < 2) return std::nullopt;
      std::swap(rules[at], rules[at == 0 ? 1 : at - 1]);
      edited.what = where + " is moved";
      break;
    case 4:
      if (!change_verdict(*place, random)) return std::nullopt;
      edited.what = where + " decides otherwise";
      break;
    case 5:
      if (!change_compared(*place, random)) return std::nullopt;
      edited.what = where + " compares with another value";
      break;
    case 6:
      if (!take_element(*table, random)) return std::nullopt;
      edited.what =
          fmt::format("a set of {} {} has lost an element", name_of(table->family), table->name);
      break;
    case 7:
      if (!change_given(*table, random)) return std::nullopt;
      edited.what =
          fmt::format("a map of {} {} gives another value", name_of(table->family), table->name);
      break;
    case 8:
      if (!change_object(*table, random)) return std::nullopt;
      edited.what =
          fmt::format("an object of {} {} is another", name_of(table->family), table->name);
      break;
    default:
      if (!chain->base || chain->base->type == ChainType::Nat) return std::nullopt;
      chain->base->policy =
          chain->base->policy == VerdictCode::Drop ? VerdictCode::Accept : VerdictCode::Drop;
      edited.what =
          fmt::format("the policy of {} {} {}", name_of(table->family), table->name, chain->name);
      break;
  }
  if (ruleset::verify(edited.ruleset)) return std::nullopt;
  return edited;
}

}  // namespace rolewall::symbolic
