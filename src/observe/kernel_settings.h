// The kernel's settings that undo what a policy says, or decide before it is asked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "observe/finding.h"
#include "ruleset/host.h"
#include "ruleset/ruleset.h"

namespace rolewall::observe {

// net.ipv4.conf.DEVICE.*; the kernel joins those of `all` with each device's own.
struct DeviceSettings {
  std::string device;
  unsigned rp_filter = 0;
  bool accept_source_route = false;
  bool accept_redirects = false;
  bool route_localnet = false;
};

struct KernelSettings {
  DeviceSettings all;
  std::vector<DeviceSettings> devices;     // without the loopback
  std::uint32_t connections = 0;           // entries of conntrack now
  std::optional<bool> bridge_asks_ipv4;    // bridge-nf-call-iptables; absent: no such module
  std::vector<std::string> legacy_tables;  // of iptables-legacy, "ip filter (3 rules)"
};

// Each only where it matters to this table on this machine. REQUIRES: `own` is our table.
std::vector<Finding> kernel_settings(const ruleset::Table& own, const ruleset::Host& machine,
                                     const KernelSettings& settings);

// That such tables exist: whatever table is in force beside them.
std::vector<Finding> legacy_iptables(const KernelSettings& settings);

}  // namespace rolewall::observe
