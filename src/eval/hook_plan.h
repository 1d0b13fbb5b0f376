// What runs on each hook, in its order (ruleset/hook_order.h): base chains, and the parts of the
// kernel (reassembly, connection tracking, NAT) that a ruleset switches on.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "eval/program.h"
#include "ruleset/hook_order.h"
#include "ruleset/host.h"
#include "ruleset/ruleset.h"

namespace rolewall::eval {

// What runs on a hook: base chains, and the kernel's own parts that the ruleset switches on.
using Stage = ruleset::HookEntry;
using Stages = ruleset::HookEntries;

// The stages of one hook. NAT chains all run at NAT's own priority, and for new flows alone.
struct HookPlan {
  Stages stages;
  Stages nat_chains;
};

// All hooks that IPv4, or IPv6, passes.
struct FamilyPlan {
  HookPlan prerouting, input, forward, output, postrouting;
  ConntrackUse reassembly = ConntrackUse::Off;
  bool has_nat = false;
  bool may_translate = false;  // by a rule
};

FamilyPlan plan_family(const Program& program, ruleset::HookOrder& order, bool ipv6);

// Chains on the devices' own hooks, before and behind the IP stack: netdev's, and inet's ingress.
Stages plan_device_hook(const Program& program, ruleset::HookOrder& order, ruleset::Hook hook);

// The link header that a packet has on at the egress hook of a device. Of a device that nothing is
// said of: an Ethernet header's. Tunnels and such have none.
std::uint32_t link_header_size(const ruleset::Host& host, std::string_view device);

}  // namespace rolewall::eval
