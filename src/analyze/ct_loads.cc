// What a rule loads of the packet's connection: net/netfilter/nft_ct.c. Of a connection's first
// packet all is known; of one that was known before, what earlier packets made is free.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "analyze/header_bits.h"
#include "analyze/rule_run.h"
#include "net/protocol.h"
#include "ruleset/load_size.h"
#include "ruleset/names.h"

namespace rolewall::analyze {
namespace {

using ruleset::CtKey;
namespace ct_state = ruleset::ct_state;
namespace protocol = net::protocol;

Bits state_word(std::uint32_t state) {
  const ruleset::Value word = ruleset::Value::host_u32(state);
  return bits_of({word.begin(), word.end()});
}

Bits followed_by_zeros(const Bits& bits, std::size_t bytes) {
  Bits all(bits.begin(),
           bits.begin() + static_cast<std::ptrdiff_t>(std::min(bits.size(), bytes * 8)));
  all.resize(bytes * 8);
  return all;
}

}  // namespace

// What comes over the loopback bears what was found on its way out, before a hook looks again.
Diagram RuleRun::carries_connection() {
  return *compare_.equal(now().part(Part::InDevice), device_name("lo"));
}

RuleRun::Step RuleRun::run_ct(const ruleset::Ct& load) {
  const Environment& now = this->now();
  const bool may_carry = now.tracked == Tracked::NotYet && may_be(carries_connection());
  if (load.key != CtKey::State) {
    if (now.tracked == Tracked::Yes) return run_ct_entry(load);
    if (!may_carry) return Tests{kNothing};
    Branches carried;
    const auto family = machine_.ruleset().tables[frame_.table].family;
    carried.all.push_back({.packets = carries_connection(),
                           .again = false,
                           .to = load.destination,
                           .value = of_known_connection(
                               load.key, load.direction ? static_cast<int>(*load.direction) : -1,
                               ruleset::load_size(load.key, family) * 8)});
    return carried;
  }
  switch (now.tracked) {
    case Tracked::NotYet:
      if (may_carry) {
        Branches parts;
        parts.all.push_back({.packets = diagrams_.complement(carries_connection()),
                             .again = false,
                             .to = load.destination,
                             .value = state_word(ct_state::kInvalid)});
        parts.all.push_back({.packets = carries_connection(),
                             .again = false,
                             .to = load.destination,
                             .value = space_.free_bits("the state that output found of it", 32,
                                                       FieldKind::NotModelled)});
        return parts;
      }
      return RuleRun::load(load.destination, state_word(ct_state::kInvalid));
    case Tracked::Never:
      return RuleRun::load(load.destination, state_word(ct_state::kUntracked));
    case Tracked::InZone:
      return RuleRun::load(load.destination, state_word(ct_state::kNew));
    case Tracked::Yes:
      break;
  }
  Bits word = bits_of(space_.state(), 8);  // the lowest byte stands first
  word.resize(32);
  return RuleRun::load(load.destination, word);
}

Bits RuleRun::of_known_connection(CtKey key, int direction, std::size_t bits) {
  return space_.free_bits(
      fmt::format("ct {} of a known connection ({})", ruleset::name_of(key), direction), bits,
      FieldKind::NotModelled);
}

// `value` for a connection's first packet.
RuleRun::Step RuleRun::part_directions(const ruleset::Ct& load, const Bits& value) {
  const int direction = load.direction ? static_cast<int>(*load.direction) : -1;
  return part_by_age(load, value, of_known_connection(load.key, direction, value.size()));
}

RuleRun::Step RuleRun::part_by_age(const ruleset::Ct& load, const Bits& of_new,
                                   const Bits& of_known) {
  const FieldId state = space_.state();
  const auto is = [&](std::uint64_t what) { return diagrams_.where(state, what, what); };
  const Diagram before = diagrams_.either(is(ct_state::kEstablished), is(ct_state::kRelated));
  Branches parts;
  parts.all.push_back(
      {.packets = is(ct_state::kNew), .again = false, .to = load.destination, .value = of_new});
  if (!may_be(before)) return parts;
  parts.all.push_back(
      {.packets = before, .again = false, .to = load.destination, .value = of_known});
  return parts;
}

RuleRun::Step RuleRun::run_ct_port(const ruleset::Ct& load) {
  const bool source =
      (load.key == CtKey::ProtoSource) != (load.direction == ruleset::CtDirection::Reply);
  const auto of = [&](std::uint8_t number) { return space_.is(Part::Protocol, number); };
  const Diagram ports =
      diagrams_.either(diagrams_.either(of(protocol::kTcp), of(protocol::kUdp)),
                       diagrams_.either(of(protocol::kSctp), of(protocol::kUdpLite)));
  const Diagram echoes = diagrams_.either(of(protocol::kIcmp), of(protocol::kIcmpv6));
  if (all_are(ports)) {
    const bool reply = load.direction == ruleset::CtDirection::Reply;
    const TuplePart original = source ? TuplePart::SourcePort : TuplePart::DestinationPort;
    const Part translated = source ? Part::Transport0 : Part::Transport2;
    return part_directions(
        load, reply ? now().part(translated) : now().original[static_cast<std::size_t>(original)]);
  }
  if (all_are(echoes) || all_are(of(protocol::kGre))) {
    // An identifier, a type and code, a call: not gone into.
    const std::string name = fmt::format(
        "ct port {} of ICMP or GRE{}", source,
        load.direction == ruleset::CtDirection::Reply
            ? " (reply)" + machine_.as_changed(environment_, Machine::FoundFrom::Headers)
            : "");
    return part_directions(load, space_.free_bits(name, 16, FieldKind::NotModelled));
  }
  const Diagram gre = of(protocol::kGre);
  const Diagram named = diagrams_.either(diagrams_.either(ports, echoes), gre);
  if (!may_be(named)) return part_directions(load, Bits(16));
  Branches parts;
  for (const Diagram group : {ports, echoes, gre, diagrams_.complement(named)}) {
    parts.all.push_back({.packets = group, .again = true, .to = 0, .value = {}});
  }
  return parts;
}

RuleRun::Step RuleRun::run_ct_entry(const ruleset::Ct& load) {
  if (auto parted = part_families()) return *std::move(parted);
  const bool ipv6 = is_ipv6();
  const bool ipv4_alone = load.key == CtKey::SourceIp || load.key == CtKey::DestinationIp;
  const bool ipv6_alone = load.key == CtKey::SourceIp6 || load.key == CtKey::DestinationIp6;
  if (ipv6 ? ipv4_alone : ipv6_alone) return Tests{kNothing};
  const Environment& now = this->now();
  const bool reply = load.direction == ruleset::CtDirection::Reply;
  const std::size_t size =
      ruleset::load_size(load.key, machine_.ruleset().tables[frame_.table].family);
  const auto address = [&](bool source) {
    // The answer goes the other way, between the addresses that the packet now has.
    if (reply) {
      const Part part = source ? (ipv6 ? Part::Destination6 : Part::Destination4)
                               : (ipv6 ? Part::Source6 : Part::Source4);
      return now.part(part);
    }
    const TuplePart part = source ? (ipv6 ? TuplePart::Source6 : TuplePart::Source4)
                                  : (ipv6 ? TuplePart::Destination6 : TuplePart::Destination4);
    return now.original[static_cast<std::size_t>(part)];
  };
  const auto free = [&] {
    const std::string_view of = !load.direction ? "" : reply ? " (reply)" : " (original)";
    return space_.free_bits(fmt::format("ct {}{}", ruleset::name_of(load.key), of), size * 8,
                            FieldKind::NotModelled);
  };
  const std::array<Values, 3> kKnown{{{2, 2}, {4, 4}, {8, 8}}};
  const Diagram has_entry = diagrams_.where(space_.state(), kKnown);
  switch (load.key) {
    case CtKey::L3Protocol:
      store(load.destination, space_.part(Part::Family));
      return Tests{has_entry};
    case CtKey::Protocol:
      store(load.destination, now.part(Part::Protocol));
      return Tests{has_entry};
    case CtKey::Direction:
      return part_directions(load, Bits(8));
    case CtKey::Status:
      return part_directions(load, now.part(Part::CtStatus));
    case CtKey::Mark:
      return part_by_age(load, now.part(Part::CtMark), now.part(Part::KnownMark));
    case CtKey::Labels:
      return part_by_age(load, now.part(Part::CtLabels), now.part(Part::KnownLabels));
    case CtKey::Source:
    case CtKey::SourceIp:
    case CtKey::SourceIp6:
      return part_directions(load, followed_by_zeros(address(true), size));
    case CtKey::Destination:
    case CtKey::DestinationIp:
    case CtKey::DestinationIp6:
      return part_directions(load, followed_by_zeros(address(false), size));
    case CtKey::ProtoSource:
    case CtKey::ProtoDestination:
      return run_ct_port(load);
    case CtKey::Packets:
    case CtKey::Bytes:
    case CtKey::AvgPacket:
    case CtKey::Zone:
    case CtKey::Expiration:
    case CtKey::SecMark:
    case CtKey::EventMask:
    case CtKey::Id:
      store(load.destination, free());
      return Tests{has_entry};
    case CtKey::Helper: {
      // Of the connection that has expected this one, if one has.
      const Diagram before =
          diagrams_.where(space_.state(), std::array<Values, 2>{{{2, 2}, {4, 4}}});
      store(load.destination, free());
      return Tests{diagrams_.both(before, choice("it has a helper", FieldKind::NotModelled))};
    }
    case CtKey::State:
      break;
  }
  return Goes{};
}

}  // namespace rolewall::analyze
