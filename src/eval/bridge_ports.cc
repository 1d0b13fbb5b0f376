#include "eval/bridge_ports.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "eval/wire.h"
#include "ruleset/bridge.h"

namespace rolewall::eval {

bool BridgePorts::leads_back(const Frame& frame) const {
  if (!frame.packet->out_device.empty()) return frame.packet->out_device == frame.in_device;
  const net::Address to = destination_of(frame.bytes, frame.ipv6);
  const Routes routes = routes_.as_asked_by(asker_of(frame));
  if (!routes.known()) {
    const auto ways = interfaces_towards(host_, to);
    return std::ranges::count(ways, frame.in_device, &ruleset::Interface::device) != 0;
  }
  const std::string_view link = is_link_local(to) ? frame.in_device : std::string_view();
  const auto ways = routes.ways(to, frame.in_device, link);
  return std::ranges::count(ways, frame.in_device, &ruleset::Route::device) != 0;
}

// What a capture has seen on the bridge itself was sent to this host.
bool BridgePorts::is_open(const Frame& frame) const {
  const std::size_t header = frame.ipv6 ? ipv6::kHeaderSize : ipv4::kHeaderSize;
  const Packet& packet = *frame.packet;
  return packet.type == PacketType::Host && !packet.is_bridged && !packet.may_be_merged &&
         packet.link.empty() && frame.bytes.size() >= header &&
         ruleset::bridge_of(host_, frame.in_device) != nullptr;
}

// br_handle_frame_finish(): by the Ethernet address.
BridgePorts::Way BridgePorts::choose(Frame& frame) const {
  if (!leads_back(frame)) return Way::Routed;
  std::vector<Way> ways{Way::Routed};
  const auto shows = ruleset::shows_frames(host_, frame.ipv6, frame.in_device);
  if (!shows.value_or(false)) ways.push_back(Way::Frame);
  if (shows.value_or(true)) ways.push_back(Way::Shown);
  const Way way = ways[frame.choices->choose(ways.size())];
  std::string is = "this host, which routes it";
  if (way == Way::Frame) is = "another host there: the bridge passes it on, below IP";
  if (way == Way::Shown) is = "another host there: the bridge passes it on, by br_netfilter";
  frame.conditions.push_back(
      {.about = fmt::format("whose Ethernet address it is sent to on {}", frame.in_device),
       .is = std::move(is)});
  return way;
}

}  // namespace rolewall::eval
