#include "eval/render.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "base/calendar.h"
#include "net/address.h"
#include "net/ct_names.h"
#include "net/fields.h"
#include "net/protocol.h"
#include "ruleset/names.h"

namespace rolewall::eval {
namespace {

using ruleset::CtKey;
using ruleset::MetaKey;
using ruleset::PayloadBase;

constexpr auto kTcpFlags = [] {
  std::array<net::BitName, net::kTcpFlags.size()> flags;
  for (std::size_t i = 0; i < flags.size(); ++i) {
    flags[i] = {net::kTcpFlags[i].bit, net::kTcpFlags[i].name};
  }
  return flags;
}();

std::uint64_t big_endian(ByteSpan value) {
  std::uint64_t number = 0;
  for (const std::uint8_t byte : value) number = number << 8 | byte;
  return number;
}
std::uint64_t host_endian(ByteSpan value) {
  std::uint64_t number = 0;
  std::memcpy(&number, value.data(), std::min(value.size(), sizeof(number)));
  return number;
}

// "03:00 UTC", by which the kernel goes.
std::string time_of_day(std::uint64_t seconds) {
  const std::string text = fmt::format("{:02}:{:02}", seconds / 3600, seconds / 60 % 60);
  return text + (seconds % 60 == 0 ? "" : fmt::format(":{:02}", seconds % 60)) + " UTC";
}

std::string weekday_name(std::uint8_t day) {
  constexpr std::array kNames{"Sunday",   "Monday", "Tuesday", "Wednesday",
                              "Thursday", "Friday", "Saturday"};
  return day < kNames.size() ? kNames[day] : std::to_string(day);
}

std::string flags(std::uint32_t number, std::span<const net::BitName> names) {
  std::string text;
  const auto append = [&text](std::string_view name) {
    if (!text.empty()) text += ',';
    text += name;
  };
  for (const net::BitName& flag : names) {
    if ((number & flag.bit) != 0) append(flag.name);
    number &= ~flag.bit;
  }
  if (number != 0) append(fmt::format("{:#x}", number));
  return text.empty() ? "none" : text;
}

// Also those that a rule of others' is likely to name.
std::string protocol_name(std::uint8_t number) {
  if (const std::string_view name = net::protocol_name(number); !name.empty()) {
    return std::string(name);
  }
  switch (number) {
    case 2:
      return "igmp";
    case net::protocol::kGre:
      return "gre";
    case 50:
      return "esp";
    case 51:
      return "ah";
    case 112:
      return "vrrp";
    case net::protocol::kUdpLite:
      return "udplite";
    default:
      return fmt::format("{}", number);
  }
}

std::string nfproto_name(std::uint8_t number) {
  switch (number) {
    case 2:
      return "ipv4";
    case 10:
      return "ipv6";
    default:
      return fmt::format("{}", number);
  }
}

std::string packet_type_name(std::uint8_t number) {
  constexpr std::array<std::string_view, 4> kNames{"host", "broadcast", "multicast", "other"};
  return number < kNames.size() ? std::string(kNames[number]) : fmt::format("{}", number);
}

std::string hex(ByteSpan value) {
  std::string text = "0x";
  for (const std::uint8_t byte : value) text += fmt::format("{:02x}", byte);
  return text;
}

template <class Bytes>
std::string address(ByteSpan value, Bytes padded) {
  std::copy_n(value.begin(), std::min(value.size(), padded.size()), padded.begin());
  net::Prefix prefix;
  if constexpr (padded.size() == 4) {
    prefix.address = net::ipv4_from_bytes(padded.data());
  } else {
    prefix.address = net::ipv6_from_bytes(padded.data());
  }
  prefix.length = static_cast<unsigned>(std::min(value.size(), padded.size()) * 8);
  return net::format(prefix);
}

std::optional<net::HeaderKind> header_of(PayloadBase base, bool ipv6, std::uint8_t protocol) {
  switch (base) {
    case PayloadBase::Link:
      return net::HeaderKind::Ether;
    case PayloadBase::Network:
      return ipv6 ? net::HeaderKind::Ipv6 : net::HeaderKind::Ipv4;
    case PayloadBase::Transport:
      return net::header_of(protocol);
    case PayloadBase::Inner:
      return std::nullopt;
  }
  return std::nullopt;
}

Format format_of(net::FieldType type) {
  switch (type) {
    case net::FieldType::Number:
    case net::FieldType::Port:
    case net::FieldType::IcmpType:
    case net::FieldType::IcmpCode:
    case net::FieldType::Icmpv6Type:
    case net::FieldType::Icmpv6Code:
      return Format::Number;
    case net::FieldType::Ipv4Address:
      return Format::Ipv4Address;
    case net::FieldType::Ipv6Address:
      return Format::Ipv6Address;
    case net::FieldType::EtherAddress:
    case net::FieldType::FragmentOffset:
      return Format::Hex;
    case net::FieldType::EtherType:
      return Format::EtherType;
    case net::FieldType::Protocol:
      return Format::Protocol;
    case net::FieldType::TcpFlags:
      return Format::TcpFlags;
  }
  return Format::Hex;
}

// Also of an address that is loaded in part.
const net::Field* find_field(net::HeaderKind header, const ruleset::Payload& load, ByteSpan mask) {
  if (!mask.empty()) return net::find_field(header, load.offset, mask);
  if (const net::Field* field = net::find_field(header, load.offset, load.length)) return field;
  const net::Field* address = net::find_address(header, load.offset);
  return address != nullptr && load.length < address->byte_count() ? address : nullptr;
}

std::string_view base_name(PayloadBase base) {
  switch (base) {
    case PayloadBase::Link:
      return "ll";
    case PayloadBase::Network:
      return "nh";
    case PayloadBase::Transport:
      return "th";
    case PayloadBase::Inner:
      return "ih";
  }
  return "";
}

}  // namespace

bool is_flags(Format format) {
  return format == Format::TcpFlags || format == Format::CtState || format == Format::CtStatus;
}
bool is_address(Format format) {
  return format == Format::Ipv4Address || format == Format::Ipv6Address;
}

Format in_network_order(Format format) {
  switch (format) {
    case Format::HostNumber:
      return Format::Number;
    case Format::TimeOfDay:
      return Format::NetworkTimeOfDay;
    case Format::Moment:
      return Format::NetworkMoment;
    case Format::Hex:
    case Format::Number:
    case Format::Ipv4Address:
    case Format::Ipv6Address:
    case Format::Protocol:
    case Format::NfProto:
    case Format::EtherType:
    case Format::TcpFlags:
    case Format::CtState:
    case Format::CtStatus:
    case Format::PacketType:
    case Format::Name:
    case Format::Device:
    case Format::Weekday:
    case Format::NetworkTimeOfDay:
    case Format::NetworkMoment:
      break;
  }
  return format;
}

std::string render(Format format, ByteSpan value) {
  if (value.empty()) return "";
  switch (format) {
    case Format::Hex:
      return hex(value);
    case Format::Number:
      return value.size() <= 8 ? fmt::format("{}", big_endian(value)) : hex(value);
    case Format::TimeOfDay:
      return time_of_day(host_endian(value));
    case Format::NetworkTimeOfDay:
      return time_of_day(big_endian(value));
    case Format::Moment:
      return format_moment(host_endian(value));
    case Format::NetworkMoment:
      return format_moment(big_endian(value));
    case Format::Weekday:
      return weekday_name(value[0]);
    case Format::Device:
    case Format::HostNumber:
      return value.size() <= 8 ? fmt::format("{}", host_endian(value)) : hex(value);
    case Format::Ipv4Address:
      return address(value, std::array<std::uint8_t, 4>{});
    case Format::Ipv6Address:
      return address(value, std::array<std::uint8_t, 16>{});
    case Format::Protocol:
      return protocol_name(value[0]);
    case Format::NfProto:
      return nfproto_name(value[0]);
    case Format::EtherType: {
      const std::uint64_t type = big_endian(value);
      return type == 0x0800 ? "ip" : type == 0x86dd ? "ip6" : hex(value);
    }
    case Format::TcpFlags:
      return flags(value[0], kTcpFlags);
    case Format::CtState:
      return flags(static_cast<std::uint32_t>(host_endian(value)), net::kCtStates);
    case Format::CtStatus:
      return flags(static_cast<std::uint32_t>(host_endian(value)), net::kCtStatuses);
    case Format::PacketType:
      return packet_type_name(value[0]);
    case Format::Name: {
      const auto end = std::ranges::find(value, std::uint8_t{0});
      return fmt::format("\"{}{}\"", std::string(value.begin(), end),
                         end == value.end() && value.size() < 16 ? "*" : "");
    }
  }
  return hex(value);
}

std::string render(const Field& field, ByteSpan value) {
  if (field.shift == 0 || value.size() > 8) return render(field.format, value);
  const std::uint64_t number = big_endian(value);
  const std::uint64_t below = (std::uint64_t{1} << field.shift) - 1;
  return (number & below) == 0 ? fmt::format("{}", number >> field.shift) : hex(value);
}

Field payload_field(const ruleset::Payload& load, ByteSpan mask, bool ipv6, std::uint8_t protocol) {
  if (const auto header = header_of(load.base, ipv6, protocol)) {
    if (const net::Field* field = find_field(*header, load, mask)) {
      return {std::string(field->name), format_of(field->type),
              field->is_whole_bytes() ? 0 : field->shift()};
    }
  }
  return {fmt::format("@{},{},{}", base_name(load.base), load.offset * 8, load.length * 8),
          Format::Hex};
}

Field meta_field(MetaKey key) {
  Format format = Format::HostNumber;
  switch (key) {
    case MetaKey::Protocol:
      format = Format::EtherType;
      break;
    case MetaKey::Mark:
    case MetaKey::Priority:
    case MetaKey::SecMark:
    case MetaKey::Prandom:
      format = Format::HostNumber;
      break;
    case MetaKey::IifName:
    case MetaKey::OifName:
    case MetaKey::BriIifName:
    case MetaKey::BriOifName:
    case MetaKey::IifKind:
    case MetaKey::OifKind:
    case MetaKey::SdIfName:
      format = Format::Name;
      break;
    case MetaKey::Iif:
    case MetaKey::Oif:
      format = Format::Device;
      break;
    case MetaKey::TimeNs:
      format = Format::Moment;
      break;
    case MetaKey::TimeDay:
      format = Format::Weekday;
      break;
    case MetaKey::TimeHour:
      format = Format::TimeOfDay;
      break;
    case MetaKey::NfProto:
      format = Format::NfProto;
      break;
    case MetaKey::L4Proto:
      format = Format::Protocol;
      break;
    case MetaKey::PktType:
      format = Format::PacketType;
      break;
    case MetaKey::Length:
    case MetaKey::IifType:
    case MetaKey::OifType:
    case MetaKey::SkUid:
    case MetaKey::SkGid:
    case MetaKey::NfTrace:
    case MetaKey::RtClassId:
    case MetaKey::Cpu:
    case MetaKey::IifGroup:
    case MetaKey::OifGroup:
    case MetaKey::Cgroup:
    case MetaKey::SecPath:
    case MetaKey::BriIifPvid:
    case MetaKey::BriIifVproto:
    case MetaKey::SdIif:
    case MetaKey::BriBroute:
      break;
  }
  return {meta_key_name(key), format};
}

std::string option_name(ruleset::ExthdrKind kind, std::uint8_t type) {
  using ruleset::ExthdrKind;
  switch (kind) {
    case ExthdrKind::Ipv6:
      return fmt::format("ip6 extension header {}", type);
    case ExthdrKind::TcpOption:
      return fmt::format("tcp option {}", type);
    case ExthdrKind::Ipv4Option:
      return fmt::format("ip option {}", type);
    case ExthdrKind::Sctp:
      return fmt::format("sctp chunk {}", type);
    case ExthdrKind::Dccp:
      return fmt::format("dccp option {}", type);
  }
  return "";
}

Field exthdr_field(const ruleset::Exthdr& load) {
  std::string name = option_name(load.kind, load.type);
  if (load.present) return {name + " exists", Format::Number};
  return {fmt::format("{}, {} bytes at {}", name, load.length, load.offset), Format::Number};
}

Field ct_field(CtKey key, bool ipv6) {
  Format format = Format::HostNumber;
  switch (key) {
    case CtKey::State:
      format = Format::CtState;
      break;
    case CtKey::Status:
      format = Format::CtStatus;
      break;
    case CtKey::L3Protocol:
      format = Format::NfProto;
      break;
    case CtKey::Protocol:
      format = Format::Protocol;
      break;
    case CtKey::Source:
    case CtKey::Destination:
      format = ipv6 ? Format::Ipv6Address : Format::Ipv4Address;
      break;
    case CtKey::SourceIp:
    case CtKey::DestinationIp:
      format = Format::Ipv4Address;
      break;
    case CtKey::SourceIp6:
    case CtKey::DestinationIp6:
      format = Format::Ipv6Address;
      break;
    case CtKey::ProtoSource:
    case CtKey::ProtoDestination:
      format = Format::Number;
      break;
    case CtKey::Helper:
      format = Format::Name;
      break;
    case CtKey::Labels:
      format = Format::Hex;
      break;
    case CtKey::Direction:
    case CtKey::Mark:
    case CtKey::SecMark:
    case CtKey::Expiration:
    case CtKey::Packets:
    case CtKey::Bytes:
    case CtKey::AvgPacket:
    case CtKey::Zone:
    case CtKey::EventMask:
    case CtKey::Id:
      break;
  }
  return {ct_key_name(key), format};
}

std::string meta_key_name(MetaKey key) {
  const std::string_view name = ruleset::name_of(key);
  const bool device = key == MetaKey::Iif || key == MetaKey::Oif || key == MetaKey::IifName ||
                      key == MetaKey::OifName;
  return fmt::format("{}{}", device ? "" : "meta ", name);
}
std::string ct_key_name(CtKey key) {
  return fmt::format("ct {}", ruleset::name_of(key));
}

}  // namespace rolewall::eval
