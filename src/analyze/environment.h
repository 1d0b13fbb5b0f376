// What of a packet has changed on its way, for all packets that came the same way through the
// rules: marks, translated addresses, what rules wrote. Its parts are bits over the packet as it
// came, so that later rules, and later hooks, ask about the packet as it came, too.
//
// Environments are interned: equal ones have one number, and the first, 0, is the packet's as it
// comes in.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <unordered_map>
#include <vector>

#include "analyze/packet_space.h"

namespace rolewall::analyze {

using EnvironmentId = std::uint32_t;

enum class Tracked : std::uint8_t {
  NotYet,  // before conntrack's hook, or conntrack is off
  Yes,     // as the field of its state says
  Never,   // a rule said notrack
  InZone,  // a rule chose a zone before conntrack
};

// The tuple of a connection's first packet, as conntrack saw it.
enum class TuplePart : std::uint8_t {
  Source4,
  Destination4,
  Source6,
  Destination6,
  SourcePort,
  DestinationPort,
};
inline constexpr std::size_t kTuplePartCount = 6;

struct Environment {
  std::array<Bits, kPartCount> parts;
  std::array<Bits, kTuplePartCount> original;  // where Tracked::Yes
  Tracked tracked = Tracked::NotYet;
  bool has_socket = false;  // a transparent socket took it
  // A rule wrote what the transport's checksum covers, and may have left that wrong.
  bool checksum_in_doubt = false;
  // By a connection that was known before: what became of it then no rule here says.
  bool translated_before = false;
  // Where two rulesets are compared (places.h): what was logged of it, and the rule that decided
  // last. 0: nothing.
  std::uint32_t logged = 0;
  std::uint32_t left = 0;     // behind, in what others are asked about (remembered.h)
  std::uint32_t zone = 0;     // in which its connection is kept, by a rule
  std::uint32_t headers = 0;  // of it that rules wrote where the space holds none
  bool taken = false;         // by a rule, out of the stack: that is not the stack's own refusal
  std::uint32_t line = 0;
  bool operator==(const Environment&) const = default;

  const Bits& part(Part part) const { return parts[static_cast<std::size_t>(part)]; }
  Bits& part(Part part) { return parts[static_cast<std::size_t>(part)]; }
};

// IPS_*_BIT of linux/netfilter/nf_conntrack_common.h.
inline constexpr unsigned kConfirmed = 3;
inline constexpr unsigned kSourceNat = 4;
inline constexpr unsigned kDestinationNat = 5;
inline constexpr unsigned kSourceNatDone = 7;
inline constexpr unsigned kDestinationNatDone = 8;

// A word in host order: its lowest byte stands first.
inline Bit& status_bit(Environment& environment, unsigned bit) {
  return environment.part(Part::CtStatus)[bit / 8 * 8 + 7 - bit % 8];
}

class Environments {
 public:
  explicit Environments(const PacketSpace& space);
  const Environment& operator[](EnvironmentId id) const { return all_[id]; }
  EnvironmentId intern(Environment environment);
  std::size_t size() const { return all_.size(); }

 private:
  std::deque<Environment> all_;  // references stay good
  std::unordered_multimap<std::uint64_t, EnvironmentId> by_hash_;
};

}  // namespace rolewall::analyze
