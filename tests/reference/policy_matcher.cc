#include "reference/policy_matcher.h"

#include <algorithm>
#include <string_view>
#include <utility>

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
  Reader(const Policy& policy, const HostPolicy& host, const test::RunTime& run_time,
         const Packet& packet)
      : policy_(policy), host_(host), run_time_(run_time), packet_(packet) {}

  Answer ask() const {
    for (const EffectiveRule& each : host_.inbound) {
      const bool early = packet_.direction == Direction::Inbound && each.rule->early &&
                         packet_.device != "lo" && !is_discovery();
      if (early && matches(*each.rule) && decides(*each.rule)) return by(*each.rule);
    }
    // Rules speak of what the client wrote, so the packet as it was is what they are asked about.
    const Rule* translation = destination_translation();
    Answer answer = judge(translation);
    if (answer.verdict == Action::Accept) translate(answer, translation);
    return answer;
  }

 private:
  Answer judge(const Rule* translation) const {
    const Direction way = way_of(translation);
    if (packet_.state == FlowState::Established) return decided(Action::Accept, "(established)");
    // Related errors, too, over the loopback.
    if (way != Direction::Forward && packet_.device == "lo") {
      return decided(Action::Accept, "(loopback)");
    }
    if (is_related_error()) return decided(Action::Accept, "(established)");
    if (!is_discovery()) {
      if (way != Direction::Outbound && is_banned(packet_.source)) {
        return decided(Action::Drop, "(banned)");
      }
      if (way != Direction::Inbound && is_banned(goes_to(translation))) {
        const Action by_default =
            way == Direction::Outbound ? host_.defaults.outbound : host_.defaults.forward;
        return decided(by_default == Action::Accept ? Action::Drop : by_default, "(banned)");
      }
    }
    const bool audits = host_.defaults.mode == Mode::Audit;  // there these only log
    if (packet_.state == FlowState::Invalid && !audits) {
      return decided(Action::Drop, "(invalid)");
    }
    if (way != Direction::Outbound && is_spoofed() && !audits) {
      return decided(Action::Drop, "(spoofed)");
    }
    if (way == Direction::Inbound && is_opened(translation)) {
      return decided(Action::Accept, "(allowed)");
    }
    for (const EffectiveRule& each : rules_of(way)) {
      if (!each.rule->early && matches(*each.rule) && decides(*each.rule)) return by(*each.rule);
    }
    if (translation != nullptr) {
      return decided(Action::Accept, translation->full_name);
    }
    return by_default(way);
  }

  Direction way_of(const Rule* translation) const {
    if (packet_.direction == Direction::Outbound) return Direction::Outbound;
    if (translation != nullptr && translation->translation->kind == Translation::Kind::Local) {
      return Direction::Inbound;
    }
    const net::Address to = goes_to(translation);
    const bool here = bears(*host_.host, to) || is_group(to);
    return here ? Direction::Inbound : Direction::Forward;
  }

  net::Address goes_to(const Rule* translation) const {
    if (translation == nullptr) return packet_.destination;
    return of_family(translation->translation->addresses).value_or(packet_.destination);
  }

  const std::vector<EffectiveRule>& rules_of(Direction way) const {
    if (way == Direction::Outbound) return host_.outbound;
    return way == Direction::Inbound ? host_.inbound : host_.forward;
  }

  static Answer decided(Action verdict, std::string by) {
    Answer answer;
    answer.verdict = verdict;
    answer.decided_by = std::move(by);
    return answer;
  }

  static Answer by(const Rule& rule) { return decided(rule.action, rule.full_name); }

  Answer by_default(Direction way) const {
    Action action = host_.defaults.forward;
    if (way == Direction::Inbound) action = host_.defaults.inbound;
    if (way == Direction::Outbound) action = host_.defaults.outbound;
    if (host_.defaults.mode == Mode::Audit) action = Action::Accept;
    return decided(action, "(default)");
  }

  // --- translation ---

  std::optional<net::Address> of_family(const std::vector<net::Address>& addresses) const {
    for (const net::Address& address : addresses) {
      if (net::is_ipv4(address) == net::is_ipv4(packet_.source)) return address;
    }
    return std::nullopt;
  }

  // The first that matches; of new connections alone.
  const Rule* translation_of(bool source) const {
    if (packet_.state != FlowState::New) return nullptr;
    for (const EffectiveRule& each : host_.nat) {
      const Translation& translation = *each.rule->translation;
      const bool concerns =
          translation.addresses.empty() || of_family(translation.addresses).has_value();
      if (translation.of_source() == source && concerns && matches(*each.rule)) return each.rule;
    }
    return nullptr;
  }

  // The rule that changes the destination; none where it already is what the rule would make it.
  const Rule* destination_translation() const {
    // What comes over the loopback the host has sent itself.
    if (packet_.direction != Direction::Inbound || packet_.device == "lo") return nullptr;
    const Rule* rule = translation_of(false);
    if (rule == nullptr) return nullptr;
    const auto to = of_family(rule->translation->addresses);
    const auto port = rule->translation->port;
    const bool same = to == packet_.destination && (!port || port == packet_.destination_port);
    return same ? nullptr : rule;
  }

  void translate(Answer& answer, const Rule* translation) const {
    if (translation != nullptr) {
      answer.new_destination = of_family(translation->translation->addresses);
      answer.new_port = translation->translation->port;
    }
    if (way_of(translation) == Direction::Inbound) return;
    if (const Rule* source = translation_of(true)) {
      answer.new_source = of_family(source->translation->addresses);
    }
  }

  static bool is_group(const net::Address& address) {
    return in_prefix(address, "224.0.0.0/4") || in_prefix(address, "ff00::/8");
  }

  // Within its limit an accept rule accepts; a drop or reject rule passes on to the next.
  static bool decides(const Rule& rule) {
    return rule.action == Action::Accept || (!rule.limit && !rule.connections);
  }

  bool is_related_error() const {
    const bool icmp = packet_.protocol == kIcmp || packet_.protocol == kIcmpv6;
    return packet_.state == FlowState::Related && icmp;
  }

  // Neighbour discovery and MLD.
  bool is_discovery() const {
    const std::uint8_t type = packet_.icmp_type;
    return packet_.protocol == kIcmpv6 && !net::is_ipv4(packet_.source) &&
           ((type >= 130 && type <= 136) || type == 143);
  }

  bool is_banned(const net::Address& address) const {
    return std::ranges::any_of(
        run_time_.banned, [&](const net::Prefix& prefix) { return in_prefix(address, prefix); });
  }

  // What it comes to, after a translation.
  bool is_opened(const Rule* translation) const {
    std::uint16_t port = packet_.destination_port;
    if (translation != nullptr) port = translation->translation->port.value_or(port);
    return std::ranges::any_of(run_time_.allowed, [&](const test::Opening& opening) {
      return opening.protocol == packet_.protocol && opening.port == port &&
             opening.from == packet_.source;
    });
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
    // All of them, by name: what is not asked here would be taken for granted (policy.h).
    const auto& [services, from, to, in, out, user] = rule.conditions;
    return matches(services) && contains(from, packet_.source) &&
           contains(to, packet_.destination) && on_device(in, arrives_by()) &&
           on_device(out, leaves_by()) && (!user || user == packet_.user);
  }

  std::string arrives_by() const {
    return packet_.direction == Direction::Inbound ? packet_.device : "";
  }
  std::string leaves_by() const {
    return packet_.direction == Direction::Inbound ? packet_.out_device : packet_.device;
  }

  bool on_device(const std::vector<std::string>& names, const std::string& device) const {
    if (names.empty()) return true;
    return std::ranges::any_of(host_.host->interfaces, [&](const HostInterface& interface) {
      return std::ranges::find(names, interface.name) != names.end() && is_of(device, interface);
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
  const test::RunTime& run_time_;
  const Packet& packet_;
};

}  // namespace

Answer ask(const Policy& policy, const HostPolicy& host, const test::RunTime& run_time,
           const Packet& packet) {
  return Reader(policy, host, run_time, packet).ask();
}

}  // namespace rolewall::reference
