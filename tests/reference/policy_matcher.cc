#include "reference/policy_matcher.h"

#include <algorithm>
#include <string_view>

namespace rolewall::reference {
namespace {

using namespace policy;  // NOLINT(google-build-using-namespace)

constexpr std::uint8_t kIcmp = 1;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kIcmpv6 = 58;
constexpr std::uint8_t kSctp = 132;

bool in_prefix(const net::Address& address, const net::Prefix& prefix) {
  const auto bytes = net::to_bytes(address);
  const auto network = net::to_bytes(prefix.address);
  if (bytes.size() != network.size()) return false;
  for (unsigned bit = 0; bit < prefix.length; ++bit) {
    if (((bytes[bit / 8] ^ network[bit / 8]) >> (7 - bit % 8) & 1) != 0) return false;
  }
  return true;
}

bool in_prefix(const net::Address& address, const char* prefix) {
  return in_prefix(address, *net::parse_prefix(prefix));
}

class Reader {
 public:
  Reader(const Policy& policy, const HostPolicy& host, const Packet& packet)
      : policy_(policy), host_(host), packet_(packet) {}

  Answer ask() const {
    return packet_.direction == Direction::Inbound ? ask_inbound() : ask_outbound();
  }

 private:
  Answer ask_inbound() const {
    for (const EffectiveRule& each : host_.inbound) {
      if (each.rule->early && matches(*each.rule) && decides(*each.rule)) return by(*each.rule);
    }
    if (packet_.device == "lo") return {Action::Accept, "(loopback)"};
    if (is_answer()) return {Action::Accept, "(established)"};
    if (packet_.state == FlowState::Invalid) return {Action::Drop, "(invalid)"};
    if (is_spoofed()) return {Action::Drop, "(spoofed)"};
    for (const EffectiveRule& each : host_.inbound) {
      if (!each.rule->early && matches(*each.rule) && decides(*each.rule)) return by(*each.rule);
    }
    return by_default(host_.defaults.inbound);
  }

  Answer ask_outbound() const {
    if (packet_.device == "lo") return {Action::Accept, "(loopback)"};
    if (is_answer()) return {Action::Accept, "(established)"};
    if (packet_.state == FlowState::Invalid) return {Action::Drop, "(invalid)"};
    for (const EffectiveRule& each : host_.outbound) {
      if (matches(*each.rule) && decides(*each.rule)) return by(*each.rule);
    }
    return by_default(host_.defaults.outbound);
  }

  static Answer by(const Rule& rule) { return {rule.action, rule.full_name}; }

  Answer by_default(Action action) const {
    if (host_.defaults.mode == Mode::Audit) action = Action::Accept;
    return {action, "(default)"};
  }

  // Within its limit an accept rule accepts; a drop or reject rule passes on to the next.
  static bool decides(const Rule& rule) {
    return rule.action == Action::Accept || (!rule.limit && !rule.connections);
  }

  // Of a connection that there is; of related packets the ICMP errors alone.
  bool is_answer() const {
    const bool icmp = packet_.protocol == kIcmp || packet_.protocol == kIcmpv6;
    return packet_.state == FlowState::Established || (packet_.state == FlowState::Related && icmp);
  }

  // A source that is behind interfaces of this host arrives on another one.
  bool is_spoofed() const {
    bool is_behind_one = false;
    for (const HostInterface& interface : host_.host->interfaces) {
      if (!interface.behind || !interface.behind->contains(packet_.source)) continue;
      is_behind_one = true;
      if (is_of(packet_.device, interface)) return false;
    }
    return is_behind_one;
  }

  static bool is_of(const std::string& device, const HostInterface& interface) {
    return std::ranges::any_of(interface.devices, [&](const std::string& name) {
      return name.ends_with('*') ? device.starts_with(name.substr(0, name.size() - 1))
                                 : device == name;
    });
  }

  bool matches(const Rule& rule) const {
    return matches(rule.services) && contains(rule.from, packet_.source) &&
           contains(rule.to, packet_.destination) &&
           on_device(packet_.direction == Direction::Inbound ? rule.in : rule.out) &&
           (!rule.user || rule.user == packet_.user);
  }

  bool on_device(const std::vector<std::string>& names) const {
    if (names.empty()) return true;
    return std::ranges::any_of(host_.host->interfaces, [&](const HostInterface& interface) {
      return std::ranges::find(names, interface.name) != names.end() &&
             is_of(packet_.device, interface);
    });
  }

  bool matches(const ServiceList& services) const {
    if (!services.given) return true;
    return std::ranges::any_of(services.literals,
                               [&](const ServiceLiteral& literal) { return matches(literal); });
  }

  bool matches(const ServiceLiteral& literal) const {
    if (literal.protocol != packet_.protocol) return false;
    if (literal.text.starts_with("protocol/")) return true;
    switch (literal.protocol) {
      case kIcmp:
      case kIcmpv6:
        return net::is_ipv4(packet_.source) == (literal.protocol == kIcmp) &&
               (!literal.icmp_type || literal.icmp_type == packet_.icmp_type);
      case kTcp:
      case kUdp:
      case kSctp:
        return literal.destination.first <= packet_.destination_port &&
               packet_.destination_port <= literal.destination.last &&
               literal.source.first <= packet_.source_port &&
               packet_.source_port <= literal.source.last;
      default:
        return true;
    }
  }

  bool contains(const Selectors& selectors, const net::Address& address) const {
    if (!selectors.given) return true;
    bool plain = false;
    bool found = false;
    for (const Selector& selector : selectors.items) {
      const bool here = contains(selector.term, address);
      if (selector.negated && here) return false;
      if (!selector.negated) plain = true;
      if (!selector.negated && here) found = true;
    }
    return found || !plain;
  }

  bool contains(const Term& term, const net::Address& address) const {
    switch (term.kind) {
      case TermKind::Any:
        return true;
      case TermKind::Internet:
        return !is_inside(address);
      case TermKind::Site:
        return std::ranges::any_of(policy_.hosts,
                                   [&](const Host& host) { return bears(host, address); });
      case TermKind::Self:
        return bears(*host_.host, address);
      case TermKind::Management:
        return policy_.management && contains(*policy_.management, address);
      case TermKind::LinkLocal:
        return in_prefix(address, "169.254.0.0/16") || in_prefix(address, "fe80::/10");
      case TermKind::Prefix:
        return in_prefix(address, term.prefix);
      case TermKind::Host:
        return bears(policy_.hosts[term.index], address);
      case TermKind::Role:
        return std::ranges::any_of(policy_.hosts, [&](const Host& host) {
          return std::ranges::find(host.roles, term.index) != host.roles.end() &&
                 bears(host, address);
        });
      case TermKind::Tag:
        return std::ranges::any_of(policy_.tags[term.index].hosts,
                                   [&](Index host) { return bears(policy_.hosts[host], address); });
      case TermKind::Network:
        return policy_.networks[term.index].addresses.contains(address);
    }
    return false;
  }

  static bool bears(const Host& host, const net::Address& address) {
    const auto has = [&](const net::Prefix& prefix) { return in_prefix(address, prefix); };
    return std::ranges::any_of(host.addresses, has) ||
           std::ranges::any_of(host.virtual_addresses, has);
  }

  // What `internet` leaves out.
  bool is_inside(const net::Address& address) const {
    if (policy_.internal.given && contains(policy_.internal, address)) return true;
    if (std::ranges::any_of(policy_.hosts,
                            [&](const Host& host) { return bears(host, address); })) {
      return true;
    }
    return std::ranges::any_of(
        std::initializer_list<const char*>{"169.254.0.0/16", "fe80::/10", "224.0.0.0/4", "ff00::/8",
                                           "127.0.0.0/8", "::1/128"},
        [&](const char* prefix) { return in_prefix(address, prefix); });
  }

  const Policy& policy_;
  const HostPolicy& host_;
  const Packet& packet_;
};

}  // namespace

Answer ask(const Policy& policy, const HostPolicy& host, const Packet& packet) {
  return Reader(policy, host, packet).ask();
}

}  // namespace rolewall::reference
