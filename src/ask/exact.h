// Tests that are held for every packet: a `deny`, `drop` or `reject` says that no packet of its
// words is accepted, and samples cannot say that. The analyser can (prover.h).
#pragma once

#include <map>
#include <string>

#include "ask/prover.h"
#include "ask/test_report.h"

namespace rolewall::ask {

// Proves the report's laws and, with `tests`, what it can of its cases: each that denies.
// What is broken, by case; all else goes to the report.
std::map<std::size_t, Proof> prove_tests(Prover& prover, TestReport& report, bool tests);

// Of a counterexample: the networks that its ends are in, where the words do not say whose they
// are, which tells why such a packet is let in: " (198.51.100.1 is in `office`)"; "" where there
// are none.
std::string names_of_ends(const policy::Policy& policy, const policy::PacketWords& words,
                          const Sample& sample);

}  // namespace rolewall::ask
