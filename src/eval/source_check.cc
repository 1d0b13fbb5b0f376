#include "eval/source_check.h"

#include <fmt/format.h>

#include <algorithm>

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
std::string SourceCheck::refusal_by_route(const net::Address& source,
                                          const ruleset::StackSettings& settings,
                                          std::string_view device) const {
  const auto filtered = [&](std::string_view why) {
    return fmt::format("rp_filter of {} ({}): {}", device,
                       settings.rp_filter == kStrict ? "strict" : "loose", why);
  };
  const ruleset::Route* route = routes_.find(source);
  const bool refused = route == nullptr || route->type == RouteType::Blackhole ||
                       route->type == RouteType::Unreachable || route->type == RouteType::Prohibit;
  if (refused) {
    return settings.rp_filter == 0 ? "" : filtered("there is no route back to the source");
  }
  if (route->type == RouteType::Local && !settings.accept_local) return kOwnSource;
  if (route->type != RouteType::Local && route->type != RouteType::Unicast) {
    return "martian source: not the address of one host";
  }
  if (routes_.leads_by(*route, device)) return "";
  if (routes_.addresses_on(device, false).empty()) {
    return settings.rp_filter == 0
               ? ""
               : filtered("the way back to the source is another, and the device has no address");
  }
  if (settings.rp_filter != kStrict) return "";
  return filtered("the way back to the source leads by another device");
}

bool SourceCheck::is_reached_by(const net::Address& source, std::string_view device) const {
  if (routes_.known_to(source)) {
    const ruleset::Route* route = routes_.find(source);
    return route != nullptr && routes_.leads_by(*route, device);
  }
  return std::ranges::any_of(
      interfaces_towards(host_, source),
      [&](const ruleset::Interface& interface) { return interface.device == device; });
}

std::string SourceCheck::refusal(Frame& frame, std::string_view leaves_by, Journey& journey) const {
  const std::string device(frame.in_device);
  const net::Address source = net::ipv4_from_bytes(frame.bytes.data() + ipv4::kSource);
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
  const bool looks_up = settings.rp_filter != 0 ||
                        (leaves_by == device && settings.send_redirects) ||
                        (host_.has_added_local_routes && !settings.accept_local);
  if (!looks_up || (!routes_.known_to(source) && settings.rp_filter == 0)) {
    if (!is_own(source) && !is_reached_by(source, device)) {
      assume(fmt::format("rp_filter 0 on {}", device));
    }
    return "";
  }
  if (routes_.known_to(source)) return refusal_by_route(source, settings, device);
  const bool refused = frame.choices->choose(2) == 1;
  frame.conditions.push_back({.about = fmt::format("rp_filter {} of {}, whether {} is reached so",
                                                   settings.rp_filter, device, net::format(source)),
                              .is = refused ? "no" : "yes"});
  return refused ? fmt::format("rp_filter of {}", device) : "";
}

}  // namespace rolewall::eval
