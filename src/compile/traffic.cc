#include "compile/traffic.h"

#include <algorithm>
#include <set>
#include <utility>

namespace rolewall::compile {
namespace {

using net::PortRange;

// REQUIRES: they overlap.
PortRange intersect(const PortRange& a, const PortRange& b) {
  return {std::max(a.first, b.first), std::min(a.last, b.last)};
}

bool overlap(const Traffic& a, const Traffic& b) {
  return a.protocol == b.protocol && a.destination.first <= b.destination.last &&
         b.destination.first <= a.destination.last && a.source.first <= b.source.last &&
         b.source.first <= a.source.last && !(a.families & b.families).none();
}

// What of `a` lies below and above `b`.
std::vector<PortRange> outside(const PortRange& a, const PortRange& b) {
  std::vector<PortRange> parts;
  if (a.first < b.first) {
    parts.push_back({a.first, std::min(a.last, static_cast<std::uint16_t>(b.first - 1))});
  }
  if (a.last > b.last) {
    parts.push_back({std::max(a.first, static_cast<std::uint16_t>(b.last + 1)), a.last});
  }
  return parts;
}

// a less b, as disjoint boxes: cut along one dimension after the other, keeping what is outside b
// in that dimension and going on with the part inside.
std::vector<Traffic> subtract(const Traffic& a, const Traffic& b) {
  if (!overlap(a, b)) return {a};
  const PortRange destination = intersect(a.destination, b.destination);
  const Families families = a.families & b.families;

  std::vector<Traffic> rest;
  Traffic inside = a;
  const Families others{a.families.ipv4 && !b.families.ipv4, a.families.ipv6 && !b.families.ipv6};
  if (!others.none()) {
    rest.push_back(inside);
    rest.back().families = others;
  }
  inside.families = families;
  for (const PortRange& part : outside(a.destination, b.destination)) {
    rest.push_back(inside);
    rest.back().destination = part;
  }
  inside.destination = destination;
  for (const PortRange& part : outside(a.source, b.source)) {
    rest.push_back(inside);
    rest.back().source = part;
  }
  return rest;
}

}  // namespace

PortRange Traffic::whole_range(std::uint8_t protocol) {
  return is_icmp(protocol) ? PortRange{0, 255} : PortRange{};
}

Traffic traffic_of(const policy::ServiceLiteral& literal) {
  Traffic box;
  box.protocol = literal.protocol;
  box.destination = Traffic::whole_range(literal.protocol);
  if (net::has_ports(literal.protocol)) {
    box.destination = literal.destination;
    box.source = literal.source;
  }
  if (is_icmp(literal.protocol) && !literal.text.starts_with("protocol/")) {
    box.families.ipv4 = literal.protocol == net::protocol::kIcmp;
    box.families.ipv6 = !box.families.ipv4;
  }
  if (literal.icmp_type) box.destination = {*literal.icmp_type, *literal.icmp_type};
  return box;
}

std::vector<Traffic> disjoint(const std::vector<Traffic>& boxes) {
  std::vector<Traffic> result;
  std::set<Traffic> seen;  // a list may say one port a thousand times
  for (const Traffic& box : boxes) {
    if (!seen.insert(box).second) continue;
    std::vector<Traffic> pieces{box};
    for (const Traffic& taken : result) {
      if (!overlap(box, taken)) continue;  // nearly all, of a long list of ports
      std::vector<Traffic> rest;
      for (const Traffic& piece : pieces) {
        const auto parts = subtract(piece, taken);
        rest.insert(rest.end(), parts.begin(), parts.end());
      }
      pieces = std::move(rest);
    }
    result.insert(result.end(), pieces.begin(), pieces.end());
  }
  std::sort(result.begin(), result.end());
  return result;
}

}  // namespace rolewall::compile
