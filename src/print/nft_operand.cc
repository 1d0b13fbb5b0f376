#include "print/nft_operand.h"

#include <fmt/format.h>

#include <algorithm>

#include "net/protocol.h"
#include "ruleset/load_size.h"
#include "ruleset/names.h"

namespace rolewall::print {
namespace {

using namespace ruleset;  // NOLINT(google-build-using-namespace)
using net::HeaderKind;

ByteSpan span_of(const Value& value) {
  return {value.begin(), value.end()};
}

DataType type_of(net::FieldType type) {
  switch (type) {
    case net::FieldType::Number:
    case net::FieldType::FragmentOffset:
      return DataType::Integer;
    case net::FieldType::Ipv4Address:
      return DataType::Ipv4Address;
    case net::FieldType::Ipv6Address:
      return DataType::Ipv6Address;
    case net::FieldType::EtherAddress:
      return DataType::EtherAddress;
    case net::FieldType::EtherType:
      return DataType::EtherType;
    case net::FieldType::Protocol:
      return DataType::InetProtocol;
    case net::FieldType::Port:
      return DataType::InetService;
    case net::FieldType::TcpFlags:
      return DataType::TcpFlag;
    case net::FieldType::IcmpType:
      return DataType::IcmpType;
    case net::FieldType::IcmpCode:
      return DataType::IcmpCode;
    case net::FieldType::Icmpv6Type:
      return DataType::Icmp6Type;
    case net::FieldType::Icmpv6Code:
      return DataType::Icmpv6Code;
  }
  return DataType::Invalid;
}

// The header that the bytes belong to, as far as the rule has tested it.
std::optional<HeaderKind> header_of(PayloadBase base, const KnownHeaders& known, Family family) {
  switch (base) {
    case PayloadBase::Link:
      // In other families nft would test that there is an Ethernet header.
      if (family == Family::Bridge || family == Family::Netdev) return HeaderKind::Ether;
      return std::nullopt;
    case PayloadBase::Network:
      if (!known.version) return std::nullopt;
      return *known.version == 4 ? HeaderKind::Ipv4 : HeaderKind::Ipv6;
    case PayloadBase::Transport: {
      const auto header = net::header_of(known.protocol.value_or(0));
      const bool other_version = (header == HeaderKind::Icmp && known.version.value_or(4) != 4) ||
                                 (header == HeaderKind::Icmpv6 && known.version.value_or(6) != 6);
      return header && !other_version ? *header : HeaderKind::AnyTransport;
    }
    case PayloadBase::Inner:
      return std::nullopt;
  }
  return std::nullopt;
}

std::string raw_text(const Payload& load) {
  std::string_view base;
  switch (load.base) {
    case PayloadBase::Link:
      base = "ll";
      break;
    case PayloadBase::Network:
      base = "nh";
      break;
    case PayloadBase::Transport:
      base = "th";
      break;
    case PayloadBase::Inner:
      base = "ih";
      break;
  }
  return fmt::format("@{},{},{}", base, load.offset * 8, load.length * 8);
}

struct MetaRow {
  MetaKey key;
  DataType type;
  Order order;
  bool qualified;  // "meta mark"; else the name alone
};

// What nft 1.0.6 has names for, and what it takes them for (src/meta.c of nftables).
constexpr auto kMetas = std::to_array<MetaRow>({
    {MetaKey::Length, DataType::Integer, Order::Host, true},
    {MetaKey::Protocol, DataType::EtherType, Order::Network, true},
    {MetaKey::Mark, DataType::Mark, Order::Host, true},
    {MetaKey::Iif, DataType::IfIndex, Order::Host, false},
    {MetaKey::Oif, DataType::IfIndex, Order::Host, false},
    {MetaKey::IifName, DataType::IfName, Order::Host, false},
    {MetaKey::OifName, DataType::IfName, Order::Host, false},
    {MetaKey::IifType, DataType::ArpHrd, Order::Host, true},
    {MetaKey::OifType, DataType::ArpHrd, Order::Host, true},
    {MetaKey::SkUid, DataType::Uid, Order::Host, true},
    {MetaKey::SkGid, DataType::Gid, Order::Host, true},
    {MetaKey::NfTrace, DataType::Integer, Order::Host, true},
    {MetaKey::NfProto, DataType::NfProto, Order::Host, true},
    {MetaKey::L4Proto, DataType::InetProtocol, Order::Host, true},
    {MetaKey::BriIifName, DataType::IfName, Order::Host, true},
    {MetaKey::BriOifName, DataType::IfName, Order::Host, true},
    {MetaKey::PktType, DataType::PktType, Order::Host, true},
    {MetaKey::Cpu, DataType::Integer, Order::Host, true},
    {MetaKey::IifGroup, DataType::DevGroup, Order::Host, false},
    {MetaKey::OifGroup, DataType::DevGroup, Order::Host, false},
    {MetaKey::Cgroup, DataType::Integer, Order::Host, true},
    {MetaKey::Prandom, DataType::Integer, Order::Network, true},
});

// Likewise (src/ct.c). What has a direction needs it.
struct CtRow {
  CtKey key;
  DataType type;
  Order order;
  bool directed;
};

constexpr auto kCts = std::to_array<CtRow>({
    {CtKey::State, DataType::CtState, Order::Host, false},
    {CtKey::Direction, DataType::CtDirection, Order::Host, false},
    {CtKey::Status, DataType::CtStatus, Order::Host, false},
    {CtKey::Mark, DataType::Mark, Order::Host, false},
    {CtKey::Expiration, DataType::Time, Order::Host, false},
    {CtKey::Helper, DataType::String, Order::Host, false},
    {CtKey::Protocol, DataType::InetProtocol, Order::Network, false},
    {CtKey::ProtoSource, DataType::InetService, Order::Network, true},
    {CtKey::ProtoDestination, DataType::InetService, Order::Network, true},
    {CtKey::SourceIp, DataType::Ipv4Address, Order::Network, true},
    {CtKey::DestinationIp, DataType::Ipv4Address, Order::Network, true},
    {CtKey::SourceIp6, DataType::Ipv6Address, Order::Network, true},
    {CtKey::DestinationIp6, DataType::Ipv6Address, Order::Network, true},
    {CtKey::Id, DataType::Integer, Order::Network, false},
});

bool is_host_number(const Operand& operand) {
  return operand.order == Order::Host && operand.type != DataType::IfName &&
         operand.type != DataType::String;
}

Text mask_text(const Operand& operand, const Value& mask) {
  if (is_flags(operand.type)) {
    const Text flags = flags_text(operand.type, span_of(mask), " | ");
    if (!flags) return hex_number(operand.order, span_of(mask));
    return flags->find('|') == std::string::npos ? *flags : fmt::format("({})", *flags);
  }
  if (operand.type == DataType::Ipv4Address || operand.type == DataType::Ipv6Address) {
    return value_text(operand.type, operand.order, span_of(mask));
  }
  return hex_number(operand.order, span_of(mask));
}

bool all(const Value& value, std::uint8_t byte) {
  return std::all_of(value.begin(), value.end(), [&](std::uint8_t b) { return b == byte; });
}

// Whether a bit that the mask leaves is turned over, and not one that it cleared set.
bool flips(const Operand& operand) {
  if (!operand.mask) return false;
  for (std::size_t i = 0; i < operand.mask->size; ++i) {
    if ((operand.mask->bytes[i] & operand.xor_with.bytes[i]) != 0) return true;
  }
  return false;
}

// The field, with its mask.
Text left_side(const Operand& operand) {
  std::string text = operand.text;
  if (!operand.mask) return text;
  if (!all(*operand.mask, 0xff)) {
    const Text mask = mask_text(operand, *operand.mask);
    if (!mask) return mask;
    text += " & " + *mask;
  }
  if (!all(operand.xor_with, 0)) {
    text += fmt::format(" {} {}", flips(operand) ? "^" : "|",
                        hex_number(operand.order, span_of(operand.xor_with)));
  }
  return text;
}

// The operand as plain bytes, where its field has no name or is not here whole.
Operand as_raw(const Operand& operand) {
  Operand raw = operand;
  raw.text = operand.raw;
  raw.type = DataType::Integer;
  raw.order = Order::Network;
  raw.field_size = 0;
  raw.header.reset();
  return raw;
}

// "ip saddr 10.0.0.0/8" where the comparison is one with a prefix: of the field's first bytes
// (whole bytes), or under a mask (else), which is how nft writes them to the kernel.
std::optional<std::string> as_prefix(const Operand& operand, const Value& value) {
  std::uint32_t size = operand.size;
  int length = 0;
  if (operand.mask) {
    if (operand.field_size != 0 || !all(operand.xor_with, 0)) return std::nullopt;
    if (operand.type != DataType::Ipv4Address && operand.type != DataType::Ipv6Address) {
      return std::nullopt;
    }
    length = prefix_length(span_of(*operand.mask));
    if (length % 8 == 0) return std::nullopt;
    for (std::size_t i = 0; i < size; ++i) {
      if ((value.bytes[i] & ~operand.mask->bytes[i]) != 0) return std::nullopt;
    }
  } else {
    if (operand.field_size == 0) return std::nullopt;
    size = operand.field_size;
    length = static_cast<int>(operand.size) * 8;
  }
  if (length <= 0) return std::nullopt;
  std::array<std::uint8_t, 16> address{};
  std::copy(value.begin(), value.end(), address.begin());
  const Text text = value_text(operand.type, operand.order, ByteSpan(address.data(), size));
  if (!text) return std::nullopt;
  return fmt::format("{}/{}", *text, length);
}

// "ip dscp 5": the mask leaves one field of bytes that have none, and the value is within it.
std::optional<std::string> as_bits(const Operand& operand, std::string_view unequal,
                                   const Value& value) {
  if (!operand.within || !operand.mask || !all(operand.xor_with, 0)) return std::nullopt;
  const net::Field* field =
      net::find_field(*operand.within, operand.first_byte, span_of(*operand.mask));
  if (field == nullptr) return std::nullopt;
  std::uint64_t number = 0;
  for (const std::uint8_t byte : value) number = number << 8 | byte;
  if ((number & ~field->mask()) != 0) return std::nullopt;
  return fmt::format("{}{} {}", field->name, unequal, number >> field->shift());
}

}  // namespace

Operand payload_operand(const Payload& load, const KnownHeaders& known, Family family) {
  Operand operand;
  operand.size = load.length;
  operand.raw = raw_text(load);
  operand.text = operand.raw;
  operand.type = DataType::Integer;
  const auto header = header_of(load.base, known, family);
  if (!header) return operand;
  const net::Field* field = net::find_field(*header, load.offset, load.length);
  if (field == nullptr && load.base == PayloadBase::Transport) {
    field = net::find_field(HeaderKind::AnyTransport, load.offset, load.length);
  }
  if (field == nullptr) {
    field = net::find_address(*header, load.offset);
    if (field != nullptr && load.length < field->byte_count()) {
      operand.field_size = field->byte_count();
    } else {
      field = nullptr;
    }
  }
  if (field == nullptr || field->tests_more) {
    operand.within = *header;
    operand.first_byte = load.offset;
    return operand;
  }
  operand.header = field->header;
  operand.text = field->name;
  operand.type = type_of(field->type);
  return operand;
}

std::expected<Operand, std::string> meta_operand(MetaKey key) {
  const auto row = std::ranges::find(kMetas, key, &MetaRow::key);
  if (row == kMetas.end()) {
    return cannot(fmt::format("`meta {}` has no nft syntax", name_of(key)));
  }
  Operand operand;
  operand.text = fmt::format("{}{}", row->qualified ? "meta " : "", name_of(key));
  operand.type = row->type;
  operand.order = row->order;
  operand.size = load_size(key);
  operand.meta = key;
  return operand;
}

std::expected<Operand, std::string> ct_operand(const Ct& load, const KnownHeaders& known,
                                               Family family) {
  // Counters may be asked for both directions at once.
  const bool counts =
      load.key == CtKey::Packets || load.key == CtKey::Bytes || load.key == CtKey::AvgPacket;
  const auto row = std::ranges::find(kCts, load.key, &CtRow::key);
  if (!counts && (row == kCts.end() || row->directed != load.direction.has_value())) {
    return cannot(fmt::format("`ct {}` has no nft syntax", name_of(load.key)));
  }
  const bool port = load.key == CtKey::ProtoSource || load.key == CtKey::ProtoDestination;
  if (port && !known.protocol) {
    return cannot("nft reads a connection's port only if the rule has tested the protocol");
  }
  Operand operand;
  operand.text = fmt::format("ct {}{}{}", load.direction ? name_of(*load.direction) : "",
                             load.direction ? " " : "", name_of(load.key));
  operand.type = counts ? DataType::Integer : row->type;
  operand.order = counts ? Order::Host : row->order;
  operand.size = load_size(load.key, family);
  return operand;
}

Text operand_text(const Operand& operand, DataType wanted) {
  if (operand.constant) return value_text(wanted, order_of(wanted), span_of(*operand.constant));
  if (operand.type != wanted) {
    return cannot(fmt::format("{} is of the type {}, but {} is needed", operand.text,
                              name_of(operand.type), name_of(wanted)));
  }
  if (operand.field_size != 0) return cannot("a part of " + operand.text + " has no name");
  return left_side(operand);
}

Text equals_text(const Operand& operand, bool negated, const Value& value) {
  if (operand.constant) return cannot("a value is compared with a value");
  if (operand.swapped) return cannot(operand.text + " is compared in network order");
  const std::string_view unequal = negated ? " !=" : "";
  if (value.size < operand.size) {
    if (operand.type != DataType::IfName || operand.mask) {
      return cannot(fmt::format("a part of {} is compared", operand.text));
    }
    // iptables compares a whole name up to its NUL, which comes to the same as all of it.
    const auto* nul = std::find(value.begin(), value.end(), 0);
    if (nul != value.end() && nul + 1 == value.end()) {
      Value whole = value;
      whole.size = static_cast<std::uint8_t>(operand.size);
      return equals_text(operand, negated, whole);
    }
    const Text name = name_prefix_text(span_of(value));
    return name ? Text(fmt::format("{}{} {}", operand.text, unequal, *name)) : name;
  }
  if (value.size > operand.size) return cannot("more than what was loaded is compared");
  // nft would turn the bits of the value over instead.
  if (flips(operand)) return cannot("a comparison after an exclusive or");
  if (const auto prefix = as_prefix(operand, value)) {
    return fmt::format("{}{} {}", operand.text, unequal, *prefix);
  }
  if (auto bits = as_bits(operand, unequal, value)) return *std::move(bits);
  if (operand.field_size != 0) return equals_text(as_raw(operand), negated, value);

  if (operand.mask && is_flags(operand.type) && negated && all(value, 0) &&
      all(operand.xor_with, 0)) {
    // The bit test has a short form where every bit has a name.
    if (const Text flags = flags_text(operand.type, span_of(*operand.mask), ",")) {
      return fmt::format("{} {}", operand.text, *flags);
    }
  }
  const Text left = left_side(operand);
  if (!left) return left;
  Text right = value_text(operand.type, operand.order, span_of(value));
  if (is_flags(operand.type) && !all(value, 0)) {
    if (const Text flags = flags_text(operand.type, span_of(value), " | ")) right = flags;
  }
  if (!right) return right;
  // nft reads a flag or a mask without an operator as a bit test.
  const bool spelled = operand.mask || is_flags(operand.type);
  return fmt::format("{}{} {}", *left, negated ? " !=" : spelled ? " ==" : "", *right);
}

Text ordered_text(const Operand& operand, std::string_view op, const Value& value) {
  if (operand.constant) return cannot("a value is compared with a value");
  if (is_host_number(operand)) return cannot(operand.text + " is compared in the host's order");
  if (value.size != operand.size) return cannot("a part of what was loaded is compared");
  if (operand.field_size != 0) return ordered_text(as_raw(operand), op, value);
  const Text left = left_side(operand);
  const Text right = value_text(operand.type, operand.order, span_of(value));
  if (!left) return left;
  return right ? Text(fmt::format("{} {} {}", *left, op, *right)) : right;
}

Text in_range_text(const Operand& operand, bool negated, const Value& first, const Value& last) {
  if (operand.constant) return cannot("a value is compared with a value");
  if (is_host_number(operand)) return cannot(operand.text + " is compared in the host's order");
  if (first.size != operand.size || last.size != operand.size) {
    return cannot("a part of what was loaded is compared");
  }
  if (operand.field_size != 0) return in_range_text(as_raw(operand), negated, first, last);
  const Text left = left_side(operand);
  const Text from = value_text(operand.type, operand.order, span_of(first));
  const Text to = value_text(operand.type, operand.order, span_of(last));
  if (!left || !from || !to) return !left ? left : !from ? from : to;
  return fmt::format("{}{} {}-{}", *left, negated ? " !=" : "", *from, *to);
}

}  // namespace rolewall::print
