// net/core/fib_rules.c: fib_nl_fill_rule().
#include "netlink/routing_rules.h"

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

namespace rolewall::netlink {
namespace {

using ruleset::RoutingRule;

constexpr std::uint32_t kNone = 0xffffffff;

// Whether its RoutingRule says all of it.
bool is_all_said(const fib_rule_hdr& rule, const AttributeMap& attributes) {
  for (const auto& [type, payload] : attributes) {
    const bool is_said = type == FRA_TABLE || type == FRA_PRIORITY || type == FRA_PROTOCOL ||
                         type == FRA_SUPPRESS_PREFIXLEN || type == FRA_SUPPRESS_IFGROUP ||
                         type == FRA_PAD || type == FRA_SRC || type == FRA_DST ||
                         type == FRA_IIFNAME || type == FRA_FWMARK || type == FRA_FWMASK;
    if (!is_said) return false;
  }
  return rule.action == FR_ACT_TO_TBL && rule.tos == 0 &&
         number(attributes, FRA_SUPPRESS_IFGROUP, kNone) == kNone;
}

net::Prefix prefix_in(const AttributeMap& attributes, std::uint16_t type, unsigned length,
                      bool ipv6) {
  const net::Address any = ipv6 ? net::Address{net::Ipv6{}} : net::Address{net::Ipv4{}};
  return {address(attributes, type).value_or(any), length};
}

RoutingRule rule_in(const fib_rule_hdr& rule, const AttributeMap& attributes, bool ipv6) {
  RoutingRule found;
  found.from = prefix_in(attributes, FRA_SRC, rule.src_len, ipv6);
  found.to = prefix_in(attributes, FRA_DST, rule.dst_len, ipv6);
  found.in_device = text(attributes, FRA_IIFNAME);
  found.mark = number(attributes, FRA_FWMARK);
  found.mask = number(attributes, FRA_FWMASK);
  found.inverted = (rule.flags & FIB_RULE_INVERT) != 0;
  found.table = number(attributes, FRA_TABLE, rule.table);
  const std::uint32_t suppressed = number(attributes, FRA_SUPPRESS_PREFIXLEN, kNone);
  found.at_least = suppressed == kNone ? 0 : suppressed + 1;
  found.asks_more = !is_all_said(rule, attributes);
  return found;
}

// Of every packet that it is asked for it looks up one of the three tables, as on a machine where
// nobody has added a rule.
bool is_kernels_own(const RoutingRule& rule) {
  return !rule.asks_more && !rule.inverted && rule.from.length == 0 && rule.to.length == 0 &&
         rule.in_device.empty() && rule.mask == 0 && rule.at_least == 0 &&
         (rule.table == RT_TABLE_LOCAL || rule.table == RT_TABLE_MAIN ||
          rule.table == RT_TABLE_DEFAULT);
}

}  // namespace

Result<RoutingRules> read_routing_rules(RouteDumper& dumper) {
  RoutingRules rules;
  for (const std::uint8_t family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}}) {
    const bool ipv6 = family == AF_INET6;
    std::vector<RoutingRule> found;
    TRY(dumper.dump(RTM_GETRULE, sizeof(fib_rule_hdr), family, "routing rules",
                    [&](const nlmsghdr& message) {
                      found.push_back(rule_in(header_of<fib_rule_hdr>(message),
                                              attributes_of<fib_rule_hdr>(message), ipv6));
                    }));
    constexpr std::array<std::uint32_t, 3> kUsual{RT_TABLE_LOCAL, RT_TABLE_MAIN, RT_TABLE_DEFAULT};
    const bool has_all = found.size() == 2 || found.size() == 3;
    const bool is_usual =
        has_all && std::ranges::all_of(found, is_kernels_own) &&
        std::ranges::equal(found, std::span(kUsual).first(found.size()), {}, &RoutingRule::table);
    const bool has_none = ipv6 && found.empty();
    rules.as_usual &= is_usual || has_none;
    rules.local_first &= has_none || (!found.empty() && found.front().table == RT_TABLE_LOCAL &&
                                      is_kernels_own(found.front()));
    rules.all.insert(rules.all.end(), found.begin(), found.end());
  }
  return rules;
}

}  // namespace rolewall::netlink
