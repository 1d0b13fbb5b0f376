#include "sandbox/connections.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "sandbox/descriptor.h"

namespace rolewall::sandbox {

Result<void> set_conntrack(const ruleset::ConntrackSettings& settings) {
  const auto number = [](bool value) { return value ? 1U : 0U; };
  const std::pair<const char*, std::uint32_t> values[] = {
      {"tcp_loose", number(settings.tcp_loose)},
      {"tcp_be_liberal", number(settings.tcp_be_liberal)},
      {"tcp_ignore_invalid_rst", number(settings.tcp_ignore_invalid_rst)},
      {"tcp_max_retrans", settings.tcp_max_retrans},
      {"checksum", number(settings.checksum)},
      {"tcp_timeout_syn_sent", settings.tcp_timeout_syn_sent},
      {"tcp_timeout_syn_recv", settings.tcp_timeout_syn_recv},
      {"tcp_timeout_established", settings.tcp_timeout_established},
      {"tcp_timeout_fin_wait", settings.tcp_timeout_fin_wait},
      {"tcp_timeout_close_wait", settings.tcp_timeout_close_wait},
      {"tcp_timeout_last_ack", settings.tcp_timeout_last_ack},
      {"tcp_timeout_time_wait", settings.tcp_timeout_time_wait},
      {"tcp_timeout_close", settings.tcp_timeout_close},
      {"tcp_timeout_max_retrans", settings.tcp_timeout_max_retrans},
      {"tcp_timeout_unacknowledged", settings.tcp_timeout_unacknowledged},
      {"udp_timeout", settings.udp_timeout},
      {"udp_timeout_stream", settings.udp_timeout_stream},
      {"icmp_timeout", settings.icmp_timeout},
      {"icmpv6_timeout", settings.icmpv6_timeout},
      {"generic_timeout", settings.generic_timeout}};
  for (const auto& [name, value] : values) {
    const std::string path = fmt::format("/proc/sys/net/netfilter/nf_conntrack_{}", name);
    const std::string text = std::to_string(value);
    const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file.valid() || ::write(file.get(), text.data(), text.size()) < 0) {
      return fail(ErrorKind::System, fmt::format("{}: {}", path, std::strerror(errno)), errno);
    }
  }
  return {};
}

}  // namespace rolewall::sandbox
