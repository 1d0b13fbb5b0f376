#include "eval/flow_timeouts.h"

#include <span>

#include "net/protocol.h"

namespace rolewall::eval {
namespace {

namespace protocol = net::protocol;

using Settings = TrackingSettings;
using Timeout = std::uint32_t Settings::*;

// By the numbers of include/uapi/linux/netfilter/nfnetlink_cttimeout.h, from 1 on. The first is a
// new connection's.
constexpr Timeout kTcp[] = {
    &Settings::tcp_timeout_syn_sent,      &Settings::tcp_timeout_syn_recv,
    &Settings::tcp_timeout_established,   &Settings::tcp_timeout_fin_wait,
    &Settings::tcp_timeout_close_wait,    &Settings::tcp_timeout_last_ack,
    &Settings::tcp_timeout_time_wait,     &Settings::tcp_timeout_close,
    &Settings::tcp_timeout_syn_sent2,     &Settings::tcp_timeout_max_retrans,
    &Settings::tcp_timeout_unacknowledged};
constexpr Timeout kUdp[] = {&Settings::udp_timeout, &Settings::udp_timeout_stream};
constexpr Timeout kGre[] = {&Settings::gre_timeout, &Settings::gre_timeout_stream};
constexpr Timeout kIcmp[] = {&Settings::icmp_timeout};
constexpr Timeout kIcmpv6[] = {&Settings::icmpv6_timeout};
constexpr Timeout kOther[] = {&Settings::generic_timeout};

std::span<const Timeout> timeouts_for(std::uint8_t of) {
  switch (of) {
    case protocol::kTcp:
      return kTcp;
    case protocol::kUdp:
    case protocol::kUdpLite:
      return kUdp;
    case protocol::kGre:
      return kGre;
    case protocol::kIcmp:
      return kIcmp;
    case protocol::kIcmpv6:
      return kIcmpv6;
    default:
      return kOther;
  }
}

}  // namespace

FlowTimeouts timeouts_of(const ruleset::CtTimeout& policy, Settings settings) {
  const std::span<const Timeout> known = timeouts_for(policy.protocol);
  for (const ruleset::CtTimeoutValue& value : policy.values) {
    if (value.state >= 1 && value.state <= known.size()) {
      settings.*known[value.state - 1U] = value.seconds;
    }
  }
  return {settings, ""};
}

FlowTimeouts timeouts_of_unknown(std::string_view policy, Settings settings) {
  for (const std::span<const Timeout> some :
       {std::span<const Timeout>(kTcp), std::span<const Timeout>(kUdp),
        std::span<const Timeout>(kGre), std::span<const Timeout>(kIcmp),
        std::span<const Timeout>(kIcmpv6), std::span<const Timeout>(kOther)}) {
    for (const Timeout timeout : some) settings.*timeout = 1;
  }
  return {settings, std::string(policy)};
}

std::uint32_t first_timeout(const FlowTimeouts& timeouts, std::uint8_t protocol) {
  return timeouts.settings.*timeouts_for(protocol).front();
}

}  // namespace rolewall::eval
