#include "apply/ways.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace rolewall::apply {
namespace {

constexpr const char* kLoopback = "lo";

}  // namespace

Ways::Ways(const GuardFacts& facts) : facts_(facts), routes_(facts.machine) {}

bool Ways::is_own(const net::Address& address) const {
  return std::ranges::any_of(facts_.machine.addresses,
                             [&](const net::Prefix& own) { return own.address == address; });
}

std::vector<net::Address> Ways::own_on(const std::string& device, bool ipv6) const {
  if (routes_.known()) return routes_.addresses_on(device, ipv6);
  std::vector<net::Address> own;
  for (const net::Prefix& each : facts_.machine.addresses) {
    if (net::is_ipv4(each.address) != ipv6) own.push_back(each.address);
  }
  return own;
}

bool Ways::may_arrive_by(const std::string& device, bool ipv6) const {
  if (!ipv6 && std::ranges::find(facts_.strict, device) != facts_.strict.end()) return false;
  const auto own = routes_.addresses_on(device, ipv6);
  return std::ranges::any_of(
      own, [](const net::Address& address) { return !eval::is_link_local(address); });
}

std::vector<Way> Ways::with(const net::Address& address, const std::string& link) const {
  if (is_own(address) || (routes_.known() && routes_.leads_here(address))) {
    return {{kLoopback, kLoopback}};
  }
  if (!link.empty()) return {{link, link}};
  std::vector<Way> ways;
  const bool on_link = eval::is_link_local(address);
  if (!routes_.known() || on_link) {
    for (const ruleset::Interface& each : facts_.machine.interfaces) {
      const bool bears_none = routes_.known() && routes_.addresses_on(each.device, true).empty();
      if (!on_link || !bears_none) ways.push_back({each.device, each.device});
    }
    return ways;
  }
  const auto answer = routes_.towards(address);
  if (answer.route == nullptr) return {};
  const std::string& out = answer.route->device;
  ways.push_back({out, out});
  for (const ruleset::Interface& other : facts_.machine.interfaces) {
    if (other.device != out && may_arrive_by(other.device, !net::is_ipv4(address))) {
      ways.push_back({other.device, out, true});
    }
  }
  return ways;
}

std::optional<net::Address> Ways::router_towards(const net::Address& address) const {
  if (!routes_.known() || is_own(address) || eval::is_link_local(address)) return std::nullopt;
  const auto answer = routes_.towards(address);
  return answer.route == nullptr ? std::nullopt : answer.route->gateway;
}

std::optional<net::Address> Ways::own_towards(const net::Address& other,
                                              const std::string& device) const {
  const bool ipv6 = !net::is_ipv4(other);
  for (const net::Address& own : routes_.addresses_on(device, ipv6)) {
    if (eval::is_link_local(own) == eval::is_link_local(other)) return own;
  }
  for (const net::Prefix& own : facts_.machine.addresses) {
    if (net::is_ipv4(own.address) != ipv6 && !eval::is_link_local(own.address)) return own.address;
  }
  return std::nullopt;
}

std::string in_words(const ruleset::Host& machine) {
  std::vector<std::string> words;
  for (const ruleset::Interface& interface : machine.interfaces) words.push_back(interface.device);
  for (const net::Prefix& own : machine.addresses) words.push_back(net::format(own.address));
  std::ranges::sort(words);
  return fmt::format("{}", fmt::join(words, " "));
}

}  // namespace rolewall::apply
