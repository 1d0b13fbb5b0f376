#include "analyze/rule_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/overloaded.h"
#include "base/visit.h"
#include "ruleset/expr.h"
#include "ruleset/names.h"
#include "ruleset/registers.h"

namespace rolewall::analyze {
namespace {

// An IPv6 packet, its link header, and room to spare.
constexpr std::uint64_t kMostBytes = 70000;

// A table of one family has no packets of the other.
Diagram met_by(ruleset::Family table, const PacketSpace& space) {
  if (table == ruleset::Family::Ip) return space.is_ipv4();
  if (table == ruleset::Family::Ip6) return space.is_ipv6();
  return kEverything;
}

}  // namespace

std::optional<bool> passes_unspent(const ruleset::StatefulExpr& expr) {
  using May = std::optional<bool>;
  return std::visit(Overloaded{[](const ruleset::Limit& limit) -> May {
                                 // nft_limit_init(): of bytes it holds the rate's and the burst.
                                 const bool has_room = limit.unit == ruleset::LimitUnit::Packets ||
                                                       limit.rate + limit.burst >= kMostBytes;
                                 return has_room ? May(!limit.over) : std::nullopt;
                               },
                               [](const ruleset::Connlimit& limit) -> May {
                                 return limit.count != 0 ? May(!limit.over) : std::nullopt;
                               },
                               [](const ruleset::Quota& quota) -> May {
                                 if (quota.consumed >= quota.bytes) return quota.over;
                                 const bool has_room = quota.bytes - quota.consumed >= kMostBytes;
                                 return has_room ? May(!quota.over) : std::nullopt;
                               },
                               [](const ruleset::Counter&) -> May { return true; },
                               [](const ruleset::Last&) -> May { return true; }},
                    expr);
}

std::optional<bool> pass_unspent(std::span<const ruleset::StatefulExpr> exprs) {
  std::optional<bool> all = true;
  for (const ruleset::StatefulExpr& expr : exprs) {
    const std::optional<bool> passes = passes_unspent(expr);
    if (passes == false) return false;
    if (!passes) all.reset();
  }
  return all;
}

RuleRun::RuleRun(Machine& machine, const Machine::Frame& frame, std::uint32_t rule,
                 EnvironmentId environment)
    : machine_(machine),
      diagrams_(machine.diagrams()),
      space_(machine.space()),
      compare_(machine.diagrams()),
      frame_(frame),
      rule_(rule),
      environment_(environment),
      come_(met_by(machine.ruleset().tables[frame.table].family, machine.space())) {}

Diagram RuleRun::from(std::size_t expression) {
  const ruleset::ExprList& exprs =
      machine_.ruleset().tables[frame_.table].chains[frame_.chain].rules[rule_].exprs;
  const Diagram breaks = next();
  Diagram holds = kEverything;  // what has been tested from here on
  for (; expression < exprs.size(); ++expression) {
    expression_ = expression;
    const Step step = execute(exprs[expression]);
    if (const auto* tests = std::get_if<Tests>(&step)) {
      if (!may_be(tests->holds)) return breaks;
      come_ = diagrams_.both(come_, tests->holds);
      holds = diagrams_.both(holds, tests->holds);
    } else if (const auto* ends = std::get_if<Ends>(&step)) {
      return diagrams_.choose(holds, ends->outcome, breaks);
    } else if (const auto* changes = std::get_if<Changes>(&step)) {
      environment_ = machine_.environments().intern(changes->to);
      return diagrams_.choose(holds, from(expression + 1), breaks);
    } else if (const auto* parts = std::get_if<Branches>(&step)) {
      Diagram all = breaks;
      for (const Branch& part : parts->all) {
        if (!may_be(part.packets)) continue;
        RuleRun of = *this;
        of.come_ = diagrams_.both(come_, part.packets);
        if (!part.again) of.store(part.to, part.value);
        all =
            diagrams_.choose(part.packets, of.from(part.again ? expression : expression + 1), all);
      }
      return diagrams_.choose(holds, all, breaks);
    }
  }
  return diagrams_.choose(holds, next(), breaks);
}

std::optional<RuleRun::Step> RuleRun::part_families() {
  if (!may_be(space_.is_ipv4()) || !may_be(space_.is_ipv6())) return std::nullopt;
  Branches parts;
  parts.all.push_back({.packets = space_.is_ipv4(), .again = true, .to = 0, .value = {}});
  parts.all.push_back({.packets = space_.is_ipv6(), .again = true, .to = 0, .value = {}});
  return parts;
}

// --- registers ---------------------------------------------------------------------------------

BitSpan RuleRun::read(ruleset::Register first, std::size_t bytes) const {
  return BitSpan(registers_).subspan(std::size_t{first} * 32, bytes * 8);
}

// nft_data_copy(): what pads the last register is zero.
void RuleRun::store(ruleset::Register first, BitSpan bits) {
  const auto to = registers_.begin() + std::ptrdiff_t{first} * 32;
  std::ranges::copy(bits, to);
  const std::size_t whole = ruleset::padded_size(bits.size() / 8) * 8;
  std::fill(to + static_cast<std::ptrdiff_t>(bits.size()), to + static_cast<std::ptrdiff_t>(whole),
            Bit());
}

std::optional<ruleset::Bytes> RuleRun::known(BitSpan bits) const {
  ruleset::Bytes bytes(bits.size() / 8);
  for (std::size_t i = 0; i < bits.size(); ++i) {
    if (!bits[i].is_known()) return std::nullopt;
    if (bits[i].value()) bytes[i / 8] |= static_cast<std::uint8_t>(0x80 >> i % 8);
  }
  return bytes;
}

// --- what is free ------------------------------------------------------------------------------

FieldId RuleRun::free_here(std::string_view what, unsigned bits, FieldKind kind,
                           std::string_view of) {
  const std::string found =
      kind == FieldKind::NotModelled ? by_packet(Machine::FoundFrom::All) : std::string();
  return machine_.free_at(frame_, rule_,
                          fmt::format("{}, expression {}{}{}", what, expression_ + 1, of, found),
                          bits, kind);
}

Bits RuleRun::free_bits_here(std::string_view what, std::size_t bits) {
  constexpr std::size_t kField = 64;
  Bits all;
  for (std::size_t at = 0; at < bits; at += kField) {
    const auto count = static_cast<unsigned>(std::min(bits - at, kField));
    const Bits some = bits_of(
        free_here(what, count, FieldKind::NotModelled, fmt::format(" (from bit {})", at)), count);
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

Diagram RuleRun::choice(std::string_view what, FieldKind kind, std::string_view of) {
  return diagrams_.where(free_here(what, 1, kind, of), 1, 1);
}

std::string RuleRun::by_packet(Machine::FoundFrom from) const {
  return machine_.shared() == nullptr ? "" : machine_.as_changed(environment_, from);
}

std::string RuleRun::by_key(BitSpan key) const {
  return machine_.shared() == nullptr ? "" : fmt::format(" (key {})", space_.number_of(key));
}

std::string RuleRun::by_element(const ruleset::Set& set, std::size_t index, BitSpan key) const {
  if (machine_.shared() == nullptr) return "";
  const auto first = set.elements.key(index);
  std::vector<std::uint32_t> row(first.begin(), first.end());
  if (!set.elements.key_ends.empty()) {
    const auto last = set.elements.key_end(index);
    row.insert(row.end(), last.begin(), last.end());
  }
  return fmt::format(" (element {}){}", space_.number_of(row), by_key(key));
}

std::string RuleRun::by_contents(const ruleset::Set& set, BitSpan key) const {
  if (machine_.shared() == nullptr) return "";
  const ruleset::Elements& elements = set.elements;
  std::vector<std::uint32_t> row{elements.has_catch_all ? 1U : 0U};
  for (const auto* bytes :
       {&elements.keys, &elements.key_ends, &elements.data, &elements.catch_all_data}) {
    row.push_back(static_cast<std::uint32_t>(bytes->size()));
    row.insert(row.end(), bytes->begin(), bytes->end());
  }
  return fmt::format(" (contents {}){}", space_.number_of(row), by_key(key));
}

Bit RuleRun::free_bit_here(std::string_view what) {
  return Bit::of(free_here(what, 1, FieldKind::NotModelled), 0);
}

Diagram RuleRun::counted(std::string_view what, std::optional<bool> unspent, std::string_view of) {
  const FieldId field = free_here(what, 1, FieldKind::Choice, of);
  if (unspent) space_.set_unspent(field, *unspent ? 1 : 0);
  return diagrams_.where(field, 1, 1);
}

RuleRun::Step RuleRun::load_free(ruleset::Register to, std::size_t bytes, const std::string& name,
                                 FieldKind kind) {
  return load(to, space_.free_bits(name, bytes * 8, kind));
}

// A number in [offset, offset + modulus), in host order.
RuleRun::Step RuleRun::load_drawn(ruleset::Register to, std::string_view what,
                                  std::uint32_t modulus, std::uint32_t offset, FieldKind kind) {
  constexpr std::uint32_t kMostParts = 64;
  if (modulus > kMostParts) {
    const FieldId drawn = free_here(what, 32, FieldKind::NotModelled);
    return load(to, bits_of(drawn, 32));
  }
  const FieldId drawn = free_here(what, 32, kind);
  Branches parts;
  for (std::uint32_t i = 0; i < modulus; ++i) {
    // The last takes what is left, so that every value of the field is one that can come.
    const std::uint64_t last = i + 1 == modulus ? diagrams_.largest(drawn) : i;
    const ruleset::Value number = ruleset::Value::host_u32(offset + i);
    parts.all.push_back({.packets = diagrams_.where(drawn, i, last),
                         .again = false,
                         .to = to,
                         .value = bits_of({number.begin(), number.end()})});
  }
  return parts;
}

// --- tests -------------------------------------------------------------------------------------

RuleRun::Step RuleRun::test(std::optional<Diagram> holds, bool negated) {
  if (!holds) return Tests{choice("a mask of too many values", FieldKind::NotModelled)};
  return Tests{negated ? diagrams_.complement(*holds) : *holds};
}

// Of two rulesets that are compared the packet that comes is one.
Diagram RuleRun::has_option(ruleset::ExthdrKind kind, std::uint8_t type) {
  constexpr std::uint8_t kSegmentSize = 2;  // TCPOPT_MSS
  const std::string what = type == kSegmentSize ? std::string("the TCP option MSS is there")
                                                : fmt::format("TCP option {} is there", type);
  const bool is_as_it_came = machine_.shared() != nullptr && now().headers == 0;
  if (kind != ruleset::ExthdrKind::TcpOption || !is_as_it_came) {
    return choice(what, FieldKind::NotModelled);
  }
  return diagrams_.where(space_.free(what, 1, FieldKind::NotModelled), 1, 1);
}

// Its set may be full, and its element's own expressions may break.
RuleRun::Step RuleRun::run_cmp(const ruleset::Cmp& cmp) {
  const BitSpan bits = read(cmp.source, cmp.value.size);
  const std::span<const std::uint8_t> value(cmp.value.begin(), cmp.value.size);
  switch (cmp.op) {
    case ruleset::CmpOp::Eq:
      return test(compare_.equal(bits, value), false);
    case ruleset::CmpOp::Neq:
      return test(compare_.equal(bits, value), true);
    case ruleset::CmpOp::Lte:
      return test(compare_.at_most(bits, value), false);
    case ruleset::CmpOp::Gt:
      return test(compare_.at_most(bits, value), true);
    case ruleset::CmpOp::Gte:
      return test(compare_.at_least(bits, value), false);
    case ruleset::CmpOp::Lt:
      return test(compare_.at_least(bits, value), true);
  }
  return Goes{};
}

RuleRun::Step RuleRun::run_range(const ruleset::Range& range) {
  // Each end by its own size, which verify() holds to be one.
  return test(
      compare_.between(read(range.source, range.from.size), {range.from.begin(), range.from.size},
                       {range.to.begin(), range.to.size}),
      range.negated);
}

// --- arithmetic --------------------------------------------------------------------------------

// Whole units of `size`; of 8 bytes each begins 4 after the last, as kernels before 6.12.117 have
// it (nft_byteorder_eval()).
RuleRun::Step RuleRun::run_byteorder(const ruleset::Byteorder& op) {
  if (op.size == 2 && op.length == 2) {
    // Some kernels clear what stands beside it.
    const BitSpan beside = read(op.destination, 4).subspan(16);
    if (std::ranges::any_of(beside, [](Bit bit) { return bit != Bit(); })) {
      return load(op.destination, free_bits_here("byteorder of two bytes beside others", 32));
    }
  }
  Registers source = registers_;
  const std::size_t step = op.size == 8 ? 4 : op.size;
  for (std::size_t i = 0; i < op.length / op.size; ++i) {
    const std::size_t from = std::size_t{op.source} * 32 + i * step * 8;
    const std::size_t to = std::size_t{op.destination} * 32 + i * op.size * 8;
    // Within one call the source may have been written to already.
    if (op.source == op.destination && op.size == 8) source = registers_;
    for (std::size_t byte = 0; byte < op.size; ++byte) {
      std::copy_n(source.begin() + static_cast<std::ptrdiff_t>(from + byte * 8), 8,
                  registers_.begin() + static_cast<std::ptrdiff_t>(to + (op.size - 1 - byte) * 8));
    }
  }
  return Goes{};
}

// Word by word, each a number in host order, the first the highest (nft_bitwise_eval_lshift()).
RuleRun::Step RuleRun::run_shift(const ruleset::BitwiseShift& op) {
  const std::size_t words = ruleset::registers_in(op.length);
  const Registers source = registers_;
  // Bit `n` of word `w`, counted from its lowest: little-endian bytes, each highest bit first.
  const auto place = [](std::size_t first, std::size_t word, std::size_t n) {
    return (first + word) * 32 + n / 8 * 8 + (7 - n % 8);
  };
  for (std::size_t word = 0; word < words; ++word) {
    for (std::size_t n = 0; n < 32; ++n) {
      // As one long number: bit n of word w has the weight of (words - 1 - w) * 32 + n.
      const auto weight = static_cast<std::ptrdiff_t>((words - 1 - word) * 32 + n);
      const bool left = op.direction == ruleset::ShiftDirection::Left;
      const std::ptrdiff_t wanted =
          left ? weight - std::ptrdiff_t{op.bits} : weight + std::ptrdiff_t{op.bits};
      Bit bit;
      if (wanted >= 0 && wanted < static_cast<std::ptrdiff_t>(words * 32)) {
        const std::size_t from = words - 1 - static_cast<std::size_t>(wanted) / 32;
        bit = source[place(op.source, from, static_cast<std::size_t>(wanted) % 32)];
      }
      registers_[place(op.destination, word, n)] = bit;
    }
  }
  return Goes{};
}

namespace {

// Where one of both is known, or both are the same; else it is neither's bit.
std::optional<Bit> combined(ruleset::BitwiseOp op, Bit a, Bit b) {
  if (!a.is_known()) std::swap(a, b);
  switch (op) {
    case ruleset::BitwiseOp::And:
      if (a.is_known()) return a.value() ? b : a;
      return a == b ? std::optional(a) : std::nullopt;
    case ruleset::BitwiseOp::Or:
      if (a.is_known()) return a.value() ? a : b;
      return a == b ? std::optional(a) : std::nullopt;
    case ruleset::BitwiseOp::Xor:
      if (a.is_known()) return a.value() ? b.turned() : b;
      return a == b ? std::optional(Bit()) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

RuleRun::Step RuleRun::run_registers(const ruleset::BitwiseRegisters& op) {
  const std::size_t bytes = ruleset::padded_size(op.length);
  Bits result;
  for (std::size_t i = 0; i < bytes * 8; ++i) {
    const auto bit = combined(op.op, read(op.source, bytes)[i], read(op.other, bytes)[i]);
    if (bit) {
      result.push_back(*bit);
    } else {
      const FieldId field =
          free_here(fmt::format("bit {} of two fields together", i), 1, FieldKind::NotModelled);
      result.push_back(Bit::of(field, 0));
    }
  }
  return load(op.destination, result);
}

// --- one expression ----------------------------------------------------------------------------

RuleRun::Step RuleRun::execute(const ruleset::Expr& expr) {
  using FoundFrom = Machine::FoundFrom;
  return visit_closed(
      Overloaded{
          [&](const ruleset::Payload& load) { return run_payload(load); },
          [&](const ruleset::Meta& load) { return run_meta(load); },
          [&](const ruleset::Ct& load) { return run_ct(load); },
          [&](const ruleset::Exthdr& load) -> Step {
            // Options and extension headers are not in the space: they may be there or not.
            const std::string of_headers = machine_.as_changed(environment_, FoundFrom::Headers);
            if (load.present) {
              Bits bit(8);
              bit.back() = Bit::of(
                  space_.free(fmt::format("an option of kind {}/{} is there{}",
                                          static_cast<int>(load.kind), load.type, of_headers),
                              1, FieldKind::NotModelled),
                  0);
              store(load.destination, bit);
              // Of another protocol's packet nothing is said.
              return Tests{choice("it may have such options", FieldKind::NotModelled)};
            }
            const std::string name =
                fmt::format("option {}/{}, bytes {} on{}", static_cast<int>(load.kind), load.type,
                            load.offset, of_headers);
            store(load.destination,
                  space_.free_bits(name, std::size_t{load.length} * 8, FieldKind::NotModelled));
            return Tests{choice("the option is there", FieldKind::NotModelled)};
          },
          [&](const ruleset::Fib& fib) -> Step {
            const bool present = (fib.flags & ruleset::fib_flag::kPresent) != 0;
            const std::size_t size =
                present ? 1
                        : (fib.result == ruleset::FibResult::OifName ? std::size_t{16}
                                                                     : std::size_t{4});
            // Of another packet than the one that came they may say something else.
            const std::string name =
                fmt::format("what the routes say of it ({}/{}){}", static_cast<int>(fib.result),
                            fib.flags, machine_.as_changed(environment_, FoundFrom::Routing));
            return load_free(fib.destination, size, name, FieldKind::NotModelled);
          },
          [&](const ruleset::Rt& rt) -> Step {
            const std::size_t size = rt.key == ruleset::RtKey::Xfrm       ? 1
                                     : rt.key == ruleset::RtKey::TcpMss   ? 2
                                     : rt.key == ruleset::RtKey::NextHop6 ? 16
                                                                          : 4;
            store(
                rt.destination,
                space_.free_bits(fmt::format("its route ({}){}", static_cast<int>(rt.key),
                                             machine_.as_changed(environment_, FoundFrom::Routing)),
                                 size * 8, FieldKind::NotModelled));
            return Tests{choice("it has a route", FieldKind::NotModelled)};
          },
          [&](const ruleset::Socket& socket) -> Step {
            const bool bit = socket.key == ruleset::SocketKey::Transparent ||
                             socket.key == ruleset::SocketKey::Wildcard;
            const std::string changed = machine_.as_changed(environment_, FoundFrom::Headers);
            const std::string name = fmt::format(
                "its local socket ({}/{}){}", static_cast<int>(socket.key), socket.level, changed);
            if (bit) {
              Bits value(8);
              value.back() = Bit::of(space_.free(name, 1, FieldKind::Choice), 0);
              store(socket.destination, value);
            } else {
              const std::size_t size = socket.key == ruleset::SocketKey::CgroupV2 ? 8 : 4;
              store(socket.destination, space_.free_bits(name, size * 8, FieldKind::NotModelled));
            }
            return Tests{diagrams_.where(
                space_.free("it has a local socket" + changed, 1, FieldKind::Choice), 1, 1)};
          },
          [&](const ruleset::Osf& osf) -> Step {
            store(osf.destination,
                  space_.free_bits("its operating system" +
                                       machine_.as_changed(environment_, FoundFrom::Headers),
                                   128, FieldKind::NotModelled));
            return Tests{choice("it looks like a SYN of some system", FieldKind::NotModelled)};
          },
          [&](const ruleset::Numgen& numgen) {
            return load_drawn(numgen.destination, "numgen", numgen.modulus, numgen.offset,
                              FieldKind::Choice);
          },
          [&](const ruleset::JenkinsHash& hash) {
            // A function of what it hashes: not every draw goes with every packet.
            return load_drawn(hash.destination, "jhash", hash.modulus, hash.offset,
                              FieldKind::NotModelled);
          },
          [&](const ruleset::SymmetricHash& hash) {
            return load_drawn(hash.destination, "symhash", hash.modulus, hash.offset,
                              FieldKind::NotModelled);
          },
          [&](const ruleset::Tunnel& tunnel) -> Step {
            if (tunnel.key != ruleset::TunnelKey::Id) {
              Bits bit(8);
              bit.back() =
                  Bit::of(space_.free("it came through a tunnel", 1, FieldKind::NotModelled), 0);
              return load(tunnel.destination, bit);
            }
            return load_free(tunnel.destination, 4, "the number of its tunnel",
                             FieldKind::NotModelled);
          },
          [&](const ruleset::Xfrm& xfrm) -> Step {
            const std::string name =
                fmt::format("what IPsec has done with it ({}/{}/{})", static_cast<int>(xfrm.key),
                            static_cast<int>(xfrm.direction), xfrm.index);
            const bool of_ipv6 =
                xfrm.key == ruleset::XfrmKey::Daddr6 || xfrm.key == ruleset::XfrmKey::Saddr6;
            return load_free(xfrm.destination, of_ipv6 ? 16 : 4, name, FieldKind::NotModelled);
          },
          [&](const ruleset::Immediate& immediate) -> Step {
            return load(immediate.destination,
                        bits_of({immediate.value.begin(), immediate.value.end()}));
          },
          [&](const ruleset::BitwiseMask& op) -> Step {
            const std::size_t bytes = ruleset::padded_size(op.length);
            const BitSpan source = read(op.source, bytes);
            Bits result(source.begin(), source.end());
            for (std::size_t i = 0; i < result.size(); ++i) {
              const unsigned shift = 7 - i % 8;
              if ((op.mask.bytes[i / 8] >> shift & 1) == 0) result[i] = Bit();
              if ((op.xor_with.bytes[i / 8] >> shift & 1) != 0) result[i] = result[i].turned();
            }
            return load(op.destination, result);
          },
          [&](const ruleset::BitwiseShift& op) { return run_shift(op); },
          [&](const ruleset::BitwiseRegisters& op) { return run_registers(op); },
          [&](const ruleset::Byteorder& op) { return run_byteorder(op); },
          [&](const ruleset::Cmp& cmp) { return run_cmp(cmp); },
          [&](const ruleset::Range& range) { return run_range(range); },
          [&](const ruleset::Lookup& lookup) { return run_lookup(lookup); },
          [&](const ruleset::Counter&) -> Step { return Goes{}; },
          [&](const ruleset::Limit& limit) -> Step {
            return Tests{counted("limit", passes_unspent(limit))};
          },
          [&](const ruleset::Connlimit& limit) -> Step {
            return Tests{counted("ct count", passes_unspent(limit))};
          },
          [&](const ruleset::Quota& quota) -> Step {
            return Tests{counted("quota", passes_unspent(quota))};
          },
          [&](const ruleset::Last&) -> Step { return Goes{}; },
          [&](const ruleset::Dynset& dynset) -> Step { return run_dynset(dynset); },
          [&](const ruleset::ImmediateVerdict& immediate) -> Step {
            switch (immediate.verdict.code) {
              case ruleset::VerdictCode::Continue:
                return Goes{};
              case ruleset::VerdictCode::Break:
                return Tests{kNothing};
              case ruleset::VerdictCode::Accept:
              case ruleset::VerdictCode::Drop:
              case ruleset::VerdictCode::Queue:
              case ruleset::VerdictCode::Jump:
              case ruleset::VerdictCode::Goto:
              case ruleset::VerdictCode::Return:
                return Ends{verdict(immediate.verdict)};
            }
            return Goes{};
          },
          [&](const ruleset::MetaSet& set) { return run_meta_set(set); },
          [&](const ruleset::CtSet& set) { return run_ct_set(set); },
          [&](const ruleset::PayloadWrite& write) { return run_payload_write(write); },
          // Options are not in the space; where there is none it breaks.
          [&](const ruleset::ExthdrWrite& write) -> Step {
            const Left left{
                .where = fmt::format("option {}/{}", static_cast<int>(write.kind), write.type),
                .is_header = true,
                .how = fmt::format("bytes {}+{}", write.offset, write.length),
                .bits = codes_of(read(write.source, write.length))};
            return Ends{rest_for(has_option(write.kind, write.type), leaving(left))};
          },
          [&](const ruleset::ExthdrReset& reset) -> Step {
            const Left left{
                .where = fmt::format("option {}/{}", static_cast<int>(reset.kind), reset.type),
                .is_header = true,
                .how = "is taken away"};
            return Ends{rest_for(has_option(reset.kind, reset.type), leaving(left))};
          },
          [&](const ruleset::Log& log) -> Step { return run_log(log); },
          [&](const ruleset::Reject& reject) { return run_reject(reject); },
          [&](const ruleset::Notrack&) { return run_notrack(); },
          [&](const ruleset::Nat& nat) { return run_nat(nat); },
          [&](const ruleset::Masquerade& nat) { return run_masquerade(nat); },
          [&](const ruleset::Redirect& nat) { return run_redirect(nat); },
          [&](const ruleset::Tproxy& tproxy) { return run_tproxy(tproxy); },
          [&](const ruleset::Synproxy& synproxy) { return run_synproxy(synproxy); },
          [&](const ruleset::Dup& dup) { return run_dup(dup); },
          [&](const ruleset::Fwd&) -> Step { return Ends{decided(Fate::Stack)}; },
          [&](const ruleset::ObjectRef& reference) {
            return run_object(reference.type, reference.name);
          },
          [&](const ruleset::ObjectLookup&) -> Step {
            // Which object it finds, and whether that lets the packet go on.
            return Tests{choice("the object that a map gives", FieldKind::NotModelled)};
          },
          [&](const ruleset::XtMatch& match) { return run_xt_match(match); },
          [&](const ruleset::XtTarget& target) { return run_xt_target(target); },
          [&](const ruleset::Unsupported& unsupported) { return run_unsupported(unsupported); },
      },
      static_cast<const ruleset::ExprVariant&>(expr));
}

}  // namespace rolewall::analyze
