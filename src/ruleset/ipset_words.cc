#include "ruleset/ipset_words.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

#include "net/protocol.h"

namespace rolewall::ruleset {
namespace {

struct ProtocolWord {
  std::string_view word;  // of /etc/protocols, in small letters
  std::uint8_t number;
};
constexpr std::array kProtocolWords{
    ProtocolWord{"tcp", 6},        ProtocolWord{"udp", 17},        ProtocolWord{"sctp", 132},
    ProtocolWord{"udplite", 136},  ProtocolWord{"icmp", 1},        ProtocolWord{"ipv6-icmp", 58},
    ProtocolWord{"icmpv6", 58},    ProtocolWord{"igmp", 2},        ProtocolWord{"ipencap", 4},
    ProtocolWord{"dccp", 33},      ProtocolWord{"ipv6", 41},       ProtocolWord{"ipv6-route", 43},
    ProtocolWord{"ipv6-frag", 44}, ProtocolWord{"rsvp", 46},       ProtocolWord{"gre", 47},
    ProtocolWord{"esp", 50},       ProtocolWord{"ah", 51},         ProtocolWord{"ipv6-nonxt", 59},
    ProtocolWord{"ospf", 89},      ProtocolWord{"ipip", 94},       ProtocolWord{"pim", 103},
    ProtocolWord{"ipcomp", 108},   ProtocolWord{"vrrp", 112},      ProtocolWord{"l2tp", 115},
    ProtocolWord{"hip", 139},      ProtocolWord{"mpls-in-ip", 137}};

struct IcmpWord {
  std::string_view word;
  std::uint8_t type;
  std::uint8_t code;
};
constexpr std::array kIcmpWords{IcmpWord{"echo-reply", 0, 0},
                                IcmpWord{"network-unreachable", 3, 0},
                                IcmpWord{"host-unreachable", 3, 1},
                                IcmpWord{"protocol-unreachable", 3, 2},
                                IcmpWord{"port-unreachable", 3, 3},
                                IcmpWord{"fragmentation-needed", 3, 4},
                                IcmpWord{"source-route-failed", 3, 5},
                                IcmpWord{"network-unknown", 3, 6},
                                IcmpWord{"host-unknown", 3, 7},
                                IcmpWord{"network-prohibited", 3, 9},
                                IcmpWord{"host-prohibited", 3, 10},
                                IcmpWord{"TOS-network-unreachable", 3, 11},
                                IcmpWord{"TOS-host-unreachable", 3, 12},
                                IcmpWord{"communication-prohibited", 3, 13},
                                IcmpWord{"host-precedence-violation", 3, 14},
                                IcmpWord{"precedence-cutoff", 3, 15},
                                IcmpWord{"source-quench", 4, 0},
                                IcmpWord{"network-redirect", 5, 0},
                                IcmpWord{"host-redirect", 5, 1},
                                IcmpWord{"TOS-network-redirect", 5, 2},
                                IcmpWord{"TOS-host-redirect", 5, 3},
                                IcmpWord{"echo-request", 8, 0},
                                IcmpWord{"router-advertisement", 9, 0},
                                IcmpWord{"router-solicitation", 10, 0},
                                IcmpWord{"ttl-zero-during-transit", 11, 0},
                                IcmpWord{"ttl-zero-during-reassembly", 11, 1},
                                IcmpWord{"ip-header-bad", 12, 0},
                                IcmpWord{"required-option-missing", 12, 1},
                                IcmpWord{"timestamp-request", 13, 0},
                                IcmpWord{"timestamp-reply", 14, 0},
                                IcmpWord{"address-mask-request", 17, 0},
                                IcmpWord{"address-mask-reply", 18, 0}};
constexpr std::array kIcmpv6Words{IcmpWord{"no-route", 1, 0},
                                  IcmpWord{"communication-prohibited", 1, 1},
                                  IcmpWord{"address-unreachable", 1, 3},
                                  IcmpWord{"port-unreachable", 1, 4},
                                  IcmpWord{"packet-too-big", 2, 0},
                                  IcmpWord{"ttl-zero-during-transit", 3, 0},
                                  IcmpWord{"ttl-zero-during-reassembly", 3, 1},
                                  IcmpWord{"bad-header", 4, 0},
                                  IcmpWord{"unknown-header-type", 4, 1},
                                  IcmpWord{"unknown-option", 4, 2},
                                  IcmpWord{"echo-request", 128, 0},
                                  IcmpWord{"echo-reply", 129, 0},
                                  IcmpWord{"router-solicitation", 133, 0},
                                  IcmpWord{"router-advertisement", 134, 0},
                                  IcmpWord{"neighbour-solicitation", 135, 0},
                                  IcmpWord{"neighbour-advertisement", 136, 0},
                                  IcmpWord{"redirect", 137, 0}};

template <class Number>
std::optional<Number> decimal(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<std::uint16_t> icmp_type(std::string_view text, std::span<const IcmpWord> words) {
  const auto known = std::ranges::find(words, text, &IcmpWord::word);
  if (known != words.end()) return static_cast<std::uint16_t>(known->type << 8 | known->code);
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto type = decimal<std::uint8_t>(text.substr(0, slash));
  const auto code = decimal<std::uint8_t>(text.substr(slash + 1));
  if (!type || !code) return std::nullopt;
  return static_cast<std::uint16_t>(*type << 8 | *code);
}

}  // namespace

std::optional<IpsetPort> ipset_port(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view name = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const auto word = std::ranges::find(kProtocolWords, name, &ProtocolWord::word);
  const auto protocol =
      word == kProtocolWords.end() ? decimal<std::uint8_t>(name) : std::optional(word->number);
  if (!protocol) return std::nullopt;
  std::optional<std::uint16_t> number;
  if (*protocol == net::protocol::kIcmp) {
    number = icmp_type(port, kIcmpWords);
  } else if (*protocol == net::protocol::kIcmpv6) {
    number = icmp_type(port, kIcmpv6Words);
  } else {
    number = decimal<std::uint16_t>(port);
  }
  if (!number) return std::nullopt;
  return IpsetPort{*protocol, *number};
}

}  // namespace rolewall::ruleset
