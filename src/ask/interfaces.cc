// By which interface of a host a packet comes or goes.

#include <algorithm>

#include "ask/site.h"
#include "eval/route.h"

namespace rolewall::ask {
namespace {

// Those that the policy knows by this name; the device's own name where it knows none.
template <class Predicate>
std::vector<ruleset::Interface> select(const ruleset::Host& host, const std::string& name,
                                       Predicate wanted) {
  std::vector<ruleset::Interface> found;
  for (const ruleset::Interface& interface : host.interfaces) {
    if (!wanted(interface)) continue;
    found.push_back(interface);
    if (interface.device.ends_with('*')) found.back().device.back() = '0';
  }
  if (found.empty()) found.push_back({name, name, {}});
  return found;
}

}  // namespace

std::vector<ruleset::Interface> interfaces_for(const ruleset::Host& host,
                                               const net::Address& address,
                                               const std::string& given) {
  if (!given.empty()) {
    return select(host, given, [&](const auto& interface) { return interface.name == given; });
  }
  // A group, or a link's own address, is on every link.
  if (host.routes && !net::is_group(address) && !eval::is_link_local(address)) {
    const eval::Routes routes(host);
    const auto answer = routes.towards(address);
    if (answer.route != nullptr) {
      auto ways = routes.ways(address);
      for (const ruleset::Route* route : routes.for_some(address)) ways.push_back(route);
      return select(host, answer.route->device, [&](const auto& interface) {
        return std::ranges::count(ways, interface.device, &ruleset::Route::device) != 0;
      });
    }
  }
  return eval::interfaces_towards(host, address);
}

}  // namespace rolewall::ask
