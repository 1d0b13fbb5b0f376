#include "eval/interpreter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/overloaded.h"
#include "eval/explain.h"
#include "eval/jhash.h"
#include "eval/ticks.h"
#include "ruleset/expr.h"
#include "ruleset/registers.h"
#include "ruleset/verify.h"

namespace rolewall::eval {
namespace {

using ruleset::VerdictCode;

// The kernel refuses loops when it loads a ruleset; a file might hold one, or chains that branch
// without end. No real ruleset comes near.
constexpr std::uint32_t kMostRulesTried = 4'000'000;

bool holds(ruleset::CmpOp op, int order) {
  switch (op) {
    case ruleset::CmpOp::Eq:
      return order == 0;
    case ruleset::CmpOp::Neq:
      return order != 0;
    case ruleset::CmpOp::Lt:
      return order < 0;
    case ruleset::CmpOp::Lte:
      return order <= 0;
    case ruleset::CmpOp::Gt:
      return order > 0;
    case ruleset::CmpOp::Gte:
      return order >= 0;
  }
  return false;
}

// It neither ends the rule nor does anything.
bool only_tests(const ruleset::Expr& expr) {
  const auto* lookup = std::get_if<ruleset::Lookup>(&expr);
  return std::holds_alternative<ruleset::Cmp>(expr) ||
         std::holds_alternative<ruleset::Range>(expr) ||
         (lookup != nullptr && lookup->result == ruleset::LookupResult::Membership);
}

std::uint32_t load_word(const std::uint8_t* from) {
  std::uint32_t number = 0;
  std::memcpy(&number, from, sizeof(number));
  return number;
}

// memcmp over the value's size; most are a few bytes, for which a call is too dear.
int compare(const std::uint8_t* registers, const ruleset::Value& value) {
  if (value.size > 4) return std::memcmp(registers, value.begin(), value.size);
  for (std::size_t i = 0; i < value.size; ++i) {
    if (registers[i] != value.bytes[i]) return registers[i] < value.bytes[i] ? -1 : 1;
  }
  return 0;
}

// Whole registers: what pads a value is masked away with it (nft_bitwise_eval_mask_xor()).
void mask(const ruleset::BitwiseMask& op, const std::uint8_t* source, std::uint8_t* destination) {
  const std::size_t length = ruleset::padded_size(op.length);
  for (std::size_t i = 0; i < length; ++i) {
    destination[i] =
        static_cast<std::uint8_t>((source[i] & op.mask.bytes[i]) ^ op.xor_with.bytes[i]);
  }
}

// Word by word, each in host order, the first the highest (nft_bitwise_eval_lshift()).
void shift(const ruleset::BitwiseShift& op, const std::uint8_t* source, std::uint8_t* destination) {
  const std::size_t words = (op.length + 3U) / 4;
  std::uint32_t carry = 0;
  for (std::size_t i = 0; i < words; ++i) {
    const bool left = op.direction == ruleset::ShiftDirection::Left;
    const std::size_t at = (left ? words - 1 - i : i) * 4;
    const std::uint32_t from = load_word(source + at);
    const std::uint32_t to = (left ? from << op.bits : from >> op.bits) | carry;
    if (op.bits != 0) carry = left ? from >> (32 - op.bits) : from << (32 - op.bits);
    std::memcpy(destination + at, &to, 4);
  }
}

// Whole registers, as nft_bitwise_eval_and() and its like.
void combine(ruleset::BitwiseOp op, std::size_t length, const std::uint8_t* source,
             const std::uint8_t* other, std::uint8_t* destination) {
  for (std::size_t i = 0; i < ruleset::padded_size(length); ++i) {
    std::uint8_t result = 0;
    switch (op) {
      case ruleset::BitwiseOp::And:
        result = source[i] & other[i];
        break;
      case ruleset::BitwiseOp::Or:
        result = source[i] | other[i];
        break;
      case ruleset::BitwiseOp::Xor:
        result = source[i] ^ other[i];
        break;
    }
    destination[i] = result;
  }
}

// Both directions swap: the hosts that this runs on are little-endian, as those it speaks of. Of
// the length only whole units count, which may be none: nft says one byte of two. Newer kernels
// (6.12.117 among them) refuse a length that is not the size; older ones step over 8 bytes of the
// source 4 by 4.
void swap_bytes(const ruleset::Byteorder& op, const std::uint8_t* source,
                std::uint8_t* destination) {
  const std::size_t step = op.size == 8 ? 4 : op.size;
  for (std::size_t i = 0; i < op.length / op.size; ++i) {
    std::array<std::uint8_t, 8> unit{};
    std::reverse_copy(source + i * step, source + i * step + op.size, unit.begin());
    std::copy_n(unit.begin(), op.size, destination + i * op.size);
  }
}

}  // namespace

std::uint32_t Interpreter::word(ruleset::Register first) const {
  return load_word(registers_.data() + std::size_t{first} * 4);
}

// nft_data_copy(): what pads the last register is zero.
void Interpreter::store(ruleset::Register first, std::span<const std::uint8_t> bytes) {
  std::uint8_t* to = at(first);
  mark(first, bytes.size(), 0);
  if (bytes.size() < 4) {
    std::array<std::uint8_t, 4> padded{};
    for (std::size_t i = 0; i < bytes.size(); ++i) padded[i] = bytes[i];
    std::memcpy(to, padded.data(), 4);
    return;
  }
  if (bytes.size() % 4 != 0) std::memset(to + bytes.size() / 4 * 4, 0, 4);
  std::memcpy(to, bytes.data(), bytes.size());
}
void Interpreter::store_word(ruleset::Register first, std::uint32_t number) {
  mark(first, sizeof(number), 0);
  std::memcpy(at(first), &number, sizeof(number));
}
void Interpreter::store_byte(ruleset::Register first, std::uint8_t number) {
  const std::array<std::uint8_t, 4> padded{number};
  mark(first, padded.size(), 0);
  std::memcpy(at(first), padded.data(), padded.size());
}

Interpreter::Next Interpreter::undecided(std::string reason) {
  reason_ = std::move(reason);
  return Next::Undecided;
}

// --- sets --------------------------------------------------------------------------------------

// nft_set_elem_expired() asks a clock of ticks: at an element's end either may be so.
void Interpreter::settle_end(const DynamicElement& element, const Program::Set& set,
                             std::string_view key) {
  const std::uint64_t margin = doubt_about_end_ns(clock_.error_ns);
  if (element.expires_ns == 0 || element.expires_ns > clock_.now_ns + margin ||
      clock_.now_ns > element.expires_ns + margin) {
    return;
  }
  const bool over = choose_whether(fmt::format("an element of {} has timed out", set.set->name));
  state_.set_end(set.number, key, over ? clock_.now_ns : clock_.now_ns + 1);
}

void Interpreter::ask_for(PartialSet& set, std::string_view key) {
  ruleset::Bytes bytes(key.begin(), key.end());
  if (!set.read.contains(bytes)) set.asked.insert(std::move(bytes));
}

// When an element of the ruleset ends; 0: never.
std::uint64_t Interpreter::end_of(const Program::Set& set, std::size_t element) const {
  if (!set.set->has_timeout) return 0;
  const ruleset::Elements& elements = set.set->elements;
  std::uint64_t left_ms = set.set->timeout_ms;
  if (!elements.timeouts_ms.empty() && elements.timeouts_ms[element] != 0) {
    left_ms = elements.timeouts_ms[element];
  }
  if (!elements.expirations_ms.empty() && elements.expirations_ms[element] != 0) {
    left_ms = elements.expirations_ms[element];
  }
  return left_ms == 0 ? 0 : state_.began_ns() + left_ms * 1'000'000;
}

State::Ends Interpreter::ends_of(const Program::Set& set) const {
  State::Ends ends;
  if (!set.set->has_timeout) return ends;
  const ruleset::Elements& elements = set.set->elements;
  for (std::size_t i = 0; i < elements.count(); ++i) {
    const auto key = elements.key(i);
    if (const auto end = end_of(set, i); end != 0)
      ends.emplace_back(end, std::string(key.begin(), key.end()));
  }
  return ends;
}

Interpreter::Hit Interpreter::find_element(const Program::Set& set, const std::uint8_t* key) {
  const std::string_view text(reinterpret_cast<const char*>(key), set.set->key_size());
  const bool may_change = set.set->dynamic || set.set->has_timeout;
  if (may_change && state_.all_is_doubtful()) state_.meet_doubt();
  if (const DynamicElement* added = state_.find(set.number, text)) {
    if (added->deleted) return {};
    settle_end(*added, set, text);
    if (added->expires_ns == 0 || added->expires_ns > clock_.now_ns) {
      return {.place = Hit::Place::Added, .added = added};
    }
    return {};
  }
  const std::uint32_t element = set.index.find(key);
  if (element == SetIndex::kNone) {
    if (set.partial != nullptr) ask_for(*set.partial, text);
    return {};
  }
  if (const auto end = end_of(set, element); end != 0 && clock_.now_ns >= end) return {};
  return {.place = Hit::Place::Element, .element = element};
}

Interpreter::Hit Interpreter::find(const Program::Set& set, const std::uint8_t* key) {
  const Hit hit = find_element(set, key);
  if (hit.place == Hit::Place::Nowhere && set.set->elements.has_catch_all) {
    return {.place = Hit::Place::CatchAll};
  }
  return hit;
}

Interpreter::Next Interpreter::run_lookup(const ruleset::Lookup& lookup, const Program::Set& set) {
  const Hit hit = find(set, at(lookup.source));
  const bool found = hit.place != Hit::Place::Nowhere;
  if (found == lookup.inverted) return Next::Break;
  return found ? take_hit(lookup, set, hit) : Next::Expression;
}

Interpreter::Next Interpreter::take_hit(const ruleset::Lookup& lookup, const Program::Set& set,
                                        const Hit& hit) {
  const ruleset::Elements& elements = set.set->elements;
  Next next = Next::Expression;
  switch (lookup.result) {
    case ruleset::LookupResult::Membership:
      break;
    case ruleset::LookupResult::Data:
      if (hit.place == Hit::Place::Element) {
        store(lookup.destination, elements.value(hit.element));
      } else {
        store(lookup.destination,
              hit.place == Hit::Place::Added ? hit.added->data : elements.catch_all_data);
      }
      break;
    case ruleset::LookupResult::Verdict: {
      const bool catch_all = hit.place == Hit::Place::CatchAll;
      const ruleset::Verdict& verdict =
          catch_all ? elements.catch_all_verdict : elements.verdicts[hit.element];
      target_ = {.code = verdict.code,
                 .chain = catch_all ? set.catch_all_target : set.targets[hit.element]};
      // An element may say "continue", which is no verdict.
      if (verdict.code == VerdictCode::Break) return Next::Break;
      next = verdict.code == VerdictCode::Continue ? Next::Expression : Next::Verdict;
      break;
    }
  }
  // The element's expressions run after its value is taken, and may still break the rule.
  if (hit.place == Hit::Place::Element) {
    const Next after = run_element(element_exprs(*set.set, hit.element),
                                   set.first_cell + hit.element * set.cells_each);
    return after == Next::Expression ? next : after;
  }
  if (hit.place == Hit::Place::Added) {
    const Next after = run_element(*hit.added->exprs, hit.added->first_cell);
    return after == Next::Expression ? next : after;
  }
  return next;
}

bool Interpreter::is_full(const Program::Set& set, std::uint32_t most) {
  std::size_t count = set.set->elements.count();
  if (set.partial != nullptr) {
    if (!set.partial->count) return choose_whether(fmt::format("set {} is full", set.set->name));
    count = *set.partial->count;
  }
  const std::int64_t now = static_cast<std::int64_t>(count) +
                           state_.added(set.number, clock_.now_ns, [&] { return ends_of(set); });
  const std::int64_t unsure = state_.doubtful_in(set.number);
  const auto room_for = static_cast<std::int64_t>(most);
  if ((now - unsure >= room_for) != (now + unsure >= room_for)) state_.meet_doubt();
  return now >= room_for;
}

Interpreter::Next Interpreter::run_dynset(const ruleset::Dynset& dynset, const Program::Set& set) {
  constexpr std::uint32_t kDefaultSize = 0xffff;
  const ruleset::Set& declared = *set.set;
  const std::uint8_t* key = at(dynset.key);
  const std::string_view text(reinterpret_cast<const char*>(key), declared.key_size());
  const Hit hit = find_element(set, key);
  if (dynset.op == ruleset::DynsetOp::Delete) {
    if (hit.place != Hit::Place::Nowhere) {
      state_.remove(set.number, text, set.index.find(key) != SetIndex::kNone);
    }
    return Next::Expression;
  }

  const std::uint64_t timeout_ms = dynset.timeout_ms != 0 ? dynset.timeout_ms : declared.timeout_ms;
  const std::uint64_t expires_ns =
      declared.has_timeout && timeout_ms != 0 ? clock_.now_ns + timeout_ms * 1'000'000 : 0;
  const std::vector<ruleset::StatefulExpr>* exprs = nullptr;
  CellIndex first_cell = 0;
  if (hit.place == Hit::Place::Element) {
    exprs = &element_exprs(declared, hit.element);
    first_cell = set.first_cell + hit.element * set.cells_each;
  } else if (hit.place == Hit::Place::Added) {
    if (dynset.op == ruleset::DynsetOp::Update && hit.added->expires_ns != 0) {
      state_.set_end(set.number, text, expires_ns);
    }
    exprs = hit.added->exprs;
    first_cell = hit.added->first_cell;
  } else {
    const std::uint32_t most = declared.size == 0 ? kDefaultSize : declared.size;
    if (is_full(set, most)) {
      return dynset.inverted ? Next::Expression : Next::Break;
    }
    ruleset::Bytes data;
    if (dynset.data) data.assign(at(*dynset.data), at(*dynset.data) + declared.data.size);
    const DynamicElement& added = state_.add(
        set.number, text, set.index.find(key) != SetIndex::kNone,
        dynset.exprs.empty() ? &declared.exprs : &dynset.exprs, expires_ns, std::move(data));
    exprs = added.exprs;
    first_cell = added.first_cell;
  }
  const Next next = run_element(*exprs, first_cell);
  if (next != Next::Expression) return next;
  return dynset.inverted ? Next::Break : Next::Expression;
}

Interpreter::Next Interpreter::run_element(const std::vector<ruleset::StatefulExpr>& exprs,
                                           CellIndex first_cell) {
  const auto size = frame_->length();
  for (std::size_t i = 0; i < exprs.size(); ++i) {
    const auto cell = static_cast<CellIndex>(first_cell + i);
    const auto passes = [](bool goes_on) { return goes_on ? Next::Expression : Next::Break; };
    const Next next = std::visit(
        Overloaded{
            [](const ruleset::Counter&) { return Next::Expression; },
            [&](const ruleset::Limit& limit) { return run_limit(limit, cell); },
            [&](const ruleset::Connlimit& connlimit) { return run_connlimit(connlimit, cell); },
            [&](const ruleset::Quota& quota) { return passes(state_.quota(quota, cell, size)); },
            [](const ruleset::Last&) { return Next::Expression; }},
        exprs[i]);
    if (next != Next::Expression) return next;
  }
  return Next::Expression;
}

Interpreter::Next Interpreter::run_limit(const ruleset::Limit& limit, CellIndex cell) {
  const std::uint32_t size = frame_->length();
  std::optional<bool> within = state_.is_within_limit(limit, cell, size, clock_);
  if (!within) within = choose_whether("the limit still has tokens at this packet");
  state_.spend_limit(limit, cell, size, clock_, *within);
  return *within == limit.over ? Next::Break : Next::Expression;
}

// The verdict that nf_nat_setup_info() leaves in the verdict register.
Interpreter::Next Interpreter::take_nat(NatAnswer answer) {
  switch (answer) {
    case NatAnswer::Accept:
      target_ = {.code = VerdictCode::Accept};
      return Next::Verdict;
    case NatAnswer::Drop:
      target_ = {.code = VerdictCode::Drop};
      return Next::Verdict;
    case NatAnswer::Continue:
      return Next::Expression;
    case NatAnswer::Undecided:
      return undecided(frame_->flow.why);
  }
  return Next::Undecided;
}

Interpreter::Next Interpreter::run_byteorder(const ruleset::Byteorder& op) {
  const std::uint8_t* rest = at(op.destination) + 2;
  if (op.size == 2 && op.length == 2 && (rest[0] != 0 || rest[1] != 0)) {
    return undecided("byteorder of two bytes beside others: some kernels set those to zero");
  }
  swap_bytes(op, at(op.source), at(op.destination));
  return Next::Expression;
}

// --- one expression ----------------------------------------------------------------------------

Interpreter::Next Interpreter::execute(const ruleset::Expr& expr, std::uint32_t operand) {
  if (operand >= Program::kFirstProblem) return undecided(program_.problem(operand));
  const auto size = frame_->length();
  const auto passes = [](bool goes_on) { return goes_on ? Next::Expression : Next::Break; };
  if (!unknowns_.empty()) {
    if (const auto next = run_on_unknown(expr, operand)) return *next;
  }
  return std::visit(
      Overloaded{
          [&](const ruleset::Payload& load) { return run_payload(load); },
          [&](const ruleset::Meta& load) { return run_meta(load); },
          [&](const ruleset::Ct& load) { return run_ct(load); },
          [&](const ruleset::Numgen& numgen) { return run_numgen(numgen, operand); },
          [&](const ruleset::SymmetricHash& hash) {
            return draw(hash.destination, fmt::format("symhash mod {}", hash.modulus), hash.modulus,
                        hash.offset);
          },
          [&](const ruleset::Fib& fib) { return run_fib(fib); },
          [&](const ruleset::Rt& rt) { return run_rt(rt); },
          [&](const ruleset::Socket& socket) { return run_socket(socket); },
          [&](const ruleset::Osf& osf) { return run_osf(osf); },
          [&](const ruleset::Tunnel& tunnel) { return run_tunnel(tunnel); },
          [](const ruleset::Xfrm&) { return Next::Break; },  // it went through no transform
          [&](const ruleset::Exthdr& load) { return run_exthdr(load); },
          [&](const ruleset::PayloadWrite& write) { return run_payload_write(write); },
          [&](const ruleset::ExthdrWrite& write) { return run_exthdr_write(write); },
          [&](const ruleset::ExthdrReset& reset) { return run_exthdr_reset(reset); },
          [&](const ruleset::ObjectRef&) { return run_object(operand); },
          [&](const ruleset::ObjectLookup& lookup) {
            return run_object_lookup(lookup, table_->sets[operand]);
          },
          [&](const ruleset::Immediate& load) {
            store(load.destination, {load.value.begin(), load.value.end()});
            return Next::Expression;
          },
          [&](const ruleset::BitwiseMask& op) {
            mask(op, at(op.source), at(op.destination));
            return Next::Expression;
          },
          [&](const ruleset::BitwiseShift& op) {
            shift(op, at(op.source), at(op.destination));
            return Next::Expression;
          },
          [&](const ruleset::BitwiseRegisters& op) {
            combine(op.op, op.length, at(op.source), at(op.other), at(op.destination));
            return Next::Expression;
          },
          [&](const ruleset::JenkinsHash& hash) {
            if (!hash.seed) {
              return draw(
                  hash.destination,
                  fmt::format("jhash mod {}, with a seed that the kernel chose", hash.modulus),
                  hash.modulus, hash.offset);
            }
            const std::uint32_t number = jhash({at(hash.source), hash.length}, *hash.seed);
            store_word(hash.destination, hash.offset + reciprocal_scale(number, hash.modulus));
            return Next::Expression;
          },
          [&](const ruleset::Byteorder& op) { return run_byteorder(op); },
          [&](const ruleset::Cmp& cmp) {
            return passes(holds(cmp.op, compare(at(cmp.source), cmp.value)));
          },
          [&](const ruleset::Range& range) {
            const std::uint8_t* value = at(range.source);
            const bool within = std::memcmp(value, range.from.begin(), range.from.size) >= 0 &&
                                std::memcmp(value, range.to.begin(), range.to.size) <= 0;
            return passes(within != range.negated);
          },
          [&](const ruleset::Lookup& lookup) { return run_lookup(lookup, table_->sets[operand]); },
          [](const ruleset::Counter&) { return Next::Expression; },
          [&](const ruleset::Limit& limit) { return run_limit(limit, operand); },
          [&](const ruleset::Connlimit& connlimit) { return run_connlimit(connlimit, operand); },
          [&](const ruleset::Quota& quota) { return passes(state_.quota(quota, operand, size)); },
          [](const ruleset::Last&) { return Next::Expression; },
          [&](const ruleset::Dynset& dynset) { return run_dynset(dynset, table_->sets[operand]); },
          [&](const ruleset::ImmediateVerdict& immediate) {
            target_ = {.code = immediate.verdict.code, .chain = operand};
            if (immediate.verdict.code == VerdictCode::Continue) return Next::Expression;
            return immediate.verdict.code == VerdictCode::Break ? Next::Break : Next::Verdict;
          },
          [&](const ruleset::MetaSet& set) { return run_meta_set(set); },
          [&](const ruleset::CtSet& set) { return run_ct_set(set); },
          [](const ruleset::Log&) { return Next::Expression; },
          [&](const ruleset::Reject&) {
            target_ = {.code = VerdictCode::Drop, .rejects = true};
            return Next::Verdict;
          },
          [&](const ruleset::Notrack&) {
            Flow& flow = frame_->flow;
            if (flow.tracking == Tracking::None && !flow.has_template) {
              flow.tracking = Tracking::Untracked;
            }
            return Next::Expression;
          },
          [&](const ruleset::Nat& nat) { return take_nat(run_nat(nat, registers_, *frame_)); },
          [&](const ruleset::Masquerade& nat) {
            return take_nat(run_masquerade(nat, registers_, *frame_));
          },
          [&](const ruleset::Redirect& nat) {
            return take_nat(run_redirect(nat, registers_, *frame_));
          },
          [&](const ruleset::Tproxy& tproxy) { return run_tproxy(tproxy); },
          [&](const ruleset::Synproxy&) { return run_synproxy(); },
          [&](const ruleset::Dup& dup) { return run_dup(dup); },
          [&](const ruleset::Fwd& fwd) { return run_fwd(fwd); },
          [&](const ruleset::Unsupported& unsupported) {
            return undecided(unsupported.name);  // it has a problem as its operand
          },
      },
      expr);
}

// --- chains ------------------------------------------------------------------------------------

namespace {

// A ruleset can make a packet try millions of rules: how it came in and what decided is kept.
void make_room(HookResult& hook, std::size_t most) {
  if (hook.steps.size() < most) return;
  const auto middle = hook.steps.begin() + static_cast<std::ptrdiff_t>(most / 2);
  const std::size_t count = most / 4;
  hook.steps.erase(middle, middle + static_cast<std::ptrdiff_t>(count));
  hook.steps_left_out += count;
}

}  // namespace

void Interpreter::record(HookResult& hook, const Options& options, std::uint32_t chain,
                         std::uint32_t rule, Next next, std::size_t expression) const {
  const Program::Chain& in = table_->chains[chain];
  make_room(hook, options.most_steps);
  Step& step = hook.steps.emplace_back();
  step.table = table_number_;
  step.chain = chain;
  step.rule = rule;
  step.matched = next == Next::Expression || next == Next::Verdict;
  if (next == Next::Break) {
    step.broke_at = static_cast<std::uint32_t>(expression);
    if (options.explain && chose_) {
      const Condition& taken = frame_->conditions.back();
      step.why = fmt::format("{}: {} (assumed)", taken.about, taken.is);
    } else if (options.explain) {
      step.why =
          why_it_broke(*table_->table, *in.rules[rule].rule, expression, registers_, *frame_);
    }
  }
  if (next == Next::Verdict) {
    step.verdict.code = target_.code;
    if (target_.code == VerdictCode::Jump || target_.code == VerdictCode::Goto) {
      step.verdict.chain = table_->chains[target_.chain].chain->name;
    }
  }
  if (next == Next::Undecided && options.explain) step.why = reason_;
}

ChainResult Interpreter::give_up(std::uint32_t chain, std::uint32_t rule,
                                 const std::string& reason) const {
  const ruleset::Chain& in = *table_->chains[chain].chain;
  const ruleset::Rule& at_rule = in.rules[rule];
  std::string place =
      fmt::format("table {}, chain {}, rule {}", table_->table->name, in.name, rule + 1);
  if (at_rule.handle != 0) place += fmt::format(" (handle {})", at_rule.handle);
  return {Fate::Undecided, {table_number_, chain, rule}, fmt::format("{}: {}", place, reason)};
}

// To where it breaks, or to its end; `expression` is then how far it came.
Interpreter::Next Interpreter::run_rule(const Program::Rule& now, const Options& options,
                                        std::size_t& expression) {
  target_ = {};
  next_test_holds_ = false;
  Next next = Next::Expression;
  const std::vector<ruleset::Expr>& exprs = now.rule->exprs;
  for (; expression < exprs.size(); ++expression) {
    chose_ = false;
    if (next_test_holds_ && only_tests(exprs[expression])) {
      next_test_holds_ = false;
      continue;
    }
    next = execute(exprs[expression], program_.operand(now, expression));
    if (next == Next::Undecided && options.unmodelled == Unmodelled::Chosen) {
      next = go_on_unmodelled(exprs[expression]);
    }
    if (next != Next::Expression) break;
  }
  return next;
}

ChainResult Interpreter::run(std::uint32_t table, std::uint32_t base_chain, Frame& frame,
                             const Options& options, HookResult& hook) {
  struct Return {
    std::uint32_t chain = 0;
    std::uint32_t rule = 0;
  };
  std::array<Return, ruleset::kJumpStackSize> stack;
  std::size_t depth = 0;

  table_ = &program_.tables()[table];
  table_number_ = table;
  frame_ = &frame;
  frame.inner.reset();
  clock_ = {.now_ns = options.now_ns, .error_ns = options.clock_error_ns};
  unknowns_.clear();
  unknown_.fill(0);
  std::uint32_t chain = base_chain;
  std::uint32_t rule = 0;
  std::uint32_t tried = 0;
  while (true) {
    const Program::Chain& in = table_->chains[chain];
    if (rule == in.rules.size()) {
      if (depth == 0) break;
      --depth;
      chain = stack[depth].chain;
      rule = stack[depth].rule;
      continue;
    }
    if (++tried > kMostRulesTried) return give_up(chain, rule, "too many rules: a loop?");

    chain_now_ = chain;
    rule_now_ = rule;
    std::size_t expression = 0;
    const Next next = run_rule(in.rules[rule], options, expression);
    if (options.steps) record(hook, options, chain, rule, next, expression);
    if (next == Next::Undecided) return give_up(chain, rule, reason_);
    if (next != Next::Verdict) {
      ++rule;
      continue;
    }

    if (target_.stolen) return {Fate::Stack, {table, chain, rule}, reason_};
    switch (target_.code) {
      case VerdictCode::Accept:
        return {Fate::Accept, {table, chain, rule}, ""};
      case VerdictCode::Drop:
        return {target_.rejects ? Fate::Reject : Fate::Drop, {table, chain, rule}, ""};
      case VerdictCode::Queue: {
        if (options.unmodelled == Unmodelled::Ends) {
          return give_up(chain, rule, "the packet is queued to a program, which decides");
        }
        const bool drops = choose_whether("the program that the packet is queued to drops it");
        return {drops ? Fate::Drop : Fate::Accept, {table, chain, rule}, ""};
      }
      case VerdictCode::Jump:
        // The kernel refuses deeper rulesets; nft_do_chain() drops what would need it.
        if (depth == ruleset::kJumpStackSize) return {Fate::Drop, {table, chain, rule}, ""};
        stack[depth++] = {chain, rule + 1};
        chain = target_.chain;
        rule = 0;
        break;
      case VerdictCode::Goto:
        chain = target_.chain;
        rule = 0;
        break;
      case VerdictCode::Return:
        rule = static_cast<std::uint32_t>(in.rules.size());
        break;
      case VerdictCode::Continue:
      case VerdictCode::Break:
        ++rule;
        break;
    }
  }
  const auto& base = table_->chains[base_chain].chain->base;
  const bool drops = base && base->policy == VerdictCode::Drop;
  return {drops ? Fate::Drop : Fate::Accept, {table, base_chain, Decision::kPolicy}, ""};
}

}  // namespace rolewall::eval
