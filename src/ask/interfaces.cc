// By which interface of a host a packet comes or goes.

#include <algorithm>

#include "ask/site.h"

namespace rolewall::ask {
namespace {

// A device that may end in '*' stands for any that begins so: the first of them.
ruleset::Interface concrete(ruleset::Interface interface) {
  if (interface.device.ends_with('*')) interface.device.back() = '0';
  return interface;
}

template <class Predicate>
std::vector<ruleset::Interface> select(const ruleset::Host& host, Predicate wanted) {
  std::vector<ruleset::Interface> found;
  for (const ruleset::Interface& interface : host.interfaces) {
    if (wanted(interface)) found.push_back(concrete(interface));
  }
  return found;
}

}  // namespace

std::vector<ruleset::Interface> interfaces_for(const ruleset::Host& host,
                                               const net::Address& address,
                                               const std::string& given) {
  if (!given.empty()) {
    auto named = select(host, [&](const auto& interface) { return interface.name == given; });
    if (named.empty()) named.push_back({given, given, {}});
    return named;
  }
  // A host that names no interface has no rule that could ask which one it is.
  if (host.interfaces.empty()) return {{"eth0", "eth0", {}}};
  auto found =
      select(host, [&](const auto& interface) { return interface.behind.contains(address); });
  if (found.empty()) {
    found = select(host, [](const auto& interface) { return interface.behind.empty(); });
  }
  if (found.empty()) found = select(host, [](const auto&) { return true; });
  return found;
}

}  // namespace rolewall::ask
