// Registers whose value the kernel knows and the question does not say: a random number, the time,
// a socket's mark. What only moves or reshapes such a value leaves it unknown; what tests it has
// each of its answers chosen in turn (choices.h). Two tests of one value are chosen apart, so that
// among the ways there may be some that no value leads to; the kernel's own is always among them.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "base/one_of.h"
#include "base/overloaded.h"
#include "base/visit.h"
#include "eval/interpreter.h"
#include "ruleset/effects.h"
#include "ruleset/expr.h"
#include "ruleset/registers.h"

namespace rolewall::eval {
namespace {

std::string_view words(ruleset::CmpOp op) {
  switch (op) {
    case ruleset::CmpOp::Eq:
      return "is";
    case ruleset::CmpOp::Neq:
      return "is not";
    case ruleset::CmpOp::Lt:
      return "is below";
    case ruleset::CmpOp::Lte:
      return "is at most";
    case ruleset::CmpOp::Gt:
      return "is above";
    case ruleset::CmpOp::Gte:
      return "is at least";
  }
  return "";
}

ByteSpan bytes_of(const ruleset::Value& value) {
  return {value.begin(), value.size};
}

std::uint32_t number_of(Format format, ByteSpan bytes) {
  if (format == Format::Number) return be32(bytes.data());
  std::uint32_t number = 0;
  std::memcpy(&number, bytes.data(), sizeof(number));
  return number;
}

}  // namespace

// Of the rule that is run: whatever its matches say, no packet's way hangs on it, its own table's
// sets and objects, marks and connections among what it leaves as it is.
bool Interpreter::only_notes() const {
  const ruleset::Rule& rule = table_->table->chains[chain_now_].rules[rule_now_];
  return std::ranges::all_of(rule.exprs, [&](const ruleset::Expr& expr) {
    using ruleset::Memory;
    const ruleset::Effects effects = ruleset::effects_of(expr, table_->names);
    const bool shared = effects.memory == Memory::Elements || effects.memory == Memory::Flow ||
                        effects.memory == Memory::Unknown || effects.object != nullptr ||
                        std::holds_alternative<ruleset::ObjectLookup>(expr);
    return effects.ending == ruleset::Ending::None && !shared &&
           !ruleset::is_seen_elsewhere(expr, table_->names);
  });
}

std::size_t Interpreter::choose(const std::string& about, std::span<const std::string> answers) {
  if (answers.size() == 1) return 0;
  if (frame_->notes_reads && only_notes()) {
    left_open_ = about;
    return 0;
  }
  const std::size_t answer = choose_unworded(answers.size());
  frame_->conditions.push_back({.about = about, .is = answers[answer]});
  chose_ = true;
  return answer;
}

std::size_t Interpreter::choose_unworded(std::size_t answers) {
  return choices_.choose(answers, {.table = table_number_, .chain = chain_now_, .rule = rule_now_});
}

bool Interpreter::choose_whether(const std::string& about) {
  static const std::array<std::string, 2> kAnswers{"no", "yes"};
  return choose(about, kAnswers) == 1;
}

void Interpreter::mark(ruleset::Register first, std::size_t size, std::uint16_t unknown) {
  if (unknowns_.empty()) return;
  const std::size_t end = std::min(first + ruleset::registers_in(size), unknown_.size());
  std::fill(unknown_.begin() + first, unknown_.begin() + static_cast<std::ptrdiff_t>(end), unknown);
}

std::uint16_t Interpreter::unknown_among(ruleset::Register first, std::size_t size) const {
  const std::size_t end = std::min(first + ruleset::registers_in(size), unknown_.size());
  for (std::size_t at = first; at < end; ++at) {
    if (unknown_[at] != 0) return unknown_[at];
  }
  return 0;
}

Interpreter::Next Interpreter::store_unknown(ruleset::Register first, std::size_t size,
                                             std::string name, Format format) {
  constexpr std::size_t kMostUnknown = 0xffff;
  if (unknowns_.size() == kMostUnknown) return undecided(fmt::format("{} is not known", name));
  unknowns_.push_back({std::move(name), format});
  mark(first, size, static_cast<std::uint16_t>(unknowns_.size()));
  return Next::Expression;
}

// In as many registers as the load fills.
Interpreter::Next Interpreter::store_unknown(const ruleset::Expr& load, std::string name,
                                             Format format) {
  const auto written = ruleset::effects_of(load, table_->names).writes;
  CHECK(written, "a load writes");
  return store_unknown(written->first, written->bytes, std::move(name), format);
}

// As a number of the host's order, as `format` has it in a register.
std::optional<bool> Interpreter::holds_within_bounds(const Unknown& what, const ruleset::Cmp& cmp) {
  if (!what.within || cmp.value.size != sizeof(std::uint32_t)) return std::nullopt;
  const auto [least, most] = *what.within;
  const std::uint32_t than = number_of(what.format, bytes_of(cmp.value));
  const auto same = [](bool at_least, bool at_most) {
    return at_least == at_most ? std::optional(at_least) : std::nullopt;
  };
  switch (cmp.op) {
    case ruleset::CmpOp::Eq:
    case ruleset::CmpOp::Neq: {
      const bool may_be = least <= than && than <= most;
      if (may_be && least != most) return std::nullopt;
      return may_be == (cmp.op == ruleset::CmpOp::Eq);
    }
    case ruleset::CmpOp::Lt:
      return same(least < than, most < than);
    case ruleset::CmpOp::Lte:
      return same(least <= than, most <= than);
    case ruleset::CmpOp::Gt:
      return same(least > than, most > than);
    case ruleset::CmpOp::Gte:
      return same(least >= than, most >= than);
  }
  return std::nullopt;
}

std::optional<bool> Interpreter::holds_within_bounds(const Unknown& what,
                                                     const ruleset::Range& range) {
  if (!what.within || range.from.size != sizeof(std::uint32_t)) return std::nullopt;
  const auto [least, most] = *what.within;
  const std::uint32_t from = number_of(what.format, bytes_of(range.from));
  const std::uint32_t to = number_of(what.format, bytes_of(range.to));
  if (from <= least && most <= to) return !range.negated;
  if (most < from || to < least) return range.negated;
  return std::nullopt;
}

// Which element it is, or that it is none, for a map; for a set only whether it is one of them.
Interpreter::Next Interpreter::look_up_unknown(const ruleset::Lookup& lookup,
                                               const Program::Set& set, std::uint16_t unknown) {
  const ruleset::Elements& elements = set.set->elements;
  const std::string& name = unknown_name(unknown);
  const Format format = set.set->key.size() == 1 ? unknowns_[unknown - 1].format : Format::Hex;
  if (lookup.result == ruleset::LookupResult::Membership) {
    const bool found = choose_whether(fmt::format("{} is in {}", name, set.set->name));
    return found == lookup.inverted ? Next::Break : Next::Expression;
  }
  if (set.partial != nullptr) {
    return undecided(
        fmt::format("{}, which is unknown, looked up in map {}, which is too large "
                    "to be read completely",
                    name, set.set->name));
  }
  if (elements.count() >= Outcomes::kMost) {
    return undecided(fmt::format("{}, which is not known, looked up in a map of {} elements", name,
                                 elements.count()));
  }
  std::vector<std::string> answers;
  for (std::size_t i = 0; i < elements.count(); ++i) {
    answers.push_back(render(format, elements.key(i)));
    if (!std::ranges::equal(elements.key(i), elements.key_end(i))) {
      answers.back() += "-" + render(format, elements.key_end(i));
    }
  }
  answers.emplace_back("none of these");
  const std::size_t answer = choose(fmt::format("{} in map {}", name, set.set->name), answers);
  if (answer < elements.count()) {
    return take_hit(lookup, set,
                    {.place = Hit::Place::Element, .element = static_cast<std::uint32_t>(answer)});
  }
  if (!elements.has_catch_all) return Next::Break;
  return take_hit(lookup, set, {.place = Hit::Place::CatchAll});
}

// What may come of an expression that is not modelled, or cannot be followed; reason_ says which.
// Where it loads something, the test of that holds, too.
Interpreter::Next Interpreter::go_on_unmodelled(const ruleset::Expr& expr) {
  static const std::array<std::string, 2> kMatch{"it does not match", "it matches"};
  static const std::array<std::string, 2> kTarget{"the packet goes on", "the packet is taken"};
  namespace r = ruleset;
  // These write something, and the rule goes on.
  const bool harmless = std::holds_alternative<r::ExthdrWrite>(expr) ||
                        std::holds_alternative<r::MetaSet>(expr) ||
                        std::holds_alternative<r::CtSet>(expr);
  if (harmless) return Next::Expression;
  const bool is_target = std::holds_alternative<r::XtTarget>(expr);
  const auto* lookup = std::get_if<r::Lookup>(&expr);
  const bool gives_verdict = lookup != nullptr && lookup->result == r::LookupResult::Verdict;
  if (is_target || gives_verdict) {
    if (choose(reason_, kTarget) == 0) return Next::Break;
    target_ = {.code = ruleset::VerdictCode::Drop};
    return Next::Verdict;
  }
  if (choose(reason_, kMatch) == 0) return Next::Break;
  next_test_holds_ = std::holds_alternative<r::Unsupported>(expr);
  return Next::Expression;
}

std::optional<Interpreter::Next> Interpreter::run_on_unknown(const ruleset::Expr& expr,
                                                             std::uint32_t operand) {
  using Answer = std::optional<Next>;
  // What the result of a reshaping is: unknown where its source is. The number's own form is lost.
  const auto reshaped = [&](std::uint16_t unknown, ruleset::Register to, std::size_t size,
                            bool plain) -> Answer {
    if (unknown == 0) {
      mark(to, size, 0);
      return std::nullopt;
    }
    const Unknown source = unknowns_[unknown - 1];
    if (plain) return store_unknown(to, size, source.name, source.format);
    const std::string prefix = "what is made of ";
    return store_unknown(to, size,
                         source.name.starts_with(prefix) ? source.name : prefix + source.name);
  };
  const auto tested = [&](const auto& about, bool breaks_on) -> Answer {
    const bool holds = words_tests_ ? choose_whether(about()) : choose_unworded(2) == 1;
    return holds == breaks_on ? Next::Break : Next::Expression;
  };
  namespace r = ruleset;
  return visit_closed(
      Overloaded{
          [&](const ruleset::Cmp& cmp) -> Answer {
            const std::uint16_t unknown = unknown_among(cmp.source, cmp.value.size);
            if (unknown == 0) return std::nullopt;
            const Unknown& what = unknowns_[unknown - 1];
            const bool equality = cmp.op == ruleset::CmpOp::Eq || cmp.op == ruleset::CmpOp::Neq;
            if (what.never && equality && cmp.value == ruleset::Value::host_u32(*what.never)) {
              return cmp.op == ruleset::CmpOp::Eq ? Next::Break : Next::Expression;
            }
            if (const auto holds = holds_within_bounds(what, cmp)) {
              return *holds ? Next::Expression : Next::Break;
            }
            const auto about = [&] {
              return fmt::format("{} {} {}", what.name, words(cmp.op),
                                 render(what.format, bytes_of(cmp.value)));
            };
            return tested(about, false);
          },
          [&](const ruleset::Range& range) -> Answer {
            const std::uint16_t unknown = unknown_among(range.source, range.from.size);
            if (unknown == 0) return std::nullopt;
            const Unknown& what = unknowns_[unknown - 1];
            if (const auto holds = holds_within_bounds(what, range)) {
              return *holds ? Next::Expression : Next::Break;
            }
            const auto about = [&] {
              return fmt::format("{} is within {}-{}", what.name,
                                 render(what.format, bytes_of(range.from)),
                                 render(what.format, bytes_of(range.to)));
            };
            return tested(about, range.negated);
          },
          [&](const ruleset::Lookup& lookup) -> Answer {
            const Program::Set& set = table_->sets[operand];
            const std::uint16_t unknown = unknown_among(lookup.source, set.set->key_size());
            if (unknown == 0) return std::nullopt;
            return look_up_unknown(lookup, set, unknown);
          },
          [&](const ruleset::BitwiseMask& op) -> Answer {
            return reshaped(unknown_among(op.source, op.length), op.destination, op.length, false);
          },
          [&](const ruleset::BitwiseShift& op) -> Answer {
            return reshaped(unknown_among(op.source, op.length), op.destination, op.length, false);
          },
          [&](const ruleset::BitwiseRegisters& op) -> Answer {
            const std::uint16_t first = unknown_among(op.source, op.length);
            return reshaped(first != 0 ? first : unknown_among(op.other, op.length), op.destination,
                            op.length, false);
          },
          [&](const ruleset::Byteorder& op) -> Answer {
            const std::uint16_t unknown = unknown_among(op.source, op.length);
            const Answer answer = reshaped(unknown, op.destination, op.length, true);
            if (unknown != 0) {
              unknowns_.back().format = in_network_order(unknowns_.back().format);
              unknowns_.back().within = unknowns_[unknown - 1].within;
            }
            return answer;
          },
          [&](const ruleset::JenkinsHash& hash) -> Answer {
            const std::uint16_t unknown = unknown_among(hash.source, hash.length);
            if (unknown == 0) return std::nullopt;
            return draw(hash.destination,
                        fmt::format("jhash of {} mod {}", unknown_name(unknown), hash.modulus),
                        hash.modulus, hash.offset);
          },
          // Used otherwise than by a test: what follows could be anything.
          [&](const OneOf<r::Dynset, r::ObjectLookup, r::MetaSet, r::CtSet, r::PayloadWrite, r::Nat,
                          r::Masquerade, r::Redirect> auto&) -> Answer {
            for (const auto& [first, bytes] : r::effects_of(expr, table_->names).reads) {
              const std::uint16_t unknown = unknown_among(first, bytes);
              if (unknown != 0) {
                return undecided(fmt::format("{}, which is not known", unknown_name(unknown)));
              }
            }
            return std::nullopt;
          },
          // The packet goes on, whatever it is that stands there now.
          [&](const ruleset::ExthdrWrite& write) -> Answer {
            const std::uint16_t unknown = unknown_among(write.source, write.length);
            if (unknown == 0) return std::nullopt;
            return run_exthdr_write(write, unknown);
          },
          // Of what these read nothing is modelled: the copy goes where it goes, and whichever
          // socket or device it is, the packet is gone from here.
          [](const OneOf<r::Tproxy, r::Dup, r::Fwd> auto&) -> Answer { return std::nullopt; },
          // These read no register.
          [](const OneOf<r::Payload, r::Meta, r::Ct, r::Exthdr, r::Fib, r::Rt, r::Socket, r::Osf,
                         r::Numgen, r::SymmetricHash, r::Tunnel, r::Xfrm, r::Immediate, r::Counter,
                         r::Limit, r::Connlimit, r::Quota, r::Last, r::ImmediateVerdict,
                         r::ExthdrReset, r::Log, r::Reject, r::Notrack, r::Synproxy, r::ObjectRef,
                         r::XtMatch, r::XtTarget, r::Unsupported> auto&) -> Answer {
            return std::nullopt;
          },
      },
      expr);
}

}  // namespace rolewall::eval
