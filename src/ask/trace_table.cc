#include "ask/trace_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "compile/match.h"
#include "compile/table_builder.h"
#include "compile/traffic.h"
#include "net/ipv6_extensions.h"
#include "net/prefixes.h"
#include "policy/codes.h"
#include "policy/load.h"
#include "ruleset/expr.h"
#include "ruleset/table_flags.h"

namespace rolewall::ask {
namespace {

namespace match = compile::match;
using compile::Traffic;
using match::IpVersion;
using match::Side;
using ruleset::BaseChain;
using ruleset::Hook;
using ruleset::Rule;
using ruleset::Table;
using ruleset::VerdictCode;

// After conntrack's own last hook nothing is told: as sandbox/watch.cc has it.
constexpr std::int32_t kBeforeAll = std::numeric_limits<std::int32_t>::min();
constexpr std::int32_t kDefragmentation = -400;  // of linux/netfilter_ipv4.h and _ipv6.h
constexpr std::int32_t kAfterAll = std::numeric_limits<std::int32_t>::max() - 2;

BaseChain base_of(Hook hook, std::int32_t priority) {
  return {ruleset::ChainType::Filter, hook, priority, VerdictCode::Accept, {}};
}

// Interval sets of one end, a set a family, made when they are first asked for.
class EndSets {
 public:
  EndSets(Table& table, std::string name, net::AddressSet addresses)
      : table_(table), name_(std::move(name)), addresses_(std::move(addresses)) {}

  bool has(IpVersion version) const {
    return version == IpVersion::V4 ? !addresses_.ipv4.empty() : !addresses_.ipv6.empty();
  }
  bool is_all(IpVersion version) const {
    return version == IpVersion::V4 ? addresses_.ipv4.is_all() : addresses_.ipv6.is_all();
  }

  // REQUIRES: has(); a test for the family stands in the same rule.
  void append(match::Exprs& exprs, Side side, IpVersion version) {
    if (is_all(version)) return;
    const auto prefixes = version == IpVersion::V4 ? net::to_prefixes(addresses_.ipv4)
                                                   : net::to_prefixes(addresses_.ipv6);
    if (prefixes.size() == 1) return match::prefix(exprs, side, prefixes.front());
    const std::string set = name_ + (version == IpVersion::V4 ? "4" : "6");
    if (find_set(table_, set) == nullptr) table_.sets.push_back(made(set, version));
    match::address_in(exprs, side, version, set);
  }

 private:
  ruleset::Set made(const std::string& name, IpVersion version) const {
    ruleset::Set set =
        compile::make_set(name, {version == IpVersion::V4 ? compile::kIpv4Key : compile::kIpv6Key});
    set.interval = true;
    const auto add = [&](const auto& intervals) {
      const auto put = [](std::vector<std::uint8_t>& keys, const net::Address& address) {
        const auto bytes = net::to_bytes(address);
        keys.insert(keys.end(), bytes.begin(), bytes.end());
      };
      for (const auto& interval : intervals) {
        put(set.elements.keys, interval.first);
        put(set.elements.key_ends, interval.last);
      }
    };
    if (version == IpVersion::V4) add(addresses_.ipv4.intervals());
    if (version == IpVersion::V6) add(addresses_.ipv6.intervals());
    set.elements.sort();
    return set;
  }

  Table& table_;
  std::string name_;
  net::AddressSet addresses_;
};

// Words that are about more than a packet shows where it is marked.
bool report_what_cannot_be_marked(const policy::PacketWords& words, Diagnostics& diagnostics) {
  const auto refuse = [&](bool said, std::string_view word, std::string_view why) {
    if (!said) return false;
    policy::report(diagnostics, policy::Code::BadPacket, words.span,
                   fmt::format("`{}` cannot be traced by: {}", word, why), "leave it out");
    return true;
  };
  return refuse(words.state.has_value(), "state=",
                "packets are marked before connection tracking has seen them, and each shows its "
                "own, where the kernel tells (Linux 6.16 and later)") ||
         refuse(words.time_ns.has_value(), "time=", "packets come when they come") ||
         refuse(words.at.has_value() || words.at_self, "at=", "this host alone is traced") ||
         refuse(words.fragment.has_value(), "frag=", "a datagram is traced, not a part of it");
}

class Marking {
 public:
  Marking(const policy::Policy& policy, policy::Index host, const policy::PacketWords& words,
          std::string name)
      : host_(policy.hosts[host]), words_(words) {
    table_.family = ruleset::Family::Inet;
    table_.name = std::move(name);
    table_.flags = ruleset::kTableOwner;
    own_ = host_.all_addresses() | net::AddressSet::from({{net::Ipv4{0x7f000000}, 8}}) |
           net::AddressSet::from({{net::Ipv6{net::Uint128{1}}, 128}});
    from_ = policy::addresses_of(policy, words.from.selectors, host);
    to_ = policy::addresses_of(policy, words.to.selectors, host);
  }

  std::optional<Table> build(const TraceLimits& limits, Diagnostics& diagnostics) {
    // What arrives has others' addresses, or this host's own over the loopback.
    const bool is_sent = !(from_ & own_).empty() && !words_.in;
    const bool arrives = !words_.user && (!(from_ - own_).empty() || !(to_ & own_).empty());
    std::vector<Rule> marks = mark(limits);
    add_chain(trace_chain::kMark, std::nullopt, std::move(marks));
    bool any = false;
    if (arrives) {
      const std::int32_t begin = limits.before_defragmentation ? kBeforeAll : kDefragmentation + 1;
      any |= add_marking(trace_chain::kArriving, base_of(Hook::Prerouting, begin), true);
      add_chain(trace_chain::kDelivered, base_of(Hook::Input, kAfterAll), {});
    }
    if (is_sent) any |= add_marking(trace_chain::kSent, base_of(Hook::Output, kBeforeAll), false);
    add_chain(trace_chain::kLeft, base_of(Hook::Postrouting, kAfterAll), {});
    if (any) return std::move(table_);
    policy::report(diagnostics, policy::Code::NoSample, words_.span,
                   fmt::format("\"{}\" describes no packet that this host would see", words_.text),
                   "both ends need an address of the same family");
    return std::nullopt;
  }

 private:
  void add_chain(std::string_view name, std::optional<BaseChain> base, std::vector<Rule> rules) {
    ruleset::Chain& chain = table_.chains.emplace_back();
    chain.name = std::string(name);
    chain.base = std::move(base);
    chain.rules = std::move(rules);
  }

  // Its verdict ends the chain, so that a packet that two rules describe is told of once.
  static std::vector<Rule> mark(const TraceLimits& limits) {
    Rule rule;
    rule.exprs.push_back(
        ruleset::Limit{ruleset::LimitUnit::Packets, limits.a_second, 1, limits.at_once, false});
    rule.exprs.push_back(ruleset::Immediate{0, ruleset::Value::u8(1)});
    rule.exprs.push_back(ruleset::MetaSet{ruleset::MetaKey::NfTrace, 0});
    match::verdict(rule.exprs, policy::Action::Accept);
    std::vector<Rule> rules;
    rules.push_back(std::move(rule));
    return rules;
  }

  bool add_marking(std::string_view chain, const BaseChain& base, bool arriving) {
    EndSets from(table_, "from", from_);
    EndSets to(table_, "to", to_);
    std::vector<Rule> rules;
    for (const IpVersion version : {IpVersion::V4, IpVersion::V6}) {
      if (!from.has(version) || !to.has(version)) continue;
      if (words_.family && (*words_.family == 4) != (version == IpVersion::V4)) continue;
      if (words_.dont_fragment && version == IpVersion::V6) continue;
      for (const auto& [device, traffic] : ways_and_traffics(version, arriving)) {
        Rule rule;
        if (!device.empty()) {
          match::device(rule.exprs,
                        arriving ? ruleset::MetaKey::IifName : ruleset::MetaKey::OifName, device);
        }
        // What the kernel tests fastest stands first: what a packet of another family or protocol
        // has in its place is found out behind it.
        from.append(rule.exprs, Side::Source, version);
        to.append(rule.exprs, Side::Destination, version);
        add_ports(rule.exprs, traffic);
        match::nfproto(rule.exprs, version);
        add_transport(rule.exprs, traffic);
        add_header(rule.exprs, version);
        if (words_.user && !arriving) match::user(rule.exprs, *words_.user);
        leave_fragments_out(rule.exprs, version);
        match::go_to(rule.exprs, std::string(trace_chain::kMark));
        rules.push_back(std::move(rule));
      }
    }
    const bool any = !rules.empty();
    add_chain(chain, base, std::move(rules));
    return any;
  }

  // Nothing: every protocol.
  std::vector<std::optional<Traffic>> traffics(IpVersion version) const {
    if (!words_.service.given && words_.service.literals.empty()) return {std::nullopt};
    std::vector<std::optional<Traffic>> all;
    for (const policy::ServiceLiteral& literal : words_.service.literals) {
      Traffic traffic = compile::traffic_of(literal);
      const bool fits = version == IpVersion::V4 ? traffic.families.ipv4 : traffic.families.ipv6;
      if (!fits) continue;
      if (net::has_ports(traffic.protocol)) {
        if (words_.to.port) traffic.destination = {*words_.to.port, *words_.to.port};
        if (words_.from.port) traffic.source = {*words_.from.port, *words_.from.port};
      }
      all.emplace_back(traffic);
    }
    return all;
  }

  static void add_ports(match::Exprs& exprs, const std::optional<Traffic>& traffic) {
    const bool has_ports = traffic && net::has_ports(traffic->protocol);
    if (has_ports && !traffic->every_destination()) {
      match::port(exprs, Side::Destination, traffic->destination);
    }
    if (has_ports && !traffic->source.is_all()) match::port(exprs, Side::Source, traffic->source);
    if (traffic && compile::is_icmp(traffic->protocol) && !traffic->every_destination()) {
      match::icmp_type(exprs, traffic->destination);
    }
  }

  // Kernels fail to tell of a packet whose headers end behind its end, and warn of it in their log:
  // something of the transport header must be there.
  static void add_transport(match::Exprs& exprs, const std::optional<Traffic>& traffic) {
    if (traffic) match::l4proto(exprs, traffic->protocol);
    exprs.push_back(ruleset::Payload{ruleset::PayloadBase::Transport, 0, 1, 0});
  }

  // Behind the first of them stand no ports, and the first is not all that its rules decide about.
  static void leave_fragments_out(match::Exprs& exprs, IpVersion version) {
    if (version == IpVersion::V4) {
      exprs.push_back(ruleset::Payload{ruleset::PayloadBase::Network, 6, 2, 0});
      exprs.push_back(
          ruleset::BitwiseMask{0, 0, 2, ruleset::Value::be16(0x3fff), ruleset::Value::be16(0)});
      exprs.push_back(ruleset::Cmp{ruleset::CmpOp::Eq, 0, ruleset::Value::be16(0)});
      return;
    }
    exprs.push_back(ruleset::Exthdr{ruleset::ExthdrKind::Ipv6, net::kIpv6Fragment, 0, 1, true, 0});
    exprs.push_back(ruleset::Cmp{ruleset::CmpOp::Eq, 0, ruleset::Value::u8(0)});
  }

  void add_header(match::Exprs& exprs, IpVersion version) const {
    const bool ipv4 = version == IpVersion::V4;
    const auto is = [&](std::uint32_t offset, std::uint8_t mask, std::uint8_t value) {
      exprs.push_back(ruleset::Payload{ruleset::PayloadBase::Network, offset, 1, 0});
      exprs.push_back(
          ruleset::BitwiseMask{0, 0, 1, ruleset::Value::u8(mask), ruleset::Value::u8(0)});
      exprs.push_back(ruleset::Cmp{ruleset::CmpOp::Eq, 0, ruleset::Value::u8(value)});
    };
    if (words_.tcp_flags) match::tcp_flags(exprs, 0xff, *words_.tcp_flags);
    if (words_.ttl) is(ipv4 ? 8 : 7, 0xff, *words_.ttl);
    if (words_.dscp && ipv4) is(1, 0xfc, static_cast<std::uint8_t>(*words_.dscp << 2));
    if (words_.dscp && !ipv4) {
      is(0, 0x0f, static_cast<std::uint8_t>(*words_.dscp >> 2));
      is(1, 0xc0, static_cast<std::uint8_t>(*words_.dscp << 6));
    }
    if (words_.dont_fragment) {
      const auto bit = static_cast<std::uint8_t>(*words_.dont_fragment ? 0x40 : 0);
      is(6, 0x40, bit);
    }
    if (words_.length) {
      match::load_meta(exprs, ruleset::MetaKey::Length);
      exprs.push_back(
          ruleset::Cmp{ruleset::CmpOp::Eq, 0, ruleset::Value::host_u32(*words_.length)});
    }
  }

  // By each device of the interface that is named, "" for any. `out=` of what passes through is not
  // known where it is marked.
  std::vector<std::string> devices(bool arriving) const {
    const auto& word = arriving ? words_.in : words_.out;
    if (!word) return {""};
    const auto named =
        std::ranges::find(host_.interfaces, word->text, &policy::HostInterface::name);
    if (named == host_.interfaces.end() || named->devices.empty()) return {word->text};
    return named->devices;
  }

  std::vector<std::pair<std::string, std::optional<Traffic>>> ways_and_traffics(
      IpVersion version, bool arriving) const {
    std::vector<std::pair<std::string, std::optional<Traffic>>> all;
    for (const std::string& device : devices(arriving)) {
      for (const auto& traffic : traffics(version)) all.emplace_back(device, traffic);
    }
    return all;
  }

  const policy::Host& host_;
  const policy::PacketWords& words_;
  net::AddressSet own_;
  net::AddressSet from_;
  net::AddressSet to_;
  Table table_;
};

}  // namespace

bool has_chains_before_defragmentation(const ruleset::Ruleset& ruleset) {
  const auto is_before = [](const ruleset::Chain& chain) {
    return chain.base && chain.base->hook == Hook::Prerouting &&
           chain.base->priority <= kDefragmentation;
  };
  return std::ranges::any_of(ruleset.tables, [&](const Table& table) {
    const bool sees_ip = table.family == ruleset::Family::Inet ||
                         table.family == ruleset::Family::Ip ||
                         table.family == ruleset::Family::Ip6;
    return sees_ip && std::ranges::any_of(table.chains, is_before);
  });
}

std::optional<Table> trace_table(const policy::Policy& policy, policy::Index host,
                                 const policy::PacketWords& words, std::string name,
                                 const TraceLimits& limits, Diagnostics& diagnostics) {
  if (report_what_cannot_be_marked(words, diagnostics)) return std::nullopt;
  return Marking(policy, host, words, std::move(name)).build(limits, diagnostics);
}

}  // namespace rolewall::ask
