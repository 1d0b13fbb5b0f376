#include "ask/beside.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <net/if_arp.h>

#include <algorithm>
#include <iterator>
#include <string_view>

#include "eval/dissect.h"
#include "eval/route.h"
#include "eval/wire.h"
#include "ruleset/effects.h"
#include "ruleset/tunnel_kinds.h"

namespace rolewall::ask {
namespace {

bool is_within(const net::Prefix& prefix, const net::Address& address) {
  return prefix.address.index() == address.index() && net::first(prefix) <= address &&
         address <= net::last(prefix);
}

bool may_be_for(const ruleset::Beside::IpsecPolicy& policy, const eval::Packet& packet) {
  const bool ipv6 = is_ipv6(packet);
  const std::size_t least = ipv6 ? eval::ipv6::kHeaderSize : eval::ipv4::kHeaderSize;
  if (packet.bytes.size() < least) return false;
  const net::Address from =
      ipv6 ? net::Address{net::ipv6_from_bytes(packet.bytes.data() + eval::ipv6::kSource)}
           : net::Address{net::ipv4_from_bytes(packet.bytes.data() + eval::ipv4::kSource)};
  return is_within(policy.from, from) &&
         is_within(policy.to, eval::destination_of(packet.bytes, ipv6));
}

// By which of them the kernel asks where the packet's way over this host ends: what is passed on
// is asked for both.
bool is_asked(std::string_view direction, ruleset::Hook last) {
  switch (last) {
    case ruleset::Hook::Prerouting:
    case ruleset::Hook::Ingress:
      return direction != "out";
    case ruleset::Hook::Input:
      return direction == "in";
    case ruleset::Hook::Forward:
    case ruleset::Hook::Postrouting:
    case ruleset::Hook::Output:
    case ruleset::Hook::Egress:
      return direction != "in";
  }
  return true;
}

// Of a "tun" with Ethernet frames a virtual machine holds the other end.
bool is_wrapping(const ruleset::Interface& interface) {
  return ruleset::is_tunnel(interface.kind) &&
         (interface.kind != "tun" || interface.hardware_type != ARPHRD_ETHER);
}

}  // namespace

std::string assumed_of_tunnel(const ruleset::Host& host, const std::string& device) {
  const auto found = std::ranges::find(host.interfaces, device, &ruleset::Interface::device);
  if (found == host.interfaces.end() || !is_wrapping(*found)) return "";
  return fmt::format(
      "the packet that carries it is sent: {} is a tunnel ({}), whose own packets meet the rules, "
      "too",
      device, found->kind);
}

std::string remark_on_tunnels(const ruleset::Host& host) {
  std::vector<std::string> devices;
  for (const ruleset::Interface& interface : host.interfaces) {
    if (is_wrapping(interface)) devices.push_back(interface.device);
  }
  if (devices.empty()) return "";
  return fmt::format(
      "what leaves by {} is carried by packets of this host, which are asked by themselves",
      fmt::join(devices, ", "));
}

std::vector<std::string> assumed_of(const ruleset::Beside& beside, const eval::Packet& packet) {
  std::vector<std::string> tables;
  const std::string_view family = is_ipv6(packet) ? "ip6 " : "ip ";
  std::ranges::copy_if(beside.legacy_tables, std::back_inserter(tables),
                       [&](const std::string& table) { return table.starts_with(family); });
  std::vector<std::string> found;
  if (!tables.empty()) {
    found.push_back(fmt::format(
        "no table of iptables-legacy drops or translates it ({}; what they say cannot be read)",
        fmt::join(tables, ", ")));
  }
  if (!beside.ipsec.empty()) {
    found.push_back(fmt::format("no IPsec policy applies ({} {} in force)", beside.ipsec.size(),
                                beside.ipsec.size() == 1 ? "is" : "are"));
  }
  return found;
}

void weigh(std::vector<Hop>& hops, const ruleset::Beside& beside, const eval::Packet& packet,
           const eval::Packet& after) {
  if (hops.empty() || hops.back().verdict != Verdict::Accept) return;
  Hop& last = hops.back();
  const auto policy =
      std::ranges::find_if(beside.ipsec, [&](const ruleset::Beside::IpsecPolicy& each) {
        return is_asked(each.direction, last.hook) &&
               (may_be_for(each, packet) || may_be_for(each, after));
      });
  if (policy == beside.ipsec.end()) return;
  const std::string name =
      fmt::format("the IPsec policy {} > {}, dir {}", net::format(policy->from),
                  net::format(policy->to), policy->direction);
  Alternative passes;
  passes.when = name + ": lets it pass";
  passes.verdict = Verdict::Accept;
  passes.decided_by = last.decided_by;
  Alternative denied;
  denied.when = name + ": blocks it, or takes it wrapped alone";
  denied.verdict = Verdict::Stack;
  last.verdict = Verdict::Conditional;
  last.decided_by.reset();
  last.reason = "depends on IPsec, which is not modelled";
  last.alternatives.push_back(std::move(passes));
  last.alternatives.push_back(std::move(denied));
}

void weigh_offloaded(std::vector<Hop>& hops, const ruleset::Ruleset& ruleset,
                     const eval::Packet& packet) {
  namespace ct_state = ruleset::ct_state;
  constexpr std::uint32_t kOpen = ct_state::kEstablished | ct_state::kRelated;
  const bool is_open = packet.ct_state && (*packet.ct_state & kOpen) != 0;
  if (!is_open || hops.empty()) return;
  Hop& last = hops.back();
  const bool denied = last.verdict == Verdict::Drop || last.verdict == Verdict::Reject;
  if (!denied || !ruleset::hands_to_flowtable(ruleset)) return;
  Alternative passes;
  passes.when = "its connection is offloaded to a flowtable: past all chains";
  passes.verdict = Verdict::Accept;
  Alternative meets;
  meets.when = "its connection is offloaded to no flowtable";
  meets.verdict = last.verdict;
  meets.decided_by = last.decided_by;
  last.verdict = Verdict::Conditional;
  last.decided_by.reset();
  last.reason = "depends on what only the kernel knows";
  last.alternatives.push_back(std::move(meets));
  last.alternatives.push_back(std::move(passes));
}

std::vector<std::string> remarks_on(const ruleset::Beside& beside) {
  std::vector<std::string> remarks;
  if (!beside.legacy_tables.empty()) {
    remarks.push_back(fmt::format(
        "tables of iptables-legacy are in force ({}): their rules cannot be read, and what they "
        "drop or translate is not in this answer",
        fmt::join(beside.legacy_tables, ", ")));
  }
  if (!beside.ipsec.empty()) {
    remarks.push_back(fmt::format(
        "{} in force (`ip xfrm policy`): what they block or wrap is not in this answer",
        beside.ipsec.size() == 1 ? "1 IPsec policy is"
                                 : fmt::format("{} IPsec policies are", beside.ipsec.size())));
  }
  return remarks;
}

}  // namespace rolewall::ask
