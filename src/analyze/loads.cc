// What a rule loads from the packet and from what travels beside it: net/netfilter/nft_payload.c
// and nft_meta.c. A load that fails breaks the rule.
#include <fmt/format.h>

#include <algorithm>

#include "analyze/header_bits.h"
#include "analyze/rule_run.h"
#include "net/protocol.h"
#include "ruleset/load_size.h"
#include "ruleset/names.h"

namespace rolewall::analyze {
namespace {

using ruleset::Hook;
using ruleset::MetaKey;
using ruleset::PayloadBase;

constexpr std::size_t kDeviceNameSize = 16;

bool is_on_the_way_out(Hook hook) {
  return hook == Hook::Output || hook == Hook::Postrouting || hook == Hook::Egress;
}

// A number's bits as a register holds it where the host writes it.
Bits in_host_order(BitSpan number) {
  Bits bits;
  for (std::size_t byte = number.size() / 8; byte-- > 0;) {
    bits.insert(bits.end(), number.begin() + static_cast<std::ptrdiff_t>(byte * 8),
                number.begin() + static_cast<std::ptrdiff_t>(byte * 8 + 8));
  }
  return bits;
}

Bits host_number(std::uint32_t number, std::size_t bytes) {
  const ruleset::Value value = ruleset::Value::host_u32(number);
  return bits_of(std::span<const std::uint8_t>(value.begin(), bytes));
}

// The bytes of a transport header that follow from the packet's others: lengths and checksums. (Of
// ICMP's checksum every value can come, whatever else is asked: its sequence number is free.)
struct DerivedBytes {
  std::uint8_t protocol;
  std::uint32_t from;
  std::uint32_t to;
};
constexpr std::array<DerivedBytes, 4> kDerivedBytes{{{net::protocol::kTcp, 16, 18},
                                                     {net::protocol::kUdp, 4, 8},
                                                     {net::protocol::kUdpLite, 4, 8},
                                                     {net::protocol::kSctp, 8, 12}}};

}  // namespace

RuleRun::Step RuleRun::run_payload(const ruleset::Payload& load) {
  using FoundFrom = Machine::FoundFrom;
  const auto free_bits = [&] {
    return space_.free_bits(fmt::format("{} bytes of the {} header from {} on{}", load.length,
                                        ruleset::name_of(load.base), load.offset,
                                        machine_.as_changed(environment_, FoundFrom::Headers)),
                            std::size_t{load.length} * 8, FieldKind::NotModelled);
  };
  if (load.base == PayloadBase::Link || load.base == PayloadBase::Inner) {
    store(load.destination, free_bits());
    return Tests{choice("it has such a header", FieldKind::NotModelled)};
  }
  if (auto parted = part_families()) return *std::move(parted);
  const bool ipv6 = is_ipv6();
  const std::uint32_t start =
      (load.base == PayloadBase::Transport ? ip_header_size(ipv6) : 0) + load.offset;
  const Environment& now = this->now();
  bool derived = false;
  Bits bits;
  for (std::uint32_t i = 0; i < load.length * 8; ++i) {
    const HeaderBit bit = header_bit(ipv6, start * 8 + i);
    switch (bit.kind) {
      case HeaderBit::Kind::OfPart:
        bits.push_back(now.part(bit.part)[bit.bit]);
        break;
      case HeaderBit::Kind::Known:
        bits.push_back(Bit::known(bit.is_set));
        break;
      case HeaderBit::Kind::Derived:
        derived = true;
        bits.emplace_back();
        break;
    }
  }
  for (const DerivedBytes& row : kDerivedBytes) {
    const std::uint32_t from = ip_header_size(ipv6) + row.from;
    const std::uint32_t to = ip_header_size(ipv6) + row.to;
    const bool overlaps = start < to && start + load.length > from;
    if (overlaps && may_be(space_.is(Part::Protocol, row.protocol))) derived = true;
  }
  if (derived) bits = free_bits();
  store(load.destination, bits);
  const Diagram long_enough = space_.has_length(start + load.length);
  if (all_are(long_enough)) return Goes{};
  return Tests{long_enough};
}

// Of another device another number.
std::string RuleRun::of_device(Part part) const {
  const Bits& device = now().part(part);
  if (device == space_.part(part)) return "";
  return fmt::format(" (device {})", space_.number_of(device));
}

// The number of a device, or what else is known of it alone.
RuleRun::Step RuleRun::run_index(const ruleset::Meta& load) {
  constexpr std::uint32_t kLoopbackIndex = 1;  // net/core/dev.c
  const bool in = load.key == MetaKey::Iif;
  const Part part = in ? Part::InDevice : Part::OutDevice;
  const Bits& device = now().part(part);
  Branches parts;
  Diagram others = kEverything;
  const auto add = [&](std::string_view name, std::uint32_t index) {
    const Diagram is = *compare_.equal(device, device_name(name));
    parts.all.push_back(
        {.packets = is, .again = false, .to = load.destination, .value = host_number(index, 4)});
    others = diagrams_.minus(others, is);
  };
  add("", 0);
  add("lo", kLoopbackIndex);
  for (const ruleset::Interface& interface : machine_.host().interfaces) {
    if (interface.index != 0 && interface.device != "lo") add(interface.device, interface.index);
  }
  // Of a device that the host's description does not number: any but the loopback's.
  const FieldId index = space_.free(
      fmt::format("the index of its {} device{}", in ? "input" : "output", of_device(part)), 32,
      FieldKind::NotModelled);
  constexpr std::uint64_t kLoopbackInMemory = 0x01000000;  // as the register's bytes are read
  const Diagram is_loopbacks = diagrams_.where(index, kLoopbackInMemory, kLoopbackInMemory);
  constexpr std::uint32_t kAnother = 0x7fffffff;
  parts.all.push_back({.packets = diagrams_.minus(others, is_loopbacks),
                       .again = false,
                       .to = load.destination,
                       .value = bits_of(index, 32)});
  parts.all.push_back({.packets = diagrams_.both(others, is_loopbacks),
                       .again = false,
                       .to = load.destination,
                       .value = host_number(kAnother, 4)});
  return parts;
}

RuleRun::Step RuleRun::run_device_fact(const ruleset::Meta& load) {
  constexpr std::uint32_t kLoopbackType = 772;  // ARPHRD_LOOPBACK
  const bool in =
      load.key == MetaKey::IifGroup || load.key == MetaKey::IifKind || load.key == MetaKey::IifType;
  const bool kind = load.key == MetaKey::IifKind || load.key == MetaKey::OifKind;
  const bool type = load.key == MetaKey::IifType || load.key == MetaKey::OifType;
  const std::size_t size = ruleset::load_size(load.key);
  const Part part = in ? Part::InDevice : Part::OutDevice;
  const Bits unknown =
      space_.free_bits(fmt::format("{}{}", ruleset::name_of(load.key), of_device(part)), size * 8,
                       FieldKind::NotModelled);
  // The device of the packet's buffer may be any.
  if (load.key == MetaKey::IifType && is_on_the_way_out(frame_.hook)) {
    return RuleRun::load(load.destination, unknown);
  }
  const Bits& device = now().part(part);
  Branches parts;
  Diagram others = diagrams_.complement(*compare_.equal(device, device_name("")));
  const auto add = [&](std::string_view name, std::optional<Bits> value) {
    const Diagram is = diagrams_.both(others, *compare_.equal(device, device_name(name)));
    if (value) {
      parts.all.push_back(
          {.packets = is, .again = false, .to = load.destination, .value = *std::move(value)});
    }
    others = diagrams_.minus(others, is);
  };
  if (type) add("lo", host_number(kLoopbackType, 2));
  if (kind) add("lo", std::nullopt);
  for (const ruleset::Interface& interface : machine_.host().interfaces) {
    if (interface.index == 0) continue;
    if (kind && interface.kind.empty()) {
      add(interface.device, std::nullopt);  // a physical device
    } else if (kind) {
      add(interface.device, bits_of(device_name(interface.kind)));
    } else {
      add(interface.device, host_number(type ? interface.hardware_type : interface.group, size));
    }
  }
  parts.all.push_back(
      {.packets = others, .again = false, .to = load.destination, .value = unknown});
  return parts;
}

// Before input what arrives may have come to the socket of an open connection; what is sent has
// one, but for what the kernel sends itself.
RuleRun::Step RuleRun::run_sender(const ruleset::Meta& load) {
  const bool sent = is_on_the_way_out(frame_.hook);
  if (!sent && !now().has_socket) {
    if (frame_.hook != ruleset::Hook::Input) return Tests{kNothing};
    store(load.destination,
          space_.free_bits(fmt::format("{} of its socket", ruleset::name_of(load.key)), 32,
                           FieldKind::NotModelled));
    return Tests{choice("it has a socket", FieldKind::NotModelled)};
  }
  if (load.key == MetaKey::Cgroup || now().has_socket) {
    store(load.destination,
          space_.free_bits(std::string(ruleset::name_of(load.key)), 32, FieldKind::NotModelled));
    return Tests{choice("it has a socket", FieldKind::NotModelled)};
  }
  const bool user = load.key == MetaKey::SkUid;
  const FieldId has = user ? space_.has_user() : space_.has_group();
  const FieldId other = user ? space_.has_group() : space_.has_user();
  const Bits value = in_host_order(bits_of(user ? space_.user() : space_.group(), 32));
  const Bits unknown = space_.free_bits(
      fmt::format("{} that is not said", ruleset::name_of(load.key)), 32, FieldKind::Choice);
  const Diagram given = diagrams_.where(has, 1, 1);
  Branches parts;
  parts.all.push_back({.packets = given, .again = false, .to = load.destination, .value = value});
  // Where one of both is known there is a socket, which has the other, too.
  parts.all.push_back({.packets = diagrams_.minus(diagrams_.where(other, 1, 1), given),
                       .again = false,
                       .to = load.destination,
                       .value = unknown});
  return parts;
}

RuleRun::Step RuleRun::run_meta(const ruleset::Meta& load) {
  const Environment& now = this->now();
  const ruleset::Register to = load.destination;
  switch (load.key) {
    case MetaKey::Length: {
      Bits word(16);  // a word of 32 bits
      word.insert(word.end(), now.part(Part::Length).begin(), now.part(Part::Length).end());
      return RuleRun::load(to, in_host_order(word));
    }
    case MetaKey::Protocol: {
      if (auto parted = part_families()) return *std::move(parted);
      const ruleset::Value type = ruleset::Value::be16(is_ipv6() ? 0x86dd : 0x0800);
      return RuleRun::load(to, bits_of({type.begin(), type.end()}));
    }
    case MetaKey::Priority:
      return RuleRun::load(to, now.part(Part::Priority));
    case MetaKey::Mark:
      return RuleRun::load(to, now.part(Part::Mark));
    case MetaKey::NfProto:
      return RuleRun::load(to, now.part(Part::Family));
    case MetaKey::L4Proto:
      return RuleRun::load(to, now.part(Part::Protocol));
    case MetaKey::Iif:
    case MetaKey::Oif:
      return run_index(load);
    case MetaKey::IifName:
      return RuleRun::load(to, now.part(Part::InDevice));
    case MetaKey::OifName:
      return RuleRun::load(to, now.part(Part::OutDevice));
    case MetaKey::IifType:
    case MetaKey::OifType:
    case MetaKey::IifGroup:
    case MetaKey::OifGroup:
    case MetaKey::IifKind:
    case MetaKey::OifKind:
      return run_device_fact(load);
    case MetaKey::SkUid:
    case MetaKey::SkGid:
    case MetaKey::Cgroup:
      return run_sender(load);
    case MetaKey::PktType:
      return RuleRun::load(to, now.part(Part::Type));
    case MetaKey::SecPath: {
      Bits bit(8);
      bit.back() = Bit::of(space_.free("IPsec has it, or had", 1, FieldKind::NotModelled), 0);
      return RuleRun::load(to, bit);
    }
    case MetaKey::SdIif:  // no VRF
      return RuleRun::load(to, Bits(32));
    case MetaKey::SdIfName:
      return RuleRun::load(to, Bits(128));
    case MetaKey::RtClassId: {
      const std::string changed = machine_.as_changed(environment_, Machine::FoundFrom::Routing);
      store(to, space_.free_bits("the realm of its route" + changed, 32, FieldKind::NotModelled));
      return Tests{choice("it has a route", FieldKind::NotModelled)};
    }
    case MetaKey::TimeNs:
    case MetaKey::TimeDay:
    case MetaKey::TimeHour:
    case MetaKey::NfTrace:
    case MetaKey::SecMark:
    case MetaKey::Cpu:
    case MetaKey::BriIifName:
    case MetaKey::BriOifName:
    case MetaKey::BriIifPvid:
    case MetaKey::BriIifVproto:
    case MetaKey::BriBroute:
      // The same wherever it is asked for; the three of time hang together.
      return load_free(to, ruleset::load_size(load.key), std::string(ruleset::name_of(load.key)),
                       FieldKind::NotModelled);
    case MetaKey::Prandom:
      return RuleRun::load(to, bits_of(free_here("meta random", 32, FieldKind::Choice), 32));
  }
  return Goes{};
}

}  // namespace rolewall::analyze
