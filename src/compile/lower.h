// The first pass: a host's policy to plain rules, in order, with every name gone: boxes of traffic,
// sets of addresses, device names. Nothing here leads back into the Policy: what the later passes
// need is here by value. Address sets share their intervals when they are copied
// (net/interval_set.h), so that a list of a million addresses is there once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "compile/traffic.h"
#include "net/address_set.h"
#include "policy/effective.h"
#include "ruleset/host.h"
#include "ruleset/snapshot.h"

namespace rolewall::compile {

struct AddressCondition {
  net::AddressSet set = net::AddressSet::all();
  // Where the policy says one name alone ("office"), the kernel's set bears it, and all rules that
  // say that name share it. "" otherwise.
  std::string name;

  bool any() const { return set.is_all(); }
  Families families() const { return {!set.ipv4.empty(), !set.ipv6.empty()}; }
};

struct ServiceCondition {
  bool any = true;
  std::vector<Traffic> traffic;  // disjoint; not looked at where any
};

// What a packet must be for a rule to speak of it; all of them must hold.
//
// Whoever handles the list of them opens it by structured binding:
//
//   const auto& [service, source, destination, in_devices, out_devices, user] = rule.conditions;
//
// which does not compile with one member more or less. So a new condition is named by the compiler
// wherever somebody has to think of it. One that is forgotten would be a condition dropped, which
// opens a host, or would have a rule decide every packet, and all rules after it left out.
struct Conditions {
  ServiceCondition service;
  AddressCondition source;
  AddressCondition destination;
  std::vector<std::string> in_devices;   // that it arrives on; empty: any
  std::vector<std::string> out_devices;  // that it leaves by; empty: any
  std::optional<std::uint32_t> user;

  // The families that a packet can be of, by its addresses.
  Families families() const { return source.families() & destination.families(); }
};

struct LoweredRule {
  std::string full_name;
  policy::Direction direction = policy::Direction::Inbound;
  Conditions conditions;
  policy::Action action = policy::Action::Accept;
  std::optional<policy::Rate> limit;
  std::optional<std::uint32_t> connections;
  bool log = false;
  std::optional<policy::Rate> log_limit;
  const net::ConntrackHelper* helper = nullptr;
  std::optional<policy::SegmentSize> segment_size;
  std::optional<policy::Translation> translation;  // [[nat]], and there always

  // Whether a packet that matches is decided here. A drop or reject rule with a limit passes on
  // what is within it.
  bool decides() const { return action == policy::Action::Accept || (!limit && !connections); }
};

// Addresses that lie behind an interface of the host, and the interface's devices.
struct Behind {
  net::AddressSet addresses;
  std::vector<std::string> devices;
};

struct LoweredPolicy {
  ruleset::Host host;
  ruleset::SourceMap sources;  // where each rule stands
  std::vector<ruleset::Written> written;
  policy::Defaults defaults;   // the host's
  std::vector<Behind> behind;  // one an interface that says so; they may overlap
  std::vector<LoweredRule> early;
  std::vector<LoweredRule> inbound;
  std::vector<LoweredRule> outbound;
  std::vector<LoweredRule> forward;
  std::vector<LoweredRule> new_destination;  // [[nat]], of the families that they translate
  std::vector<LoweredRule> new_source;       // likewise

  // Those that its rules name, each once, by their names.
  std::vector<const net::ConntrackHelper*> helpers() const;

  // Whether the host's policy says something of forwarding or translation.
  bool forwards() const {
    return !forward.empty() || !new_destination.empty() || !new_source.empty();
  }
};

// What a [[nat]] rule translates to; no other rule does.
const policy::Translation& translation_of(const LoweredRule& rule);

LoweredPolicy lower(const policy::Policy& policy, const policy::HostPolicy& host);

}  // namespace rolewall::compile
