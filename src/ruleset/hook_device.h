// A device of a hook, as BaseChain::devices has it: "eth0"; "veth*", all whose names begin so,
// which the kernel holds as a thing of its own (NFTA_DEVICE_PREFIX, from Linux 6.16 on); and "a\*",
// the one device that is called "a*": in a plain name the kernel compares a '*' as any other letter
// (nft_netdev_hook_alloc()), and a device may be called so (dev_valid_name()).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace rolewall::ruleset {

inline std::string hook_of_device(std::string name) {
  if (name.ends_with('*')) name.insert(name.size() - 1, 1, '\\');
  return name;
}

// None where the beginning ends in the letter that tells the two apart.
inline std::optional<std::string> hook_of_prefix(std::string_view beginning) {
  if (beginning.ends_with('\\')) return std::nullopt;
  return std::string(beginning) + '*';
}

inline bool is_hooked(std::string_view hooked, std::string_view device) {
  if (!hooked.ends_with('*')) return hooked == device;
  const std::string_view before = hooked.substr(0, hooked.size() - 1);
  if (!before.ends_with('\\')) return device.starts_with(before);
  return device.ends_with('*') &&
         device.substr(0, device.size() - 1) == before.substr(0, before.size() - 1);
}

}  // namespace rolewall::ruleset
