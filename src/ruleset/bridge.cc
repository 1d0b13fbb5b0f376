#include "ruleset/bridge.h"

#include <algorithm>

namespace rolewall::ruleset {

BridgeOf bridge_of(const Host& host, std::string_view device) {
  const auto find = [&](std::string_view name) {
    return std::ranges::find(host.interfaces, name, &Interface::device);
  };
  const auto found = find(device);
  if (found == host.interfaces.end()) return BridgeOf::None;
  if (found->kind == "bridge") return BridgeOf::Itself;
  if (found->kind != "vlan" || found->link.empty()) return BridgeOf::None;
  const auto below = find(found->link);
  const bool carried = below != host.interfaces.end() && below->kind == "bridge";
  return carried ? BridgeOf::Carrier : BridgeOf::None;
}

std::optional<bool> shows_frames(const Host& host, bool ipv6, BridgeOf bridge) {
  const std::optional<bool>& shown = ipv6 ? host.shows_bridged_ipv6 : host.shows_bridged_ipv4;
  return bridge == BridgeOf::Carrier && shown.value_or(true) ? std::nullopt : shown;
}

}  // namespace rolewall::ruleset
