// By which devices a packet of somebody's may arrive, and what is sent to him leaves.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apply/guard_facts.h"
#include "eval/route.h"

namespace rolewall::apply {

struct Way {
  std::string in;
  std::string out;
  bool off_route = false;  // it does not arrive where the route leads back
};

class Ways {
 public:
  // Holds a reference: it must outlive this.
  explicit Ways(const GuardFacts& facts);

  // By the routes; where they are not known, each device may be the one. Beside the route's own
  // each device that has an address of the family and does not ask for the route back: all for
  // IPv6, which has no rp_filter. `link`: of a link's own address, on which; "" where not known.
  std::vector<Way> with(const net::Address& address, const std::string& link = {}) const;

  bool is_own(const net::Address& address) const;
  // By whom packets go to it; nothing where it is on the link, or no route is known.
  std::optional<net::Address> router_towards(const net::Address& address) const;
  // This host's address by which it speaks to `other` on the device: nothing where it has none.
  std::optional<net::Address> own_towards(const net::Address& other,
                                          const std::string& device) const;
  // Where the routes are not known, each of this host's addresses may be on the device.
  std::vector<net::Address> own_on(const std::string& device, bool ipv6) const;
  bool is_known() const { return routes_.known(); }

 private:
  bool may_arrive_by(const std::string& device, bool ipv6) const;

  const GuardFacts& facts_;
  eval::Routes routes_;
};

}  // namespace rolewall::apply
