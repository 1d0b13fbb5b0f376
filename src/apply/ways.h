// By which devices a packet of somebody's may arrive, and what is sent to him leaves.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apply/guard_facts.h"
#include "eval/route.h"

namespace rolewall::apply {

// A prefix that is no longer than this is as good as everybody.
inline constexpr unsigned kWidest = 7;

// How much hangs on a way, or on what is asked about it. In order: who says the later, says less.
enum class Need : std::uint8_t {
  Certain,   // it is used: it must pass
  Possible,  // it may be: what passes today must pass, without a table of ours today all of it
  Unlikely,  // the same, but beside no table of ours nothing is asked
  OneOfMany  // nothing hangs on this one: of many one must pass
};

struct Way {
  std::string in;
  std::string out;
  bool off_route = false;  // it does not arrive where the route leads back
  Need need = Need::Certain;
};

class Ways {
 public:
  // Holds a reference: it must outlive this.
  explicit Ways(const GuardFacts& facts);

  // By the routes; where they are not known, each device may be the one, and is for certain where
  // every table leads by it. Beside the route's own each device that has an address of the family
  // and does not ask for the route back: all for IPv6, which has no rp_filter. Links to this
  // machine's own containers and virtual machines are unlikely. `link`: of a link's own address, on
  // which; "" where not known.
  std::vector<Way> with(const net::Address& address, const std::string& link = {}) const;

  bool is_own(const net::Address& address) const;
  // By whom packets go to it; nothing where it is on the link, or no route is known.
  std::optional<net::Address> router_towards(const net::Address& address) const;
  // By whom they may go, by the device; of either family (RFC 8950).
  std::vector<net::Address> routers_towards(const net::Address& address,
                                            const std::string& device) const;
  // This host's address by which it speaks to `other` on the device: nothing where it has none.
  std::optional<net::Address> own_towards(const net::Address& other,
                                          const std::string& device) const;
  // Where the routes are not known, each of this host's addresses may be on the device.
  std::vector<net::Address> own_on(const std::string& device, bool ipv6) const;
  // Networks that are on the device's link, of whose members some may be routers.
  std::vector<net::Prefix> networks_on(const std::string& device, bool ipv6) const;
  std::vector<net::Address> routers_on(const std::string& device, bool ipv6) const;
  // A link to this machine's own, or a tunnel: by it comes who has its route alone.
  bool is_unlikely(const std::string& device) const;
  bool is_known() const { return routes_.known(); }
  // Whether anything beside link-local addresses is on the device, or beyond it.
  bool has_more_than_link_locals(const std::string& device) const;

 private:
  bool may_arrive_by(const std::string& device, bool ipv6) const;
  bool is_port(const std::string& device) const;
  bool is_tunnel(const std::string& device) const;
  bool is_guest(const std::string& device) const;
  std::vector<Way> by_any(bool on_link) const;
  std::vector<Way> by_possible(const net::Address& address) const;
  // The machine's, or where these are not known what may be one.
  const std::vector<ruleset::Route>& every_route() const;
  // In which a lookup of one table or another ends: the longest prefix of each.
  std::vector<const ruleset::Route*> possible_towards(const net::Address& address) const;

  const GuardFacts& facts_;
  eval::Routes routes_;
};

}  // namespace rolewall::apply
