// What a policy says about a packet, read off the policy itself: its rules one after the other, as
// the language's reference puts it (docs/policy-language.md, Order). It is slow and simple on
// purpose, has no passes, knows nothing of nf_tables, and shares no code with the compiler and the
// evaluator: what these two do cleverly must come to the same.
//
// Limits are unspent, and no other program translates.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "net/address.h"
#include "policy/effective.h"
#include "support/run_time.h"

namespace rolewall::reference {

struct Packet {
  // Inbound: it arrives. Where it is not for this host, or is translated to another, it is passed
  // on.
  policy::Direction direction = policy::Direction::Inbound;
  net::Address source;  // both of one family
  net::Address destination;
  std::uint8_t protocol = 6;
  std::uint16_t source_port = 0;  // protocols with ports
  std::uint16_t destination_port = 0;
  std::uint8_t icmp_type = 0;
  std::string device;      // that it arrives on, or leaves by
  std::string out_device;  // inbound: that it leaves by where it is passed on
  policy::FlowState state = policy::FlowState::New;
  std::optional<std::uint32_t> user;  // the local socket's owner, outbound
};

struct Answer {
  policy::Action verdict = policy::Action::Drop;
  std::string decided_by;  // a rule's full name, or a built-in step's

  // What it is after that; absent where it stayed as it was, or (a device's own address) the policy
  // does not know.
  std::optional<net::Address> new_source;
  std::optional<net::Address> new_destination;
  std::optional<std::uint16_t> new_port;
  bool operator==(const Answer&) const = default;
};

// `run_time`: what is banned and opened on this host.
Answer ask(const policy::Policy& policy, const policy::HostPolicy& host,
           const test::RunTime& run_time, const Packet& packet);

}  // namespace rolewall::reference
