#include "eval/interpreter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/overloaded.h"
#include "base/visit.h"
#include "eval/explain.h"
#include "eval/jhash.h"
#include "ruleset/expr.h"
#include "ruleset/names.h"
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

void Interpreter::assume_unspent(std::string_view what) {
  if (!frame_->notes_reads) return;
  const ruleset::Table& table = *table_->table;
  // Nearly each packet meets a limit of a policy: of these rolewall-eval(8) says it once for all.
  if (ruleset::is_own(table) || only_notes()) return;
  std::string assumed =
      fmt::format("{} at its beginning ({} {} {} rule {})", what, ruleset::name_of(table.family),
                  table.name, table.chains[chain_now_].name, rule_now_ + 1);
  std::vector<std::string>& all = frame_->assumed;
  if (std::ranges::find(all, assumed) == all.end()) all.push_back(std::move(assumed));
}

Interpreter::Next Interpreter::run_limit(const ruleset::Limit& limit, CellIndex cell) {
  assume_unspent("a limit");
  const std::uint32_t size = frame_->length();
  frame_->reads.length |=
      limit.unit == ruleset::LimitUnit::Bytes && limit.rate + limit.burst < kLargestPacket;
  std::optional<bool> within = state_.is_within_limit(limit, cell, size, clock_);
  if (!within) within = choose_whether("the limit still has tokens at this packet");
  state_.spend_limit(limit, cell, size, clock_, *within);
  return *within == limit.over ? Next::Break : Next::Expression;
}

// Its length decides where no more is left than a packet may have.
bool Interpreter::run_quota(const ruleset::Quota& quota, CellIndex cell) {
  const bool is_spent = quota.consumed > quota.bytes;
  frame_->reads.length |= !is_spent && quota.bytes - quota.consumed < kLargestPacket;
  return state_.quota(quota, cell, frame_->length());
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
  const auto passes = [](bool goes_on) { return goes_on ? Next::Expression : Next::Break; };
  if (!unknowns_.empty()) {
    if (const auto next = run_on_unknown(expr, operand)) return *next;
  }
  return visit_closed(
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
          [&](const ruleset::Quota& quota) { return passes(run_quota(quota, operand)); },
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
          [&](const ruleset::Synproxy&) { return run_synproxy(SynproxyOf::Nft); },
          [&](const ruleset::Dup& dup) { return run_dup(dup); },
          [&](const ruleset::Fwd& fwd) { return run_fwd(fwd); },
          [&](const ruleset::XtMatch& match) {
            return run_xt_match(match, program_.xt_match(operand));
          },
          [&](const ruleset::XtTarget&) { return run_xt_target(program_.xt_target(operand)); },
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
    if (options.explain && !left_open_.empty()) {
      step.why = left_open_ + ": not known, and nothing hangs on it";
    } else if (options.explain && chose_) {
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

namespace {

// Of a field whose other bits a mask takes away, these alone are read (iptables' -f: not whether it
// may be fragmented). REQUIRES: both have run, one behind the other.
void narrow_reads(const ruleset::Expr& loads, const ruleset::Expr& masks, Frame& frame) {
  constexpr std::uint8_t kMayNotBeCut = 0x40;
  const auto* load = std::get_if<ruleset::Payload>(&loads);
  const auto* op = std::get_if<ruleset::BitwiseMask>(&masks);
  if (load == nullptr || op == nullptr || load->base != ruleset::PayloadBase::Network ||
      op->source != load->destination || frame.reads.bytes.empty()) {
    return;
  }
  Reads::Bytes& read = frame.reads.bytes.back();
  if (read.from != load->offset || read.to != read.from + op->length) return;
  const auto asked = [&](std::size_t at) {
    const std::uint8_t bits = op->mask.bytes[at - load->offset];
    const bool of_fragments = !frame.ipv6 && at == ipv4::kFragment;
    return of_fragments ? (bits & kMayNotBeCut) != 0 : bits != 0;
  };
  while (read.from < read.to && !asked(read.from)) ++read.from;
  while (read.from < read.to && !asked(read.to - 1)) --read.to;
}

}  // namespace

// To where it breaks, or to its end; `expression` is then how far it came.
Interpreter::Next Interpreter::run_rule(const Program::Rule& now, const Options& options,
                                        std::size_t& expression) {
  target_ = {};
  next_test_holds_ = false;
  Next next = Next::Expression;
  const std::vector<ruleset::Expr>& exprs = now.rule->exprs;
  for (; expression < exprs.size(); ++expression) {
    chose_ = false;
    left_open_.clear();
    if (next_test_holds_ && only_tests(exprs[expression])) {
      next_test_holds_ = false;
      continue;
    }
    next = execute(exprs[expression], program_.operand(now, expression));
    if (frame_->notes_reads && next == Next::Expression && expression > 0) {
      narrow_reads(exprs[expression - 1], exprs[expression], *frame_);
    }
    if (next == Next::Undecided && options.unmodelled == Unmodelled::Chosen) {
      next = go_on_unmodelled(exprs[expression]);
    }
    if (next == Next::Undecided && frame_->notes_reads && only_notes()) {
      left_open_ = reason_;
      next = Next::Break;
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
  words_tests_ = options.word_tests;
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
