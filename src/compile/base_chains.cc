#include "compile/base_chains.h"

#include <fmt/format.h>
#include <linux/netfilter_ipv4.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "compile/address_sets.h"
#include "compile/ending.h"
#include "compile/logging.h"
#include "compile/match.h"
#include "net/address_set.h"
#include "ruleset/expressions.h"
#include "ruleset/own_table.h"

namespace rolewall::compile {
namespace {

using namespace ruleset;
using match::IpVersion;
using match::Side;

constexpr std::uint32_t kMaxBans = 1'000'000;
constexpr std::uint32_t kMaxAllowed = 65'536;

// Addresses that lie behind the same interfaces of the host, and which those are.
struct Region {
  net::AddressSet addresses;
  std::vector<const Behind*> interfaces;
};

// Networks behind two interfaces may overlap; what is behind both may come in by either.
std::vector<Region> regions_of(const std::vector<Behind>& interfaces) {
  std::vector<Region> regions;
  for (const Behind& interface : interfaces) {
    net::AddressSet rest = interface.addresses;
    std::vector<Region> next;
    for (Region& region : regions) {
      const net::AddressSet both = region.addresses & rest;
      rest = rest - both;
      if (!both.empty()) {
        next.push_back({both, region.interfaces});
        next.back().interfaces.push_back(&interface);
      }
      region.addresses = region.addresses - both;
      if (!region.addresses.empty()) next.push_back(std::move(region));
    }
    if (!rest.empty()) next.push_back({rest, {&interface}});
    regions = std::move(next);
  }
  return regions;
}

class BaseChains {
 public:
  BaseChains(TableBuilder& table, const LoweredPolicy& lowered)
      : table_(table), lowered_(lowered), defaults_(lowered.defaults) {}

  void add() {
    add_run_time_sets();
    add_discovery_set();
    early();
    errors_of_known_connections();
    resets_of_our_own();
    expected_by_helpers();
    finish(own::kRelated);
    jump_to(own::kRelated);
    invalid();
    finish(own::kUnusual);
    add_banned_chains();
    add_spoofed_chain();
    allowed();
    finish(own::kAllowed);

    established();
    loopback(MetaKey::Iif);
    unusual();
    spoofed();
    dispatch(own::kInput);
    by_default(defaults_.inbound, "inbound");
    finish(own::kInput, Hook::Input, NF_IP_PRI_FILTER, policy());

    established();
    loopback(MetaKey::Oif);
    unusual();
    dispatch(own::kOutput);
    by_default(defaults_.outbound, "outbound");
    finish(own::kOutput, Hook::Output, NF_IP_PRI_FILTER, policy());

    established();
    unusual();
    spoofed();
    dispatch(own::kForward);
    by_default(defaults_.forward, "forward");
    finish(own::kForward, Hook::Forward, NF_IP_PRI_FILTER, policy());
  }

 private:
  bool audit() const { return defaults_.mode == policy::Mode::Audit; }

  // Never reached, since (default) decides everything; closed all the same.
  VerdictCode policy() const { return audit() ? VerdictCode::Accept : VerdictCode::Drop; }

  match::Exprs& rule(std::string_view comment) { return append_rule(rules_, comment); }

  void end(match::Exprs& exprs, policy::Action action) {  // accept or drop
    match::counter(exprs);
    match::verdict(exprs, action);
  }

  void finish(std::string_view name, Hook hook, int priority, VerdictCode policy) {
    BaseChain base;
    base.hook = hook;
    base.priority = priority;
    base.policy = policy;
    table_.add_base_chain(name, std::move(base), std::move(rules_));
    rules_.clear();
  }

  void finish(std::string_view chain) {
    table_.add_chain(chain, std::move(rules_));
    rules_.clear();
  }

  // What dispatch has for this base chain.
  void dispatch(std::string_view chain) {
    std::vector<Rule> rules = table_.take_chain(chain);
    rules_.insert(rules_.end(), std::make_move_iterator(rules.begin()),
                  std::make_move_iterator(rules.end()));
  }

  void jump_to(std::string_view chain) { match::jump(rule(""), std::string(chain)); }

  // By its number, which is cheaper to compare than a name.
  void loopback(MetaKey key) {
    auto& exprs = rule(own::step::kLoopback);
    match::loopback(exprs, key);
    end(exprs, policy::Action::Accept);
  }

  void early() {
    match::loopback(rule(""), MetaKey::Iif);
    match::go_back(rules_.back().exprs);
    discovery_goes_back();
    const std::size_t left_out = rules_.size();
    dispatch(own::kEarly);
    if (rules_.size() == left_out) {
      rules_.clear();
    } else {
      finish(own::kEarly, Hook::Prerouting, NF_IP_PRI_RAW, VerdictCode::Accept);
    }
  }

  void discovery_goes_back() {
    auto& exprs = rule("");
    match::nfproto(exprs, IpVersion::V6);
    match::l4proto(exprs, net::protocol::kIcmpv6);
    match::load_icmp_type(exprs);
    match::lookup_member(exprs, std::string(own::kDiscovery));
    match::go_back(exprs);
  }

  // Answers.
  void established() {
    auto& exprs = rule(own::step::kEstablished);
    match::ct_state(exprs, ct_state::kEstablished);
    end(exprs, policy::Action::Accept);
  }

  // What is neither an answer nor new is rare: one test leads to its own chain.
  void unusual() {
    auto& exprs = rule("");
    match::ct_state(exprs, ct_state::kInvalid | ct_state::kRelated);
    match::jump(exprs, std::string(own::kUnusual));
  }

  // The ICMP errors that belong to answers.
  void errors_of_known_connections() {
    for (const std::uint8_t protocol : {net::protocol::kIcmp, net::protocol::kIcmpv6}) {
      auto& errors = rule(own::step::kEstablished);
      match::ct_state(errors, ct_state::kRelated);
      match::l4proto(errors, protocol);
      end(errors, policy::Action::Accept);
    }
  }

  // A reset that is related and not of its connection is one that a `reject` sends (ending.h).
  void resets_of_our_own() {
    auto& resets = rule(own::step::kEstablished);
    match::ct_state(resets, ct_state::kRelated);
    match::tcp_flags(resets, match::kRst, match::kRst);
    end(resets, policy::Action::Accept);
  }

  // What a helper that this policy names has read in a connection that the policy accepts. No other
  // related connection: another program's helper opens nothing here.
  void expected_by_helpers() {
    for (const net::ConntrackHelper* helper : lowered_.helpers()) {
      auto& expected = rule(own::step::kEstablished);
      match::ct_state(expected, ct_state::kRelated);
      match::expected_by(expected, *helper);
      end(expected, policy::Action::Accept);
    }
  }

  // What a banned address sends gets no answer. What is sent to it meets the direction's default,
  // so that a local program is told at once; but no default admits it.
  void add_banned_chains() {
    const policy::Action output = denial(defaults_.outbound);
    const policy::Action forward = denial(defaults_.forward);
    deny_banned(policy::Action::Drop);
    if (output == policy::Action::Reject || forward == policy::Action::Reject) {
      deny_banned(policy::Action::Reject);
    }
    banned(Side::Source, policy::Action::Drop);
    finish(own::kBannedInput);
    banned(Side::Destination, output);
    finish(own::kBannedOutput);
    banned(Side::Source, policy::Action::Drop);
    banned(Side::Destination, forward);
    finish(own::kBannedForward);
  }

  static std::string_view chain_that_denies(policy::Action action) {
    return action == policy::Action::Reject ? own::kBannedReject : own::kBannedDrop;
  }

  void deny_banned(policy::Action action) {
    jump_to(own::kRelated);
    discovery_goes_back();
    match::counter(rule(own::step::kBanned));
    if (defaults_.log.steps.banned) log(own::step::kBanned, name_of(action));
    end_with(rules_, own::step::kBanned, action, CanBeTcp::Yes);
    finish(chain_that_denies(action));
  }

  static policy::Action denial(policy::Action by_default) {
    return by_default == policy::Action::Accept ? policy::Action::Drop : by_default;
  }

  void banned(Side side, policy::Action action) {
    for (const bool prefixes : {false, true}) {
      for (const IpVersion version : {IpVersion::V4, IpVersion::V6}) {
        auto& exprs = rule("");
        match::nfproto(exprs, version);
        match::address_in(exprs, side, version, banned_set(version, prefixes));
        match::go_to(exprs, std::string(chain_that_denies(action)));
      }
    }
  }

  void invalid() {
    match::Exprs condition;
    match::ct_state(condition, ct_state::kInvalid);
    if (defaults_.log.steps.invalid || audit())
      log(own::step::kInvalid, denied_or_audited(), condition);
    auto& exprs = rule(own::step::kInvalid);
    exprs = std::move(condition);
    deny(exprs);
  }

  void add_spoofed_chain() {
    if (lowered_.behind.empty()) return;
    if (defaults_.log.steps.spoofed || audit()) log(own::step::kSpoofed, denied_or_audited());
    deny(rule(own::step::kSpoofed));
    finish(own::kSpoofed);
  }

  // A built-in denial, which in audit mode only counts.
  void deny(match::Exprs& exprs) {
    if (audit()) {
      match::counter(exprs);
    } else {
      end(exprs, policy::Action::Drop);
    }
  }

  std::string_view denied_or_audited() const { return audit() ? "audit" : "drop"; }

  void log(std::string_view step, std::string_view fate, const match::Exprs& when = {}) {
    add_log(table_, rules_, defaults_.log, {step, fate}, when);
  }

  void spoofed() {
    AddressSets sets(table_, false);
    int number = 0;
    for (const Region& region : regions_of(lowered_.behind)) {
      const AddressCondition condition{region.addresses, ""};
      const std::string owner = own::addresses_behind(++number);
      for (const IpVersion version : {IpVersion::V4, IpVersion::V6}) {
        for (const AddressTest& test : sets.tests(condition, version, owner)) {
          auto& exprs = rule(own::step::kSpoofed);
          match::nfproto(exprs, version);
          append(exprs, Side::Source, test);
          for (const Behind* interface : region.interfaces) {
            for (const std::string& device : interface->devices) {
              match::not_device(exprs, MetaKey::IifName, device);
            }
          }
          match::jump(exprs, std::string(own::kSpoofed));
        }
      }
    }
  }

  // What `rolewall allow` opens for a time: protocol, port, source.
  void allowed() {
    for (const IpVersion version : {IpVersion::V4, IpVersion::V6}) {
      auto& exprs = rule(own::step::kAllowed);
      match::nfproto(exprs, version);
      match::load_meta(exprs, MetaKey::L4Proto);
      match::load_port(exprs, Side::Destination, 1);
      match::load_address(exprs, Side::Source, version, 2);
      match::lookup_member(exprs, own::allowed_set(version == IpVersion::V4));
      end(exprs, policy::Action::Accept);
    }
  }

  void by_default(policy::Action action, std::string_view direction) {
    if (audit()) action = policy::Action::Accept;
    match::counter(rule(own::step::kDefault));
    const std::string fate =
        fmt::format("{} {}", direction, audit() ? std::string_view("audit") : name_of(action));
    add_log(table_, rules_, defaults_.log, {own::step::kDefault, fate});
    end_with(rules_, own::step::kDefault, action, CanBeTcp::Yes);
  }

  // That without which IPv6 does not work on a link: router and neighbour solicitations and
  // advertisements (RFC 4861), and MLD (RFC 2710, RFC 3810).
  void add_discovery_set() {
    constexpr std::array<std::uint8_t, 8> kTypes = {130, 131, 132, 133, 134, 135, 136, 143};
    Set types = make_set(std::string(own::kDiscovery), {kIcmpv6TypeKey});
    types.elements.keys.assign(kTypes.begin(), kTypes.end());
    table_.add_set(std::move(types));
  }

  static std::string banned_set(IpVersion version, bool prefixes) {
    std::string set = own::banned_set(version == IpVersion::V4);
    return prefixes ? own::prefixes(std::move(set)) : set;
  }

  // Filled while the host runs, by `ban` and `allow`; an apply never touches what is in them.
  void add_run_time_sets() {
    for (const IpVersion version : {IpVersion::V4, IpVersion::V6}) {
      const KeyField address = version == IpVersion::V4 ? kIpv4Key : kIpv6Key;
      for (const bool prefixes : {false, true}) {
        Set banned = make_set(banned_set(version, prefixes), {address});
        banned.interval = prefixes;
        banned.has_timeout = true;
        banned.size = kMaxBans;
        table_.add_set(std::move(banned));
      }
      Set allowed =
          make_set(own::allowed_set(version == IpVersion::V4), {kProtocolKey, kPortKey, address});
      allowed.has_timeout = true;
      allowed.size = kMaxAllowed;
      table_.add_set(std::move(allowed));
    }
  }

  TableBuilder& table_;
  const LoweredPolicy& lowered_;
  const policy::Defaults& defaults_;
  std::vector<Rule> rules_;
};

}  // namespace

void add_base_chains(TableBuilder& table, const LoweredPolicy& policy) {
  BaseChains(table, policy).add();
}

}  // namespace rolewall::compile
