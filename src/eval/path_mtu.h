// Packets that are larger than the device by which they leave takes: ip_forward() and ip_fragment()
// of net/ipv4, ip6_forward() and ip6_fragment() of net/ipv6. What a path's routers have told of
// smaller links (PMTU) forwarding does not ask, unless ip_forward_use_pmtu is set.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "eval/frame.h"
#include "ruleset/host.h"

namespace rolewall::eval {

class PathMtu {
 public:
  // Holds a reference, which must outlive it.
  explicit PathMtu(const ruleset::Host& host) : host_(host) {}

  // Why what is passed on by frame.leaves_by is answered with an ICMP error and goes no further;
  // "": it does. `route`: the one that it takes; null: not known. What the host's description does
  // not say, and what a capture cannot show of packets that were put together, is tried both ways.
  std::string forward_error(Frame& frame, const ruleset::Route* route) const;

  // The same of what a program sends: its socket is told.
  std::string send_error(Frame& frame) const;

  // Whether it leaves in fragments, or may: each of them an egress chain would see apart.
  // A datagram that cannot be cut again behind postrouting; "": it can.
  std::string cut_error(Frame& frame) const;
  bool may_be_cut(const Frame& frame, const ruleset::Route* route) const;

 private:
  std::optional<std::uint32_t> of_device(std::string_view device, bool ipv6) const;
  std::optional<std::uint32_t> of_way(const Frame& frame, const ruleset::Route* route) const;
  bool chooses_fit(Frame& frame, std::string about, std::string_view fits,
                   std::string_view not_so) const;

  const ruleset::Host& host_;
};

}  // namespace rolewall::eval
