#include "net/address_set.h"

#include "net/prefixes.h"

#include <fmt/format.h>

namespace rolewall::net {
namespace {

template <class Ip>
std::vector<Prefix> split(const IntervalSet<Ip>& set) {
  using Number = typename Ip::Number;
  std::vector<Prefix> prefixes;
  for (const auto& interval : set.intervals()) {
    Number low = interval.first.value;
    while (true) {
      // The largest block that starts at `low` (alignment) and does not pass the interval's end.
      unsigned host_bits = 0;
      while (host_bits < Ip::kBits) {
        const Number mask = host_bits + 1 >= Ip::kBits
                                ? static_cast<Number>(~Number{0})
                                : static_cast<Number>((Number{1} << (host_bits + 1)) - 1);
        if ((low & mask) != 0 || (low | mask) > interval.last.value) break;
        ++host_bits;
      }
      prefixes.push_back({Ip{low}, Ip::kBits - host_bits});
      if (host_bits >= Ip::kBits) break;
      const Number step = static_cast<Number>((Number{1} << host_bits) - 1);
      const Number end = static_cast<Number>(low | step);
      if (end == interval.last.value) break;
      low = static_cast<Number>(end + 1);
    }
  }
  return prefixes;
}

template <class Ip>
std::string format_interval(const Interval<Ip>& interval) {
  const auto prefixes = split(IntervalSet<Ip>::from({interval}));
  if (prefixes.size() == 1) return format(prefixes[0]);
  return fmt::format("{}-{}", format(Address(interval.first)), format(Address(interval.last)));
}

}  // namespace

AddressSet AddressSet::from(const std::vector<Prefix>& prefixes) {
  std::vector<Interval<Ipv4>> v4;
  std::vector<Interval<Ipv6>> v6;
  for (const Prefix& prefix : prefixes) {
    if (is_ipv4(prefix.address)) {
      v4.push_back({std::get<Ipv4>(first(prefix)), std::get<Ipv4>(last(prefix))});
    } else {
      v6.push_back({std::get<Ipv6>(first(prefix)), std::get<Ipv6>(last(prefix))});
    }
  }
  return {IntervalSet<Ipv4>::from(std::move(v4)), IntervalSet<Ipv6>::from(std::move(v6))};
}

bool AddressSet::contains(const Address& address) const {
  if (const auto* v4 = std::get_if<Ipv4>(&address)) return ipv4.contains(*v4);
  return ipv6.contains(std::get<Ipv6>(address));
}

std::vector<Prefix> to_prefixes(const IntervalSet<Ipv4>& set) {
  return split(set);
}
std::vector<Prefix> to_prefixes(const IntervalSet<Ipv6>& set) {
  return split(set);
}

std::vector<Prefix> to_prefixes(const AddressSet& set) {
  std::vector<Prefix> prefixes = to_prefixes(set.ipv4);
  const std::vector<Prefix> ipv6 = to_prefixes(set.ipv6);
  prefixes.insert(prefixes.end(), ipv6.begin(), ipv6.end());
  return prefixes;
}

std::string format(const Interval<Ipv4>& interval) {
  return format_interval(interval);
}
std::string format(const Interval<Ipv6>& interval) {
  return format_interval(interval);
}

}  // namespace rolewall::net
