#include "ask/own_address.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "net/address_set.h"

namespace rolewall::ask {

std::optional<net::Address> own_address(const eval::Routes& routes, const net::Address& peer,
                                        std::string_view device) {
  std::string by(device);
  if (by.empty()) {
    const ruleset::Route* route = routes.towards(peer).route;
    if (route == nullptr) return std::nullopt;
    by = route->device;
  }
  // In the order of the machine's addresses, of which the kernel takes the first that will do
  // (inet_select_addr() of net/ipv4/devinet.c).
  const auto worth = [&](const net::Address& address) {
    const ruleset::Route* back = routes.find_by(peer, by);
    const bool is_near = back != nullptr && !back->gateway && back->to.length != 0 &&
                         net::AddressSet::from({back->to}).contains(address);
    const bool of_link = eval::is_link_local(address) == eval::is_link_local(peer);
    return std::pair(!of_link, !is_near);
  };
  const std::vector<net::Address> own = routes.addresses_on(by, !net::is_ipv4(peer));
  if (own.empty()) return std::nullopt;
  return *std::ranges::min_element(own, {}, worth);
}

}  // namespace rolewall::ask
