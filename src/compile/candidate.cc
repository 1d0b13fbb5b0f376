#include "compile/candidate.h"

#include <algorithm>

#include "ruleset/expr.h"

namespace rolewall::compile {
namespace {

using match::Exprs;
using match::IpVersion;
using match::Side;

Side side_of(Destination destination) {
  return destination == Destination::Written ? Side::Destination : Side::OriginalDestination;
}

std::vector<Way> address_ways(const Candidate& candidate, AddressSets& sets,
                              Destination destination_read) {
  const LoweredRule& rule = *candidate.rule;
  const bool source = !candidate.source_settled && !rule.source.any();
  const bool destination = !candidate.destination_settled && !rule.destination.any();
  if (!source && !destination) return {Way{}};

  const std::string& owner = rule.rule->full_name;
  std::vector<Way> ways;
  for (const IpVersion version : {IpVersion::V4, IpVersion::V6}) {
    if (version == IpVersion::V4 ? !candidate.families.ipv4 : !candidate.families.ipv6) continue;
    const AddressTest nothing{version, true, std::nullopt, ""};
    const auto from =
        source ? sets.tests(rule.source, version, owner + "/from") : std::vector{nothing};
    const auto to =
        destination ? sets.tests(rule.destination, version, owner + "/to") : std::vector{nothing};
    for (const AddressTest& a : from) {
      for (const AddressTest& b : to) {
        Way way{version, {}};
        if (!a.any) append(way.exprs, Side::Source, a);
        if (!b.any) append(way.exprs, side_of(destination_read), b);
        ways.push_back(std::move(way));
      }
    }
  }
  return ways;
}

// Who combines ways adds the test of the family.
Way traffic_way(const Traffic& box, Families possible, Destination destination) {
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
  if (!box.source.is_all()) match::port(way.exprs, Side::Source, box.source);
  if (!box.destination.is_all()) {
    match::port(way.exprs, side_of(destination), box.destination);
  }
  return way;
}

std::vector<Way> traffic_ways(const Candidate& candidate, Destination destination) {
  if (candidate.service_settled) return {Way{}};
  std::vector<Way> ways;
  for (const Traffic& box : candidate.traffic) {
    if ((box.families & candidate.families).none()) continue;
    ways.push_back(traffic_way(box, candidate.families, destination));
  }
  return ways;
}

std::vector<Exprs> device_conditions(const LoweredRule& rule) {
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
  require(ruleset::MetaKey::IifName, rule.in_devices);
  require(ruleset::MetaKey::OifName, rule.out_devices);
  return ways;
}

}  // namespace

Candidate fresh_candidate(const LoweredRule& rule) {
  const Families families = rule.source.families() & rule.destination.families();
  return {&rule,   rule.any_service, rule.traffic, rule.source.any(), rule.destination.any(),
          families};
}

std::vector<Way> ways_to_match(const Candidate& candidate, AddressSets& sets,
                               Destination destination) {
  const LoweredRule& rule = *candidate.rule;
  const auto addresses = address_ways(candidate, sets, destination);
  const auto traffic = traffic_ways(candidate, destination);
  std::vector<Way> ways;
  for (const Exprs& device : device_conditions(rule)) {
    for (const Way& service : traffic) {
      for (const Way& address : addresses) {
        if (service.version && address.version && service.version != address.version) continue;
        Exprs exprs = device;
        const auto version = address.version ? address.version : service.version;
        if (version) match::nfproto(exprs, *version);
        exprs.insert(exprs.end(), service.exprs.begin(), service.exprs.end());
        exprs.insert(exprs.end(), address.exprs.begin(), address.exprs.end());
        if (rule.user) match::user(exprs, *rule.user);
        ways.push_back({version, std::move(exprs)});
      }
    }
  }
  return ways;
}

std::vector<ruleset::Rule> linear_rules(const Candidate& candidate, AddressSets& sets,
                                        Destination destination) {
  const std::string& id = candidate.rule->rule->full_name;
  std::vector<ruleset::Rule> rules;
  for (Way& way : ways_to_match(candidate, sets, destination)) {
    match::jump(way.exprs, id);
    rules.push_back({0, id, std::move(way.exprs)});
  }
  return rules;
}

std::size_t linear_cost(const Candidate& candidate) {
  const LoweredRule& rule = *candidate.rule;
  const bool by_address = (!candidate.source_settled && !rule.source.any()) ||
                          (!candidate.destination_settled && !rule.destination.any());
  const std::size_t services = candidate.service_settled ? 1 : candidate.traffic.size();
  return std::max<std::size_t>(1, rule.in_devices.size()) *
         std::max<std::size_t>(1, rule.out_devices.size()) * services * (by_address ? 2 : 1);
}

}  // namespace rolewall::compile
