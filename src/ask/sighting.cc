#include "ask/sighting.h"

#include <algorithm>

#include "ask/sample.h"
#include "ask/translations.h"
#include "eval/route.h"
#include "eval/wire.h"

namespace rolewall::ask {
namespace {

constexpr std::size_t kMacSize = 6;
// A forwarded packet leaves at once: so many others at most are between its two sightings.
constexpr std::size_t kMostBetween = 64;

// "02:00:00:00:00:01"; empty where it is none.
std::vector<std::uint8_t> parse_mac(const std::string& text) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t at = 0; at + 2 <= text.size(); at += 3) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoul(text.substr(at, 2), nullptr, 16)));
  }
  if (bytes.size() != kMacSize) bytes.clear();
  return bytes;
}

bool holds(const std::vector<std::string>& all, const std::string& one) {
  return std::ranges::find(all, one) != all.end();
}

}  // namespace

Sightings::Sightings(const ruleset::Host& host, const TakenOn& taken_on, bool translates)
    : host_(host), taken_on_(taken_on), translates_(translates) {
  std::vector<net::Prefix> own = host.addresses;
  std::vector<net::Prefix> singles;
  std::ranges::copy_if(own, std::back_inserter(singles), [](const net::Prefix& prefix) {
    return prefix.length == net::address_bits(prefix.address);
  });
  own.insert(own.end(), host.virtual_addresses.begin(), host.virtual_addresses.end());
  own_ = net::AddressSet::from(own);
  singles_ = net::AddressSet::from(singles);
  for (const ruleset::Interface& interface : host.interfaces) {
    if (interface.device != taken_on.device) continue;
    known_mac_ = parse_mac(interface.mac);
  }
}

std::vector<std::string> Sightings::devices_towards(const net::Address& address) const {
  std::vector<std::string> devices;
  if (host_.routes) {
    const eval::Routes routes(host_);
    auto ways = routes.ways(address);
    for (const ruleset::Route* route : routes.for_some(address)) ways.push_back(route);
    for (const ruleset::Route* way : ways) {
      if (way->type == ruleset::RouteType::Unicast) devices.push_back(way->device);
    }
    return devices;
  }
  for (const ruleset::Interface& interface : eval::interfaces_towards(host_, address)) {
    devices.push_back(interface.device);
  }
  return devices;
}

std::vector<std::string> Sightings::other_devices() const {
  std::vector<std::string> devices;
  if (taken_on_.each_says) return devices;
  for (const ruleset::Interface& interface : host_.interfaces) {
    if (interface.device != taken_on_.device) devices.push_back(interface.device);
  }
  return devices;
}

// Frames of another kind have no link header here.
std::optional<Sightings::Ends> Sightings::frame_ends(const eval::Packet& packet) const {
  if (packet.link.size() < 2 * kMacSize || taken_on_.device == "lo") return std::nullopt;
  const auto begin = packet.link.begin();
  return Ends{Mac(begin, begin + kMacSize), Mac(begin + kMacSize, begin + 2 * kMacSize)};
}

// Where the host's description has the device's address, it alone counts: once the capture has
// shown it, since one that was written by hand, or taken before the card was replaced, never does.
std::optional<Seen> Sightings::by_known_mac(eval::Packet& packet) {
  const auto ends = known_mac_.empty() ? std::nullopt : frame_ends(packet);
  if (!ends) return std::nullopt;
  shows_known_mac_ |= ends->from == known_mac_ || ends->to == known_mac_;
  const bool to_group = (ends->to[0] & 1) != 0;
  if (!shows_known_mac_) {
    may_be_for_another_ = !to_group;
    return std::nullopt;
  }
  if (ends->from == known_mac_) return Seen::Leaving;
  if (!to_group && ends->to != known_mac_) packet.type = eval::PacketType::OtherHost;
  return Seen::Arriving;
}

// A host sends nothing to its own address by a device, so that such a frame shows the device's.
std::optional<Seen> Sightings::by_learned_mac(const eval::Packet& packet) {
  const auto ends = frame_ends(packet);
  if (!ends) return std::nullopt;
  if ((ends->to[0] & 1) == 0 && ends->to != ends->from &&
      singles_.contains(destination_of(packet))) {
    learned_macs_.insert(ends->to);
  }
  if (learned_macs_.contains(ends->from)) return Seen::Leaving;
  if (learned_macs_.contains(ends->to)) return Seen::Arriving;
  return std::nullopt;
}

// Whether it has been here a hop earlier.
bool Sightings::is_twin(const eval::Packet& packet) {
  const bool ipv6 = is_ipv6(packet);
  Twin twin{packet.bytes, packet.bytes[ipv6 ? eval::ipv6::kHopLimit : eval::ipv4::kTtl]};
  twin.rest[ipv6 ? eval::ipv6::kHopLimit : eval::ipv4::kTtl] = 0;
  if (!ipv6) {
    twin.rest[eval::ipv4::kChecksum] = 0;
    twin.rest[eval::ipv4::kChecksum + 1] = 0;
  }
  const auto same = std::ranges::find_if(arrived_, [&](const Twin& other) {
    return other.hops == twin.hops + 1 && other.rest == twin.rest;
  });
  if (same != arrived_.end()) {
    arrived_.erase(same);
    return true;
  }
  arrived_.push_back(std::move(twin));
  if (arrived_.size() > kMostBetween) arrived_.pop_front();
  return false;
}

Seen Sightings::by_addresses(const eval::Packet& packet) {
  const net::Address from = source_of(packet);
  const net::Address to = destination_of(packet);
  const auto by_mac = by_learned_mac(packet);
  if (own_.contains(to)) return Seen::Arriving;
  if (own_.contains(from)) return Seen::Leaving;
  if (by_mac) return *by_mac;
  if (net::is_group(to) || !forwards(!net::is_ipv4(to))) return Seen::Arriving;
  const std::vector<std::string> sources = devices_towards(from);
  const std::vector<std::string> ways_out = devices_towards(to);
  const bool may_come = holds(sources, taken_on_.device);
  const bool may_leave = holds(ways_out, taken_on_.device);
  if (!may_leave) return Seen::Arriving;
  if (!may_come) return Seen::Leaving;
  if (is_twin(packet)) return Seen::Leaving;
  const bool certain = sources.size() == 1 && ways_out.size() == 1 && !translates_;
  return certain ? Seen::Arriving : Seen::Either;
}

Seen Sightings::see(eval::CapturedPacket& captured) {
  may_be_for_another_ = false;
  if (taken_on_.direction) {
    return *taken_on_.direction == eval::Direction::Send ? Seen::Leaving : Seen::Arriving;
  }
  if (captured.says_way) return captured.outgoing ? Seen::Leaving : Seen::Arriving;
  const bool ipv6 = is_ipv6(captured.packet);
  const std::size_t header = ipv6 ? eval::ipv6::kHeaderSize : eval::ipv4::kHeaderSize;
  if (captured.packet.bytes.size() < header + captured.packet.missing) return Seen::Arriving;
  if (const auto seen = by_known_mac(captured.packet)) return *seen;
  return by_addresses(captured.packet);
}

}  // namespace rolewall::ask
