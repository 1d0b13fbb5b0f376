// Which multicast groups a host takes packets of: ip_check_mc_rcu() of net/ipv4/igmp.c,
// ipv6_chk_mcast_addr() of net/ipv6/mcast.c. Each device has groups of its own.
#pragma once

#include <cstdint>
#include <string_view>

#include "ruleset/host.h"

namespace rolewall::eval {

enum class Joined : std::uint8_t {
  Yes,
  FromSome,  // from some senders alone: IGMP version 3
  No,
  NotKnown,
};

inline constexpr const char* kGroupNotJoined =
    "sent to a multicast group that this host has not joined";

// The groups that the kernel joins by itself: all hosts', all routers' if it is an IPv6 router, and
// those by which its neighbours ask for its IPv6 addresses.
bool is_joined_by_kernel(const net::Address& group, const ruleset::Host& host);

class Groups {
 public:
  // Holds a reference.
  explicit Groups(const ruleset::Host& host) : host_(host) {}

  // REQUIRES: `group` is multicast.
  Joined joined(const net::Address& group, std::string_view device) const;
  // Whether multicast routing may pass on what is sent to it.
  bool may_route(const net::Address& group) const;

 private:
  const ruleset::Host& host_;
};

}  // namespace rolewall::eval
