// Sets and maps of all packets: net/netfilter/nft_lookup.c. A set of one field is one node; of a
// concatenation each element is a box, and boxes are put together by halves. In a concatenation of
// ranges elements may overlap, and the first that fits counts; elsewhere they do not.
#include <fmt/format.h>

#include <algorithm>

#include "analyze/rule_run.h"
#include "ruleset/expr.h"
#include "ruleset/registers.h"

namespace rolewall::analyze {
namespace {

constexpr Diagram kMiss = terminal(0);
constexpr Diagram kBroken = terminal(1);  // the rule, by what the element holds

bool has_ranges(const ruleset::Set& set) {
  return set.interval && !set.elements.key_ends.empty();
}
std::uint64_t number(std::span<const std::uint8_t> bytes) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) value = value << 8 | byte;
  return value;
}

// Whether the key is one whole field, in its order.
bool is_whole_field(BitSpan key, const Diagrams& diagrams) {
  if (key.empty() || key.size() > 64 || key.front().is_known()) return false;
  const FieldId field = key.front().field();
  for (std::size_t i = 0; i < key.size(); ++i) {
    if (key[i] != Bit::of(field, static_cast<unsigned>(key.size() - 1 - i))) return false;
  }
  const std::uint64_t most =
      key.size() == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << key.size()) - 1;
  return diagrams.largest(field) == most;
}

bool may_break(const ruleset::StatefulExpr& expr) {
  return std::holds_alternative<ruleset::Limit>(expr) ||
         std::holds_alternative<ruleset::Connlimit>(expr) ||
         std::holds_alternative<ruleset::Quota>(expr);
}

// A set's elements, without those that no packet that is asked about can find.
class AskedElements {
 public:
  AskedElements(const Machine& machine, const ruleset::Set& set, BitSpan key)
      : set_(set), left_out_(machine.left_out(set)) {
    if (machine.bounds() != nullptr) key_ = machine.bounds()->of_key(set, key);
  }
  bool about(std::size_t index) const {
    if (left_out_ != nullptr && (*left_out_)[index]) return false;
    if (key_.empty()) return true;
    const ruleset::Elements& elements = set_.elements;
    const auto first = elements.key(index);
    return !Bounds::refuse(set_, key_, first, has_ranges(set_) ? elements.key_end(index) : first);
  }

 private:
  const ruleset::Set& set_;
  const std::vector<bool>* left_out_;
  std::vector<std::optional<Values>> key_;
};

// `first`, and where it misses the next, by halves.
Diagram first_hit(Diagrams& diagrams, std::span<const Diagram> all) {
  if (all.empty()) return kMiss;
  if (all.size() == 1) return all.front();
  const std::size_t half = all.size() / 2;
  return diagrams.replace(first_hit(diagrams, all.first(half)), value_of(kMiss),
                          first_hit(diagrams, all.subspan(half)));
}

}  // namespace

std::optional<Diagram> RuleRun::element(const ruleset::Set& set, std::size_t index, BitSpan key) {
  const ruleset::Elements& elements = set.elements;
  if (!has_ranges(set)) return compare_.equal(key, elements.key(index));
  if (set.key.size() == 1) {
    return compare_.between(key, elements.key(index), elements.key_end(index));
  }
  Diagram box = kEverything;
  std::size_t at = 0;
  for (const ruleset::KeyField& field : set.key) {
    const auto side = compare_.between(key.subspan(at * 8, std::size_t{field.size} * 8),
                                       elements.key(index).subspan(at, field.size),
                                       elements.key_end(index).subspan(at, field.size));
    if (!side) return std::nullopt;
    box = diagrams_.both(box, *side);
    at += ruleset::padded_size(field.size);
  }
  return box;
}

std::optional<Diagram> RuleRun::members(const ruleset::Set& set, BitSpan key) {
  std::optional<Diagram>& known = machine_.members(set, key);
  if (known) return known;
  const ruleset::Elements& elements = set.elements;
  const AskedElements asked(machine_, set, key);
  if (set.key.size() == 1 && is_whole_field(key, diagrams_)) {
    std::vector<Values> values;
    for (std::size_t i = 0; i < elements.count(); ++i) {
      if (!asked.about(i)) continue;
      values.push_back({number(elements.key(i)),
                        number(has_ranges(set) ? elements.key_end(i) : elements.key(i))});
    }
    std::ranges::sort(values, {}, &Values::first);
    std::vector<Values> merged;
    for (const Values& next : values) {
      if (!merged.empty() && next.first <= merged.back().last) {
        merged.back().last = std::max(merged.back().last, next.last);
      } else {
        merged.push_back(next);
      }
    }
    known = diagrams_.where(key.front().field(), merged);
    return known;
  }
  std::vector<Diagram> boxes;
  for (std::size_t i = 0; i < elements.count(); ++i) {
    if (!asked.about(i)) continue;
    const auto box = element(set, i, key);
    if (!box) return std::nullopt;
    boxes.push_back(*box);
  }
  known = diagrams_.union_of(std::move(boxes));
  return known;
}

// Its own expressions, else the set's, may break the rule after the hit.
Diagram RuleRun::passes_element(const ruleset::Set& set, std::size_t index, BitSpan key) {
  const auto& columns = set.elements.exprs;
  const bool own = index < columns.size() && !columns[index].empty();
  const std::vector<ruleset::StatefulExpr>& exprs = own ? columns[index] : set.exprs;
  if (!std::ranges::any_of(exprs, may_break)) return kEverything;
  return counted("what the element holds", pass_unspent(exprs), by_key(key));
}

RuleRun::Step RuleRun::run_lookup(const ruleset::Lookup& lookup) {
  const ruleset::Set& set = *machine_.names(frame_.table).set(lookup.set);
  const BitSpan key = read(lookup.source, set.key_size());
  if (!set.unsupported.empty()) {
    return run_unsupported({.name = lookup.set, .reason = set.unsupported});
  }
  switch (lookup.result) {
    case ruleset::LookupResult::Membership:
      return look_up_member(lookup, set, key);
    case ruleset::LookupResult::Data:
      return look_up_data(lookup, set, key);
    case ruleset::LookupResult::Verdict:
      return look_up_verdict(set, key);
  }
  return Goes{};
}

RuleRun::Step RuleRun::look_up_member(const ruleset::Lookup& lookup, const ruleset::Set& set,
                                      BitSpan key) {
  if (machine_.facts().is_filled_by_packets(frame_.table, set.name)) {
    const Left asked{.where = remembered_by(lookup).front(), .how = "asked"};
    return leave(asked, of_filled_set(lookup, set, key), false);
  }
  std::optional<Diagram> found = set.elements.has_catch_all ? kEverything : members(set, key);
  if (!found) {
    return Tests{choice("a key of too many values", FieldKind::NotModelled, by_contents(set, key))};
  }
  if (lookup.inverted) return Tests{diagrams_.complement(*found)};
  bool breaks = false;
  for (std::size_t i = 0; i < std::max<std::size_t>(set.elements.exprs.size(), 1) && !breaks; ++i) {
    breaks = passes_element(set, i, key) != kEverything;
  }
  if (breaks) {
    found =
        diagrams_.both(*found, choice("what the element holds", FieldKind::Choice, by_key(key)));
  }
  return Tests{*found};
}

// What packets have put there, this one by an earlier rule among them, is not known. What the
// ruleset has put there stays, if it has no end and no rule takes it away.
Diagram RuleRun::of_filled_set(const ruleset::Lookup& lookup, const ruleset::Set& set,
                               BitSpan key) {
  const Diagram added = choice(lookup.set + " holds it" + own_writes(remembered_by(lookup).front()),
                               FieldKind::Choice, by_key(key));
  const bool counts = !set.exprs.empty() || !set.elements.exprs.empty();
  const bool stays =
      !set.has_timeout && !counts && !machine_.facts().may_lose(frame_.table, set.name);
  const std::optional<Diagram> found = stays ? members(set, key) : std::nullopt;
  const Diagram holds = found ? diagrams_.either(*found, added) : added;
  return lookup.inverted ? diagrams_.complement(holds) : holds;
}

// nft_dynset_eval(): the set may be full, and what an element counts may break the rule: its own
// expressions, else those of the rule.
RuleRun::Step RuleRun::run_dynset(const ruleset::Dynset& dynset) {
  const ruleset::Set& set = *machine_.names(frame_.table).set(dynset.set);
  Left left{.where = remembered_by(dynset).front(), .dynset = dynset};
  left.dynset.key = 0;  // the register says nothing, what stands in it does
  left.dynset.data.reset();
  for (const Bit bit : read(dynset.key, set.key_size())) left.bits.push_back(bit.code());
  if (dynset.data) {
    for (const Bit bit : read(*dynset.data, set.data.size)) left.bits.push_back(bit.code());
  }
  if (dynset.op == ruleset::DynsetOp::Delete) return leave(left, kEverything);
  const bool has_own =
      std::ranges::any_of(set.elements.exprs, [](const auto& exprs) { return !exprs.empty(); });
  const bool has_room = analyze::has_room(set);
  std::optional<bool> passes = pass_unspent(dynset.exprs.empty() ? set.exprs : dynset.exprs);
  const bool by_several = machine_.facts().is_counted_by_several(frame_.table, set);
  if (has_own || !has_room || by_several) passes.reset();
  if (passes && dynset.inverted) passes = false;
  const std::string of = fmt::format("{}{}{}", by_key(read(dynset.key, set.key_size())),
                                     own_writes(left.where), has_room ? "" : " (it is full)");
  return leave(left, counted(fmt::format("an element of {}", dynset.set), passes, of));
}

RuleRun::Step RuleRun::look_up_data(const ruleset::Lookup& lookup, const ruleset::Set& set,
                                    BitSpan key) {
  const ruleset::Elements& elements = set.elements;
  constexpr std::size_t kMostValues = 4096;
  std::map<ruleset::Bytes, std::uint32_t> numbers;
  const AskedElements asked(machine_, set, key);
  std::vector<Diagram> leaves;
  bool listed = !machine_.facts().is_filled_by_packets(frame_.table, set.name);
  for (std::size_t i = 0; i < elements.count() && listed; ++i) {
    if (!asked.about(i)) continue;
    const auto value = elements.value(i);
    const auto next = static_cast<std::uint32_t>(numbers.size()) + 2;
    const auto number = numbers.emplace(ruleset::Bytes(value.begin(), value.end()), next).first;
    const auto box = element(set, i, key);
    listed = box.has_value() && numbers.size() <= kMostValues;
    if (!listed) break;
    const Diagram hit =
        diagrams_.choose(passes_element(set, i, key), terminal(number->second), kBroken);
    leaves.push_back(diagrams_.choose(*box, hit, kMiss));
  }
  if (!listed) {
    const std::string name =
        lookup.set + " gives a value" + own_writes(remembered_by(lookup).front());
    const Diagram hit = choice(name, FieldKind::NotModelled, by_contents(set, key));
    store(lookup.destination, free_bits_here(lookup.set + ": its value" + by_contents(set, key),
                                             std::size_t{elements.data_size} * 8));
    return Tests{hit};
  }
  const Diagram hits = first_hit(diagrams_, leaves);
  Branches parts;
  for (const auto& [value, number] : numbers) {
    const Diagram packets = diagrams_.map(
        hits, [&](std::uint32_t at) { return at == number ? kEverything : kNothing; });
    parts.all.push_back(
        {.packets = packets, .again = false, .to = lookup.destination, .value = bits_of(value)});
  }
  if (elements.has_catch_all) {
    const Diagram misses = diagrams_.map(
        hits, [&](std::uint32_t at) { return terminal(at) == kMiss ? kEverything : kNothing; });
    parts.all.push_back({.packets = misses,
                         .again = false,
                         .to = lookup.destination,
                         .value = bits_of(elements.catch_all_data)});
  }
  return parts;
}

RuleRun::Step RuleRun::look_up_verdict(const ruleset::Set& set, BitSpan key) {
  const ruleset::Elements& elements = set.elements;
  std::map<ruleset::Verdict, Diagram> outcomes;
  const auto outcome = [&](const ruleset::Verdict& of) {
    const auto [known, is_new] = outcomes.emplace(of, kNothing);
    if (!is_new) return known->second;
    if (of.code == ruleset::VerdictCode::Continue) {
      known->second = RuleRun(*this).from(expression_ + 1);
    } else if (of.code == ruleset::VerdictCode::Break) {
      known->second = next();
    } else {
      known->second = verdict(of);
    }
    return known->second;
  };
  const AskedElements asked(machine_, set, key);
  std::vector<Diagram> leaves;
  for (std::size_t i = 0; i < elements.count(); ++i) {
    if (!asked.about(i)) continue;
    auto box = element(set, i, key);
    // What none can come to is not run.
    if (box && machine_.bounds() != nullptr && !may_be(*box)) continue;
    if (!box) {
      box = choice(fmt::format("a key of too many values, element {}", i), FieldKind::NotModelled,
                   by_element(set, i, key));
    }
    const Diagram passes = passes_element(set, i, key);
    const Diagram hit = diagrams_.choose(passes, outcome(elements.verdicts[i]), next());
    leaves.push_back(diagrams_.choose(*box, hit, kMiss));
  }
  Diagram all = first_hit(diagrams_, leaves);
  const Diagram miss = elements.has_catch_all ? outcome(elements.catch_all_verdict) : next();
  all = diagrams_.replace(all, value_of(kMiss), miss);
  return Ends{all};
}

Diagram RuleRun::verdict(const ruleset::Verdict& verdict) {
  switch (verdict.code) {
    case ruleset::VerdictCode::Accept:
      return decided(Fate::Accept);
    case ruleset::VerdictCode::Drop:
      return decided(Fate::Drop);
    case ruleset::VerdictCode::Queue:
      return diagrams_.choose(choice("the program that it is queued to drops it", FieldKind::Choice,
                                     by_packet(Machine::FoundFrom::All)),
                              decided(Fate::Drop), decided(Fate::Accept));
    case ruleset::VerdictCode::Jump:
      return machine_.call(frame_, rule_, verdict.chain, environment_, true);
    case ruleset::VerdictCode::Goto:
      return machine_.call(frame_, rule_, verdict.chain, environment_, false);
    case ruleset::VerdictCode::Return:
      return machine_.outcome({Outcome::Kind::Return, {}, environment_});
    case ruleset::VerdictCode::Continue:
    case ruleset::VerdictCode::Break:
      break;
  }
  return next();
}

}  // namespace rolewall::analyze
