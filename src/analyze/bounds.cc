#include "analyze/bounds.h"

#include <algorithm>

#include "base/overloaded.h"
#include "ruleset/expr.h"
#include "ruleset/registers.h"

namespace rolewall::analyze {
namespace {

std::uint64_t big_endian(std::span<const std::uint8_t> bytes) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) value = value << 8 | byte;
  return value;
}

// The first `bytes` of a value that has them.
std::optional<std::uint64_t> first_of(const ruleset::Value& value, std::size_t bytes) {
  if (value.size < bytes) return std::nullopt;
  return big_endian(std::span(value.bytes).first(bytes));
}

bool apart(const Values& a, const Values& b) {
  return a.last < b.first || b.last < a.first;
}

// What a register holds: the part's first field, of which packets have these values.
struct Loaded {
  ruleset::Register where = 0;
  std::size_t bytes = 0;
  Values values;
};

}  // namespace

Bounds::Bounds(Diagrams& diagrams, const PacketSpace& space, Diagram packets) : space_(space) {
  const auto fields = diagrams.fields(packets);
  for (FieldId field = 0; field < diagrams.field_count(); ++field) {
    fields_.push_back({0, diagrams.largest(field)});
  }
  for (const FieldId field : fields) {
    // Device names and what is free are not asked about here.
    if (space.facts(field).kind != FieldKind::Packet || diagrams.largest(field) >> 32 != 0)
      continue;
    const Diagram alone = diagrams.quantify(packets, [&](FieldId other) {
      return other == field ? Quantifier::Keep : Quantifier::Any;
    });
    if (is_terminal(alone)) continue;
    const auto runs = diagrams.runs(alone, field);
    const auto has = [](const Diagrams::Run& run) { return run.then == kEverything; };
    const auto first = std::ranges::find_if(runs, has);
    const auto last = std::find_if(runs.rbegin(), runs.rend(), has);
    fields_[field] = {first->values.first, last->values.last};
  }
}

std::optional<Values> Bounds::of_bits(BitSpan bits) const {
  if (bits.empty() || bits.size() > 32 || bits.front().is_known()) return std::nullopt;
  const FieldId field = bits.front().field();
  for (std::size_t i = 0; i < bits.size(); ++i) {
    if (bits[i] != Bit::of(field, static_cast<unsigned>(bits.size() - 1 - i))) return std::nullopt;
  }
  if (field >= fields_.size() || fields_[field].last >> bits.size() != 0) return std::nullopt;
  return fields_[field];
}

bool Bounds::refuse(const ruleset::ExprList& exprs, const Environment& environment) const {
  std::optional<Loaded> loaded;
  // `bytes` of the part, from its first on; as an IPv6 address, its first word.
  const auto load = [&](ruleset::Register to, Part part, std::size_t bytes) {
    loaded.reset();
    const Bits& bits = environment.part(part);
    if (bits.size() < bytes * 8) return;
    if (const auto values = of_bits(BitSpan(bits).first(bytes * 8))) {
      loaded = Loaded{to, bytes, *values};
    }
  };
  const Values family = fields_[space_.field(Part::Family)];
  const bool ipv4 = family.last == family::kIpv4;
  const bool ipv6 = family.first == family::kIpv6;
  for (const ruleset::Expr& expr : exprs) {
    if (const auto* meta = std::get_if<ruleset::Meta>(&expr)) {
      loaded.reset();
      if (meta->key == ruleset::MetaKey::L4Proto) load(meta->destination, Part::Protocol, 1);
      if (meta->key == ruleset::MetaKey::NfProto) load(meta->destination, Part::Family, 1);
    } else if (const auto* payload = std::get_if<ruleset::Payload>(&expr)) {
      loaded.reset();
      const auto is = [&](ruleset::PayloadBase base, std::uint32_t offset, std::uint32_t length) {
        return payload->base == base && payload->offset == offset && payload->length == length;
      };
      const ruleset::Register to = payload->destination;
      if (ipv4 && is(ruleset::PayloadBase::Network, 12, 4)) load(to, Part::Source4, 4);
      if (ipv4 && is(ruleset::PayloadBase::Network, 16, 4)) load(to, Part::Destination4, 4);
      if (ipv6 && is(ruleset::PayloadBase::Network, 8, 16)) load(to, Part::Source6, 4);
      if (ipv6 && is(ruleset::PayloadBase::Network, 24, 16)) load(to, Part::Destination6, 4);
      if (is(ruleset::PayloadBase::Transport, 0, 2)) load(to, Part::Transport0, 2);
      if (is(ruleset::PayloadBase::Transport, 2, 2)) load(to, Part::Transport2, 2);
    } else if (const auto* ct = std::get_if<ruleset::Ct>(&expr)) {
      if (loaded && loaded->where == ct->destination) loaded.reset();
    } else if (const auto* mask = std::get_if<ruleset::BitwiseMask>(&expr)) {
      if (!loaded || mask->source != loaded->where || mask->destination != loaded->where) {
        loaded.reset();
        continue;
      }
      // A prefix keeps their order.
      const auto kept = first_of(mask->mask, loaded->bytes);
      const auto turned = first_of(mask->xor_with, loaded->bytes);
      const std::uint64_t whole = (std::uint64_t{1} << loaded->bytes * 8) - 1;
      const std::uint64_t gone = kept ? whole & ~*kept : 0;
      if (!kept || !turned || *turned != 0 || (gone & (gone + 1)) != 0) {
        loaded.reset();
        continue;
      }
      loaded->values = {loaded->values.first & *kept, loaded->values.last & *kept};
    } else if (const auto* cmp = std::get_if<ruleset::Cmp>(&expr)) {
      if (!loaded || cmp->source != loaded->where) continue;
      // Of a shorter value the first bytes alone are compared: not gone into.
      const auto value = first_of(cmp->value, loaded->bytes);
      if (!value) continue;
      const Values one{*value, *value};
      if (cmp->op == ruleset::CmpOp::Eq && apart(one, loaded->values)) return true;
      const bool is_whole = cmp->value.size == loaded->bytes;
      if (cmp->op == ruleset::CmpOp::Neq && is_whole && loaded->values == one) return true;
    } else if (const auto* range = std::get_if<ruleset::Range>(&expr)) {
      if (!loaded || range->source != loaded->where || range->negated) continue;
      const auto first = first_of(range->from, loaded->bytes);
      const auto last = first_of(range->to, loaded->bytes);
      if (first && last && apart({*first, *last}, loaded->values)) return true;
    } else if (!std::holds_alternative<ruleset::Counter>(expr)) {
      return false;  // it may have an effect, or write registers
    }
  }
  return false;
}

std::vector<std::optional<Values>> Bounds::of_key(const ruleset::Set& set, BitSpan key) const {
  std::vector<std::optional<Values>> all;
  if (set.key.size() == 1) {
    all.push_back(of_bits(key));
    return all;
  }
  std::size_t at = 0;
  for (const ruleset::KeyField& field : set.key) {
    all.push_back(of_bits(key.subspan(at * 8, std::size_t{field.size} * 8)));
    at += ruleset::padded_size(field.size);
  }
  return all;
}

bool Bounds::refuse(const ruleset::Set& set, std::span<const std::optional<Values>> key,
                    std::span<const std::uint8_t> first, std::span<const std::uint8_t> last) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const std::size_t size = key.size() == 1 ? first.size() : set.key[i].size;
    if (key[i] && size <= 4) {
      const Values values{big_endian(first.subspan(at, size)), big_endian(last.subspan(at, size))};
      if (apart(values, *key[i])) return true;
    }
    at += ruleset::padded_size(static_cast<std::uint32_t>(size));
  }
  return false;
}

}  // namespace rolewall::analyze
