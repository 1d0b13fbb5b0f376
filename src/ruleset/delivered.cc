#include "ruleset/delivered.h"

#include <algorithm>

namespace rolewall::ruleset {

const std::vector<Route>& known_routes(const Host& host) {
  return host.routes ? *host.routes : host.local_routes;
}

std::vector<net::Prefix> delivered_here(const Host& host) {
  std::vector<net::Prefix> local;
  for (const Route& route : known_routes(host)) {
    const bool delivered = route.type == RouteType::Local;
    if (delivered && !net::is_loopback(route.to.address)) local.push_back(route.to);
  }
  std::vector<net::Prefix> all = host.addresses;
  if (!local.empty()) {
    std::erase_if(all, [&](const net::Prefix& address) {
      return std::ranges::none_of(local, [&](const net::Prefix& route) {
        return route.address.index() == address.address.index() &&
               net::first(route) <= net::first(address) && net::last(address) <= net::last(route);
      });
    });
  }
  all.insert(all.end(), host.virtual_addresses.begin(), host.virtual_addresses.end());
  all.insert(all.end(), local.begin(), local.end());
  return all;
}

}  // namespace rolewall::ruleset
