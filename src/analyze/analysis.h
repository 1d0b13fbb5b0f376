// A ruleset asked about all packets at once: which of them a host accepts, drops, rejects.
//
// An answer is a set of packets and how far it can be relied on. What the kernel draws or knows
// (a limit's tokens, a random number, a socket) is a choice, and the question says for which of its
// values it asks: for some, or for all. What is not modelled makes the set a bound, in the
// direction that the question needs: AtMost where it asks which packets may, so that "none" is a
// proof; AtLeast where it asks which packets must, so that "all" is one.
//
// It knows nothing of policy, and shares no meaning with eval/: only the ruleset's own types, and
// what a packet is made of.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "analyze/diagram.h"
#include "analyze/machine.h"
#include "analyze/packet_space.h"
#include "eval/packet.h"
#include "net/address.h"
#include "ruleset/host.h"
#include "ruleset/ruleset.h"

namespace rolewall::analyze {

enum class Direction : std::uint8_t { Arrive, Send };

enum class Exactness : std::uint8_t {
  Exact,
  AtMost,   // no packet outside of it; some within it may be wrong
  AtLeast,  // every packet within it; there may be more
};

struct PacketSet {
  Diagram packets = kNothing;  // without choices
  Exactness exactness = Exactness::Exact;
};

// The budget has ended before the answer was there.
struct NotProven {
  std::string why;
};
template <class T>
using Answer = std::expected<T, NotProven>;

// One packet of a set. `values` has a value for every field of a packet.
struct Witness {
  eval::Packet packet;
  std::vector<std::string> choices;  // what was taken for what is free, in words
};

// What a reader would rather see in a witness, in this order, before what is usual.
struct Natural {
  std::vector<net::Address> sources;
  std::vector<net::Address> destinations;
  std::vector<std::uint16_t> ports;
};

class Analysis {
 public:
  // Refers to both. REQUIRES: verify() found no flaw.
  Analysis(const ruleset::Ruleset& ruleset, const ruleset::Host& host, Budget budget = {});
  ~Analysis();
  Analysis(const Analysis&) = delete;
  Analysis& operator=(const Analysis&) = delete;

  // The packets that get one of these fates for some choice, or for every choice. Of every packet
  // of the space, whatever conntrack's state: who means first packets takes both together.
  Answer<PacketSet> may(Direction direction, std::span<const Fate> fates);
  Answer<PacketSet> must(Direction direction, std::span<const Fate> fates);
  // With the choices as fields of the set: whom a witness shows.
  Answer<Diagram> by_choice(Direction direction, std::span<const Fate> fates);

  // What is counted that the set hangs on: "limit (inet t, chain input, rule 3)". Each once.
  std::vector<std::string> counted_in(Diagram set);

  // Whether connections may be translated: what of one that was known before is then free.
  bool may_be_translated() const;
  // Those that go on with other addresses or ports than they came with, by choice.
  Answer<Diagram> translated(Direction direction);

  Diagrams& diagrams() { return *diagrams_; }
  PacketSpace& space() { return *space_; }
  const ruleset::Host& host() const { return host_; }

  // Calls it with what ends a budget turned into an answer: for whoever works on sets.
  template <class T>
  static Answer<T> within_budget(const std::function<T()>& work) {
    try {
      return work();
    } catch (const BudgetEnded& ended) {
      return std::unexpected(NotProven{ended.what});
    }
  }

  // A packet of the set, as natural as there is one. Absent: the set is empty.
  std::optional<Witness> witness(Direction direction, Diagram set,
                                 const Natural* natural = nullptr);

  // Whether the packet is in the set, which has no choices. REQUIRES: it is one of the space.
  bool contains(Direction direction, Diagram set, const eval::Packet& packet);
  // Whether it is one: whole, with sound headers, no options.
  bool is_in_space(Direction direction, const eval::Packet& packet);

 private:
  Diagram fates(Direction direction);
  Diagram with(Direction direction, std::span<const Fate> fates);
  Answer<PacketSet> quantified(Direction direction, std::span<const Fate> fates, bool some);

  const ruleset::Host& host_;
  std::unique_ptr<Diagrams> diagrams_;
  std::unique_ptr<PacketSpace> space_;
  std::unique_ptr<Machine> machine_;
  std::array<std::optional<Diagram>, 2> fates_;  // by direction
};

}  // namespace rolewall::analyze
