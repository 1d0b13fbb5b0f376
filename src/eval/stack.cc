#include "eval/stack.h"

#include <algorithm>
#include <array>

#include "eval/checksum.h"
#include "ruleset/delivered.h"

namespace rolewall::eval {
namespace {

constexpr const char* kLoopbackSource = "martian source: the loopback network";
constexpr const char* kNoUnicastSource = "martian source: not the address of one host";
constexpr const char* kZeroSource = "martian source: 0.0.0.0";

// --- IPv4 --------------------------------------------------------------------------------------

bool is_multicast(std::uint32_t address) {
  return address >> 28 == 14;
}
bool is_local_multicast(std::uint32_t address) {
  return address >> 8 == 0xe00000;
}
bool is_loopback(std::uint32_t address) {
  return address >> 24 == 127;
}
constexpr std::uint32_t kBroadcast = 0xffffffff;

// Addresses that an interface bears, the loopback's 127.0.0.1 among them
// (inet_lookup_ifaddr_rcu()): the rest of 127.0.0.0/8 is routed here too, but borne by none.
bool is_borne(std::uint32_t address, const OwnAddresses& own) {
  constexpr std::uint32_t kLoopback = 0x7f000001;
  return address == kLoopback || own.exactly.ipv4.contains({address});
}

enum Option : std::uint8_t {
  kEnd = 0,
  kNoop = 1,
  kRecordRoute = 7,
  kTimestamp = 68,
  kLooseRoute = 131,
  kCipso = 134,
  kStrictRoute = 137,
  kRouterAlert = 148,
};

// ip_options_compile().
const char* options_error(ByteSpan options, bool& source_route) {
  constexpr const char* kMalformed = "malformed IP options";
  bool record_route = false;
  bool timestamp = false;
  std::size_t at = 0;
  while (at < options.size()) {
    const std::uint8_t* option = options.data() + at;
    if (option[0] == kEnd) break;
    if (option[0] == kNoop) {
      ++at;
      continue;
    }
    const std::size_t left = options.size() - at;
    if (left < 2 || option[1] < 2 || option[1] > left) return kMalformed;
    const unsigned length = option[1];
    switch (option[0]) {
      case kStrictRoute:
      case kLooseRoute:
        if (length < 3 || option[2] < 4 || source_route) return kMalformed;
        source_route = true;
        break;
      case kRecordRoute:
        if (record_route || length < 3 || option[2] < 4) return kMalformed;
        if (option[2] <= length && option[2] + 3U > length) return kMalformed;
        record_route = true;
        break;
      case kTimestamp: {
        if (timestamp || length < 4 || option[2] < 5) return kMalformed;
        const unsigned kind = option[3] & 0x0fU;  // 1: with addresses, 3: at these addresses
        if (option[2] <= length) {
          if (option[2] + 3U > length) return kMalformed;
          if ((kind == 1 || kind == 3) && option[2] + 7U > length) return kMalformed;
        } else if (kind != 3 && option[3] >> 4 == 15) {
          return kMalformed;
        }
        timestamp = true;
        break;
      }
      case kRouterAlert:
        if (length < 4) return kMalformed;
        break;
      case kCipso:
        return "a CIPSO label of an unknown domain";
      default:
        break;
    }
    at += length;
  }
  return nullptr;
}

// ip_mc_validate_source(), but for what fib_validate_source() says (source_check.h).
const char* multicast_source_error(std::uint32_t source, std::uint32_t destination,
                                   std::uint8_t protocol, bool route_localnet) {
  constexpr std::uint8_t kIgmp = 2;
  if (is_multicast(source) || source == kBroadcast) return kNoUnicastSource;
  if (is_loopback(source) && !route_localnet) return kLoopbackSource;
  if (source != 0) return nullptr;
  return is_local_multicast(destination) || protocol == kIgmp ? nullptr : kZeroSource;
}

// ip_route_input_slow(), but for what fib_validate_source() says (source_check.h).
const char* unicast_error(std::uint32_t source, std::uint32_t destination, const OwnAddresses& own,
                          Forwarding forwarding, bool route_localnet) {
  if (is_multicast(source) || source == kBroadcast) return kNoUnicastSource;
  if (destination == kBroadcast || (source == 0 && destination == 0)) return nullptr;
  if (source == 0) return kZeroSource;
  if (destination == 0) return "martian destination: 0.0.0.0";
  if (is_loopback(destination)) {
    return route_localnet ? nullptr : "martian destination: the loopback network";
  }
  if (is_loopback(source) && !route_localnet) return kLoopbackSource;
  if (forwarding == Forwarding::Off && !own.delivered.ipv4.contains({destination})) {
    return kNotForThisHost;
  }
  return nullptr;
}

// --- IPv6 --------------------------------------------------------------------------------------

bool is_ipv6_multicast(const std::uint8_t* address) {
  return address[0] == 0xff;
}
bool is_ipv6_loopback(const std::uint8_t* address) {
  return std::all_of(address, address + 15, [](std::uint8_t byte) { return byte == 0; }) &&
         address[15] == 1;
}

// ip6_parse_tlv() for the hop-by-hop header, with sysctl max_hbh_opts_number at 8. The packet may
// be cut by a jumbo payload option, which none under 64 KiB can bear.
const char* hop_by_hop_error(ByteSpan packet) {
  constexpr const char* kMalformed = "malformed hop-by-hop options";
  enum : std::uint8_t {
    kPad1 = 0,
    kRouterAlert = 5,
    kPadN = 1,
    kCalipso = 7,
    kIoam = 49,
    kJumbo = 194
  };
  constexpr int kMostOptions = 8;
  constexpr std::size_t kMostPadding = 7;
  if (!readable(packet, ipv6::kHeaderSize, 8)) return kMalformed;
  const std::size_t size = (packet[ipv6::kHeaderSize + 1] + std::size_t{1}) * 8;
  if (!readable(packet, ipv6::kHeaderSize, size)) return kMalformed;

  const std::size_t end = ipv6::kHeaderSize + size;
  std::size_t at = ipv6::kHeaderSize + 2;
  std::size_t padding = 0;
  int count = 0;
  while (at < end) {
    const std::uint8_t* option = packet.data() + at;
    if (option[0] == kPad1) {
      if (++padding > kMostPadding) return kMalformed;
      ++at;
      continue;
    }
    if (end - at < 2) return kMalformed;
    const std::size_t length = option[1] + 2U;
    if (length > end - at) return kMalformed;
    if (option[0] == kPadN) {
      padding += length;
      if (padding > kMostPadding) return kMalformed;
      if (std::any_of(option + 2, option + length, [](std::uint8_t b) { return b != 0; })) {
        return kMalformed;
      }
    } else {
      if (++count > kMostOptions) return kMalformed;
      padding = 0;
      switch (option[0]) {
        case kRouterAlert:
          if (option[1] != 2) return kMalformed;
          break;
        case kIoam:
          if (at % 4 != 0) return kMalformed;
          break;
        case kJumbo:
          return "a jumbo payload option in a packet that is not a jumbogram";
        case kCalipso:
          return "a CALIPSO label of an unknown domain";
        default:
          if (option[0] >> 6 != 0) return "an unknown hop-by-hop option that asks for a discard";
          break;
      }
    }
    at += length;
  }
  return nullptr;
}

}  // namespace

OwnAddresses OwnAddresses::of(const ruleset::Host& host) {
  const std::vector<net::Prefix> all = ruleset::delivered_here(host);
  std::vector<net::Prefix> single;
  std::ranges::copy_if(all, std::back_inserter(single), [](const net::Prefix& prefix) {
    return prefix.length == net::address_bits(prefix.address);
  });
  return {net::AddressSet::from(all), net::AddressSet::from(single)};
}

const char* receive_ipv4_error(ByteSpan& packet) {
  if (packet.size() < ipv4::kHeaderSize) return "shorter than an IPv4 header";
  const std::size_t header = ipv4::header_size(packet);
  if (packet[0] >> 4 != 4) return "not IP version 4";
  if (header < ipv4::kHeaderSize || packet.size() < header) return "wrong IPv4 header length";
  if (internet_checksum(packet.first(header)) != 0) return "wrong IPv4 header checksum";
  const std::size_t length = be16(packet.data() + ipv4::kTotalLength);
  if (packet.size() < length) return "shorter than its IPv4 length";
  if (length < header) return "IPv4 length shorter than the header";
  packet = packet.first(length);
  return nullptr;
}

const char* receive_ipv6_error(ByteSpan& packet, bool loopback_device) {
  if (packet.size() < ipv6::kHeaderSize) return "shorter than an IPv6 header";
  if (packet[0] >> 4 != 6) return "not IP version 6";
  const std::uint8_t* source = packet.data() + ipv6::kSource;
  const std::uint8_t* destination = packet.data() + ipv6::kDestination;
  if (!loopback_device) {
    if (is_ipv6_loopback(source) || is_ipv6_loopback(destination)) {
      return "the loopback address on a network";
    }
    if (is_ipv6_multicast(destination) && (destination[1] & 0x0f) == 1) {
      return "interface-local multicast from another host";
    }
  }
  if (is_ipv6_multicast(destination) && (destination[1] & 0x0f) == 0) {
    return "multicast of reserved scope";
  }
  if (is_ipv6_multicast(source)) return "a multicast source";

  const std::size_t payload = be16(packet.data() + ipv6::kPayloadLength);
  const bool hop_by_hop = packet[ipv6::kNextHeader] == ipv6::kHopByHop;
  // A length of zero before a hop-by-hop header may mean a jumbo payload, so it is not believed.
  if (payload != 0 || !hop_by_hop) {
    if (payload + ipv6::kHeaderSize > packet.size()) return "shorter than its IPv6 length";
    packet = packet.first(payload + ipv6::kHeaderSize);
  }
  return hop_by_hop ? hop_by_hop_error(packet) : nullptr;
}

const char* route_ipv4_error(ByteSpan packet, const OwnAddresses& own, Forwarding forwarding,
                             bool route_localnet) {
  const std::uint32_t source = be32(packet.data() + ipv4::kSource);
  const std::uint32_t destination = be32(packet.data() + ipv4::kDestination);
  return is_multicast(destination)
             ? multicast_source_error(source, destination, packet[ipv4::kProtocol], route_localnet)
             : unicast_error(source, destination, own, forwarding, route_localnet);
}

const char* ipv4_options_error(ByteSpan packet) {
  bool source_route = false;
  return options_error(packet.first(ipv4::header_size(packet)).subspan(ipv4::kHeaderSize),
                       source_route);
}

bool has_source_route(ByteSpan packet) {
  bool source_route = false;
  options_error(packet.first(ipv4::header_size(packet)).subspan(ipv4::kHeaderSize), source_route);
  return source_route;
}

bool rewrites_options(ByteSpan packet) {
  const ByteSpan options = packet.first(ipv4::header_size(packet)).subspan(ipv4::kHeaderSize);
  std::size_t at = 0;
  while (at < options.size()) {
    const std::uint8_t option = options[at];
    // What follows the end of the list is overwritten with ends.
    if (option == kEnd) {
      return std::ranges::any_of(options.subspan(at),
                                 [](std::uint8_t byte) { return byte != kEnd; });
    }
    if (option == kRecordRoute || option == kTimestamp) return true;
    at +=
        option == kNoop || at + 1 == options.size() ? 1 : std::max<std::size_t>(options[at + 1], 1);
  }
  return false;
}

const char* route_ipv6_error(ByteSpan packet, const OwnAddresses& own, Forwarding forwarding) {
  const std::uint8_t* destination = packet.data() + ipv6::kDestination;
  if (is_ipv6_multicast(destination) || forwarding == Forwarding::On) return nullptr;
  if (is_ipv6_loopback(destination))
    return nullptr;  // over the loopback, or it had not come so far
  return own.delivered.ipv6.contains(net::ipv6_from_bytes(destination)) ? nullptr : kNotForThisHost;
}

bool is_for_another_host(ByteSpan packet, bool ipv6, const OwnAddresses& own) {
  if (ipv6) {
    const std::uint8_t* to = packet.data() + ipv6::kDestination;
    return !is_ipv6_multicast(to) && !is_ipv6_loopback(to) &&
           !own.delivered.ipv6.contains(net::ipv6_from_bytes(to));
  }
  const std::uint32_t to = be32(packet.data() + ipv4::kDestination);
  return !is_multicast(to) && to != kBroadcast && !is_loopback(to) && to != 0 &&
         !own.delivered.ipv4.contains({to});
}

const char* forward_error(ByteSpan packet, bool ipv6, PacketType type, bool same_device) {
  if (type != PacketType::Host) return "sent to a group or broadcast Ethernet address";
  if (packet[ipv6 ? ipv6::kHopLimit : ipv4::kTtl] <= 1) return "its TTL or hop limit has run out";
  if (!ipv6 || same_device) return nullptr;
  const std::uint8_t* source = packet.data() + ipv6::kSource;
  const bool unspecified =
      std::all_of(source, source + 16, [](std::uint8_t byte) { return byte == 0; });
  if (unspecified || is_ipv6_loopback(source))
    return "a source address that another host must not use";
  const bool link_local = source[0] == 0xfe && (source[1] & 0xc0) == 0x80;
  return link_local ? "a link-local source address, which is not forwarded" : nullptr;
}

void count_hop(std::vector<std::uint8_t>& packet, bool ipv6) {
  if (ipv6) {
    --packet[ipv6::kHopLimit];
    return;
  }
  --packet[ipv4::kTtl];
  // ip_decrease_ttl().
  const std::uint32_t sum = be16(packet.data() + ipv4::kChecksum) + 0x0100U;
  put_be16(packet.data() + ipv4::kChecksum, sum + (sum >= 0xffff ? 1 : 0));
}

std::uint32_t forwarded_priority(ByteSpan packet) {
  // ip_tos2prio[]: best effort, bulk, interactive, interactive bulk.
  constexpr std::array<std::uint32_t, 4> kPriorities{0, 2, 6, 4};
  return kPriorities[packet[1] >> 3 & 3];
}

const char* output_ipv4_error(ByteSpan packet) {
  const bool stays =
      is_local_multicast(be32(packet.data() + ipv4::kDestination)) && packet[ipv4::kTtl] == 0;
  return stays ? "a multicast with a TTL of 0 stays on this host" : nullptr;
}

bool sent_by_this_host(ByteSpan packet, bool ipv6, const OwnAddresses& own) {
  if (!ipv6) {
    const std::uint32_t from = be32(packet.data() + ipv4::kSource);
    return is_loopback(from) || is_borne(from, own);
  }
  const std::uint8_t* source = packet.data() + ipv6::kSource;
  return is_ipv6_loopback(source) || own.exactly.ipv6.contains(net::ipv6_from_bytes(source));
}

}  // namespace rolewall::eval
