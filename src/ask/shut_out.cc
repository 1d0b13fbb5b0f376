#include "ask/shut_out.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "net/drawn_ports.h"
#include "net/prefixes.h"
#include "net/protocol.h"
#include "policy/codes.h"
#include "policy/effective.h"

namespace rolewall::ask {
namespace {

using policy::Index;

constexpr std::uint16_t kSsh = 22;
constexpr std::uint8_t kSolicitation = 135;
constexpr std::uint8_t kAdvertisement = 136;
constexpr std::uint8_t kHopLimit = 255;
// A prefix that is no longer than this is as good as everybody: its ends are nobody's.
constexpr unsigned kWidest = 7;

class HostAsked {
 public:
  HostAsked(const policy::Policy& policy, const policy::HostPolicy& effective, Site& site,
            Prover& prover)
      : policy_(policy),
        effective_(effective),
        host_(effective.index),
        site_(site),
        prover_(prover) {}

  // From whom; absent: management is let in, as far as can be known. The ends of its networks
  // first, then all that lies between.
  std::optional<net::Address> manager_shut_out() {
    if (const auto manager = end_shut_out()) return manager;
    std::vector<net::Prefix> narrow;
    net::AddressSet nobodys;
    for (const net::Prefix& prefix : net::to_prefixes(policy_.management_addresses)) {
      if (prefix.length <= kWidest) continue;
      narrow.push_back(prefix);
      const auto [first, last] = host_addresses(prefix);
      const unsigned bits = net::address_bits(prefix.address);
      const auto leave_out = [&](const net::Address& address) {
        nobodys = nobodys | net::AddressSet::from({{address, bits}});
      };
      if (first != net::first(prefix)) leave_out(net::first(prefix));
      if (last != net::last(prefix)) leave_out(net::last(prefix));
    }
    const net::AddressSet managers = net::AddressSet::from(narrow) - nobodys - own_addresses_;
    for (const bool ipv4 : {true, false}) {
      const auto own = own_address(ipv4);
      if (!own) continue;
      AskedPart part{host_, Does::Receive, {}, {}};
      if (ipv4) {
        part.from.ipv4 = managers.ipv4;
      } else {
        part.from.ipv6 = managers.ipv6;
      }
      part.to = net::AddressSet::from({{*own, net::address_bits(*own)}});
      if (part.from.empty()) continue;
      const Proof proof = prover_.ask_part_of_many({Claim::Always, &ssh(), {host_, true}}, part);
      if (proof.outcome == Proof::Outcome::Broken) return proof.sample->fields.source;
    }
    return std::nullopt;
  }

  // Of the rules that count management's packets against a limit, one; null: none does.
  const policy::Rule* limited() const { return limited_; }
  // The same where nobody was asked about yet.
  const policy::Rule* find_limited() {
    if (has_limits_) std::ignore = end_shut_out();
    return limited_;
  }

  bool neighbours_shut_out() {
    const auto own = own_address(false);
    if (!own) return false;
    eval::PacketFields fields;
    fields.protocol = net::protocol::kIcmpv6;
    fields.source = *net::parse_address("fe80::2");
    fields.destination = *own;
    fields.icmp_type = kSolicitation;
    fields.ttl = kHopLimit;
    eval::PacketFields answer = fields;
    std::swap(answer.source, answer.destination);
    answer.icmp_type = kAdvertisement;
    return denies(fields, true) || denies(answer, false);
  }

 private:
  // Where it does not hang on a limit, which is noted.
  std::optional<net::Address> end_shut_out() {
    for (const net::Prefix& prefix : net::to_prefixes(policy_.management_addresses)) {
      const bool ipv4 = net::is_ipv4(prefix.address);
      const auto own = own_address(ipv4);
      if (!own) continue;
      for (const net::Address& client : ends_of(prefix)) {
        if (own_addresses_.contains(client)) continue;
        eval::PacketFields fields;
        fields.source = client;
        fields.destination = *own;
        fields.destination_port = kSsh;
        if (denies(fields, true)) return client;
        note_limits();
        for (const std::uint16_t port : net::kFurthestDrawnPorts) {
          fields.source_port = port;
          if (denies(fields, true)) return client;
        }
      }
    }
    return std::nullopt;
  }

  static const policy::PacketWords& ssh() {
    static const policy::PacketWords kWords = [] {
      policy::PacketWords words;
      words.service.given = true;
      policy::ServiceLiteral& tcp = words.service.literals.emplace_back();
      tcp.protocol = net::protocol::kTcp;
      tcp.destination = {kSsh, kSsh};
      tcp.ports_given = true;
      return words;
    }();
    return kWords;
  }

  static std::vector<net::Address> ends_of(const net::Prefix& prefix) {
    if (prefix.length <= kWidest) {
      return {*net::parse_address(net::is_ipv4(prefix.address) ? "198.51.100.7" : "2001:db8::7")};
    }
    const auto [first, last] = host_addresses(prefix);
    return {first, last};
  }

  std::optional<net::Address> own_address(bool ipv4) const {
    for (const net::Prefix& own : policy_.hosts[host_].addresses) {
      if (net::is_ipv4(own.address) == ipv4) return net::first(own);
    }
    return std::nullopt;
  }

  bool denies(const eval::PacketFields& fields, bool arrives) {
    Sample sample;
    sample.fields = fields;
    (arrives ? sample.receiver : sample.sender) = host_;
    sample.alone = true;
    answer_ = site_.ask(sample, /*explain=*/has_limits_);
    return answer_.verdict == Verdict::Drop || answer_.verdict == Verdict::Reject;
  }

  static bool counts(const policy::EffectiveRule& each) {
    return each.rule->limit || each.rule->connections;
  }

  // A packet that comes to a rule's own chain is counted there, whether the rule admits what is
  // within its limit or passes it on.
  void note_limits() {
    for (const policy::EffectiveRule& each : effective_.inbound) {
      if (limited_ != nullptr || !counts(each)) continue;
      const bool is_counted = std::ranges::any_of(answer_.hops, [&](const Hop& hop) {
        return std::ranges::find(hop.tried, each.rule->full_name, &Tried::chain) != hop.tried.end();
      });
      if (is_counted) limited_ = each.rule;
    }
  }

  const policy::Policy& policy_;
  const policy::HostPolicy& effective_;
  const bool has_limits_ = std::ranges::any_of(effective_.inbound, counts);
  const Index host_;
  Site& site_;
  Prover& prover_;
  Answer answer_;  // to the last question
  const policy::Rule* limited_ = nullptr;
  const net::AddressSet own_addresses_ = policy_.hosts[host_].all_addresses();
};

}  // namespace

void ShutOut::find(std::span<const Index> alike, Diagnostics& findings) {
  std::optional<Found> of_all;
  for (const Index host : alike) {
    const bool manages =
        !(policy_.management_addresses & policy_.hosts[host].all_addresses()).empty();
    if (manages) {
      report(host, ask(host), findings);
      continue;
    }
    if (!of_all) of_all = ask(host);
    report(host, *of_all, findings);
  }
}

ShutOut::Found ShutOut::ask(Index host) {
  const policy::HostPolicy effective = effective_policy(policy_, host, date_);
  if (effective.defaults.mode == policy::Mode::Audit) return {};
  Found found;
  {
    HostAsked asked(policy_, effective, site_, prover_);
    found.manager = asked.manager_shut_out();
    found.limited = asked.limited();
    found.neighbours = asked.neighbours_shut_out();
  }
  prover_.forget(host);
  site_.forget(host);
  return found;
}

void ShutOut::report(Index index, const Found& found, Diagnostics& findings) {
  const policy::Host& host = policy_.hosts[index];
  if (found.manager) {
    policy::report(findings, policy::Code::ManagementShutOut, host.span,
                   fmt::format("{} does not accept ssh from all of management (not from {}): "
                               "`apply` will refuse this where sshd runs",
                               policy::quote(host.name), net::format(*found.manager)),
                   R"(an [[inbound]] rule with service = "ssh" and from = "management")");
  }
  report_limit(found.limited, findings);
  if (found.neighbours) {
    policy::report(
        findings, policy::Code::NeighboursShutOut, host.span,
        fmt::format("{} has an IPv6 address, and its policy drops neighbour discovery: IPv6 "
                    "would stop working, so `apply` will refuse this",
                    policy::quote(host.name)),
        R"(use = ["baseline"] in the host's role)");
  }
}

void ShutOut::report_limit(const policy::Rule* rule, Diagnostics& findings) {
  if (rule == nullptr || !limited_.insert(rule).second) return;
  policy::report(findings, policy::Code::ManagementLimited, rule->span,
                 fmt::format("{} counts ssh from management against its limit: whoever forges an "
                             "administrator's address can use it up and shut him out",
                             policy::quote(rule->full_name)),
                 rule->action == policy::Action::Accept
                     ? "leave `limit` and `connections` out of this rule; sshd's MaxStartups "
                       "slows whoever guesses"
                     : R"(leave management out of this rule: "!management" in its `from`)");
}

void ShutOut::find_limit(Index index, Diagnostics& findings) {
  const policy::HostPolicy effective = effective_policy(policy_, index, date_);
  if (effective.defaults.mode == policy::Mode::Audit) return;
  HostAsked asked(policy_, effective, site_, prover_);
  report_limit(asked.find_limited(), findings);
}

void find_limit_on_management(const policy::Policy& policy, policy::Date date, Index host,
                              Diagnostics& findings) {
  Site site(policy, date);
  ShutOut(policy, date, site).find_limit(host, findings);
}

}  // namespace rolewall::ask
