#include "analyze/packet_space.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "net/ipv6_extensions.h"
#include "net/protocol.h"
#include "ruleset/loads.h"

namespace rolewall::analyze {
namespace {

namespace protocol = net::protocol;
namespace ct_state = ruleset::ct_state;

constexpr std::uint64_t kIpv4Header = 20;
constexpr std::uint64_t kIpv6Header = 40;
constexpr std::uint64_t kLargestType = 3;  // PACKET_OTHERHOST

// ipv6_ext_hdr() of net/ipv6/exthdrs_core.c: AH, and that nothing follows, too.
bool is_extension_header(std::uint64_t number) {
  constexpr std::uint64_t kAuthentication = 51;
  constexpr std::uint64_t kNoNext = 59;
  return net::is_ipv6_extension(static_cast<std::uint8_t>(number)) || number == kAuthentication ||
         number == kNoNext;
}

constexpr std::array<std::uint64_t, 5> kStates{ct_state::kInvalid, ct_state::kEstablished,
                                               ct_state::kRelated, ct_state::kNew,
                                               ct_state::kUntracked};

std::uint64_t header_size(std::uint8_t of) {
  switch (of) {
    case protocol::kTcp:
      return 20;
    case protocol::kSctp:
      return 12;
    case protocol::kUdp:
    case protocol::kUdpLite:
    case protocol::kIcmp:
    case protocol::kIcmpv6:
      return 8;
    default:
      return 0;
  }
}

// tcp_valid_flags[] and tcp_new() of nf_conntrack_proto_tcp.c, a SYN begins a connection; with
// tcp_loose an ACK is taken for the middle of one.
bool begins_connection(std::uint64_t flags, bool loose) {
  constexpr std::uint64_t kFin = 1, kSyn = 2, kRst = 4, kAck = 16, kUrg = 32;
  const std::uint64_t asked = flags & (kFin | kSyn | kRst | kAck | kUrg);
  const bool middle = asked == kAck || asked == (kAck | kUrg);
  return asked == kSyn || asked == (kSyn | kUrg) || (loose && middle);
}

// valid_new[] of nf_conntrack_proto_icmp.c and of _icmpv6.c; noct_valid_new[] of the latter.
std::uint64_t icmp_state(std::uint64_t type) {
  return type == 8 || type == 13 || type == 15 || type == 17 ? ct_state::kNew : ct_state::kInvalid;
}
std::uint64_t icmpv6_state(std::uint64_t type) {
  if ((type >= 130 && type <= 136) || type == 143 || type == 151 || type == 152) {
    return ct_state::kUntracked;
  }
  return type == 128 || type == 139 ? ct_state::kNew : ct_state::kInvalid;
}

}  // namespace

PacketSpace::PacketSpace(Diagrams& diagrams, bool loose, FieldOrder order) : diagrams_(diagrams) {
  // What few rules tell apart goes first, then what most rules ask about: measured.
  add_part(Part::Family, "family", 8);
  state_ = add("ct state", 8, FieldKind::Packet);
  add_part(Part::InDevice, "iifname", 128);
  add_part(Part::OutDevice, "oifname", 128);
  add_part(Part::Protocol, "protocol", 8);
  if (order == FieldOrder::PortsFirst) add_ports();
  add_addresses();
  if (order == FieldOrder::AddressesFirst) add_ports();
  add_part(Part::Flags, "tcp flags", 8);
  add_part(Part::Transport4, "transport bytes 4-7", 32);
  add_part(Part::Transport8, "transport bytes 8-11", 32);
  add_part(Part::Transport12, "transport byte 12", 8);
  add_part(Part::Transport14, "transport bytes 14-15", 16);
  add_part(Part::Transport16, "transport bytes 16-17", 16);
  add_part(Part::Transport18, "transport bytes 18-19", 16);
  add_part(Part::TrafficClass, "traffic class", 8);
  add_part(Part::FlowLabel, "flow label", 20);
  add_part(Part::DontFragment, "df", 1);
  add_part(Part::TimeToLive, "ttl", 8);
  add_part(Part::Identification, "ip id", 16);
  add_part(Part::Length, "length", 16);
  add_part(Part::Type, "pkttype", 8);
  has_user_ = add("has a user", 1, FieldKind::Packet);
  user_ = add("skuid", 32, FieldKind::Packet);
  has_group_ = add("has a group", 1, FieldKind::Packet);
  group_ = add("skgid", 32, FieldKind::Packet);
  for (const Part zero : {Part::Mark, Part::Priority, Part::CtMark, Part::CtStatus}) {
    parts_[static_cast<std::size_t>(zero)].assign(32, Bit());
  }
  parts_[static_cast<std::size_t>(Part::CtLabels)].assign(128, Bit());
  const auto known = [&](Part part, std::size_t bits, const char* name) {
    parts_[static_cast<std::size_t>(part)] = free_bits(name, bits, FieldKind::NotModelled);
  };
  known(Part::KnownMark, 32, "ct mark of a known connection");
  known(Part::KnownLabels, 128, "ct label of a known connection");
  ipv4_ = is(Part::Family, family::kIpv4);
  ipv6_ = is(Part::Family, family::kIpv6);
  build_packets();
  build_first_packets(loose);
}

void PacketSpace::add_addresses() {
  add_part(Part::Destination4, "ip daddr", 32);
  add_part(Part::Destination6, "ip6 daddr", 128, kAddressField);
  add_part(Part::Source4, "ip saddr", 32);
  add_part(Part::Source6, "ip6 saddr", 128, kAddressField);
}

void PacketSpace::add_ports() {
  add_part(Part::Transport2, "dport", 16);
  add_part(Part::Transport0, "sport", 16);
}

FieldId PacketSpace::add(std::string name, unsigned bits, FieldKind kind) {
  const FieldId field = diagrams_.add_field(bits);
  facts_.push_back({kind, std::move(name)});
  return field;
}

void PacketSpace::add_part(Part part, std::string_view name, unsigned bits, unsigned each) {
  const auto index = static_cast<std::size_t>(part);
  for (unsigned at = 0; at < bits; at += each) {
    const unsigned count = std::min(bits - at, each);
    const FieldId field =
        add(at == 0 ? std::string(name) : fmt::format("{}, from bit {}", name, at), count,
            FieldKind::Packet);
    if (at == 0) part_fields_[index] = field;
    const Bits some = bits_of(field, count);
    parts_[index].insert(parts_[index].end(), some.begin(), some.end());
  }
}

FieldId PacketSpace::free(const std::string& name, unsigned bits, FieldKind kind) {
  const std::pair key(name, bits);
  if (const auto had = free_.find(key); had != free_.end()) return had->second;
  const FieldId field = add(name, bits, kind);
  free_.emplace(key, field);
  return field;
}

Diagram PacketSpace::unspent() {
  Diagram all = kEverything;
  // From the last field up: each is put above what there is.
  for (std::size_t i = facts_.size(); i-- > 0;) {
    const auto& unspent = facts_[i].unspent;
    if (!unspent) continue;
    all = diagrams_.both(diagrams_.where(static_cast<FieldId>(i), *unspent, *unspent), all);
  }
  return all;
}

Bits PacketSpace::free_bits(const std::string& name, std::size_t bits, FieldKind kind) {
  Bits all;
  for (std::size_t at = 0; at < bits; at += 64) {
    const auto count = static_cast<unsigned>(std::min<std::size_t>(bits - at, 64));
    const Bits some = bits_of(
        free(at == 0 ? name : fmt::format("{}, from bit {}", name, at), count, kind), count);
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

std::uint32_t PacketSpace::number_of(const std::vector<std::uint32_t>& row) {
  return rows_.emplace(row, static_cast<std::uint32_t>(rows_.size()) + 1).first->second;
}

std::uint32_t PacketSpace::number_of(BitSpan bits) {
  std::vector<std::uint32_t> row;
  row.reserve(bits.size());
  for (const Bit bit : bits) row.push_back(bit.code());
  return number_of(row);
}

FieldId PacketSpace::first_address(std::span<const net::Address> own) {
  std::string all;
  for (const net::Address& address : own) {
    all += fmt::format("{}{}", all.empty() ? "" : ", ", net::format(address));
  }
  return free(fmt::format("which of {} is the first of the device that it came by", all), 32,
              FieldKind::NotModelled);
}

Diagram PacketSpace::is(Part part, std::uint64_t value) {
  return diagrams_.where(field(part), value, value);
}

Diagram PacketSpace::has_length(std::uint64_t bytes) {
  const std::uint64_t most = diagrams_.largest(field(Part::Length));
  if (bytes > most) return kNothing;
  return diagrams_.where(field(Part::Length), bytes, most);
}

Diagram PacketSpace::extended() {
  std::vector<Values> headers;
  for (std::uint64_t number = 0; number < 256; ++number) {
    if (is_extension_header(number)) headers.push_back({number, number});
  }
  return diagrams_.both(ipv6_, diagrams_.where(field(Part::Protocol), headers));
}

void PacketSpace::build_packets() {
  Diagrams& d = diagrams_;
  const auto of_family = [&](Diagram family, std::uint64_t header) {
    std::vector<Diagram> protocols;
    std::vector<Values> others;
    for (unsigned number = 0; number < 256; ++number) {
      const auto size = header_size(static_cast<std::uint8_t>(number));
      if (size == 0) {
        others.push_back({number, number});
        continue;
      }
      Diagram of = d.both(is(Part::Protocol, number), has_length(header + size));
      // Its header has 20 bytes: no options.
      if (number == protocol::kTcp) of = d.both(of, is(Part::Transport12, 0x50));
      protocols.push_back(of);
    }
    if (header == kIpv6Header) {
      std::erase_if(others, [](const Values& value) { return is_extension_header(value.first); });
    }
    protocols.push_back(d.both(d.where(field(Part::Protocol), others), has_length(header)));
    return d.both(family, d.union_of(std::move(protocols)));
  };
  packets_ = d.either(of_family(ipv4_, kIpv4Header), of_family(ipv6_, kIpv6Header));
  packets_ = d.both(packets_, d.where(field(Part::Type), 0, kLargestType));
  // A device's name begins with a character; without one there is no device.
  for (const Part device : {Part::InDevice, Part::OutDevice}) {
    const FieldId first = field(device);
    const Diagram none = d.both(d.where(first, 0, 0), d.where(first + 1, 0, 0));
    const Diagram named = d.where(first, std::uint64_t{1} << 56, d.largest(first));
    packets_ = d.both(packets_, d.either(none, named));
  }
  std::vector<Values> states;
  for (const std::uint64_t state : kStates) states.push_back({state, state});
  packets_ = d.both(packets_, d.where(state_, states));
}

void PacketSpace::build_first_packets(bool loose) {
  Diagrams& d = diagrams_;
  const auto state = [&](std::uint64_t value) { return d.where(state_, value, value); };
  const auto by_value = [&](Part part, unsigned shift, auto state_of) {
    // The field's highest byte decides.
    std::vector<Diagram> all;
    for (std::uint64_t value = 0; value < 256; ++value) {
      const std::uint64_t first = value << shift;
      all.push_back(d.both(d.where(field(part), first, first | ((std::uint64_t{1} << shift) - 1)),
                           state(state_of(value))));
    }
    return d.union_of(std::move(all));
  };
  const Diagram tcp = by_value(Part::Flags, 0, [&](std::uint64_t flags) {
    return begins_connection(flags, loose) ? ct_state::kNew : ct_state::kInvalid;
  });
  const Diagram invalid = state(ct_state::kInvalid);
  const Diagram fresh = state(ct_state::kNew);
  const Diagram icmp = d.choose(ipv4_, by_value(Part::Transport0, 8, icmp_state), invalid);
  const Diagram icmpv6 = d.choose(ipv6_, by_value(Part::Transport0, 8, icmpv6_state), invalid);
  Diagram all = fresh;
  const auto of = [&](std::uint8_t number, Diagram states) {
    all = d.choose(is(Part::Protocol, number), states, all);
  };
  of(protocol::kTcp, tcp);
  of(protocol::kIcmp, icmp);
  of(protocol::kIcmpv6, icmpv6);
  for (const std::uint8_t either : {protocol::kSctp, protocol::kUdpLite, protocol::kGre}) {
    of(either, d.either(fresh, invalid));
  }
  first_packets_ = d.both(packets_, all);
}

}  // namespace rolewall::analyze
