// What sysctl(8) shows below `net`.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace rolewall::observe {

// The number in /proc/sys/net/PATH; std::nullopt where the kernel has no such setting, as with
// conntrack's where its module is not loaded.
std::optional<std::uint64_t> net_setting(std::string_view path);

}  // namespace rolewall::observe
