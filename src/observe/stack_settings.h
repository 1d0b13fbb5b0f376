// What the IP stack is set to do with packets that arrive on a device: net.ipv4.conf and
// net.ipv6.conf, for the description of a running machine.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "ruleset/host.h"

namespace rolewall::observe {

// The number of a setting below `net`, as net_setting().
using SettingReader = std::function<std::optional<std::uint64_t>(std::string_view path)>;

// Of a device, with what conf/all makes of them. Absent: the kernel shows none of it.
std::optional<ruleset::StackSettings> stack_settings(const std::string& device,
                                                     const SettingReader& read);

// Of a bridge, which says what itself is set to: whether br_netfilter shows its frames.
void settle_bridge(ruleset::Interface& bridge, const SettingReader& read);

// Fills in `settings` and `ipv6_mtu` of the host's devices: those of this network namespace.
void read_stack_settings(ruleset::Host& host);

}  // namespace rolewall::observe
