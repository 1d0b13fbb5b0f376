#include "eval/groups.h"

#include <fmt/format.h>

#include <algorithm>

#include "eval/route.h"
#include "eval/stopped.h"
#include "eval/wire.h"

namespace rolewall::eval {
namespace {

constexpr std::uint32_t kAllHosts = 0xe0000001;

// ff02::1:ff00:0/104, and the last three bytes of the address that is asked for.
bool is_asked_by(const net::Ipv6& group, const net::Prefix& own) {
  constexpr net::Uint128 kSolicitedNode =
      (net::Uint128{0xff02000000000000} << 64) | net::Uint128{0x1ff000000};
  const auto* address = std::get_if<net::Ipv6>(&own.address);
  if (address == nullptr || group.value >> 24 != kSolicitedNode >> 24) return false;
  // Of a pool, one bears each of its addresses.
  const unsigned open = 128 - own.length;
  const auto last = [](const net::Ipv6& of) { return static_cast<std::uint32_t>(of.value) << 8; };
  return open >= 24 || (last(group) ^ last(*address)) >> 8 >> open == 0;
}

// ffXS::1 and ffXS::2 without flags, of scope S.
bool is_all_nodes(const net::Ipv6& group) {
  const net::Uint128 head = group.value >> 112;
  return (head == 0xff01 || head == 0xff02) && (group.value << 16 >> 16) == 1;
}
bool is_all_routers(const net::Ipv6& group) {
  const net::Uint128 head = group.value >> 112;
  return (head == 0xff01 || head == 0xff02 || head == 0xff05) && (group.value << 16 >> 16) == 2;
}

}  // namespace

bool is_joined_by_kernel(const net::Address& group, const ruleset::Host& host) {
  if (const auto* ipv4 = std::get_if<net::Ipv4>(&group)) return ipv4->value == kAllHosts;
  const auto& ipv6 = std::get<net::Ipv6>(group);
  const auto asks = [&](const net::Prefix& own) { return is_asked_by(ipv6, own); };
  return is_all_nodes(ipv6) || (host.forwards_ipv6 && is_all_routers(ipv6)) ||
         std::ranges::any_of(host.addresses, asks) ||
         std::ranges::any_of(host.virtual_addresses, asks);
}

Joined Groups::joined(const net::Address& group, std::string_view device) const {
  if (!host_.joined_groups) {
    return is_joined_by_kernel(group, host_) ? Joined::Yes : Joined::NotKnown;
  }
  const auto found =
      std::ranges::find_if(*host_.joined_groups, [&](const ruleset::JoinedGroup& joined) {
        return joined.group == group && joined.device == device;
      });
  if (found == host_.joined_groups->end()) return Joined::No;
  return found->filtered ? Joined::FromSome : Joined::Yes;
}

// Those of one link stay there: 224.0.0.0/24, and by their scope.
bool Groups::may_route(const net::Address& group) const {
  if (const auto* ipv4 = std::get_if<net::Ipv4>(&group)) {
    return host_.routes_groups_ipv4 && ipv4->value >> 8 != kAllHosts >> 8;
  }
  const auto scope = static_cast<unsigned>(std::get<net::Ipv6>(group).value >> 112) & 0xfU;
  return host_.routes_groups_ipv6 && scope > 2;
}

// ip_route_input_rcu() and ip6_mc_input(). IPv6 looks at senders behind the hook alone.
bool Groups::takes(const net::Address& group, Frame& frame, Journey& journey) const {
  constexpr std::uint8_t kIgmp = 2;
  switch (joined(group, frame.in_device)) {
    case Joined::Yes:
      return true;
    case Joined::NotKnown:
      journey.takes_group_as_joined = true;
      return true;
    case Joined::FromSome: {
      if (frame.ipv6 || frame.bytes[ipv4::kProtocol] == kIgmp) return true;
      const bool taken = frame.choices->choose(2) == 0;
      frame.conditions.push_back(
          {.about = fmt::format("whether a program takes {} from this sender", net::format(group)),
           .is = taken ? "yes" : "no"});
      return taken;
    }
    case Joined::No:
      return false;
  }
  return false;
}

std::optional<HookResult> Groups::refusal(Frame& frame, Journey& journey) const {
  const net::Address to = destination_of(frame.bytes, frame.ipv6);
  if (!net::is_multicast(to) || takes(to, frame, journey)) return std::nullopt;
  HookResult result = stopped_by_stack(ruleset::Hook::Input, kGroupNotJoined);
  if (may_route(to)) {
    result.fate = Fate::Undecided;
    result.reason = "multicast routing, which may pass it on, is not modelled";
  }
  return result;
}

}  // namespace rolewall::eval
