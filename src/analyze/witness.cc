// Packets of bytes from values of fields, and back. Where a set leaves a choice, the packet is the
// one that a reader expects: TCP before UDP before ICMP, a SYN, from an ephemeral port, from an
// address of the documentation's networks, to the host's own.
#include "analyze/witness.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "analyze/header_bits.h"
#include "base/check.h"
#include "net/protocol.h"
#include "ruleset/loads.h"

namespace rolewall::analyze {
namespace {

namespace protocol = net::protocol;
namespace ct_state = ruleset::ct_state;

constexpr std::uint8_t kTcpHeaderLength = 0x50;  // without options

std::uint16_t be16_at(const std::vector<std::uint8_t>& bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}
void put16(std::vector<std::uint8_t>& bytes, std::size_t at, std::uint32_t number) {
  bytes[at] = static_cast<std::uint8_t>(number >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(number);
}

// RFC 1071.
std::uint32_t sum_of(const std::vector<std::uint8_t>& bytes, std::size_t from, std::size_t to) {
  std::uint32_t sum = 0;
  for (std::size_t i = from; i < to; ++i) sum += (i - from) % 2 == 0 ? bytes[i] << 8U : bytes[i];
  return sum;
}
std::uint16_t folded(std::uint32_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

void set_checksums(std::vector<std::uint8_t>& bytes, bool ipv6, std::uint8_t number) {
  const std::size_t transport = ip_header_size(ipv6);
  std::size_t at = 0;
  switch (number) {
    case protocol::kTcp:
      at = transport + 16;
      break;
    case protocol::kUdp:
      put16(bytes, transport + 4, static_cast<std::uint32_t>(bytes.size() - transport));
      at = transport + 6;
      break;
    case protocol::kIcmp:
    case protocol::kIcmpv6:
      at = transport + 2;
      break;
    default:
      break;
  }
  if (at != 0) {
    put16(bytes, at, 0);
    std::uint32_t sum = sum_of(bytes, transport, bytes.size());
    if (number != protocol::kIcmp && !(number == protocol::kIcmpv6 && !ipv6)) {
      const std::size_t addresses = ipv6 ? 8 : 12;
      sum += sum_of(bytes, addresses, transport) + number +
             static_cast<std::uint32_t>(bytes.size() - transport);
    }
    const std::uint16_t checksum = folded(sum);
    put16(bytes, at, checksum == 0 && number == protocol::kUdp ? 0xffffU : checksum);
  }
  if (!ipv6) {
    put16(bytes, 10, 0);
    put16(bytes, 10, folded(sum_of(bytes, 0, kIpv4HeaderSize)));
  }
}

std::uint64_t half_of_name(std::string_view name, std::size_t half) {
  std::uint64_t value = 0;
  for (std::size_t i = half * 8; i < half * 8 + 8; ++i) {
    value = value << 8 | (i < name.size() ? static_cast<std::uint8_t>(name[i]) : 0);
  }
  return value;
}

std::string name_of(std::uint64_t first, std::uint64_t second) {
  std::string name;
  for (const std::uint64_t half : {first, second}) {
    for (int byte = 7; byte >= 0; --byte) {
      const auto c = static_cast<char>(half >> byte * 8 & 0xff);
      if (c == '\0') return name;
      name += c;
    }
  }
  return name;
}

// Whether its lengths and checksums are what they should be (a UDP packet may have none).
bool is_sound(const std::vector<std::uint8_t>& bytes, bool ipv6) {
  const std::size_t transport = ip_header_size(ipv6);
  const std::uint8_t number = bytes[ipv6 ? 6 : 9];
  std::vector<std::uint8_t> right = bytes;
  const std::size_t needed = number == protocol::kTcp ? 20 : 8;
  if (right.size() >= transport + needed) {
    set_checksums(right, ipv6, number);
    const std::size_t checksum = transport + 6;
    if (number == protocol::kUdp && bytes[checksum] == 0 && bytes[checksum + 1] == 0) {
      right[checksum] = 0;
      right[checksum + 1] = 0;
    }
  } else if (!ipv6) {
    put16(right, 10, 0);
    put16(right, 10, folded(sum_of(right, 0, kIpv4HeaderSize)));
  }
  return right == bytes;
}

// Whether the values of the fields are a packet's.
bool is_packet(Diagrams& diagrams, PacketSpace& space, const std::vector<std::uint64_t>& values) {
  return diagrams.at(space.packets(), [&](FieldId field) { return values[field]; }) ==
         value_of(kEverything);
}

}  // namespace

std::vector<std::uint64_t> headers_of(const PacketSpace& space, Direction direction,
                                      const eval::Packet& packet) {
  const bool ipv6 = eval::is_ipv6(packet);
  const std::uint32_t header = ip_header_size(ipv6);
  const std::vector<std::uint8_t>& bytes = packet.bytes;
  if (packet.missing != 0 || bytes.size() < header) return {};
  if (ipv6 ? bytes[0] >> 4 != 6 : bytes[0] != 0x45) return {};
  const std::size_t length = ipv6 ? header + be16_at(bytes, 4) : be16_at(bytes, 2);
  if (length != bytes.size()) return {};
  if (!ipv6 && (be16_at(bytes, 6) & 0xbfff) != 0) return {};  // a fragment
  if (!is_sound(bytes, ipv6)) return {};
  std::vector<std::uint64_t> values(space.group() + 1, 0);
  for (std::uint32_t bit = 0; bit < length * 8 && bit < (header + 20) * 8; ++bit) {
    const HeaderBit at = header_bit(ipv6, bit);
    if (at.kind != HeaderBit::Kind::OfPart) continue;
    if ((bytes[bit / 8] >> (7 - bit % 8) & 1) == 0) continue;
    const Bit of = space.part(at.part)[at.bit];
    values[of.field()] |= std::uint64_t{1} << of.index();
  }
  values[space.field(Part::Family)] = ipv6 ? family::kIpv6 : family::kIpv4;
  values[space.field(Part::Length)] = length;
  values[space.field(Part::Type)] = static_cast<std::uint64_t>(packet.type);
  const auto set_device = [&](Part part, std::string_view name) {
    values[space.field(part)] = half_of_name(name, 0);
    values[space.field(part) + 1] = half_of_name(name, 1);
  };
  if (direction == Direction::Arrive) set_device(Part::InDevice, packet.in_device);
  set_device(Part::OutDevice, packet.out_device);
  values[space.has_user()] = packet.user ? 1 : 0;
  values[space.user()] = packet.user.value_or(0);
  values[space.has_group()] = packet.group ? 1 : 0;
  values[space.group()] = packet.group.value_or(0);
  return values;
}

std::vector<std::uint64_t> values_of(Diagrams& diagrams, PacketSpace& space, Direction direction,
                                     const eval::Packet& packet) {
  std::vector<std::uint64_t> values = headers_of(space, direction, packet);
  if (values.empty()) return {};
  if (packet.ct_state) {
    values[space.state()] = *packet.ct_state;
    return is_packet(diagrams, space, values) ? values : std::vector<std::uint64_t>{};
  }
  // Where it may be this or that, by bytes that are no fields, nothing is said.
  std::optional<std::uint64_t> only;
  for (const std::uint64_t state : {ct_state::kNew, ct_state::kInvalid, ct_state::kUntracked}) {
    values[space.state()] = state;
    const bool fits = diagrams.at(space.first_packets(), [&](FieldId field) {
      return values[field];
    }) == value_of(kEverything);
    if (!fits) continue;
    if (only) return {};
    only = state;
  }
  if (!only) return {};
  values[space.state()] = *only;
  return values;
}

namespace {

// What is tried first, by field.
class Preferences {
 public:
  Preferences(PacketSpace& space, const ruleset::Host& host, Direction direction,
              const Natural* natural) {
    const auto want = [&](FieldId field, std::vector<std::uint64_t> values) {
      if (wanted_.size() <= field) wanted_.resize(field + 1);
      wanted_[field] = std::move(values);
    };
    want(space.state(), {ct_state::kNew, ct_state::kUntracked, ct_state::kInvalid});
    want(space.field(Part::Protocol),
         {protocol::kTcp, protocol::kUdp, protocol::kIcmp, protocol::kIcmpv6});
    want(space.field(Part::Transport0), {40000, 0x0800, 0x8000, 0});
    std::vector<std::uint64_t> ports{443, 22, 80, 53, 8080};
    if (natural != nullptr) ports.insert(ports.end(), natural->ports.begin(), natural->ports.end());
    ports.insert(ports.end(), {50000, 0});
    want(space.field(Part::Transport2), std::move(ports));
    want(space.field(Part::Flags), {0x02, 0x10, 0x12});
    want(space.field(Part::Transport4), {1, 0x00010001});
    want(space.field(Part::Transport12), {kTcpHeaderLength, 0});
    want(space.field(Part::Transport14), {64240, 0});
    want(space.field(Part::TimeToLive), {64});
    want(space.field(Part::Identification), {1});
    want(space.field(Part::Length), {64, 84, 1280});
    want_addresses(space, host, direction, natural, want);
    want_devices(space, host, direction, want);
  }

  std::span<const std::uint64_t> operator()(FieldId field) const {
    return field < wanted_.size() ? std::span<const std::uint64_t>(wanted_[field])
                                  : std::span<const std::uint64_t>();
  }

 private:
  static void put_first(const std::vector<net::Address>& addresses,
                        std::vector<std::uint64_t>& ipv4, std::vector<net::Uint128>& ipv6) {
    std::size_t count4 = 0;
    std::size_t count6 = 0;
    for (const net::Address& address : addresses) {
      if (const auto* of4 = std::get_if<net::Ipv4>(&address)) {
        ipv4.insert(ipv4.begin() + static_cast<std::ptrdiff_t>(count4++), of4->value);
      } else {
        const net::Uint128 value = std::get<net::Ipv6>(address).value;
        ipv6.insert(ipv6.begin() + static_cast<std::ptrdiff_t>(count6++), value);
      }
    }
  }

  template <class Want>
  static void want_addresses(PacketSpace& space, const ruleset::Host& host, Direction direction,
                             const Natural* natural, const Want& want) {
    std::vector<std::uint64_t> far4{0xc0000201, 0xc6336401, 0xcb007101};         // RFC 5737
    std::vector<net::Uint128> far6{net::Uint128{0x20010db8ffff0000} << 64 | 1};  // RFC 3849
    std::vector<std::uint64_t> own4;
    std::vector<net::Uint128> own6;
    for (const net::Prefix& prefix : host.addresses) {
      const net::Address first = net::first(prefix);
      if (const auto* ipv4 = std::get_if<net::Ipv4>(&first)) {
        own4.push_back(ipv4->value);
      } else {
        own6.push_back(std::get<net::Ipv6>(first).value);
      }
    }
    const bool arrives = direction == Direction::Arrive;
    auto& to4 = arrives ? own4 : far4;
    auto& to6 = arrives ? own6 : far6;
    auto& from4 = arrives ? far4 : own4;
    auto& from6 = arrives ? far6 : own6;
    if (natural != nullptr) {
      put_first(natural->destinations, to4, to6);
      put_first(natural->sources, from4, from6);
    }
    want(space.field(Part::Destination4), to4);
    want(space.field(Part::Source4), from4);
    for (unsigned i = 0; i < 128 / kAddressField; ++i) {
      const auto part_of = [&](const std::vector<net::Uint128>& addresses) {
        std::vector<std::uint64_t> parts;
        for (const net::Uint128 address : addresses) {
          parts.push_back(static_cast<std::uint32_t>(address >> (128 - kAddressField * (i + 1))));
        }
        return parts;
      };
      want(space.field(Part::Destination6) + i, part_of(to6));
      want(space.field(Part::Source6) + i, part_of(from6));
    }
  }

  template <class Want>
  static void want_devices(PacketSpace& space, const ruleset::Host& host, Direction direction,
                           const Want& want) {
    std::vector<std::uint64_t> first;
    std::vector<std::uint64_t> second;
    const auto add = [&](std::string device) {
      if (device.ends_with('*')) device.back() = '0';
      first.push_back(half_of_name(device, 0));
      second.push_back(half_of_name(device, 1));
    };
    for (const ruleset::Interface& interface : host.interfaces) add(interface.device);
    if (host.interfaces.empty()) add("eth0");  // any may be meant
    second.push_back(0);
    if (direction == Direction::Arrive) {
      want(space.field(Part::InDevice), first);
      want(space.field(Part::InDevice) + 1, second);
      first.insert(first.begin(), 0);
      second.insert(second.begin(), 0);
    }
    want(space.field(Part::OutDevice), first);
    want(space.field(Part::OutDevice) + 1, second);
  }

  std::vector<std::vector<std::uint64_t>> wanted_;
};

eval::Packet packet_of(PacketSpace& space, const std::vector<std::uint64_t>& values,
                       Direction direction) {
  const bool ipv6 = values[space.field(Part::Family)] == family::kIpv6;
  const std::uint32_t header = ip_header_size(ipv6);
  const auto length = static_cast<std::uint32_t>(values[space.field(Part::Length)]);
  eval::Packet packet;
  packet.ether_type = ipv6 ? eval::kEtherTypeIpv6 : eval::kEtherTypeIpv4;
  packet.bytes.resize(std::max(length, header));
  for (std::uint32_t bit = 0; bit < packet.bytes.size() * 8 && bit < (header + 20) * 8; ++bit) {
    const HeaderBit at = header_bit(ipv6, bit);
    bool set = at.is_set;
    if (at.kind == HeaderBit::Kind::OfPart) {
      const Bit of = space.part(at.part)[at.bit];
      set = (values[of.field()] >> of.index() & 1) != 0;
    } else if (at.kind == HeaderBit::Kind::Derived) {
      continue;
    }
    if (set) packet.bytes[bit / 8] |= static_cast<std::uint8_t>(0x80 >> bit % 8);
  }
  if (ipv6) put16(packet.bytes, 4, length - header);
  const auto number = static_cast<std::uint8_t>(values[space.field(Part::Protocol)]);
  set_checksums(packet.bytes, ipv6, number);
  const auto device = [&](Part part) {
    return name_of(values[space.field(part)], values[space.field(part) + 1]);
  };
  if (direction == Direction::Arrive) packet.in_device = device(Part::InDevice);
  packet.out_device = device(Part::OutDevice);
  packet.type = static_cast<eval::PacketType>(values[space.field(Part::Type)]);
  if (values[space.has_user()] != 0) {
    packet.user = static_cast<std::uint32_t>(values[space.user()]);
  }
  if (values[space.has_group()] != 0) {
    packet.group = static_cast<std::uint32_t>(values[space.group()]);
  }
  return packet;
}

// Of fields that the way does not ask about, what is wanted first.
std::vector<std::uint64_t> values_on(const Diagrams::Way& way, const Preferences& wanted,
                                     std::size_t fields) {
  std::vector<std::uint64_t> values(fields, 0);
  for (FieldId field = 0; field < fields; ++field) {
    if (!wanted(field).empty()) values[field] = wanted(field).front();
  }
  for (const Diagrams::Step& step : way) {
    if (step.field < fields) values[step.field] = step.values.first;
  }
  return values;
}

}  // namespace

std::vector<std::uint64_t> natural_values(Diagrams& diagrams, PacketSpace& space,
                                          const ruleset::Host& host, Direction direction,
                                          Diagram set, const Natural& natural) {
  const Preferences wanted(space, host, direction, &natural);
  const auto way = diagrams.way_to(set, value_of(kEverything), wanted);
  CHECK(way, "the set is not empty");
  return values_on(*way, wanted, diagrams.field_count());
}

std::optional<Witness> witness_of(Diagrams& diagrams, PacketSpace& space, const ruleset::Host& host,
                                  Direction direction, Diagram set, const Natural* natural) {
  const Preferences wanted(space, host, direction, natural);
  const auto way =
      diagrams.way_to(diagrams.both(set, space.packets()), value_of(kEverything), wanted);
  if (!way) return std::nullopt;
  Witness witness;
  const std::vector<std::uint64_t> values = values_on(*way, wanted, space.group() + 1);
  for (const Diagrams::Step& step : *way) {
    if (step.field >= values.size()) {
      witness.choices.push_back(
          fmt::format("{}: {}", space.facts(step.field).name, step.values.first));
    }
  }
  witness.packet = packet_of(space, values, direction);
  // Conntrack's word is left to it where it has only one.
  const std::vector<std::uint64_t> again = values_of(diagrams, space, direction, witness.packet);
  if (again.empty() || again[space.state()] != values[space.state()]) {
    witness.packet.ct_state = static_cast<std::uint32_t>(values[space.state()]);
  }
  return witness;
}

}  // namespace rolewall::analyze
