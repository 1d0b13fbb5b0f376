#include "eval/source_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "eval/wire.h"

namespace rolewall::eval {
namespace {

using ruleset::RouteType;

constexpr std::uint8_t kStrict = 1;
constexpr const char* kOwnSource = "martian source: this host's own address";

}  // namespace

const ruleset::StackSettings* settings_of(const ruleset::Host& host, std::string_view device) {
  const auto found = std::ranges::find(host.interfaces, device, &ruleset::Interface::device);
  return found == host.interfaces.end() || !found->settings ? nullptr : &*found->settings;
}

bool SourceCheck::is_own(const net::Address& source) const {
  const net::Address loopback = net::Ipv4{0x7f000001};
  return source == loopback || own_.exactly.contains(source);
}

// A way back that does not exist, or is refused, counts where rp_filter asks for one: the kernel
// calls it the last resort.
std::string SourceCheck::refusal_by_route(const Routes& routes, const net::Address& source,
                                          const ruleset::StackSettings& settings,
                                          std::string_view device) const {
  const auto filtered = [&](std::string_view why) {
    return fmt::format("rp_filter of {} ({}): {}", device,
                       settings.rp_filter == kStrict ? "strict" : "loose", why);
  };
  const ruleset::Route* route = routes.find(source);
  const bool refused = route == nullptr || route->type == RouteType::Blackhole ||
                       route->type == RouteType::Unreachable || route->type == RouteType::Prohibit;
  if (refused) {
    return settings.rp_filter == 0 ? "" : filtered("there is no route back to the source");
  }
  if (route->type == RouteType::Local && !settings.accept_local) return kOwnSource;
  if (route->type != RouteType::Local && route->type != RouteType::Unicast) {
    return "martian source: not the address of one host";
  }
  if (routes.leads_by(*route, device)) return "";
  if (routes.addresses_on(device, false).empty()) {
    return settings.rp_filter == 0
               ? ""
               : filtered("the way back to the source is another, and the device has no address");
  }
  if (settings.rp_filter != kStrict) return "";
  return filtered("the way back to the source leads by another device");
}

bool SourceCheck::is_reached_by(const Routes& routes, const net::Address& source,
                                std::string_view device) const {
  if (routes.known_to(source)) {
    const ruleset::Route* route = routes.find(source);
    return route != nullptr && routes.leads_by(*route, device);
  }
  return std::ranges::any_of(
      interfaces_towards(host_, source),
      [&](const ruleset::Interface& interface) { return interface.device == device; });
}

// fib4_has_custom_rules(): from the first rule on that a program adds or takes away.
bool SourceCheck::has_rules() const {
  if (!host_.has_routing_rules || host_.routing_rules.empty()) return host_.has_routing_rules;
  constexpr std::array<std::uint32_t, 3> kUsual{255, 254, 253};  // local, main, default
  std::vector<std::uint32_t> tables;
  for (const ruleset::RoutingRule& rule : host_.routing_rules) {
    if (!net::is_ipv4(rule.to.address)) continue;
    const ruleset::RoutingRule plain{.from = rule.from.length == 0 ? rule.from : net::Prefix{},
                                     .to = rule.to.length == 0 ? rule.to : net::Prefix{},
                                     .table = rule.table};
    if (rule != plain) return true;
    tables.push_back(rule.table);
  }
  return !std::ranges::equal(tables, kUsual);
}

// Where not all routes are known: what the table local says comes first, and counts without
// rp_filter, too.
std::string SourceCheck::refusal_by_some(Frame& frame, const Routes& routes,
                                         const net::Address& source,
                                         const ruleset::StackSettings& settings) const {
  const std::string device(frame.in_device);
  const ruleset::Route* local = routes.local_known() ? routes.find_local(source) : nullptr;
  if (local != nullptr && local->type != RouteType::Unicast) {
    return refusal_by_route(routes, source, settings, device);
  }
  const bool may_be_local =
      host_.has_added_local_routes || (!routes.local_known() && !host_.routing_rules.empty());
  const bool looks_up_rules = has_rules() && !settings.accept_local && may_be_local;
  if (settings.rp_filter == 0 && !looks_up_rules) return "";
  const bool refused = frame.choices->choose(2) == 1;
  frame.conditions.push_back(
      {.about = settings.rp_filter == 0
                    ? fmt::format("whether a rule of `ip rule` has a route of type local to {}",
                                  net::format(source))
                    : fmt::format("rp_filter {} of {}, whether {} is reached so",
                                  settings.rp_filter, device, net::format(source)),
       .is = refused == (settings.rp_filter == 0) ? "yes" : "no"});
  if (!refused) return "";
  return settings.rp_filter == 0 ? kOwnSource : fmt::format("rp_filter of {}", device);
}

std::string SourceCheck::refusal(Frame& frame, std::string_view leaves_by, Journey& journey) const {
  const std::string device(frame.in_device);
  const net::Address source = net::ipv4_from_bytes(frame.bytes.data() + ipv4::kSource);
  // fib_validate_source() looks the way back up; of what is for many it is no one's.
  const net::Address to = destination_of(frame.bytes, false);
  const ruleset::Route* here = routes_.find_local(to);
  const bool to_many = net::is_multicast(to) || to == net::Address{net::Ipv4{0xffffffff}} ||
                       (here != nullptr && here->type == RouteType::Broadcast);
  const Routes routes =
      routes_.as_asked_by({.from = to_many ? net::Address{net::Ipv4{}} : to,
                           .to = source,
                           .in_device = leaves_by.empty() ? kLoopbackDevice : leaves_by,
                           .mark = 0});
  const ruleset::StackSettings* known = settings_of(host_, device);
  const ruleset::StackSettings settings = known == nullptr ? ruleset::StackSettings{} : *known;
  const auto assume = [&](std::string what) {
    if (known == nullptr && device != kLoopbackDevice) journey.assumed.push_back(std::move(what));
  };
  if (is_own(source) && !settings.accept_local) {
    assume(fmt::format("accept_local 0 on {}", device));
    return kOwnSource;
  }
  // Where it leaves by the device that it came by, redirects make the kernel look it up.
  const bool asks_local = host_.has_added_local_routes || has_rules();
  const bool looks_up = settings.rp_filter != 0 ||
                        (leaves_by == device && settings.send_redirects) ||
                        (asks_local && !settings.accept_local);
  if (!looks_up) {
    if (!is_own(source) && !is_reached_by(routes, source, device)) {
      assume(fmt::format("rp_filter 0 on {}", device));
    }
    // That one was there and is gone, no machine tells.
    if (!settings.accept_local && routes.known_to(source) &&
        !refusal_by_route(routes, source, settings, device).empty()) {
      journey.assumed.emplace_back("no rule of `ip rule` since the machine was started");
    }
    return "";
  }
  if (routes.known_to(source)) return refusal_by_route(routes, source, settings, device);
  if (settings.rp_filter == 0 && !is_own(source) && !is_reached_by(routes, source, device)) {
    assume(fmt::format("rp_filter 0 on {}", device));
  }
  return refusal_by_some(frame, routes, source, settings);
}

}  // namespace rolewall::eval
