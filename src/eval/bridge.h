// What comes by a bridge with br_netfilter: the bridge shows it to prerouting before it looks where
// the frame goes, and what is translated there goes on by a route that the bridge has asked for
// (net/bridge/br_netfilter_hooks.c, br_netfilter_ipv6.c). What it then passes up the IP stack takes
// as from any device, but for prerouting (ip_sabotage_in()). A bridge that is promiscuous (tcpdump)
// takes the connection off what it passes up; here it is none.
#pragma once

#include <string>
#include <string_view>

#include "eval/frame.h"
#include "ruleset/host.h"

namespace rolewall::eval {

class Bridges {
 public:
  // Holds a reference, which must outlive it.
  explicit Bridges(const ruleset::Host& host) : host_(host) {}

  // Whether prerouting sees the frame before the IP stack does. Where the host's description does
  // not say it, it does not; what hangs on that asks may_show().
  bool shows(const Frame& frame) const;
  // The same of a frame of which it decides: a choice where it is not known.
  bool may_show(Frame& frame) const;

  // Not null: why it does not come to prerouting. What lies behind the packet's end is cut off.
  static const char* validation_error(ByteSpan& packet, bool ipv6);

  // What prerouting has translated and the bridge passes on by itself, as a frame: not to where it
  // came from. Not empty: why it goes no further.
  std::string forward_error(Frame& frame) const;
  // The same behind postrouting.
  std::string send_error(Frame& frame) const;

 private:
  const ruleset::Interface* bridge_of(const Frame& frame) const;

  const ruleset::Host& host_;
};

}  // namespace rolewall::eval
