// What a host on a bridge of this machine sends to another one there: a frame for the other's
// Ethernet address, which the bridge passes on between its ports, below IP. A question about an IP
// packet does not say to whose Ethernet address it was sent: where it comes by a bridge and its way
// leads out by the same, it is one or the other.
#pragma once

#include "eval/frame.h"
#include "eval/route.h"
#include "ruleset/host.h"

namespace rolewall::eval {

class BridgePorts {
 public:
  // Holds references, which must outlive it.
  BridgePorts(const ruleset::Host& host, const Routes& routes) : host_(host), routes_(routes) {}

  enum class Way : std::uint8_t {
    Routed,  // to this host's own Ethernet address
    Frame,   // no chain of IP sees it
    Shown,   // as Frame, but br_netfilter shows it to prerouting, forward and postrouting
  };
  // Whether it has come by a bridge, and it is not known to whom it was sent.
  bool is_open(const Frame& frame) const;
  // Which way one takes that is for another host, with a condition where it may be several.
  // REQUIRES: is_open().
  Way choose(Frame& frame) const;

 private:
  bool leads_back(const Frame& frame) const;

  const ruleset::Host& host_;
  const Routes& routes_;
};

}  // namespace rolewall::eval
