#include "ruleset/bridge.h"

#include <algorithm>

namespace rolewall::ruleset {
namespace {

const Interface* interface_named(const Host& host, std::string_view device) {
  const auto found = std::ranges::find(host.interfaces, device, &Interface::device);
  return found == host.interfaces.end() ? nullptr : &*found;
}

}  // namespace

const Interface* bridge_of(const Host& host, std::string_view device) {
  const Interface* at = interface_named(host, device);
  if (at != nullptr && at->kind == "vlan") at = interface_named(host, at->link);
  return at == nullptr || at->kind != "bridge" ? nullptr : at;
}

std::optional<bool> shows_frames(const Host& host, bool ipv6, std::string_view device) {
  const Interface* bridge = bridge_of(host, device);
  const std::optional<bool>& shown = ipv6 ? bridge->shows_ipv6 : bridge->shows_ipv4;
  const bool is_tagged = bridge->device != device;
  return is_tagged && shown.value_or(true) ? std::nullopt : shown;
}

}  // namespace rolewall::ruleset
