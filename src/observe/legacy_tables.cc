#include "observe/legacy_tables.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <sstream>
#include <string_view>

#include "base/file.h"

namespace rolewall::observe {
namespace {

// struct ipt_getinfo and struct ip6t_getinfo, which are alike; IPT_SO_GET_INFO, IP6T_SO_GET_INFO.
struct TableInfo {
  std::array<char, 32> name;
  std::uint32_t valid_hooks;
  std::array<std::uint32_t, 5> hook_entry;
  std::array<std::uint32_t, 5> underflow;
  std::uint32_t entries;
  std::uint32_t size;
};
constexpr int kGetInfo = 64;

// Without those that the kernel counts beside them: each hook's policy, and the last one.
std::optional<std::uint32_t> count_of_rules(bool ipv6, const std::string& name) {
  const int socket = ::socket(ipv6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
  if (socket < 0) return std::nullopt;
  TableInfo info{};
  std::memcpy(info.name.data(), name.data(), std::min(name.size(), info.name.size() - 1));
  socklen_t size = sizeof info;
  const int error = ::getsockopt(socket, ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, kGetInfo, &info, &size);
  ::close(socket);
  const auto beside = static_cast<std::uint32_t>(std::popcount(info.valid_hooks)) + 1;
  if (error != 0 || info.entries < beside) return std::nullopt;
  return info.entries - beside;
}

}  // namespace

std::vector<std::string> legacy_tables() {
  constexpr std::size_t kLargest = 4096;
  std::vector<std::string> tables;
  for (const bool ipv6 : {false, true}) {
    const std::string file = ipv6 ? "/proc/net/ip6_tables_names" : "/proc/net/ip_tables_names";
    std::istringstream names(read_file(file, kLargest).value_or(""));
    for (std::string name; names >> name;) {
      std::string text = fmt::format("{} {}", ipv6 ? "ip6" : "ip", name);
      if (const auto count = count_of_rules(ipv6, name)) {
        text += fmt::format(" ({} {})", *count, *count == 1 ? "rule" : "rules");
      }
      tables.push_back(std::move(text));
    }
  }
  return tables;
}

std::string remark_on_legacy(const std::vector<std::string>& tables) {
  if (tables.empty()) return "";
  return fmt::format(
      "tables of iptables-legacy are in force ({}): their rules cannot be read here, and what they "
      "drop or translate is not in what was checked",
      fmt::join(tables, ", "));
}

}  // namespace rolewall::observe
