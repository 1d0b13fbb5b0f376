#include "eval/arrivals.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "eval/stopped.h"
#include "eval/wire.h"

namespace rolewall::eval {
namespace {

using ruleset::Hook;

constexpr const char* kFrameToMany =
    "a packet to one host in a frame to many, which the device does not take";

}  // namespace

// ip6_rcv_core().
const char* Arrivals::reception_error(const Frame& frame) const {
  const auto* settings = settings_of(host_, frame.packet->in_device);
  if (!frame.ipv6 || settings == nullptr) return nullptr;
  if (!settings->ipv6) return "IPv6 is off on the device";
  return frame.bytes.size() >= ipv6::kHeaderSize && is_unwanted(frame) ? kFrameToMany : nullptr;
}

std::string Arrivals::vrf_of(std::string_view device) const {
  const auto port = std::ranges::find(host_.interfaces, device, &ruleset::Interface::device);
  if (port == host_.interfaces.end() || port->master.empty()) return "";
  const auto master =
      std::ranges::find(host_.interfaces, port->master, &ruleset::Interface::device);
  return master == host_.interfaces.end() || master->kind != "vrf" ? "" : master->device;
}

// IPv4 asks the device that the packet came by (IN_DEV_FORWARD()), IPv6 conf/all, and since Linux
// 6.17 the device's force_forwarding (ip6_forward()).
bool Arrivals::may_forward(const Frame& frame, std::string_view device) const {
  if (const auto* settings = settings_of(host_, device)) {
    return frame.ipv6 ? host_.forwards_ipv6 || settings->forwards_ipv6 : settings->forwards_ipv4;
  }
  const bool forwards = frame.ipv6 ? host_.forwards_ipv6 : host_.forwards_ipv4;
  return forwards || !frame.packet->out_device.empty();
}

// A frame to many that holds a packet to one host, where the device is set not to take it.
bool Arrivals::is_unwanted(const Frame& frame) const {
  const auto* settings = settings_of(host_, frame.packet->in_device);
  const bool to_many = frame.type == PacketType::Broadcast || frame.type == PacketType::Multicast;
  if (settings == nullptr || !to_many) return false;
  if (frame.ipv6) {
    return settings->drops_ipv6_unicast_in_multicast && frame.bytes[ipv6::kDestination] != 0xff;
  }
  const std::uint32_t to = be32(frame.bytes.data() + ipv4::kDestination);
  const bool to_all = to == 0xffffffff || to == 0;
  return settings->drops_unicast_in_multicast && !to_all && !is_broadcast(frame) &&
         !net::is_multicast(net::Ipv4{to});
}

// Sent to the broadcast address of one of the host's networks.
bool Arrivals::is_broadcast(const Frame& frame) const {
  const ruleset::Route* route =
      routes_.as_asked_by(asker_of(frame)).find(destination_of(frame.bytes, frame.ipv6));
  return route != nullptr && route->type == ruleset::RouteType::Broadcast;
}

bool Arrivals::let_pass(Frame& frame, const Way& way, Journey& journey) const {
  if (!way.routed && !is_routed(frame, way, journey)) return false;
  if (frame.ipv6 || way.as_frame) return true;
  if (!takes_options(frame, way.next, journey)) return false;
  if (way.routed || !is_unwanted(frame)) return true;
  journey.hooks.push_back(stopped_by_stack(way.next, kFrameToMany));
  return false;
}

// ip_route_input_rcu(), ip6_route_input().
bool Arrivals::is_routed(Frame& frame, const Way& way, Journey& journey) const {
  const auto* settings = settings_of(host_, frame.in_device);
  const bool localnet = settings != nullptr && settings->route_localnet;
  const char* error = frame.ipv6 ? route_ipv6_error(frame.bytes, own_, way.forwarding)
                                 : route_ipv4_error(frame.bytes, own_, way.forwarding, localnet);
  if (error != nullptr) {
    note_localnet(frame, journey);
    journey.hooks.push_back(stopped_by_stack(way.next, error));
    return false;
  }
  if (frame.ipv6) return true;
  if (settings != nullptr && settings->forwards_broadcasts && is_broadcast(frame)) {
    journey.hooks.push_back(
        not_modelled(way.next, "a broadcast that bc_forwarding passes on: it is not modelled"));
    return false;
  }
  if (be32(frame.bytes.data() + ipv4::kSource) == 0) return true;
  const bool passes_on = way.next == Hook::Forward;
  const std::string refused =
      source_check_.refusal(frame, passes_on ? frame.leaves_by : std::string_view(), journey);
  if (!refused.empty()) journey.hooks.push_back(stopped_by_stack(way.next, refused));
  return refused.empty();
}

// The one setting that could have let it pass, where the host's description says none.
void Arrivals::note_localnet(const Frame& frame, Journey& journey) const {
  constexpr std::uint8_t kLoopbackNetwork = 127;
  const bool of_loopback = !frame.ipv6 && (frame.bytes[ipv4::kSource] == kLoopbackNetwork ||
                                           frame.bytes[ipv4::kDestination] == kLoopbackNetwork);
  if (!of_loopback || frame.in_device == kLoopbackDevice) return;
  if (settings_of(host_, frame.in_device) != nullptr) return;
  journey.assumed.push_back(fmt::format("route_localnet 0 on {}", frame.in_device));
}

// ip_rcv_options(). By which hosts the sender wants it to go is looked up anew.
bool Arrivals::takes_options(const Frame& frame, Hook next, Journey& journey) const {
  if (const char* error = ipv4_options_error(frame.bytes)) {
    journey.hooks.push_back(stopped_by_stack(next, error));
    return false;
  }
  if (!has_source_route(frame.bytes)) return true;
  const auto* settings = settings_of(host_, frame.in_device);
  if (settings != nullptr && settings->accept_source_route) {
    journey.hooks.push_back(
        not_modelled(next, "a source route, which the device accepts: it is not modelled"));
    return false;
  }
  if (settings == nullptr && frame.in_device != kLoopbackDevice) {
    journey.assumed.push_back(fmt::format("accept_source_route 0 on {}", frame.in_device));
  }
  journey.hooks.push_back(stopped_by_stack(next, "a source route, which is not accepted"));
  return false;
}

}  // namespace rolewall::eval
