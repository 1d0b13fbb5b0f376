#include "observe/listener_queries.h"

#include <cstdint>
#include <sstream>

#include "base/file.h"

namespace rolewall::observe {

bool has_heard_queries(std::string_view counters) {
  std::istringstream lines{std::string(counters)};
  std::string name;
  std::uint64_t count = 0;
  while (lines >> name >> count) {
    if (name == "Icmp6InGroupMembQueries") return count != 0;
  }
  return false;
}

std::vector<std::string> queried_devices(const ruleset::Host& machine) {
  constexpr std::size_t kLargestList = std::size_t{1} << 16;
  std::vector<std::string> found;
  for (const ruleset::Interface& each : machine.interfaces) {
    const auto counters = read_file("/proc/net/dev_snmp6/" + each.device, kLargestList);
    if (counters && has_heard_queries(*counters)) found.push_back(each.device);
  }
  return found;
}

}  // namespace rolewall::observe
