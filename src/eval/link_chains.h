// Chains that a packet meets below the device that the IP stack knows it by, and that are not run:
// a bridge's own hooks, and the device hooks of the ports or lower devices behind a device. Which
// port that is, and what the frame looks like there, a question about an IP packet does not say.
// So such a chain, where it can do anything at all, is a condition with its name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "eval/eval.h"
#include "eval/frame.h"
#include "eval/program.h"
#include "ruleset/host.h"

namespace rolewall::eval {

class LinkChains {
 public:
  // Holds references, which must outlive it.
  LinkChains(const Program& program, const ruleset::Host& host);

  // What a packet meets before it arrives on the device (`hook` is ingress), or after it has left
  // by it (egress), or between the ports of the bridge that the device is (forward): each chain
  // lets it pass, denies it, or sends it on as another, of which no more is said. Whether it goes
  // on.
  bool let_pass(ruleset::Hook hook, std::string_view device, Frame& frame, Journey& journey) const;

 private:
  struct Hooked {
    std::uint32_t table = 0;
    std::uint32_t chain = 0;
    std::string name;  // "table bridge filter, chain in"
    ruleset::Hook hook = ruleset::Hook::Input;
    bool may_change = false;
    std::vector<std::string> devices;  // as BaseChain::devices; empty: a bridge's
  };
  bool is_met(const Hooked& hooked, const ruleset::Interface& upper) const;
  bool may_lie_below(std::string_view pattern, const ruleset::Interface& upper) const;
  bool stands_on_bridge(const ruleset::Interface& upper) const;
  bool lies_below(std::string_view pattern, std::string_view upper, unsigned depth) const;

  const ruleset::Host& host_;
  bool knows_links_ = false;
  std::vector<Hooked> hooked_;
};

}  // namespace rolewall::eval
