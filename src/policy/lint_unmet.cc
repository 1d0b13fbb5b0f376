// Rules that no packet comes to, because a built-in step has decided all of theirs. What conntrack
// thinks of a message is net/netfilter/nf_conntrack_proto_icmp.c and _icmpv6.c.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/built_in_steps.h"
#include "policy/codes.h"
#include "policy/lint.h"

namespace rolewall::policy {
namespace {

namespace step = net::step;

bool is_one_of(std::uint8_t type, std::initializer_list<std::uint8_t> types) {
  return std::ranges::find(types, type) != types.end();
}

bool is_discovery(const ServiceLiteral& literal) {
  return literal.protocol == net::protocol::kIcmpv6 && literal.icmp_type &&
         is_one_of(*literal.icmp_type, {130, 131, 132, 133, 134, 135, 136, 143});
}

// Of ICMP only requests begin a connection; answers and errors belong to one, or are invalid.
bool is_never_new(const ServiceLiteral& literal) {
  if (!literal.icmp_type) return false;
  const std::uint8_t type = *literal.icmp_type;
  if (literal.protocol == net::protocol::kIcmp) return !is_one_of(type, {8, 13, 15, 17});
  return !is_one_of(type, {128, 139}) && !is_discovery(literal);
}

std::string names_of(const ServiceList& services, bool (*is_unmet)(const ServiceLiteral&)) {
  std::vector<std::string> words;
  for (const ServiceLiteral& literal : services.literals) {
    if (is_unmet(literal)) words.push_back(quote(literal.text));
  }
  return fmt::format("{}", fmt::join(words, ", "));
}

class Unmet {
 public:
  Unmet(const Policy& policy, const RuleFile& file, const Rule& rule, Diagnostics& diagnostics)
      : policy_(policy), file_(file), rule_(rule), diagnostics_(diagnostics) {}

  void check() {
    const auto& [services, from, to, in, out, user] = rule_.conditions;
    if (rule_.early) {
      if (const std::string names = names_of(services, is_discovery); !names.empty()) {
        say(fmt::format("{} never sees {}: early rules leave them out", rule_.full_name, names));
      }
      return;
    }
    if (const std::string names = names_of(services, is_never_new);
        !names.empty() && policy_.defaults.mode == Mode::Enforce) {
      say(fmt::format("{} never sees {}: {} accepts those of a known connection, {} drops others",
                      rule_.full_name, names, step::kEstablished, step::kInvalid));
    }
    const bool inbound = rule_.direction == Direction::Inbound;
    const bool outbound = rule_.direction == Direction::Outbound;
    if (inbound && every_host([&](Index host) { return is_within_own(from, host); })) {
      never(fmt::format("{} accepts what a host sends to itself", step::kLoopback));
    }
    if (outbound && every_host([&](Index host) { return is_within_own(to, host); })) {
      never(fmt::format("{} accepts what a host sends to itself", step::kLoopback));
    }
    if (!outbound && rule_.direction != Direction::Nat && !in.empty() &&
        every_host([&](Index host) { return is_spoofed(policy_.hosts[host], host); })) {
      never(fmt::format("its sources are `behind` another interface, and {} drops them",
                        step::kSpoofed));
    }
  }

 private:
  void say(std::string message) {
    report(diagnostics_, Code::UnmetRule, rule_.span, std::move(message));
  }
  void never(const std::string& why) {
    say(fmt::format("{} never matches: {}", rule_.full_name, why));
  }

  template <class Holds>
  bool every_host(Holds holds) const {
    bool some = false;
    for (const Index host : file_.hosts) {
      if (rule_.on && !names_host(policy_, *rule_.on, host)) continue;
      if (!holds(host)) return false;
      some = true;
    }
    return some;
  }

  bool is_within_own(const Selectors& selectors, Index host) const {
    if (!selectors.given) return false;
    const net::AddressSet own = net::AddressSet::from(policy_.hosts[host].addresses);
    return (addresses_of(policy_, selectors, host) - own).empty();
  }

  // On whichever of the rule's interfaces a packet arrives.
  bool is_spoofed(const Host& host, Index index) const {
    const Conditions& conditions = rule_.conditions;
    if (!conditions.from.given) return false;
    const net::AddressSet from = addresses_of(policy_, conditions.from, index);
    bool some = false;
    for (const HostInterface& arrives : host.interfaces) {
      if (std::ranges::find(conditions.in, arrives.name) == conditions.in.end()) continue;
      some = true;
      net::AddressSet rest = from;
      for (const HostInterface& other : host.interfaces) {
        const bool is_other = &other != &arrives && other.devices != arrives.devices;
        if (is_other && other.behind) rest = rest - *other.behind;
      }
      if (arrives.behind) rest = rest | (from & *arrives.behind);
      if (!rest.empty()) return false;
    }
    return some;
  }

  const Policy& policy_;
  const RuleFile& file_;
  const Rule& rule_;
  Diagnostics& diagnostics_;
};

}  // namespace

void lint_unmet_rules(const Policy& policy, Date date, Diagnostics& diagnostics) {
  for (const RuleFile& file : policy.files) {
    if (file.shipped) continue;
    for (const Rule& rule : file.rules) {
      const bool in_force =
          rule.enabled && !rule.left_out && (!rule.expires || *rule.expires > date);
      if (in_force) Unmet(policy, file, rule, diagnostics).check();
    }
  }
}

}  // namespace rolewall::policy
