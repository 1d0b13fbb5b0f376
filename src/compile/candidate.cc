#include "compile/candidate.h"

#include <fmt/format.h>

#include <algorithm>

#include "ruleset/expr.h"
#include "ruleset/own_table.h"

namespace rolewall::compile {
namespace {

using match::Exprs;
using match::IpVersion;
using match::Side;
namespace own = ruleset::own;

Side source_side(Ends ends) {
  switch (ends) {
    case Ends::Written:
    case Ends::OriginalDestination:
      return Side::Source;
    case Ends::Original:
      return Side::OriginalSource;
    case Ends::Reply:
      break;
  }
  return Side::ReplySource;
}

Side destination_side(Ends ends) {
  switch (ends) {
    case Ends::Written:
      return Side::Destination;
    case Ends::OriginalDestination:
    case Ends::Original:
      return Side::OriginalDestination;
    case Ends::Reply:
      break;
  }
  return Side::ReplyDestination;
}

std::vector<Way> address_ways(const Candidate& candidate, AddressSets& sets, Ends ends) {
  const Conditions& conditions = candidate.rule->conditions;
  const bool source = !candidate.source_settled && !conditions.source.any();
  const bool destination = !candidate.destination_settled && !conditions.destination.any();
  if (!source && !destination) return {Way{}};

  const std::string& owner = candidate.rule->full_name;
  std::vector<Way> ways;
  for (const IpVersion version : {IpVersion::V4, IpVersion::V6}) {
    if (version == IpVersion::V4 ? !candidate.families.ipv4 : !candidate.families.ipv6) continue;
    const AddressTest nothing{version, true, std::nullopt, ""};
    const auto from = source ? sets.tests(conditions.source, version, own::source_addresses(owner))
                             : std::vector{nothing};
    const auto to =
        destination ? sets.tests(conditions.destination, version, own::destination_addresses(owner))
                    : std::vector{nothing};
    for (const AddressTest& a : from) {
      for (const AddressTest& b : to) {
        Way way{version, {}};
        if (!a.any) append(way.exprs, source_side(ends), a);
        if (!b.any) append(way.exprs, destination_side(ends), b);
        ways.push_back(std::move(way));
      }
    }
  }
  return ways;
}

// Who combines ways adds the test of the family.
Way traffic_way(const Traffic& box, Families possible, Ends ends) {
  Way way;
  if (!(possible & box.families).both() && possible.both()) {
    way.version = box.families.ipv4 ? IpVersion::V4 : IpVersion::V6;
  }
  match::l4proto(way.exprs, box.protocol);
  if (is_icmp(box.protocol)) {
    if (!box.every_destination()) match::icmp_type(way.exprs, box.destination);
    return way;
  }
  if (!net::has_ports(box.protocol)) return way;
  if (!box.source.is_all()) match::port(way.exprs, source_side(ends), box.source);
  if (!box.destination.is_all()) {
    match::port(way.exprs, destination_side(ends), box.destination);
  }
  return way;
}

std::vector<Way> traffic_ways(const Candidate& candidate, Ends ends) {
  if (candidate.service_settled) return {Way{}};
  std::vector<Way> ways;
  for (const Traffic& box : candidate.traffic) {
    if ((box.families & candidate.families).none()) continue;
    ways.push_back(traffic_way(box, candidate.families, ends));
  }
  return ways;
}

std::vector<Exprs> device_ways(const std::vector<std::string>& in_devices,
                               const std::vector<std::string>& out_devices) {
  std::vector<Exprs> ways{Exprs{}};
  const auto require = [&](ruleset::MetaKey key, const std::vector<std::string>& devices) {
    if (devices.empty()) return;
    std::vector<Exprs> narrowed;
    for (const Exprs& way : ways) {
      for (const std::string& device : devices) {
        narrowed.push_back(way);
        match::device(narrowed.back(), key, device);
      }
    }
    ways = std::move(narrowed);
  };
  require(ruleset::MetaKey::IifName, in_devices);
  require(ruleset::MetaKey::OifName, out_devices);
  return ways;
}

}  // namespace

Candidate fresh_candidate(const LoweredRule& rule) {
  const auto& [service, source, destination, in_devices, out_devices, user] = rule.conditions;
  Candidate candidate;
  candidate.rule = &rule;
  candidate.service_settled = service.any;
  candidate.traffic = service.traffic;
  candidate.source_settled = source.any();
  candidate.destination_settled = destination.any();
  candidate.families = rule.conditions.families();
  return candidate;
}

bool Candidate::unconditional() const {
  const auto& [service, source, destination, in_devices, out_devices, user] = rule->conditions;
  return service_settled && source_settled && destination_settled && in_devices.empty() &&
         out_devices.empty() && !user;
}

std::vector<Way> ways_to_match(const Candidate& candidate, AddressSets& sets, Ends ends) {
  const auto& [service_of_rule, source, destination_of_rule, in_devices, out_devices, user] =
      candidate.rule->conditions;
  const auto addresses = address_ways(candidate, sets, ends);
  const auto traffic = traffic_ways(candidate, ends);
  std::vector<Way> ways;
  for (const Exprs& device : device_ways(in_devices, out_devices)) {
    for (const Way& service : traffic) {
      for (const Way& address : addresses) {
        if (service.version && address.version && service.version != address.version) continue;
        const auto version = address.version ? address.version : service.version;
        Exprs exprs;
        // Two for the family, two for the user, one for what the caller adds: a jump or a verdict.
        exprs.reserve(device.size() + service.exprs.size() + address.exprs.size() + 5);
        exprs.insert(exprs.end(), device.begin(), device.end());
        if (version) match::nfproto(exprs, *version);
        exprs.insert(exprs.end(), service.exprs.begin(), service.exprs.end());
        exprs.insert(exprs.end(), address.exprs.begin(), address.exprs.end());
        if (user) match::user(exprs, *user);
        ways.push_back({version, std::move(exprs)});
      }
    }
  }
  return ways;
}

std::vector<ruleset::Rule> linear_rules(const Candidate& candidate, AddressSets& sets, Ends ends) {
  const std::string& id = candidate.rule->full_name;
  std::vector<ruleset::Rule> rules;
  for (Way& way : ways_to_match(candidate, sets, ends)) {
    match::jump(way.exprs, id);
    rules.push_back({0, id, std::move(way.exprs)});
  }
  return rules;
}

std::size_t linear_cost(const Candidate& candidate) {
  const auto& [service, source, destination, in_devices, out_devices, user] =
      candidate.rule->conditions;
  const bool by_address = (!candidate.source_settled && !source.any()) ||
                          (!candidate.destination_settled && !destination.any());
  const std::size_t services = candidate.service_settled ? 1 : candidate.traffic.size();
  return std::max<std::size_t>(1, in_devices.size()) *
         std::max<std::size_t>(1, out_devices.size()) * services * (by_address ? 2 : 1);
}

// The rule's name stands for all conditions that nothing above can settle.
std::string signature(const std::vector<Candidate>& list) {
  std::string text;
  for (const Candidate& candidate : list) {
    const auto& [rule, service_settled, traffic, source_settled, destination_settled, families] =
        candidate;
    text += fmt::format("{} {}{}{}{}{}", rule->full_name, service_settled, source_settled,
                        destination_settled, families.ipv4, families.ipv6);
    for (const Traffic& box : traffic) {
      text += fmt::format(" {}:{}-{}<{}-{}:{}{}", box.protocol, box.destination.first,
                          box.destination.last, box.source.first, box.source.last,
                          box.families.ipv4, box.families.ipv6);
    }
    text += '\n';
  }
  return text;
}

}  // namespace rolewall::compile
