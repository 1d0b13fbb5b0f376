#include "print/nft_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "net/address.h"
#include "net/address_set.h"
#include "net/ct_names.h"
#include "net/fields.h"
#include "ruleset/name_prefix.h"
#include "ruleset/names.h"

namespace rolewall::print {
namespace {

using ruleset::DataType;

struct Symbol {
  std::uint64_t value;
  std::string_view name;
};

// The symbols of nft's datatypes (src/datatype.c, src/ct.c, src/meta.c, src/proto.c of nftables).
constexpr auto kNfProto = std::to_array<Symbol>({{2, "ipv4"}, {10, "ipv6"}});
constexpr auto kProtocols =
    std::to_array<Symbol>({{1, "icmp"}, {6, "tcp"}, {17, "udp"}, {58, "ipv6-icmp"}, {132, "sctp"}});
constexpr auto kIndexes = std::to_array<Symbol>({{1, "lo"}});  // of other devices each host's own
constexpr auto kEtherTypes =
    std::to_array<Symbol>({{0x0800, "ip"}, {0x0806, "arp"}, {0x8100, "vlan"}, {0x86dd, "ip6"}});
constexpr auto kIcmpTypes = std::to_array<Symbol>({{0, "echo-reply"},
                                                   {3, "destination-unreachable"},
                                                   {4, "source-quench"},
                                                   {5, "redirect"},
                                                   {8, "echo-request"},
                                                   {9, "router-advertisement"},
                                                   {10, "router-solicitation"},
                                                   {11, "time-exceeded"},
                                                   {12, "parameter-problem"},
                                                   {13, "timestamp-request"},
                                                   {14, "timestamp-reply"},
                                                   {15, "info-request"},
                                                   {16, "info-reply"},
                                                   {17, "address-mask-request"},
                                                   {18, "address-mask-reply"}});
constexpr auto kIcmpv6Types = std::to_array<Symbol>({{1, "destination-unreachable"},
                                                     {2, "packet-too-big"},
                                                     {3, "time-exceeded"},
                                                     {4, "parameter-problem"},
                                                     {128, "echo-request"},
                                                     {129, "echo-reply"},
                                                     {130, "mld-listener-query"},
                                                     {131, "mld-listener-report"},
                                                     {132, "mld-listener-done"},
                                                     {133, "nd-router-solicit"},
                                                     {134, "nd-router-advert"},
                                                     {135, "nd-neighbor-solicit"},
                                                     {136, "nd-neighbor-advert"},
                                                     {137, "nd-redirect"},
                                                     {138, "router-renumbering"},
                                                     {141, "ind-neighbor-solicit"},
                                                     {142, "ind-neighbor-advert"},
                                                     {143, "mld2-listener-report"}});
template <std::size_t count>
constexpr std::array<Symbol, count> symbols_of(const std::array<net::BitName, count>& names) {
  std::array<Symbol, count> symbols;
  for (std::size_t i = 0; i < count; ++i) symbols[i] = {names[i].bit, names[i].name};
  return symbols;
}
constexpr auto kTcpFlags = [] {
  std::array<Symbol, net::kTcpFlags.size()> symbols;
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    symbols[i] = {net::kTcpFlags[i].bit, net::kTcpFlags[i].nft_name};
  }
  return symbols;
}();
constexpr auto kCtStates = symbols_of(net::kCtStates);
constexpr auto kCtStatus = symbols_of(net::kCtStatuses);
constexpr auto kCtDirections = std::to_array<Symbol>({{0, "original"}, {1, "reply"}});
constexpr auto kPktTypes =
    std::to_array<Symbol>({{0, "host"}, {1, "broadcast"}, {2, "multicast"}, {3, "other"}});

// How values of a type are written.
enum class Notation : std::uint8_t { Number, Flags, Hex, Mark, Ipv4, Ipv6, Ether, Name, Time };

struct TypeRow {
  DataType type;
  Notation form;
  Order order;                 // in a register; of one byte it does not matter
  std::uint32_t declared = 0;  // bytes, where a set can be declared with it by name
  std::span<const Symbol> symbols = {};
};

// Types that are missing here have no form.
using enum Order;
constexpr auto kTypes = std::to_array<TypeRow>({
    {DataType::NfProto, Notation::Number, Host, 1, kNfProto},
    {DataType::Integer, Notation::Number, Network, 0, {}},
    {DataType::String, Notation::Name, Host, 0, {}},
    {DataType::Ipv4Address, Notation::Ipv4, Network, 4, {}},
    {DataType::Ipv6Address, Notation::Ipv6, Network, 16, {}},
    {DataType::EtherAddress, Notation::Ether, Network, 6, {}},
    {DataType::EtherType, Notation::Hex, Network, 2, kEtherTypes},
    {DataType::InetProtocol, Notation::Number, Network, 1, kProtocols},
    {DataType::InetService, Notation::Number, Network, 2, {}},
    {DataType::IcmpType, Notation::Number, Network, 1, kIcmpTypes},
    {DataType::TcpFlag, Notation::Flags, Network, 1, kTcpFlags},
    {DataType::Time, Notation::Time, Host, 0, {}},
    {DataType::Mark, Notation::Mark, Host, 4, {}},
    {DataType::IfIndex, Notation::Number, Host, 4, kIndexes},
    {DataType::ArpHrd, Notation::Number, Host, 2, {}},
    {DataType::Uid, Notation::Number, Host, 4, {}},
    {DataType::Gid, Notation::Number, Host, 4, {}},
    {DataType::CtState, Notation::Flags, Host, 4, kCtStates},
    {DataType::CtDirection, Notation::Number, Host, 1, kCtDirections},
    {DataType::CtStatus, Notation::Flags, Host, 4, kCtStatus},
    {DataType::Icmp6Type, Notation::Number, Network, 1, kIcmpv6Types},
    {DataType::PktType, Notation::Number, Host, 1, kPktTypes},
    {DataType::IcmpCode, Notation::Number, Network, 1, {}},
    {DataType::Icmpv6Code, Notation::Number, Network, 1, {}},
    {DataType::DevGroup, Notation::Number, Host, 4, {}},
    {DataType::IfName, Notation::Name, Host, 16, {}},
});

const TypeRow* row_of(DataType type) {
  const auto row = std::ranges::find(kTypes, type, &TypeRow::type);
  return row == kTypes.end() ? nullptr : &*row;
}

std::optional<std::uint64_t> number(Order order, ByteSpan bytes) {
  if (bytes.empty() || bytes.size() > 8) return std::nullopt;
  std::uint64_t value = 0;
  if (order == Order::Network) {
    for (const std::uint8_t byte : bytes) value = value << 8 | byte;
    return value;
  }
  switch (bytes.size()) {
    case 1:
      return bytes[0];
    case 2: {
      std::uint16_t half = 0;
      std::memcpy(&half, bytes.data(), sizeof half);
      return half;
    }
    case 4: {
      std::uint32_t word = 0;
      std::memcpy(&word, bytes.data(), sizeof word);
      return word;
    }
    case 8:
      std::memcpy(&value, bytes.data(), sizeof value);
      return value;
    default:
      return std::nullopt;
  }
}

std::unexpected<std::string> no_form(DataType type, ByteSpan bytes) {
  const std::string_view name = ruleset::name_of(type);
  return cannot(fmt::format(
      "{} bytes of the type {} have no nft syntax", bytes.size(),
      name.empty() ? fmt::to_string(static_cast<std::uint32_t>(type)) : std::string(name)));
}

// A string in a register is filled up with zeros.
Text string_text(ByteSpan bytes) {
  const auto end = std::ranges::find(bytes, 0);
  if (end == bytes.begin() ||
      std::any_of(end, bytes.end(), [](std::uint8_t b) { return b != 0; })) {
    return cannot("a name that is empty or continues after a zero byte");
  }
  std::string text(bytes.begin(), end);
  if (text.ends_with('*')) text.insert(text.size() - 1, 1, '\\');  // else it would be a wildcard
  return in_quotes(text);
}

}  // namespace

Order order_of(DataType type) {
  const TypeRow* row = row_of(type);
  return row == nullptr ? Order::Network : row->order;
}

bool is_flags(DataType type) {
  const TypeRow* row = row_of(type);
  return row != nullptr && row->form == Notation::Flags;
}

std::uint32_t declared_size(DataType type) {
  const TypeRow* row = row_of(type);
  return row == nullptr ? 0 : row->declared;
}

Text flags_text(DataType type, ByteSpan bytes, std::string_view separator) {
  const TypeRow* row = row_of(type);
  const auto value = row == nullptr ? std::nullopt : number(row->order, bytes);
  if (!value || *value == 0) return no_form(type, bytes);
  std::uint64_t left = *value;
  std::string text;
  for (const Symbol& symbol : row->symbols) {
    if ((left & symbol.value) == 0) continue;
    left &= ~symbol.value;
    if (!text.empty()) text += separator;
    text += symbol.name;
  }
  return left == 0 ? Text(text) : no_form(type, bytes);
}

std::string hex_number(Order order, ByteSpan bytes) {
  if (const auto value = number(order, bytes)) return fmt::format("{:#x}", *value);
  return fmt::format("0x{:02x}", fmt::join(bytes, ""));
}

int prefix_length(ByteSpan mask) {
  int length = 0;
  bool ended = false;
  for (const std::uint8_t byte : mask) {
    for (int bit = 7; bit >= 0; --bit) {
      const bool one = (byte >> bit & 1) != 0;
      if (one && ended) return -1;
      if (one) ++length;
      ended = ended || !one;
    }
  }
  return length;
}

Text value_text(DataType type, Order order, ByteSpan bytes) {
  const TypeRow* row = row_of(type);
  if (row == nullptr) return no_form(type, bytes);
  const auto value = number(order, bytes);
  switch (row->form) {
    case Notation::Ipv4:
      if (bytes.size() != 4) return no_form(type, bytes);
      return net::format(net::Address(net::ipv4_from_bytes(bytes.data())));
    case Notation::Ipv6:
      if (bytes.size() != 16) return no_form(type, bytes);
      return net::format(net::Address(net::ipv6_from_bytes(bytes.data())));
    case Notation::Ether:
      if (bytes.size() != 6) return no_form(type, bytes);
      return fmt::format("{:02x}", fmt::join(bytes, ":"));
    case Notation::Name:
      return string_text(bytes);
    case Notation::Mark:
      return value ? Text(fmt::format("{:#010x}", *value)) : Text(no_form(type, bytes));
    case Notation::Time:
      return value ? Text(duration(*value)) : Text(no_form(type, bytes));
    case Notation::Number:
    case Notation::Flags:
    case Notation::Hex:
      break;
  }
  if (!value && type == DataType::Integer && order == Order::Network) {
    return hex_number(order, bytes);
  }
  if (!value) return no_form(type, bytes);
  const auto symbol = std::ranges::find(row->symbols, *value, &Symbol::value);
  if (symbol != row->symbols.end()) return std::string(symbol->name);
  return row->form == Notation::Number ? fmt::to_string(*value) : fmt::format("{:#x}", *value);
}

Text range_text(DataType type, Order order, ByteSpan first, ByteSpan last) {
  if (std::ranges::equal(first, last)) return value_text(type, order, first);
  if (type == DataType::IfName || type == DataType::String) {
    const auto prefix = ruleset::name_prefix(first, last);
    return prefix ? name_prefix_text(*prefix) : cannot("a range of names has no nft syntax");
  }
  const Text from = value_text(type, order, first);
  if (!from) return from;
  const Text to = value_text(type, order, last);
  if (!to) return to;
  if (type == DataType::Ipv4Address) {
    return net::format(
        net::Interval{net::ipv4_from_bytes(first.data()), net::ipv4_from_bytes(last.data())});
  }
  if (type == DataType::Ipv6Address) {
    return net::format(
        net::Interval{net::ipv6_from_bytes(first.data()), net::ipv6_from_bytes(last.data())});
  }
  return fmt::format("{}-{}", *from, *to);
}

Text name_prefix_text(ByteSpan bytes) {
  if (std::ranges::find(bytes, 0) != bytes.end()) return cannot("a name that ends within a prefix");
  return in_quotes(std::string(bytes.begin(), bytes.end()) + "*");
}

}  // namespace rolewall::print
