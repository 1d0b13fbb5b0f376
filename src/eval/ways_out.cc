#include "eval/ways_out.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "eval/source_check.h"
#include "eval/stopped.h"
#include "eval/wire.h"

namespace rolewall::eval {

using ruleset::Hook;

constexpr const char* kRefusedByRules = "a rule of `ip rule`, or its route, refuses it";

// Without routes: by what is behind the devices. Where rules choose among routes, or a running
// machine's are not modelled, these may also lead nowhere, or the rules refuse it: then nothing.
std::optional<std::string> WaysOut::choose(Frame& frame, const net::Address& to) const {
  std::vector<ruleset::Interface> ways = routes_.devices_by_rules(to);
  if (ways.empty()) ways = interfaces_towards(host_, to);
  if (is_link_local(to) && !frame.in_device.empty()) {
    ways.resize(1);
    ways.front().device = frame.in_device;
  }
  const bool may_be_refused = host_.has_routing_rules || !host_.local_routes.empty();
  const std::size_t count = ways.size() + (may_be_refused ? 1 : 0);
  const std::size_t chosen = count == 1 ? 0 : frame.choices->choose(count);
  std::optional<std::string> device;
  if (chosen < ways.size()) device = ways[chosen].device;
  if (count > 1) {
    frame.conditions.push_back(
        {.about = fmt::format("the device towards {}{}", net::format(to),
                              host_.has_routing_rules ? ", by the rules of `ip rule`"
                              : may_be_refused        ? ", whose routes are not known"
                                                      : ""),
         .is = device.value_or("none")});
  }
  return device;
}

// fib_select_multipath(), fib6_table_lookup(), fib6_select_path().
Routes::Answer WaysOut::choose_route(Frame& frame, const Routes& routes, const net::Address& to,
                                     std::string_view came_by, std::string_view device) const {
  std::vector<const ruleset::Route*> for_some = routes.for_some(to);
  std::erase_if(for_some, [&](const ruleset::Route* route) {
    return !device.empty() && route->device != device;
  });
  if (!for_some.empty()) {
    const std::size_t taken = frame.choices->choose(1 + for_some.size());
    std::string is = "not taken";
    if (taken != 0) {
      const std::string& by = for_some[taken - 1]->device;
      is = by.empty() ? "taken" : fmt::format("taken, by {}", by);
    }
    frame.conditions.push_back(
        {.about = fmt::format("the route to {} of some packets alone, by their type of service or "
                              "source",
                              net::format(for_some.front()->to)),
         .is = std::move(is)});
    if (taken != 0) return Routes::answer(*for_some[taken - 1]);
  }
  const std::vector<const ruleset::Route*> ways = routes.ways(to, came_by, device);
  if (ways.empty()) return routes.towards(to, device);
  if (ways.size() == 1) return Routes::answer(*ways.front());
  const Routes::Answer chosen = Routes::answer(*ways[frame.choices->choose(ways.size())]);
  frame.conditions.push_back(
      {.about = fmt::format("the next hop towards {}", net::format(to)),
       .is = chosen.route == nullptr ? std::string("none") : chosen.route->device});
  return chosen;
}

Routes WaysOut::asked_by(Frame& frame) const {
  if (!frame.mark_is_set && routes_.ask_marks(frame.ipv6)) frame.reads.mark = true;
  return routes_.as_asked_by(asker_of(frame));
}

// The device that a packet for another host leaves by: the asker's word, else the routes'.
bool WaysOut::find(Frame& frame, Journey& journey) const {
  const net::Address to = destination_of(frame.bytes, frame.ipv6);
  const Routes routes = asked_by(frame);
  if (!frame.packet->out_device.empty()) {
    frame.leaves_by = frame.packet->out_device;
    frame.route = routes.find_by(to, frame.leaves_by);
    return true;
  }
  if (!routes.known()) {
    const auto device = choose(frame, to);
    if (!device) journey.hooks.push_back(stopped_by_stack(Hook::Forward, kRefusedByRules));
    if (device) frame.leaves_by = frame.way_out = *device;
    return device.has_value();
  }
  const Routes::Answer answer = choose_route(
      frame, routes, to, frame.in_device, is_link_local(to) ? frame.in_device : std::string_view());
  if (answer.error != nullptr) {
    journey.hooks.push_back(stopped_by_stack(Hook::Forward, answer.error));
    return false;
  }
  frame.route = answer.route;
  frame.leaves_by = frame.route->device;
  return true;
}

// ip_route_me_harder(), ip6_route_me_harder(): what goes to a link's own address keeps its device,
// and the loopback's routes know none; __mkroute_output() refuses the loopback's as a source.
// Not null: there is no way, and why; the device is then as before.
const char* WaysOut::again(Frame& frame) const {
  const net::Address to = destination_of(frame.bytes, frame.ipv6);
  const bool to_group = frame.ipv6 && frame.bytes[ipv6::kDestination] == 0xff;
  if (is_link_local(to) && frame.leaves_by == kLoopbackDevice) {
    return "it is routed again, and the loopback has no route to a link's address";
  }
  if (is_link_local(to) || to_group) return nullptr;
  const Routes routes = asked_by(frame);
  const bool here =
      own_.delivered.contains(to) || !is_for_another_host(frame.bytes, frame.ipv6, own_);
  if (here || routes.leads_here(to)) {
    frame.leaves_by = kLoopbackDevice;
    return nullptr;
  }
  std::optional<std::string> device;
  if (!routes.known()) {
    device = choose(frame, to);
    if (!device) return kRefusedByRules;
  } else {
    const Routes::Answer answer = choose_route(frame, routes, to, {}, {});
    if (answer.error != nullptr) return answer.error;
    device = answer.route->device;
  }
  if (!takes_loopback_source(frame, *device)) {
    return "it is routed again, and a loopback address leaves the host by no route";
  }
  frame.leaves_by = frame.way_out = *device;
  return nullptr;
}

// __mkroute_output(): the loopback's addresses leave by a device with route_localnet alone. Its
// broadcast address is none that a lookup is asked with (ip_route_me_harder()).
bool WaysOut::takes_loopback_source(Frame& frame, std::string_view device) const {
  constexpr std::uint8_t kLoopbackNetwork = 127;
  constexpr net::Ipv4 kBroadcast{0x7fffffff};
  if (frame.ipv6 || frame.bytes[ipv4::kSource] != kLoopbackNetwork) return true;
  const net::Ipv4 source = net::ipv4_from_bytes(frame.bytes.data() + ipv4::kSource);
  const ruleset::Route* own = routes_.find_local(source);
  const bool broadcast =
      own == nullptr ? source == kBroadcast : own->type == ruleset::RouteType::Broadcast;
  if (broadcast) return true;
  const auto* settings = settings_of(host_, device);
  if (settings == nullptr) {
    frame.conditions.push_back(
        {.about = fmt::format("route_localnet of {}", device), .is = "0", .assumed = true});
  }
  return settings != nullptr && settings->route_localnet;
}

}  // namespace rolewall::eval
