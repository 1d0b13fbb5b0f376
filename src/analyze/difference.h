// Two rulesets asked about all packets at once: whose fate is another by the second, in which way,
// and by which rules. Both are run over one space of packets, so that their diagrams are compared
// node by node, and what both share is not gone into.
//
// A packet's fate is what becomes of it and as what: accepted with the same header, mark and
// priority, or denied likewise, with the same lines logged and the same left in sets and limits
// that others are asked about, and with its connection (kept.h). What is free (a limit's tokens) is
// the same on both sides where the same rule asks for it (places.h) and what determines it is the
// same (remembered.h).
//
// A difference may hang on what is free (it shows where a limit is spent) or not modelled:
// `certain` leaves such packets out. An empty list of parts is a proof in any case, where nothing
// is `unlike`.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "analyze/analysis.h"
#include "analyze/edit.h"
#include "analyze/kept.h"
#include "analyze/places.h"

namespace rolewall::analyze {

enum class DifferenceKind : std::uint8_t {
  NewlyAccepted,
  NewlyDenied,
  DeniedOtherwise,  // rejected for dropped, or by another answer
  Rewritten,        // accepted, with other headers or marks
  Logged,           // by other log lines alone, or other copies of it
  Remembered,       // likewise, in what sets, limits and its connection keep of it
  Drawn,            // more or less often, as a limit or a draw has it
};

struct DifferencePart {
  DifferenceKind kind = DifferenceKind::NewlyAccepted;
  Diagram packets = kNothing;    // without choices
  Diagram by_choice = kNothing;  // with them: when
  Diagram certain = kNothing;    // those whose fate differs whatever is free or not modelled
};

// The packets that these two decide about, as Places numbers rules and policies; 0: none.
struct DecidedPair {
  std::uint32_t before = 0;
  std::uint32_t after = 0;
  Diagram packets = kNothing;
};

class Difference {
 public:
  struct Side {
    const ruleset::Ruleset& ruleset;
    const ruleset::Host& host;
  };
  // Refers to both. REQUIRES: verify() found no flaw in either.
  Difference(const Side& before, const Side& after, Budget budget = {});
  ~Difference();
  Difference(const Difference&) = delete;
  Difference& operator=(const Difference&) = delete;

  // No two parts of one kind, in the order of the kinds; no packet is in two.
  Answer<std::vector<DifferencePart>> parts(Direction direction);
  // Who decides about these packets.
  Answer<std::vector<DecidedPair>> decided(Direction direction, Diagram packets);

  Diagrams& diagrams() { return *diagrams_; }
  PacketSpace& space() { return *space_; }
  const Places& places() const { return places_; }
  // What it has not compared, in words: then an empty list of parts is no proof.
  const std::vector<std::string>& unlike() const { return unlike_; }
  // What is not known and was taken for the same on both sides, in words.
  const std::set<std::string>& assumed() const { return assumed_; }
  // What differs and is no part of a packet's fate, since no rule asks for it, in words.
  const std::set<std::string>& not_asked() const { return not_asked_; }
  // A packet of the set, as natural as there is one.
  std::optional<Witness> witness(Direction direction, Diagram set);
  bool contains(Direction direction, Diagram set, const eval::Packet& packet);
  bool is_in_space(Direction direction, const eval::Packet& packet);

 private:
  Diagram no_names();
  Diagram packets_of_edit(Direction direction);
  void note_extended(Direction direction);
  Diagram hang_on(FieldId field, const std::set<FieldId>& ways, Diagram outcomes);
  struct Asked {
    const std::set<FieldId>& fields;  // that are free at some place
    Diagram outcomes = kNothing;
  };
  std::vector<std::pair<FieldId, FieldId>> same_by_other_ways(const Asked& before,
                                                              const Asked& after);
  std::vector<DifferencePart> find(Direction direction);
  std::vector<DifferencePart> parts_of(std::span<const Diagram> found);
  std::vector<DecidedPair> pairs(Direction direction, Diagram packets);
  struct Run {
    Diagram outcomes = kNothing;
    std::set<std::string> unknown_orders;
    std::string lost_order;
  };
  Run run(Machine& machine, Direction direction);
  void note_orders(const Run& before, const Run& after);
  Diagram without(Diagram set, FieldKind kind, Quantifier quantifier);

  Side before_;
  Side after_;
  std::shared_ptr<const RulesetFacts> facts_before_;
  std::shared_ptr<const RulesetFacts> facts_after_;
  Places places_;
  Remembered remembered_;
  KeptAsked asked_;
  std::vector<std::string> unlike_;
  std::set<std::string> assumed_;
  std::set<std::string> not_asked_;
  Shared shared_;
  std::optional<Edit> edit_;  // of both directions
  std::unique_ptr<Diagrams> diagrams_;
  std::unique_ptr<PacketSpace> space_;
};

}  // namespace rolewall::analyze
