// The first pass: a host's policy to plain rules, in order, with every name gone: boxes of traffic,
// sets of addresses, device names.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compile/traffic.h"
#include "net/address_set.h"
#include "policy/effective.h"

namespace rolewall::compile {

struct AddressCondition {
  net::AddressSet set = net::AddressSet::all();
  // Where the policy says one name alone ("office"), the kernel's set bears it, and all rules that
  // say that name share it. "" otherwise.
  std::string name;

  bool any() const { return set.is_all(); }
  Families families() const { return {!set.ipv4.empty(), !set.ipv6.empty()}; }
};

struct LoweredRule {
  const policy::Rule* rule = nullptr;
  bool any_service = true;
  std::vector<Traffic> traffic;  // disjoint; not looked at where any_service
  AddressCondition source;
  AddressCondition destination;
  std::vector<std::string> in_devices;   // that it arrives on; empty: any
  std::vector<std::string> out_devices;  // that it leaves by; empty: any
  std::optional<std::uint32_t> user;

  // Whether a packet that matches is decided here. A drop or reject rule with a limit passes on
  // what is within it.
  bool decides() const {
    return rule->action == policy::Action::Accept || (!rule->limit && !rule->connections);
  }
};

struct LoweredPolicy {
  std::vector<LoweredRule> early;
  std::vector<LoweredRule> inbound;
  std::vector<LoweredRule> outbound;
  std::vector<LoweredRule> forward;
  std::vector<LoweredRule> new_destination;  // [[nat]], of the families that they translate
  std::vector<LoweredRule> new_source;       // likewise
};

// What a [[nat]] rule translates to; no other rule does.
const policy::Translation& translation_of(const policy::Rule& rule);

LoweredPolicy lower(const policy::Policy& policy, const policy::HostPolicy& host);

// The devices of one host's interface; of those that a wildcard covers, the wildcard alone.
std::vector<std::string> devices_of(const policy::Host& host,
                                    const std::vector<std::string>& names);

}  // namespace rolewall::compile
