#include "compile/address_sets.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "ruleset/own_table.h"

namespace rolewall::compile {
namespace {

using match::IpVersion;
namespace own = ruleset::own;

// Below this one interval set serves single addresses as well: a second lookup costs more than a
// few levels of a small tree.
constexpr std::size_t kSplitSingles = 256;

// From here on a hash set is told how many elements to make room for: the kernel then takes a table
// of that size instead of one that grows and is hashed again and again while it is filled, which
// takes three times as long (nft_set_hash.c).
constexpr std::size_t kSized = 4096;

// Of the sizes that fill a power of two of buckets (nft_hash_buckets()), the least with an eighth
// to spare: a list may grow by that before its set is made again.
std::uint32_t room_for(std::size_t count) {
  std::size_t room = 3;
  while (room < count + count / 8) room *= 2;
  return static_cast<std::uint32_t>(room);
}

template <class Ip>
bool is_single(const net::Interval<Ip>& interval) {
  return interval.first == interval.last;
}

template <class Ip>
std::vector<net::Interval<Ip>> those(const std::vector<net::Interval<Ip>>& intervals,
                                     std::size_t count, bool single) {
  std::vector<net::Interval<Ip>> found;
  found.reserve(count);
  std::ranges::copy_if(intervals, std::back_inserter(found),
                       [single](const auto& interval) { return is_single(interval) == single; });
  return found;
}

template <class Ip>
ruleset::Set address_set(std::string name, const std::vector<net::Interval<Ip>>& intervals,
                         bool ranges) {
  auto set = make_set(std::move(name), {net::is_ipv4(net::Address(Ip{})) ? kIpv4Key : kIpv6Key});
  set.interval = ranges;
  if (!ranges && intervals.size() >= kSized) set.size = room_for(intervals.size());
  auto& elements = set.elements;
  const auto write = [&](std::vector<std::uint8_t>& column, auto which) {
    column.resize(intervals.size() * elements.key_size);
    auto at = column.begin();
    for (const auto& interval : intervals)
      at = std::ranges::copy(net::to_bytes(interval.*which), at).out;
  };
  write(elements.keys, &net::Interval<Ip>::first);
  if (ranges) write(elements.key_ends, &net::Interval<Ip>::last);
  return set;
}

template <class Ip>
std::vector<AddressTest> make_tests(TableBuilder& table, bool share,
                                    const net::IntervalSet<Ip>& addresses, IpVersion version,
                                    const std::string& name) {
  if (addresses.empty()) return {};
  if (addresses.is_all()) return {{version, true, std::nullopt, ""}};
  if (addresses.intervals().size() == 1) {
    const auto prefixes = net::to_prefixes(addresses);
    if (prefixes.size() == 1) return {{version, false, prefixes[0], ""}};
  }
  const auto& intervals = addresses.intervals();
  const auto singles = static_cast<std::size_t>(std::ranges::count_if(intervals, is_single<Ip>));
  std::vector<AddressTest> tests;
  const auto use = [&](const std::string& set_name, const std::vector<net::Interval<Ip>>& part,
                       bool ranges) {
    if (!table.has_set(set_name)) table.add_set(address_set<Ip>(set_name, part, ranges));
    tests.push_back({version, false, std::nullopt, set_name});
  };
  if (singles == intervals.size()) {
    use(name, intervals, false);
  } else if (share && singles >= kSplitSingles) {
    use(name, those(intervals, singles, true), false);
    use(own::prefixes(name), those(intervals, intervals.size() - singles, false), true);
  } else {
    use(name, intervals, true);
  }
  return tests;
}

}  // namespace

std::vector<AddressTest> AddressSets::tests(const AddressCondition& condition, IpVersion version,
                                            const std::string& owner) {
  const bool shared = share_ && !condition.name.empty();
  const bool ipv4 = version == IpVersion::V4;
  const std::string name = own::family(shared ? own::named_addresses(condition.name) : owner, ipv4);
  return ipv4 ? make_tests(table_, share_, condition.set.ipv4, version, name)
              : make_tests(table_, share_, condition.set.ipv6, version, name);
}

void append(match::Exprs& exprs, match::Side side, const AddressTest& test) {
  if (test.prefix) match::prefix(exprs, side, *test.prefix);
  if (!test.set.empty()) match::address_in(exprs, side, test.version, test.set);
}

}  // namespace rolewall::compile
