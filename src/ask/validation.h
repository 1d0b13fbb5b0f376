// Whether what the compiler made of a host's policy is what the policy says, for all packets at
// once: translation validation. The compiler is not trusted; each of its results is judged by a
// reading of the policy that shares nothing with it (analyze/denotation.h).
//
// A packet on which both differ is put to the evaluator before anybody sees it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "analyze/denotation.h"
#include "analyze/diagram.h"
#include "ask/answer.h"
#include "policy/policy.h"
#include "ruleset/snapshot.h"

namespace rolewall::ask {

struct Validation {
  enum class Outcome { Proven, Refuted, NotProven };

  // What one side does with the packet.
  struct Side {
    Verdict verdict = Verdict::Accept;
    DecidedBy decided_by;
    std::string told;        // of a reject: "tcp reset"
    std::string translated;  // "to 10.0.2.10:443 from 203.0.113.12"
  };
  struct Counterexample {
    std::string packet;              // in words that `rolewall eval` takes
    std::string bytes;               // in hexadecimal, where those words are not the whole packet
    bool arrives = true;             // else a program of the host sends it
    std::vector<std::string> where;  // "it is over the limit of web.inbound.ssh"
    Side policy;
    Side bytecode;
  };

  std::string host;
  Outcome outcome = Outcome::Proven;
  std::optional<Counterexample> counterexample;  // Refuted
  std::string why;                               // NotProven
  std::vector<std::string> not_covered;          // what the proof says nothing about
};

// REQUIRES: `policy` was loaded without errors, and `snapshot` is of this host and day.
// `run_time`: the bans and openings that the snapshot's sets hold.
Validation validate(const policy::Policy& policy, policy::Index host, policy::Date date,
                    const ruleset::Snapshot& snapshot, const analyze::RunTime& run_time = {},
                    analyze::Budget budget = {});

}  // namespace rolewall::ask
