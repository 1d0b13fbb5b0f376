#include "analyze/travelling.h"

#include "analyze/witness.h"

namespace rolewall::analyze {
bool is_of_host(const PacketSpace& space, FieldId field) {
  const auto is_device = [&](Part part) {
    return field == space.field(part) || field == space.field(part) + 1;
  };
  return field == space.state() || is_device(Part::InDevice) || is_device(Part::OutDevice) ||
         field == space.field(Part::Type) || field == space.has_user() || field == space.user() ||
         field == space.has_group() || field == space.group();
}

Answer<Diagram> Travelling::take(Analysis& from, Direction direction, std::span<const Fate> fates,
                                 Diagram packets, Taken taken) {
  return Analysis::within_budget<Diagram>([&] {
    Diagrams& d = from.diagrams();
    PacketSpace& space = from.space();
    const auto all = from.by_choice(direction, fates);
    if (!all) throw BudgetEnded{all.error().why};
    Diagram set = d.both(*all, packets);
    const auto quantified = [&](Quantifier quantifier, const auto& wanted) {
      set = d.quantify(
          set, [&](FieldId field) { return wanted(field) ? quantifier : Quantifier::Keep; });
    };
    const auto kind = [&](FieldId field) { return space.facts(field).kind; };
    if (taken == Taken::Must) {
      set = d.both(set, space.unspent());
      quantified(Quantifier::Any, [&](FieldId field) { return space.facts(field).unspent; });
      // A set's own packets are in it whatever is drawn, others are not.
      quantified(Quantifier::All, [&](FieldId field) { return kind(field) != FieldKind::Packet; });
    } else {
      quantified(Quantifier::Any, [&](FieldId field) { return kind(field) != FieldKind::Packet; });
    }
    quantified(Quantifier::Any, [&](FieldId field) { return is_of_host(space, field); });
    return diagrams_.copy(d, set);
  });
}

std::optional<eval::Packet> Travelling::packet(Diagram set, const Natural& natural) {
  const ruleset::Host nobody;
  // A direction without a device: PACKET_HOST, by no device.
  auto witness = witness_of(diagrams_, space_, nobody, Direction::Send, set, &natural);
  if (!witness) return std::nullopt;
  witness->packet.ct_state.reset();
  return std::move(witness->packet);
}

Diagram with_headers_of(Analysis& analysis, Direction direction, const eval::Packet& packet) {
  Diagrams& d = analysis.diagrams();
  PacketSpace& space = analysis.space();
  const auto values = headers_of(space, direction, packet);
  Diagram all = kEverything;
  for (std::size_t i = values.size(); i-- > 0;) {
    const auto field = static_cast<FieldId>(i);
    if (is_of_host(space, field)) continue;
    all = d.both(d.where(field, values[i], values[i]), all);
  }
  return all;
}

}  // namespace rolewall::analyze
