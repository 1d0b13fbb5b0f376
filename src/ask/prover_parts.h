// What the parts of the prover (prover.h) share. Inside ask/ alone.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>

#include "ask/prover.h"

namespace rolewall::ask {

// The fates that break a claim.
std::span<const analyze::Fate> breaking(Claim claim);

analyze::Direction direction_of(Does does);

// One host, gone into.
struct Prover::Machine {
  explicit Machine(const ruleset::Snapshot& snapshot) : Machine(snapshot.ruleset, snapshot.host) {}
  Machine(const ruleset::Ruleset& ruleset, const ruleset::Host& as)
      : host(as),
        analysis(ruleset, host),
        translates(has_destination_nat(ruleset)),
        sets(analysis, translates) {}

  ruleset::Host host;
  analyze::Analysis analysis;
  bool translates;
  PacketSets sets;
};

// Rules that several hosts run, gone into as any of them; it outlives what the site knows of them.
struct Prover::Alike {
  explicit Alike(const ruleset::Snapshot& of);

  ruleset::Snapshot snapshot;
  Machine machine;
};

// Of a statement that several are asked about: what each lets through.
struct Prover::Join {
  bool asks = false;     // anybody
  bool of_many = false;  // hosts at once: there may be more in it than each lets through
  analyze::Diagram sent = analyze::kNothing;
  analyze::Diagram sent_translated = analyze::kNothing;
  analyze::Diagram received = analyze::kNothing;
  analyze::Diagram sent_by_at = analyze::kNothing;  // nobody else is asked about it
  analyze::Diagram received_by_at = analyze::kNothing;
  analyze::Diagram passed_on = analyze::kNothing;
  analyze::Diagram passed_on_translated = analyze::kNothing;
  std::string no_field;  // what cannot be asked
  std::optional<std::string> budget_ended;
};

}  // namespace rolewall::ask
