#include "eval/bridge.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "eval/route.h"
#include "eval/stack.h"
#include "eval/wire.h"

namespace rolewall::eval {
namespace {

constexpr std::string_view kKindOfBridges = "bridge";

// nf_ip6_check_hbh_len(): lengths alone. A jumbogram is larger than any frame.
const char* hop_by_hop_length_error(ByteSpan packet) {
  constexpr const char* kMalformed = "malformed hop-by-hop options";
  constexpr std::uint8_t kPad1 = 0;
  constexpr std::uint8_t kJumbo = 194;
  if (!readable(packet, ipv6::kHeaderSize, 8)) return kMalformed;
  const std::size_t size = (packet[ipv6::kHeaderSize + 1] + std::size_t{1}) * 8;
  if (!readable(packet, ipv6::kHeaderSize, size)) return kMalformed;
  const std::size_t end = ipv6::kHeaderSize + size;
  std::size_t at = ipv6::kHeaderSize + 2;
  while (at < end) {
    if (packet[at] == kPad1) {
      ++at;
      continue;
    }
    if (end - at < 2) return kMalformed;
    const std::size_t length = packet[at + 1] + std::size_t{2};
    if (length > end - at || packet[at] == kJumbo) return kMalformed;
    at += length;
  }
  return nullptr;
}

// br_validate_ipv6(): what hosts it is from or for, the IP stack asks behind prerouting.
const char* bridged_ipv6_error(ByteSpan& packet) {
  if (packet.size() < ipv6::kHeaderSize) return "shorter than an IPv6 header";
  if (packet[0] >> 4 != 6) return "not IP version 6";
  if (packet[ipv6::kNextHeader] == ipv6::kHopByHop) {
    if (const char* error = hop_by_hop_length_error(packet)) return error;
  }
  const std::size_t size = be16(packet.data() + ipv6::kPayloadLength) + ipv6::kHeaderSize;
  if (size > packet.size()) return "shorter than its IPv6 length";
  packet = packet.first(size);
  return nullptr;
}

}  // namespace

const ruleset::Interface* Bridges::bridge_of(const Frame& frame) const {
  const auto found =
      std::ranges::find(host_.interfaces, frame.packet->in_device, &ruleset::Interface::device);
  return found == host_.interfaces.end() || found->kind != kKindOfBridges ? nullptr : &*found;
}

bool Bridges::shows(const Frame& frame) const {
  const ruleset::Interface* bridge = bridge_of(frame);
  if (bridge == nullptr || frame.packet->is_bridged) return false;
  return (frame.ipv6 ? bridge->shows_ipv6 : bridge->shows_ipv4).value_or(false);
}

bool Bridges::may_show(Frame& frame) const {
  const ruleset::Interface* bridge = bridge_of(frame);
  if (bridge == nullptr || frame.packet->is_bridged) return false;
  if (const auto known = frame.ipv6 ? bridge->shows_ipv6 : bridge->shows_ipv4) return *known;
  const bool shows = frame.choices->choose(2) == 1;
  frame.conditions.push_back(
      {.about = fmt::format("whether {} shows its frames to prerouting (bridge-nf-call-{}tables)",
                            bridge->device, frame.ipv6 ? "ip6" : "ip"),
       .is = shows ? "yes" : "no"});
  return shows;
}

const char* Bridges::validation_error(ByteSpan& packet, bool ipv6) {
  return ipv6 ? bridged_ipv6_error(packet) : receive_ipv4_error(packet);
}

// br_nf_pre_routing_finish_bridge() asks whose Ethernet address it is, should_deliver() sends
// nothing back by a port that is no hairpin.
std::string Bridges::forward_error(Frame& frame) const {
  const std::string to = net::format(destination_of(frame.bytes, frame.ipv6));
  const bool lost = frame.choices->choose(2) == 1;
  frame.conditions.push_back(
      {.about = fmt::format("whether {} is behind another port of {} than the packet came by", to,
                            frame.in_device),
       .is = lost ? "no" : "yes"});
  return lost ? fmt::format("{} passes it on to no other port", frame.in_device) : "";
}

// br_nf_dev_queue_xmit() cuts up what is larger than its port takes, and may be.
std::string Bridges::send_error(Frame& frame) const {
  constexpr std::uint8_t kDoNotFragment = 0x40;
  const ruleset::Interface* bridge = bridge_of(frame);
  const bool may_be_cut = !frame.ipv6 && (frame.bytes[ipv4::kFragment] & kDoNotFragment) == 0;
  const bool fits = bridge == nullptr || bridge->mtu == 0 || frame.bytes.size() <= bridge->mtu;
  if (may_be_cut || fits) return "";
  const bool lost = frame.choices->choose(2) == 1;
  frame.conditions.push_back({.about = fmt::format("whether the port of {} takes {} bytes",
                                                   bridge->device, frame.bytes.size()),
                              .is = lost ? "no" : "yes"});
  return lost ? fmt::format("larger than the port of {} takes", bridge->device) : "";
}

}  // namespace rolewall::eval
