// Comparisons of bits that stand for fields.
//
// Bits are taken in runs: known ones, or neighbours of one field in its own order. A run compares
// as a number: the values of its field for which it lies in an interval are again intervals, one
// for each value of the field's bits above the run, widened by the bits below it. What has several
// runs (a concatenation, an address of two fields) compares by the first, and where that is equal
// by the rest.
//
// equal() gathers what all runs ask of each field before it lists intervals, so that a mask of many
// bits costs one list.
#include "analyze/bits.h"

#include <algorithm>
#include <bit>
#include <map>

namespace rolewall::analyze {
namespace {

std::uint64_t low_bits(unsigned count) {
  return count == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
}

bool bit_of(std::span<const std::uint8_t> value, std::size_t index) {
  return (value[index / 8] >> (7 - index % 8) & 1) != 0;
}

// Of the bits of `value` from `from` on, as a number. REQUIRES: at most 64.
std::uint64_t number_at(std::span<const std::uint8_t> value, std::size_t from, std::size_t count) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < count; ++i) number = number << 1 | (bit_of(value, from + i) ? 1 : 0);
  return number;
}

struct Asked {
  std::uint64_t mask = 0;
  std::uint64_t value = 0;
};

// Every value whose bits under the mask are these. Empty: too many intervals.
std::vector<Values> masked_values(const Asked& asked, std::uint64_t largest) {
  const auto width = static_cast<unsigned>(std::bit_width(largest));
  const unsigned below =
      asked.mask == 0 ? width : static_cast<unsigned>(std::countr_zero(asked.mask));
  const std::uint64_t free = largest & ~asked.mask & ~low_bits(below);
  if (std::uint64_t{1} << std::min(std::popcount(free), 63) > Comparison::kMostIntervals) return {};
  std::vector<Values> all;
  std::uint64_t chosen = 0;
  do {  // the subsets of `free` in their order
    const std::uint64_t first = asked.value | chosen;
    const std::uint64_t last = first | low_bits(below);
    if (!all.empty() && all.back().last + 1 == first) {
      all.back().last = last;
    } else {
      all.push_back({first, last});
    }
    chosen = (chosen - free) & free;
  } while (chosen != 0);
  return all;
}

}  // namespace

Bits bits_of(std::span<const std::uint8_t> bytes) {
  Bits bits;
  bits.reserve(bytes.size() * 8);
  for (std::size_t i = 0; i < bytes.size() * 8; ++i) bits.push_back(Bit::known(bit_of(bytes, i)));
  return bits;
}

Bits bits_of(FieldId field, unsigned count) {
  Bits bits;
  bits.reserve(count);
  for (unsigned i = count; i-- > 0;) bits.push_back(Bit::of(field, i));
  return bits;
}

std::optional<Diagram> Comparison::equal(BitSpan bits, std::span<const std::uint8_t> value) {
  std::map<FieldId, Asked, std::greater<>> asked;  // the lowest in the order first
  for (std::size_t i = 0; i < bits.size(); ++i) {
    const bool wanted = bit_of(value, i);
    const Bit bit = bits[i];
    if (bit.is_known()) {
      if (bit.value() != wanted) return kNothing;
      continue;
    }
    Asked& of = asked[bit.field()];
    const std::uint64_t mask = std::uint64_t{1} << bit.index();
    const bool set = wanted != bit.is_turned();
    if ((of.mask & mask) != 0 && ((of.value & mask) != 0) != set) return kNothing;
    of.mask |= mask;
    if (set) of.value |= mask;
  }
  Diagram all = kEverything;
  for (const auto& [field, of] : asked) {
    const std::vector<Values> values = masked_values(of, diagrams_.largest(field));
    if (values.empty()) return std::nullopt;
    all = diagrams_.both(diagrams_.where(field, values), all);
  }
  return all;
}

Comparison::Run Comparison::run_at(BitSpan bits) {
  Run run;
  const Bit first = bits.front();
  run.known = first.is_known();
  if (run.known) {
    for (; run.count < bits.size() && run.count < 64 && bits[run.count].is_known(); ++run.count) {
      run.value = run.value << 1 | (bits[run.count].value() ? 1 : 0);
    }
    return run;
  }
  run.field = first.field();
  run.turned = first.is_turned();
  unsigned next = first.index();
  while (run.count < bits.size()) {
    const Bit bit = bits[run.count];
    if (bit.is_known() || bit.field() != run.field || bit.is_turned() != run.turned ||
        bit.index() != next) {
      break;
    }
    run.low = next;
    ++run.count;
    if (next == 0) break;
    --next;
  }
  return run;
}

std::optional<Diagram> Comparison::within(const Run& run, std::uint64_t first, std::uint64_t last) {
  if (run.known) return run.value >= first && run.value <= last ? kEverything : kNothing;
  const std::uint64_t most = low_bits(static_cast<unsigned>(run.count));
  if (run.turned) {
    const std::uint64_t turned_first = most - last;
    last = most - first;
    first = turned_first;
  }
  const auto high = static_cast<unsigned>(run.low + run.count);
  const std::uint64_t above = high == 64 ? 0 : diagrams_.largest(run.field) >> high;
  if (above >= kMostIntervals) return std::nullopt;
  std::vector<Values> values;
  for (std::uint64_t i = 0; i <= above; ++i) {
    const std::uint64_t upper = high == 64 ? 0 : i << high;
    const std::uint64_t from = upper | first << run.low;
    const std::uint64_t to = upper | last << run.low | low_bits(run.low);
    if (!values.empty() && values.back().last + 1 == from) {
      values.back().last = to;
    } else {
      values.push_back({from, to});
    }
  }
  return diagrams_.where(run.field, values);
}

std::optional<Diagram> Comparison::ordered(BitSpan bits, std::span<const std::uint8_t> value,
                                           bool below) {
  struct Part {
    Diagram decides = kNothing;  // by this run alone
    Diagram equals = kNothing;
  };
  std::vector<Part> parts;
  for (std::size_t at = 0; at < bits.size();) {
    const Run run = run_at(bits.subspan(at));
    const std::uint64_t number = number_at(value, at, run.count);
    const std::uint64_t most = low_bits(static_cast<unsigned>(run.count));
    Part part;
    if (below ? number > 0 : number < most) {
      const auto decides = below ? within(run, 0, number - 1) : within(run, number + 1, most);
      if (!decides) return std::nullopt;
      part.decides = *decides;
    }
    const auto equals = within(run, number, number);
    if (!equals) return std::nullopt;
    part.equals = *equals;
    parts.push_back(part);
    at += run.count;
  }
  Diagram all = kEverything;  // equal is enough
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    all = diagrams_.either(part->decides, diagrams_.both(part->equals, all));
  }
  return all;
}

std::optional<Diagram> Comparison::at_most(BitSpan bits, std::span<const std::uint8_t> value) {
  return ordered(bits, value, true);
}

std::optional<Diagram> Comparison::at_least(BitSpan bits, std::span<const std::uint8_t> value) {
  return ordered(bits, value, false);
}

std::optional<Diagram> Comparison::between(BitSpan bits, std::span<const std::uint8_t> first,
                                           std::span<const std::uint8_t> last) {
  // The usual key is one whole field, or a part of one.
  if (!bits.empty()) {
    const Run run = run_at(bits);
    if (run.count == bits.size()) {
      const std::uint64_t from = number_at(first, 0, run.count);
      const std::uint64_t to = number_at(last, 0, run.count);
      return from > to ? kNothing : within(run, from, to);
    }
  }
  const auto from = at_least(bits, first);
  const auto to = at_most(bits, last);
  if (!from || !to) return std::nullopt;
  return diagrams_.both(*from, *to);
}

}  // namespace rolewall::analyze
