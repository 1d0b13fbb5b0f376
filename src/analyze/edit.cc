#include "analyze/edit.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>
#include <tuple>

#include "analyze/rule_run.h"
#include "ruleset/effects.h"
#include "ruleset/expr.h"
#include "ruleset/xt_target.h"

namespace rolewall::analyze {
namespace {

using ruleset::Hook;
using ruleset::Ruleset;
using Indices = std::vector<ruleset::TableIndex>;

constexpr std::array kArriving{Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Postrouting};
constexpr std::array kLeaving{Hook::Output, Hook::Postrouting};

constexpr std::uint8_t bit_of(Hook hook) {
  return static_cast<std::uint8_t>(1U << static_cast<unsigned>(hook));
}

// All that decides which chains are asked, and when.
struct Frame {
  std::vector<std::tuple<ruleset::Family, std::string, std::uint32_t, std::string>> chains;
  std::vector<ruleset::BaseChain> bases;
  ruleset::TrackingUse tracking;
  std::set<std::tuple<ruleset::Family, std::string, std::string>> filled_sets;
  bool operator==(const Frame&) const = default;
};

Frame frame_of(const Ruleset& ruleset, const RulesetFacts& facts) {
  Frame frame;
  frame.tracking = facts.tracking();
  for (const auto& [table, set] : facts.filled_sets()) {
    const ruleset::Table& of = ruleset.tables[table];
    frame.filled_sets.emplace(of.family, of.name, std::string(set));
  }
  for (const ruleset::Table& table : ruleset.tables) {
    for (const ruleset::Chain& chain : table.chains) {
      if (!chain.base) continue;
      frame.chains.emplace_back(table.family, table.name, table.flags, chain.name);
      frame.bases.push_back(*chain.base);
    }
  }
  return frame;
}

// The chains that a rule may call.
template <class Visit>
void each_call(const ruleset::TableIndex& table, const ruleset::Rule& rule, const Visit& visit) {
  const auto call = [&](const ruleset::Verdict& verdict) {
    const ruleset::Chain* chain = verdict.chain.empty() ? nullptr : table.chain(verdict.chain);
    if (chain != nullptr) {
      visit(static_cast<std::uint32_t>(chain - table.table().chains.data()));
    }
  };
  for (const ruleset::Expr& expr : rule.exprs) {
    if (const auto* verdict = std::get_if<ruleset::ImmediateVerdict>(&expr)) {
      call(verdict->verdict);
    }
    const auto* lookup = std::get_if<ruleset::Lookup>(&expr);
    if (lookup == nullptr || lookup->result != ruleset::LookupResult::Verdict) continue;
    const ruleset::Set* set = table.set(lookup->set);
    if (set == nullptr) continue;
    for (const ruleset::Verdict& verdict : set->elements.verdicts) call(verdict);
    call(set->elements.catch_all_verdict);
  }
}

// By table and chain, the hooks that lead there.
std::vector<std::vector<std::uint8_t>> hooks_of(const Ruleset& ruleset, const Indices& indices) {
  std::vector<std::vector<std::uint8_t>> hooks;
  for (std::size_t t = 0; t < ruleset.tables.size(); ++t) {
    const ruleset::Table& table = ruleset.tables[t];
    std::vector<std::uint8_t>& of = hooks.emplace_back(table.chains.size());
    std::vector<std::size_t> open;
    const auto reach = [&](std::size_t chain, std::uint8_t by) {
      if ((of[chain] | by) == of[chain]) return;
      of[chain] |= by;
      open.push_back(chain);
    };
    for (std::size_t c = 0; c < table.chains.size(); ++c) {
      if (table.chains[c].base) reach(c, bit_of(table.chains[c].base->hook));
    }
    while (!open.empty()) {
      const std::size_t from = open.back();
      open.pop_back();
      for (const ruleset::Rule& rule : table.chains[from].rules) {
        each_call(indices[t], rule, [&](std::uint32_t chain) { reach(chain, of[from]); });
      }
    }
  }
  return hooks;
}

// The rules that call each chain, by table and chain.
std::vector<std::vector<std::vector<RulePlace>>> callers_of(const Ruleset& ruleset,
                                                            const Indices& indices) {
  std::vector<std::vector<std::vector<RulePlace>>> all;
  for (std::uint32_t t = 0; t < ruleset.tables.size(); ++t) {
    const ruleset::Table& table = ruleset.tables[t];
    auto& of = all.emplace_back(table.chains.size());
    for (std::uint32_t c = 0; c < table.chains.size(); ++c) {
      for (std::uint32_t r = 0; r < table.chains[c].rules.size(); ++r) {
        each_call(indices[t], table.chains[c].rules[r], [&](std::uint32_t chain) {
          const RulePlace place{t, c, r};
          auto& known = of[chain];
          const bool has = !known.empty() && known.back().chain == c && known.back().rule == r;
          if (!has) known.push_back(place);
        });
      }
    }
  }
  return all;
}

bool asks_connections(const ruleset::Rule& rule) {
  return std::ranges::any_of(rule.exprs, [](const ruleset::Expr& expr) {
    return std::holds_alternative<ruleset::Ct>(expr) ||
           std::holds_alternative<ruleset::CtSet>(expr) ||
           std::holds_alternative<ruleset::Notrack>(expr) ||
           std::holds_alternative<ruleset::XtMatch>(expr) ||
           std::holds_alternative<ruleset::XtTarget>(expr);
  });
}

// What ip_set and iptables' lists hold is not modelled, and looked into elsewhere (remembered.h).
bool same_machine(ruleset::Host a, ruleset::Host b) {
  for (ruleset::Host* host : {&a, &b}) {
    host->ipsets.clear();
    host->ipset_numbers.clear();
    host->xt_tables.clear();
    host->ticks.reset();
  }
  return a == b;
}

// Whether a rule asks for what only fragments have: of the two bytes with the offset more than that
// the packet must not be cut.
bool asks_fragments(const ruleset::Rule& rule) {
  constexpr std::uint32_t kOffset = 6;
  bool is_ipv6 = false;
  for (std::size_t i = 0; i < rule.exprs.size() && !is_ipv6; ++i) {
    const auto* family = std::get_if<ruleset::Meta>(&rule.exprs[i]);
    if (family != nullptr && family->key == ruleset::MetaKey::NfProto &&
        i + 1 < rule.exprs.size()) {
      const auto* is = std::get_if<ruleset::Cmp>(&rule.exprs[i + 1]);
      is_ipv6 = is != nullptr && is->op == ruleset::CmpOp::Eq &&
                is->value == ruleset::Value::u8(family::kIpv6);
    }
    const auto* load = std::get_if<ruleset::Payload>(&rule.exprs[i]);
    if (load == nullptr || load->base != ruleset::PayloadBase::Network) continue;
    if (load->offset > kOffset + 1 || load->offset + load->length <= kOffset) continue;
    const auto* mask = i + 1 == rule.exprs.size()
                           ? nullptr
                           : std::get_if<ruleset::BitwiseMask>(&rule.exprs[i + 1]);
    const bool asks_whole = mask != nullptr && load->offset == kOffset &&
                            (mask->mask.bytes[0] & 0xbf) == 0 &&
                            (load->length == 1 || mask->mask.bytes[1] == 0);
    if (!asks_whole) return true;
  }
  return false;
}

// What both sides' rules come to, by one numbering.
class Outcomes {
 public:
  Diagram number(const Machine& machine, const Outcome& outcome, EnvironmentId began) {
    if (outcome.kind == Outcome::Kind::Next && outcome.environment == began) return terminal(0);
    const Environment& environment = machine.environments()[outcome.environment];
    std::vector<std::uint32_t> key{static_cast<std::uint32_t>(outcome.kind),
                                   static_cast<std::uint32_t>(outcome.fate),
                                   static_cast<std::uint32_t>(environment.tracked),
                                   environment.has_socket ? 1U : 0U,
                                   environment.logged,
                                   environment.left,
                                   environment.zone,
                                   environment.headers,
                                   environment.taken ? 1U : 0U,
                                   environment.line};
    const auto add = [&](const Bits& bits) {
      for (const Bit bit : bits) key.push_back(bit.code());
    };
    for (const Bits& part : environment.parts) add(part);
    for (const Bits& part : environment.original) add(part);
    const auto next = static_cast<std::uint32_t>(numbers_.size()) + 1;
    return terminal(numbers_.emplace(std::move(key), next).first->second);
  }

 private:
  std::map<std::vector<std::uint32_t>, std::uint32_t> numbers_;
};

}  // namespace

Edit::Edit(const Side& before, const Side& after, Shared& shared)
    : before_(before), after_(after), shared_(shared) {
  is_whole_ = !same_machine(before.host, after.host) ||
              !(frame_of(before.ruleset, *before.facts) == frame_of(after.ruleset, *after.facts));
  if (is_whole_) return;
  find_writes(before);
  find_writes(after);
  find_parts();
}

const Edit::Contents& Edit::contents(std::uint32_t table, std::uint32_t other,
                                     const std::string& name) {
  const ruleset::Set* a = before_.facts->tables()[table].set(name);
  const ruleset::Set* b = after_.facts->tables()[other].set(name);
  const auto [at, is_new] = contents_.emplace(std::pair(a, b), Contents{});
  Contents& found = at->second;
  if (!is_new || a == nullptr || b == nullptr) return found;
  const bool alike = a->kind == b->kind && a->key == b->key && a->data == b->data &&
                     a->interval == b->interval && a->exprs == b->exprs &&
                     a->unsupported == b->unsupported;
  found.same = alike && a->elements == b->elements;
  if (found.same) return found;
  found.both_before.assign(a->elements.count(), false);
  found.both_after.assign(b->elements.count(), false);
  if (!alike) return found;
  using Element = std::tuple<ruleset::Bytes, ruleset::Bytes, ruleset::Bytes, ruleset::Verdict>;
  const auto element = [](const ruleset::Elements& of, std::size_t i) {
    const auto bytes = [](std::span<const std::uint8_t> span) {
      return ruleset::Bytes(span.begin(), span.end());
    };
    return Element(bytes(of.key(i)), bytes(of.key_end(i)),
                   of.data_size == 0 ? ruleset::Bytes() : bytes(of.value(i)),
                   i < of.verdicts.size() ? of.verdicts[i] : ruleset::Verdict());
  };
  const auto holds = [](const ruleset::Elements& of, std::size_t i) {
    return i < of.exprs.size() && !of.exprs[i].empty();  // a limit of its own, say
  };
  std::map<Element, std::size_t> numbers;
  for (std::size_t i = 0; i < a->elements.count(); ++i) {
    if (!holds(a->elements, i)) numbers.emplace(element(a->elements, i), i);
  }
  found.in_order = a->key.size() > 1 && a->interval;
  std::size_t last = 0;
  for (std::size_t i = 0; i < b->elements.count(); ++i) {
    const auto same = numbers.find(element(b->elements, i));
    if (same == numbers.end() || holds(b->elements, i)) continue;
    if (found.in_order && same->second < last) continue;
    last = same->second;
    found.both_before[same->second] = true;
    found.both_after[i] = true;
  }
  return found;
}

// Rules that are the same, where they look into sets that are not.
void Edit::add_lookup(const RulePlace& before, const RulePlace& after) {
  const auto& exprs =
      before_.ruleset.tables[before.table].chains[before.chain].rules[before.rule].exprs;
  std::size_t differ = 0;
  bool in_order = false;
  bool is_whole = false;
  for (const ruleset::Expr& expr : exprs) {
    if (const auto* dynset = std::get_if<ruleset::Dynset>(&expr)) {
      const ruleset::Set* was = before_.facts->tables()[before.table].set(dynset->set);
      const ruleset::Set* is = after_.facts->tables()[after.table].set(dynset->set);
      // A set that is full takes nothing, and breaks the rule.
      is_whole = is_whole || was == nullptr || is == nullptr || has_room(*was) != has_room(*is);
    }
    const auto* lookup = std::get_if<ruleset::Lookup>(&expr);
    if (lookup == nullptr) continue;
    const ruleset::Set* set = before_.facts->tables()[before.table].set(lookup->set);
    if (set == nullptr || set->anonymous) continue;
    const Contents& found = contents(before.table, after.table, lookup->set);
    if (!found.same) ++differ;
    in_order = in_order || found.in_order;
  }
  const bool same = differ == 0;
  // What one lookup finds by an element that both have, another may find by one that one side has.
  if (differ > 1 || is_whole) {
    parts_.push_back({{before}, {after}, false, true});
    return;
  }
  if (!same) parts_.push_back({{before}, {after}, true, !in_order});
}

void Edit::add_parts(std::size_t table, std::size_t chain, std::size_t other_table,
                     std::size_t other) {
  const auto numbers_of = [](const Side& side, std::size_t t, std::size_t c) {
    std::vector<std::uint32_t> numbers;
    const std::size_t count = side.ruleset.tables[t].chains[c].rules.size();
    for (std::uint32_t rule = 0; rule < count; ++rule) {
      numbers.push_back(
          side.numbers.of(static_cast<std::uint32_t>(t), static_cast<std::uint32_t>(c), rule));
    }
    return numbers;
  };
  const auto was = numbers_of(before_, table, chain);
  const auto is = numbers_of(after_, other_table, other);
  const auto at = [](std::size_t t, std::size_t c, std::size_t rule) {
    return RulePlace{static_cast<std::uint32_t>(t), static_cast<std::uint32_t>(c),
                     static_cast<std::uint32_t>(rule)};
  };
  const auto edited = [&](std::uint32_t number) { return shared_.places.is_edited(number); };
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < was.size() || j < is.size()) {
    Part part;
    for (; i < was.size() && edited(was[i]); ++i) part.before.push_back(at(table, chain, i));
    for (; j < is.size() && edited(is[j]); ++j) part.after.push_back(at(other_table, other, j));
    part.is_pair = part.before.size() == 1 && part.after.size() == 1;
    if (!part.before.empty() || !part.after.empty()) parts_.push_back(std::move(part));
    // The two that come next are the same, for those in order are all that is left.
    if (i >= was.size() || j >= is.size()) continue;
    const RulePlace of_was = at(table, chain, i++);
    const RulePlace of_is = at(other_table, other, j++);
    add_lookup(of_was, of_is);
  }
}

void Edit::find_parts() {
  const Ruleset& before = before_.ruleset;
  const Ruleset& after = after_.ruleset;
  callers_ = callers_of(before, before_.facts->tables());
  const auto hooks_before = hooks_of(before, before_.facts->tables());
  const auto hooks_after = hooks_of(after, after_.facts->tables());
  for (std::size_t t = 0; t < before.tables.size(); ++t) {
    const ruleset::Table& table = before.tables[t];
    // No packet of the space meets others: they are compared as they stand (remembered.h).
    const bool is_met = table.family == ruleset::Family::Ip ||
                        table.family == ruleset::Family::Ip6 ||
                        table.family == ruleset::Family::Inet;
    if (!is_met) continue;
    const auto same = std::ranges::find_if(after.tables, [&](const ruleset::Table& other) {
      return other.family == table.family && other.name == table.name;
    });
    const auto u = static_cast<std::size_t>(same - after.tables.begin());
    for (std::size_t c = 0; c < table.chains.size(); ++c) {
      const ruleset::Chain* other = same == after.tables.end()
                                        ? nullptr
                                        : after_.facts->tables()[u].chain(table.chains[c].name);
      const std::size_t d =
          other == nullptr ? 0 : static_cast<std::size_t>(other - same->chains.data());
      // Into a chain that one side alone has nothing leads but a rule, or an element, that the
      // other has not.
      if (other == nullptr) continue;
      const std::uint8_t hooks = hooks_before[t][c] | hooks_after[u][d];
      if (hooks == 0) continue;
      const std::size_t first = parts_.size();
      add_parts(t, c, u, d);
      for (std::size_t i = first; i < parts_.size(); ++i) {
        parts_[i].hooks = hooks;
        parts_[i].table = static_cast<std::uint32_t>(t);
        parts_[i].chain = static_cast<std::uint32_t>(c);
      }
    }
  }
}

// Per expression, what may be another of a packet by the time that later rules see it.
void Edit::find_writes(const Side& side) {
  for (std::size_t t = 0; t < side.ruleset.tables.size(); ++t) {
    const ruleset::Table& table = side.ruleset.tables[t];
    for (const ruleset::Set& set : table.sets) {
      writes_.anything = writes_.anything || !set.unsupported.empty();
    }
    for (const ruleset::Chain& chain : table.chains) {
      for (const ruleset::Rule& rule : chain.rules) {
        for (const ruleset::Expr& expr : rule.exprs) note_writes(expr, side.facts->tables()[t]);
      }
    }
  }
}

void Edit::note_writes(const ruleset::Expr& expr, const ruleset::TableIndex& table) {
  if (const auto* set = std::get_if<ruleset::MetaSet>(&expr)) {
    writes_.marks = true;
    writes_.type = writes_.type || set->key == ruleset::MetaKey::PktType;
  } else if (std::holds_alternative<ruleset::CtSet>(expr)) {
    writes_.marks = true;
  } else if (std::holds_alternative<ruleset::Nat>(expr) ||
             std::holds_alternative<ruleset::Masquerade>(expr) ||
             std::holds_alternative<ruleset::Redirect>(expr)) {
    writes_.addresses = true;
  } else if (const auto* target = std::get_if<ruleset::XtTarget>(&expr)) {
    const auto meaning = ruleset::meaning_of(*target);
    const bool writes_marks = meaning && (std::holds_alternative<ruleset::XtSetMark>(*meaning) ||
                                          std::holds_alternative<ruleset::XtClassify>(*meaning));
    const bool writes_addresses = meaning && std::holds_alternative<ruleset::XtNat>(*meaning);
    writes_.marks = writes_.marks || writes_marks;
    writes_.addresses = writes_.addresses || writes_addresses;
    const bool writes_nothing = meaning && (std::holds_alternative<ruleset::XtNotes>(*meaning) ||
                                            std::holds_alternative<ruleset::XtTee>(*meaning) ||
                                            std::holds_alternative<ruleset::XtReject>(*meaning));
    const bool writes_known = writes_nothing || writes_marks || writes_addresses;
    writes_.anything = writes_.anything || !writes_known;
  } else if (const auto* object = std::get_if<ruleset::ObjectRef>(&expr)) {
    const ruleset::Object* named = table.object(object->type, object->name);
    writes_.anything = writes_.anything || named == nullptr ||
                       std::holds_alternative<ruleset::Synproxy>(named->body) ||
                       std::holds_alternative<ruleset::Unsupported>(named->body);
  } else if (std::holds_alternative<ruleset::Tproxy>(expr)) {
    is_whole_ = true;  // the packet's socket is told apart
  } else if (std::holds_alternative<ruleset::PayloadWrite>(expr) ||
             std::holds_alternative<ruleset::Synproxy>(expr) ||
             std::holds_alternative<ruleset::Unsupported>(expr)) {
    writes_.anything = true;
  }
}

// What a packet may be by the time that it comes to a rule of this hook.
Environment Edit::environment(PacketSpace& space, Environment now, Direction direction, Hook hook,
                              Tracked tracked) const {
  using analyze::Part;
  const auto free = [&](Part part) {
    const auto number = static_cast<std::size_t>(part);
    now.parts[number] = space.free_bits(fmt::format("part {} at an edit", number),
                                        now.parts[number].size(), FieldKind::NotModelled);
  };
  const bool moves = writes_.anything || writes_.addresses || writes_.marks;
  if (direction == Direction::Send) {
    now.part(Part::InDevice) = Bits(128);
    if (moves) free(Part::OutDevice);
  } else if (hook == Hook::Forward || hook == Hook::Postrouting) {
    for (const Part part : {Part::OutDevice, Part::TimeToLive, Part::Priority}) free(part);
  } else {
    now.part(Part::OutDevice) = Bits(128);
  }
  free(Part::CtStatus);
  now.tracked = tracked;
  if (writes_.anything) {
    for (std::size_t i = 0; i < kPartCount; ++i) {
      const auto part = static_cast<Part>(i);
      // As unknown_environment() has it.
      const bool stays = part == Part::Family || part == Part::InDevice ||
                         part == Part::OutDevice || part == Part::Protocol || part == Part::Length;
      if (!stays) free(part);
    }
  }
  if (writes_.type) free(Part::Type);
  if (writes_.marks) {
    for (const Part part : {Part::Mark, Part::Priority, Part::CtMark, Part::CtLabels,
                            Part::KnownMark, Part::KnownLabels}) {
      free(part);
    }
  }
  if (writes_.addresses) {
    for (const Part part : {Part::Source4, Part::Source6, Part::Destination4, Part::Destination6,
                            Part::Transport0, Part::Transport2, Part::Transport4}) {
      free(part);
    }
  }
  constexpr std::array kTuple{std::pair(TuplePart::Source4, Part::Source4),
                              std::pair(TuplePart::Destination4, Part::Destination4),
                              std::pair(TuplePart::Source6, Part::Source6),
                              std::pair(TuplePart::Destination6, Part::Destination6),
                              std::pair(TuplePart::SourcePort, Part::Transport0),
                              std::pair(TuplePart::DestinationPort, Part::Transport2)};
  for (const auto& [to, from] : kTuple) {
    Bits& original = now.original[static_cast<std::size_t>(to)];
    original = now.part(from);
    if (writes_.anything || writes_.addresses) {
      original = space.free_bits(fmt::format("tuple {} at an edit", static_cast<int>(to)),
                                 original.size(), FieldKind::NotModelled);
    }
  }
  return now;
}

// The packets that come to a chain: those that a rule calls it for and that come to the rule. Until
// the two ways part both sides call alike, so the first side's callers are enough.
Diagram Edit::reached(Machine& machine, std::uint32_t table, std::uint32_t chain, Hook hook,
                      const Began& began) {
  constexpr std::size_t kMostCallers = 32;  // of more, any packet
  const ruleset::Table& in = before_.ruleset.tables[table];
  const ruleset::Chain& called = in.chains[chain];
  const std::vector<RulePlace>& callers = callers_[table][chain];
  if (called.base || callers.size() > kMostCallers) return machine.domain();
  const auto [known, is_new] =
      reached_.emplace(std::tuple(table, chain, hook, machine.domain()), kNothing);
  if (!is_new) return known->second;
  Diagrams& diagrams = machine.diagrams();
  std::vector<Diagram> all;
  for (const RulePlace& caller : callers) {
    const Diagram come = reached(machine, caller.table, caller.chain, hook, began);
    const ruleset::Rule& rule = in.chains[caller.chain].rules[caller.rule];
    // Of a map the elements that lead there.
    for (const ruleset::Expr& expr : rule.exprs) {
      const auto* lookup = std::get_if<ruleset::Lookup>(&expr);
      if (lookup == nullptr || lookup->result != ruleset::LookupResult::Verdict) continue;
      const ruleset::Set& set = *before_.facts->tables()[table].set(lookup->set);
      std::vector<bool> others(set.elements.count());
      for (std::size_t i = 0; i < others.size(); ++i) {
        others[i] = set.elements.verdicts[i].chain != called.name;
      }
      machine.leave_out(set, std::move(others));
    }
    const std::array<std::uint32_t, 2> calls{machine.call_line(called.name, true),
                                             machine.call_line(called.name, false)};
    for (const Environment& environment : began(hook, asks_connections(rule))) {
      const EnvironmentId id = machine.environments().intern(environment);
      const Machine::Frame frame{caller.table, caller.chain, hook, 0};
      const Diagram does = RuleRun(machine, frame, caller.rule, id).run();
      const Diagram leads = diagrams.map(does, [&](std::uint32_t value) {
        const Outcome& outcome = machine.outcome_of(value);
        const std::uint32_t line = machine.environments()[outcome.environment].line;
        const bool calls_it =
            outcome.kind == Outcome::Kind::Return && std::ranges::find(calls, line) != calls.end();
        return calls_it ? kEverything : kNothing;
      });
      all.push_back(diagrams.both(come, packets_of(machine, leads)));
    }
  }
  const Diagram found = diagrams.union_of(std::move(all));
  reached_[std::tuple(table, chain, hook, machine.domain())] = found;
  return found;
}

// Whatever is free.
Diagram Edit::packets_of(Machine& machine, Diagram set) {
  const PacketSpace& space = machine.space();
  return machine.diagrams().quantify(set, [&](FieldId field) {
    return space.facts(field).kind == FieldKind::Packet ? Quantifier::Keep : Quantifier::Any;
  });
}

Diagram Edit::packets(Diagrams& diagrams, PacketSpace& space, Direction direction, Diagram domain) {
  if (is_whole_) return domain;
  reached_.clear();  // the hooks' packets are others by the direction
  const bool arrives = direction == Direction::Arrive;
  const auto make = [&](const Side& side) {
    auto machine = std::make_unique<Machine>(diagrams, space, side.ruleset, side.host, side.facts);
    machine->share(shared_, side.numbers);
    machine->narrow(domain);
    machine->stop_at_calls();
    return machine;
  };
  const auto before = make(before_);
  const auto after = make(after_);
  // Of sets that differ, without the elements that both have.
  const auto looks_before = make(before_);
  const auto looks_after = make(after_);
  for (const auto& [sets, found] : contents_) {
    if (found.same) continue;
    looks_before->leave_out(*sets.first, found.both_before);
    looks_after->leave_out(*sets.second, found.both_after);
  }
  const auto callers = make(before_);
  const Began began = [&](Hook hook, bool by_tracking) {
    std::vector<Environment> all;
    for (const Tracked tracked : {Tracked::Yes, Tracked::NotYet, Tracked::Never, Tracked::InZone}) {
      if (tracked != Tracked::Yes && !by_tracking) break;
      all.push_back(environment(space, before->environments()[0], direction, hook, tracked));
    }
    return all;
  };
  Outcomes outcomes;
  // What a rule does of the packets that it does not break for: 0 is nothing.
  const auto run = [&](Machine& machine, const RulePlace& rule, Hook hook, Environment begins) {
    const EnvironmentId id = machine.environments().intern(std::move(begins));
    const Machine::Frame frame{rule.table, rule.chain, hook, 0};
    return diagrams.map(RuleRun(machine, frame, rule.rule, id).run(), [&](std::uint32_t value) {
      return outcomes.number(machine, machine.outcome_of(value), id);
    });
  };
  const auto acts = [&](Diagram does) {
    return diagrams.map(does,
                        [](std::uint32_t value) { return value == 0 ? kNothing : kEverything; });
  };
  std::vector<Diagram> all;
  const auto add = [&](const Part& part, Hook hook, const Environment& begins) {
    std::vector<Diagram> does;
    for (const RulePlace& rule : part.before) {
      does.push_back(run(part.is_lookup ? *looks_before : *before, rule, hook, begins));
    }
    for (const RulePlace& rule : part.after) {
      does.push_back(run(part.is_lookup ? *looks_after : *after, rule, hook, begins));
    }
    Diagram met = kNothing;
    if (part.is_pair) {
      met = diagrams.differ(does[0], does[1]);
    } else {
      for (Diagram& one : does) one = acts(one);
      met = diagrams.union_of(std::move(does));
    }
    if (met == kNothing) return;
    const Diagram come = reached(*callers, part.table, part.chain, hook, began);
    all.push_back(diagrams.both(come, packets_of(*before, met)));
  };
  const std::span<const Hook> hooks = arrives ? std::span<const Hook>(kArriving) : kLeaving;
  for (const Part& part : parts_) {
    const auto asks = [](const Ruleset& ruleset, const std::vector<RulePlace>& rules) {
      return std::ranges::any_of(rules, [&](const RulePlace& rule) {
        return asks_connections(ruleset.tables[rule.table].chains[rule.chain].rules[rule.rule]);
      });
    };
    const bool by_tracking = asks(before_.ruleset, part.before) || asks(after_.ruleset, part.after);
    for (const Hook hook : hooks) {
      if ((part.hooks & bit_of(hook)) == 0) continue;
      for (const Environment& begins : began(hook, by_tracking)) add(part, hook, begins);
    }
  }
  return diagrams.both(domain, diagrams.union_of(std::move(all)));
}

bool edit_asks_fragments(const Ruleset& ruleset, const Places::Numbers& numbers,
                         const Places& places) {
  for (std::uint32_t t = 0; t < ruleset.tables.size(); ++t) {
    const auto& chains = ruleset.tables[t].chains;
    const ruleset::Family family = ruleset.tables[t].family;
    if (family != ruleset::Family::Ip && family != ruleset::Family::Inet) continue;
    for (std::uint32_t c = 0; c < chains.size(); ++c) {
      for (std::uint32_t r = 0; r < chains[c].rules.size(); ++r) {
        const bool is_edited = places.is_edited(numbers.of(t, c, r));
        if (is_edited && asks_fragments(chains[c].rules[r])) return true;
      }
    }
  }
  return false;
}

}  // namespace rolewall::analyze
