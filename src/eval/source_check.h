// Whether IPv4 takes a packet's source: fib_validate_source() and __fib_validate_source() of
// net/ipv4/fib_frontend.c. The address must be no other's than one host's, not this host's own, and
// where the device's rp_filter asks for it, the way back must lead by the device that it came by.
#pragma once

#include <string>
#include <string_view>

#include "eval/frame.h"
#include "eval/route.h"
#include "eval/stack.h"
#include "net/address.h"
#include "ruleset/host.h"

namespace rolewall::eval {

// What the device is set to do; null where the host's description does not say, and for the
// loopback, which is never asked.
const ruleset::StackSettings* settings_of(const ruleset::Host& host, std::string_view device);

class SourceCheck {
 public:
  // Holds references, which must outlive it.
  SourceCheck(const ruleset::Host& host, const Routes& routes, const OwnAddresses& own)
      : host_(host), routes_(routes), own_(own) {}

  // Why the packet's source is not taken; "": it is. `leaves_by`: the device that the packet is
  // passed on by; "" where it is delivered. What the host's description does not say is taken as a
  // kernel has it from the beginning, and noted in `journey`; where nobody can tell by which
  // device the way back leads, both answers are tried.
  // REQUIRES: a source that is neither 0.0.0.0 nor a group's.
  std::string refusal(Frame& frame, std::string_view leaves_by, Journey& journey) const;

 private:
  bool is_own(const net::Address& source) const;
  bool has_rules() const;
  std::string refusal_by_route(const Routes& routes, const net::Address& source,
                               const ruleset::StackSettings& settings,
                               std::string_view device) const;
  std::string refusal_by_some(Frame& frame, const Routes& routes, const net::Address& source,
                              const ruleset::StackSettings& settings) const;
  // By what is behind the devices, where no route is known; by the routes where they are.
  bool is_reached_by(const Routes& routes, const net::Address& source,
                     std::string_view device) const;

  const ruleset::Host& host_;
  const Routes& routes_;
  const OwnAddresses& own_;
};

}  // namespace rolewall::eval
