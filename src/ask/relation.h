// How the accepted packets of some words relate to those of others: for all packets at once.
#pragma once

#include <optional>
#include <string>

#include "ask/prover.h"

namespace rolewall::ask {

enum class Relation : std::uint8_t {
  Implies,     // what is accepted of the first is of the second, and accepted there
  Equivalent,  // each implies the other
  Disjoint,    // no packet is accepted of both
};

struct RelationProof {
  Proof::Outcome outcome = Proof::Outcome::NotAsked;
  bool of_second = false;  // the counterexample is accepted of the second words
  std::optional<Answer> answer = std::nullopt;  // of the counterexample
  // Of the same headers in the other words; absent: of none of them.
  std::optional<Answer> other = std::nullopt;
  std::string why = {};
  std::vector<std::string> as_long_as = {};  // as Proof::as_long_as
};

// Where of the two destinations neither is within the other, packets are compared but for their
// destination: `https any > web-01` with `https any > web-02`. Likewise sources.
RelationProof relate(const policy::Policy& policy, Site& site, Prover& prover, Relation relation,
                     const Statement& first, const Statement& second);

}  // namespace rolewall::ask
