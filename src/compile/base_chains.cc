#include "compile/base_chains.h"

#include <linux/netfilter_ipv4.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "compile/address_sets.h"
#include "compile/compile.h"
#include "compile/match.h"
#include "compile/rule_chain.h"
#include "net/address_set.h"
#include "ruleset/expr.h"

namespace rolewall::compile {
namespace {

using namespace ruleset;
using match::IpVersion;
using match::Side;

constexpr std::uint32_t kMaxBans = 1'000'000;
constexpr std::uint32_t kMaxAllowed = 65'536;
constexpr const char* kUnusual = "unusual";
constexpr const char* kRunTime = "run-time";
constexpr const char* kBanned = "banned";

// Addresses that lie behind the same interfaces of the host, and which those are.
struct Behind {
  net::AddressSet addresses;
  std::vector<const policy::HostInterface*> interfaces;
};

// Networks behind two interfaces may overlap; what is behind both may come in by either.
std::vector<Behind> regions_behind(const policy::Host& host) {
  std::vector<Behind> regions;
  for (const policy::HostInterface& interface : host.interfaces) {
    if (!interface.behind) continue;
    net::AddressSet rest = *interface.behind;
    std::vector<Behind> next;
    for (Behind& region : regions) {
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
  BaseChains(TableBuilder& table, const policy::HostPolicy& host) : table_(table), host_(host) {}

  void add(Dispatch dispatch) {
    add_run_time_sets();
    if (!dispatch.early.empty()) {
      add(std::move(dispatch.early));
      finish("early", Hook::Prerouting, NF_IP_PRI_RAW, VerdictCode::Accept);
    }

    errors_of_known_connections();
    invalid();
    finish(kUnusual);
    banned();
    finish(kBanned);
    jump_to(kBanned);
    allowed();
    finish(kRunTime);

    loopback(MetaKey::Iif);
    established();
    spoofed();
    add(std::move(dispatch.inbound));
    by_default(host_.defaults.inbound, "inbound");
    finish("input", Hook::Input, NF_IP_PRI_FILTER, policy());

    loopback(MetaKey::Oif);
    established();
    add(std::move(dispatch.outbound));
    by_default(host_.defaults.outbound, "outbound");
    finish("output", Hook::Output, NF_IP_PRI_FILTER, policy());

    established();
    spoofed();
    add(std::move(dispatch.forward));
    by_default(host_.defaults.forward, "forward");
    finish("forward", Hook::Forward, NF_IP_PRI_FILTER, policy());
  }

 private:
  bool audit() const { return host_.defaults.mode == policy::Mode::Audit; }

  // Never reached, since (default) decides everything; closed all the same.
  VerdictCode policy() const { return audit() ? VerdictCode::Accept : VerdictCode::Drop; }

  match::Exprs& rule(std::string_view comment) {
    rules_.push_back({0, std::string(comment), {}});
    return rules_.back().exprs;
  }

  void end(match::Exprs& exprs, policy::Action action) {
    match::counter(exprs);
    match::verdict(exprs, action);
  }

  void finish(std::string name, Hook hook, int priority, VerdictCode policy) {
    BaseChain base;
    base.hook = hook;
    base.priority = priority;
    base.policy = policy;
    table_.add_base_chain(std::move(name), std::move(base), std::move(rules_));
    rules_.clear();
  }

  void finish(const char* chain) {
    table_.add_chain(chain, std::move(rules_));
    rules_.clear();
  }

  void add(std::vector<Rule> rules) {
    rules_.insert(rules_.end(), std::make_move_iterator(rules.begin()),
                  std::make_move_iterator(rules.end()));
  }

  void jump_to(const char* chain) { match::jump(rule(""), chain); }

  // By its number, which is cheaper to compare than a name.
  void loopback(MetaKey key) {
    auto& exprs = rule(builtin::kLoopback);
    match::loopback(exprs, key);
    end(exprs, policy::Action::Accept);
  }

  // Answers. What is neither one nor new is rare: one test leads to its own chain.
  void established() {
    auto& answers = rule(builtin::kEstablished);
    match::ct_state(answers, ct_state::kEstablished);
    end(answers, policy::Action::Accept);
    auto& unusual = rule("");
    match::ct_state(unusual, ct_state::kInvalid | ct_state::kRelated);
    match::jump(unusual, kUnusual);
  }

  // The ICMP errors that belong to answers. Related connections of helpers are no answers: rules
  // speak of them as of any first packet.
  void errors_of_known_connections() {
    for (const std::uint8_t protocol : {net::protocol::kIcmp, net::protocol::kIcmpv6}) {
      auto& errors = rule(builtin::kEstablished);
      match::ct_state(errors, ct_state::kRelated);
      match::l4proto(errors, protocol);
      end(errors, policy::Action::Accept);
    }
  }

  void banned() {
    for (const char* suffix : {"", "-prefixes"}) {
      for (const IpVersion version : {IpVersion::V4, IpVersion::V6}) {
        auto& exprs = rule(builtin::kBanned);
        match::nfproto(exprs, version);
        match::address_in(exprs, Side::Source, version, run_time_set("banned", version) + suffix);
        end(exprs, policy::Action::Drop);
      }
    }
  }

  void invalid() {
    auto& exprs = rule(builtin::kInvalid);
    match::ct_state(exprs, ct_state::kInvalid);
    end(exprs, policy::Action::Drop);
  }

  void spoofed() {
    AddressSets sets(table_, false);
    int number = 0;
    for (const Behind& region : regions_behind(*host_.host)) {
      const AddressCondition condition{region.addresses, ""};
      const std::string owner = "behind/" + std::to_string(++number);
      for (const IpVersion version : {IpVersion::V4, IpVersion::V6}) {
        for (const AddressTest& test : sets.tests(condition, version, owner)) {
          auto& exprs = rule(builtin::kSpoofed);
          match::nfproto(exprs, version);
          append(exprs, Side::Source, test);
          for (const policy::HostInterface* interface : region.interfaces) {
            for (const std::string& device : interface->devices) {
              match::not_device(exprs, MetaKey::IifName, device);
            }
          }
          end(exprs, policy::Action::Drop);
        }
      }
    }
  }

  // What `rolewall allow` opens for a time: protocol, port, source.
  void allowed() {
    for (const IpVersion version : {IpVersion::V4, IpVersion::V6}) {
      auto& exprs = rule(builtin::kAllowed);
      match::nfproto(exprs, version);
      match::load_meta(exprs, MetaKey::L4Proto);
      match::load_port(exprs, Side::Destination, 1);
      match::load_address(exprs, Side::Source, version, 2);
      match::lookup_member(exprs, run_time_set("allowed", version));
      end(exprs, policy::Action::Accept);
    }
  }

  void by_default(policy::Action action, std::string_view direction) {
    if (audit()) action = policy::Action::Accept;
    match::counter(rule(builtin::kDefault));
    auto& log = rule(builtin::kDefault);
    match::limit(log, host_.defaults.log.limit);
    const std::string fate =
        std::string(direction) + (audit()                            ? " audit"
                                  : action == policy::Action::Accept ? " accept"
                                  : action == policy::Action::Drop   ? " drop"
                                                                     : " reject");
    match::log(log, log_prefix(builtin::kDefault, fate), host_.defaults.log.level);
    match::verdict(rule(builtin::kDefault), action);
  }

  static std::string run_time_set(const char* name, IpVersion version) {
    return std::string(name) + (version == IpVersion::V4 ? "/4" : "/6");
  }

  // Filled while the host runs, by `ban` and `allow`; an apply never touches what is in them.
  void add_run_time_sets() {
    for (const IpVersion version : {IpVersion::V4, IpVersion::V6}) {
      const KeyField address = version == IpVersion::V4 ? kIpv4Key : kIpv6Key;
      for (const bool prefixes : {false, true}) {
        Set banned =
            make_set(run_time_set("banned", version) + (prefixes ? "-prefixes" : ""), {address});
        banned.interval = prefixes;
        banned.has_timeout = true;
        banned.size = kMaxBans;
        table_.add_set(std::move(banned));
      }
      Set allowed = make_set(run_time_set("allowed", version), {kProtocolKey, kPortKey, address});
      allowed.has_timeout = true;
      allowed.size = kMaxAllowed;
      table_.add_set(std::move(allowed));
    }
  }

  TableBuilder& table_;
  const policy::HostPolicy& host_;
  std::vector<Rule> rules_;
};

}  // namespace

void add_base_chains(TableBuilder& table, const policy::HostPolicy& host, Dispatch dispatch) {
  BaseChains(table, host).add(std::move(dispatch));
}

}  // namespace rolewall::compile
