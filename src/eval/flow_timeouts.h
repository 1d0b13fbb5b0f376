// How long a connection's entry lives where a rule has given it a policy of its own, in place of
// the kernel's settings (nf_ct_timeout_lookup() of include/net/netfilter/nf_conntrack_timeout.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ruleset/host.h"
#include "ruleset/object.h"

namespace rolewall::eval {

// With what a policy alone can set, or no machine's setting that is read.
struct TrackingSettings : ruleset::ConntrackSettings {
  std::uint32_t tcp_timeout_syn_sent2 = 120;
  std::uint32_t gre_timeout = 30;
  std::uint32_t gre_timeout_stream = 180;
  bool operator==(const TrackingSettings&) const = default;
};

struct FlowTimeouts {
  TrackingSettings settings;
  // The policy's name, where only that is known: then a second, the least that one can say, is the
  // time for which the entry is sure to live.
  std::string unknown;
  bool operator==(const FlowTimeouts&) const = default;
};

FlowTimeouts timeouts_of(const ruleset::CtTimeout& policy, TrackingSettings settings);
FlowTimeouts timeouts_of_unknown(std::string_view policy, TrackingSettings settings);

// From the rule on that has given it, whatever the first packet was (nft_ct_timeout_obj_eval()).
std::uint32_t first_timeout(const FlowTimeouts& timeouts, std::uint8_t protocol);

}  // namespace rolewall::eval
