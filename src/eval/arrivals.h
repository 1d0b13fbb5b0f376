// What the IP stack does with packets that arrive, by what the device is set to: between its own
// hooks and prerouting, and between prerouting and input or forward. A host's description may not
// say how a device is set (a policy's host, an older snapshot): it is then taken as a kernel has it
// from the beginning, and where another setting would have sent the packet another way, the journey
// notes so.
#pragma once

#include "eval/eval.h"
#include "eval/frame.h"
#include "eval/route.h"
#include "eval/source_check.h"
#include "eval/stack.h"
#include "ruleset/host.h"

namespace rolewall::eval {

class Arrivals {
 public:
  // Holds references, which must outlive it.
  Arrivals(const ruleset::Host& host, const Routes& routes, const OwnAddresses& own)
      : host_(host), routes_(routes), own_(own), source_check_(host, routes, own) {}

  // Before prerouting. Not null: why it goes no further.
  const char* reception_error(const Frame& frame) const;

  // A VRF's devices have hooks and routes of their own. "": the device is of none.
  std::string vrf_of(std::string_view device) const;

  // Whether what is for another host is passed on, by the settings of `device`.
  bool may_forward(const Frame& frame, std::string_view device) const;

  // Where a packet goes on to; `routed`: it has been routed on its way out over the loopback.
  struct Way {
    ruleset::Hook next = ruleset::Hook::Input;
    Forwarding forwarding = Forwarding::Off;
    bool routed = false;
    bool as_frame = false;  // a bridge sends it on: neither options nor its frame are asked about
  };
  // Behind prerouting, once it is known by which device it leaves. Whether it goes on; if not, the
  // journey has the hook that it does not come to.
  bool let_pass(Frame& frame, const Way& way, Journey& journey) const;

 private:
  bool is_routed(Frame& frame, const Way& way, Journey& journey) const;
  bool takes_options(const Frame& frame, ruleset::Hook next, Journey& journey) const;
  void note_localnet(const Frame& frame, Journey& journey) const;
  bool is_unwanted(const Frame& frame) const;
  bool is_broadcast(const Frame& frame) const;

  const ruleset::Host& host_;
  const Routes& routes_;
  const OwnAddresses& own_;
  SourceCheck source_check_;
};

}  // namespace rolewall::eval
