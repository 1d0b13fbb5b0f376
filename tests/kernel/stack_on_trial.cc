#include "stack_on_trial.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>

#include "observe/stack_settings.h"
#include "random.h"

namespace rolewall::kernel_judge {
namespace {

constexpr std::uint32_t kLargestMtu = 65535;

// One that this kernel does not have is left out.
Result<void> set(const std::string& path, unsigned value) {
  const std::string file = fmt::format("/proc/sys/net/{}", path);
  if (!std::ifstream(file)) return {};
  std::ofstream out(file);
  out << value << std::flush;
  if (!out) return fail(ErrorKind::System, "the sandbox does not take: " + file);
  return {};
}

Result<void> set_mtu(ruleset::Interface& interface, std::uint32_t mtu) {
  if (interface.mtu == mtu) return {};
  const std::string command = fmt::format("ip link set dev {} mtu {}", interface.device, mtu);
  if (std::system(command.c_str()) != 0) {
    return fail(ErrorKind::System, "the sandbox does not take: " + command);
  }
  interface.mtu = mtu;
  return {};
}

}  // namespace

Result<void> choose_stack(ruleset::Host& host, std::uint64_t seed) {
  Random random(Random(seed + 16).next());
  const bool usual = seed % 2 == 0;
  const auto chance = [&](unsigned percent) { return !usual && random.percent(percent) ? 1U : 0U; };
  const auto rp_filter = [&] {
    return usual || random.percent(50) ? 0U : random.of<unsigned>({1, 1, 2});
  };
  TRY(set("ipv4/conf/all/rp_filter", chance(30) != 0 ? rp_filter() : 0));
  TRY(set("ipv4/conf/all/accept_local", chance(5)));
  TRY(set("ipv4/conf/all/route_localnet", chance(5)));
  TRY(set("ipv4/conf/all/accept_source_route", chance(20)));
  TRY(set("ipv4/conf/all/send_redirects", chance(50)));
  TRY(set("ipv4/conf/all/bc_forwarding", chance(10)));
  TRY(set("bridge/bridge-nf-call-iptables", 1U - chance(15)));
  TRY(set("bridge/bridge-nf-call-ip6tables", 1U - chance(15)));
  for (ruleset::Interface& interface : host.interfaces) {
    if (interface.kind == "bridge") interface.shows_ipv4 = interface.shows_ipv6 = false;  // itself
    const auto of = [&](const char* family, const char* name) {
      return fmt::format("{}/conf/{}/{}", family, interface.device, name);
    };
    TRY(set(of("ipv4", "rp_filter"), rp_filter()));
    TRY(set(of("ipv4", "accept_local"), chance(25)));
    TRY(set(of("ipv4", "route_localnet"), chance(25)));
    TRY(set(of("ipv4", "accept_source_route"), chance(50)));
    TRY(set(of("ipv4", "send_redirects"), usual ? 1U : chance(50)));
    TRY(set(of("ipv4", "bc_forwarding"), chance(50)));
    TRY(set(of("ipv4", "forwarding"), host.forwards_ipv4 ? 1U - chance(20) : chance(10)));
    TRY(set(of("ipv4", "drop_unicast_in_l2_multicast"), chance(20)));
    TRY(set(of("ipv6", "drop_unicast_in_l2_multicast"), chance(20)));
    TRY(set(of("ipv6", "force_forwarding"), chance(20)));
    const std::uint32_t mtu =
        usual ? kLargestMtu : random.of<std::uint32_t>({kLargestMtu, kLargestMtu, 1500, 1280});
    TRY(set_mtu(interface, mtu));
  }
  observe::read_stack_settings(host);
  return {};
}

Result<void> take_ipv6_away(const std::string& device) {
  return set(fmt::format("ipv6/conf/{}/disable_ipv6", device), 1);
}

bool is_carried(const ruleset::Host& host, const Question& question) {
  constexpr std::size_t kVlanTag = 4;
  if (question.outbound) return true;
  const auto device =
      std::ranges::find(host.interfaces, question.packet.in_device, &ruleset::Interface::device);
  return device == host.interfaces.end() || device->mtu == 0 ||
         question.packet.bytes.size() <= device->mtu + kVlanTag;
}

}  // namespace rolewall::kernel_judge
