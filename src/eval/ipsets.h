// The host's sets of ip_set, by the numbers that rules name them by; and what of a packet is looked
// up in one.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ruleset/host.h"
#include "ruleset/ipset.h"
#include "ruleset/xt_host.h"

namespace rolewall::eval {

class Ipsets {
 public:
  explicit Ipsets(const ruleset::Host& host) : sets_(ruleset::read_ipsets(host.ipsets)) {
    for (const ruleset::IpsetNumber& each : host.ipset_numbers) names_[each.number] = each.name;
    for (const ruleset::IpSet& set : sets_) by_name_[set.name] = &set;
  }

  // "": it is not known.
  std::string_view name(std::uint16_t number) const {
    const auto at = names_.find(number);
    return at == names_.end() ? std::string_view() : std::string_view(at->second);
  }
  // Null: it is not known.
  const ruleset::IpSet* find(std::string_view name) const {
    const auto at = by_name_.find(name);
    return at == by_name_.end() ? nullptr : at->second;
  }

 private:
  std::vector<ruleset::IpSet> sets_;
  std::map<std::uint16_t, std::string> names_;
  std::map<std::string, const ruleset::IpSet*, std::less<>> by_name_;
};

// Which side of the packet each dimension asks: struct ip_set_adt_opt.
struct IpsetUse {
  std::uint8_t dimensions = 0;
  std::uint8_t sources = 0;  // a bit for each, from bit 1
  // What it asks of an element's counters, if anything, and whether the packet is counted there.
  ruleset::XtSet::Counter packets{};
  ruleset::XtSet::Counter bytes{};
  bool counts = true;
  bool counts_in_lists = true;
  bool asks_source(std::size_t dimension) const { return (sources >> (dimension + 1) & 1) != 0; }
  bool looks_at_counters() const { return packets.is_asked() || bytes.is_asked(); }
};

// What the packet has for each of the set's fields, in the bytes of a key (ruleset/ipset.h).
struct IpsetKeys {
  enum class Is : std::uint8_t {
    There,
    Absent,   // it has not what the set is of: then it is not in it
    Unknown,  // nobody knows
  } is = Is::There;
  std::vector<std::string> fields;
};

}  // namespace rolewall::eval
