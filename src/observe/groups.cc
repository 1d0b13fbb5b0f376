#include "observe/groups.h"

#include <array>
#include <bit>
#include <charconv>
#include <cstdint>
#include <set>
#include <string>
#include <utility>

#include "base/file.h"
#include "observe/proc_words.h"

namespace rolewall::observe {
namespace {

constexpr std::size_t kMostOfGroups = std::size_t{1} << 24;

// By device number and group. A line names a sender that programs take or refuse: "4 eth0
// 0xe8010101 0x0a000001 1 0", with no more than six characters of the device's name.
std::set<std::pair<std::string, std::uint32_t>> filtered_groups(std::string_view filters) {
  std::set<std::pair<std::string, std::uint32_t>> found;
  for (const std::string& line : lines_of(filters)) {
    const auto words = words_in(line);
    if (words.size() < 3 || !words[2].starts_with("0x")) continue;
    std::uint32_t group = 0;
    const char* end = words[2].data() + words[2].size();
    if (std::from_chars(words[2].data() + 2, end, group, 16).ec != std::errc{}) continue;
    found.emplace(words[0], group);
  }
  return found;
}

// A device's line begins with its number, its groups' with a tab: as the kernel has the address in
// memory, by the processor's order.
void add_ipv4_groups(std::string_view igmp, std::string_view filters,
                     std::vector<ruleset::JoinedGroup>& found) {
  const auto filtered = filtered_groups(filters);
  std::string index;
  std::string device;
  for (const std::string& line : lines_of(igmp)) {
    const auto words = words_in(line);
    if (words.empty()) continue;
    if (!line.starts_with('\t')) {
      index = words.front();
      device = words.size() > 1 ? words[1] : "";
      continue;
    }
    const std::string& digits = words.front();
    std::uint32_t number = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
    if (error != std::errc{} || digits.size() != 8) continue;
    const auto bytes = std::bit_cast<std::array<std::uint8_t, 4>>(number);
    const net::Ipv4 group = net::ipv4_from_bytes(bytes.data());
    found.push_back(
        {.device = device, .group = group, .filtered = filtered.contains({index, group.value})});
  }
}

// Number, device, 32 digits, and more.
void add_ipv6_groups(std::string_view igmp6, std::vector<ruleset::JoinedGroup>& found) {
  for (const std::string& line : lines_of(igmp6)) {
    const auto words = words_in(line);
    std::array<std::uint8_t, 16> bytes{};
    if (words.size() < 3 || words[2].size() != 2 * bytes.size()) continue;
    bool whole = true;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const char* at = words[2].data() + 2 * i;
      whole = whole && std::from_chars(at, at + 2, bytes[i], 16).ptr == at + 2;
    }
    if (whole) found.push_back({.device = words[1], .group = net::ipv6_from_bytes(bytes.data())});
  }
}

}  // namespace

std::vector<ruleset::JoinedGroup> joined_groups(std::string_view igmp, std::string_view igmp6,
                                                std::string_view filters) {
  std::vector<ruleset::JoinedGroup> found;
  add_ipv4_groups(igmp, filters, found);
  add_ipv6_groups(igmp6, found);
  return found;
}

std::vector<ruleset::JoinedGroup> joined_groups() {
  const auto list = [](const char* path) { return read_file(path, kMostOfGroups).value_or(""); };
  return joined_groups(list("/proc/net/igmp"), list("/proc/net/igmp6"), list("/proc/net/mcfilter"));
}

}  // namespace rolewall::observe
