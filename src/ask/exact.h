// Tests that are held for every packet: a `deny`, `drop` or `reject` says that no packet of its
// words is accepted, and samples cannot say that. The analyser can (prover.h).
#pragma once

#include <map>

#include "ask/prover.h"
#include "ask/test_report.h"

namespace rolewall::ask {

// Proves the report's laws and, with `tests`, what it can of its cases: each that denies.
// Counterexamples by case; all else goes to the report.
std::map<std::size_t, Answer> prove_tests(Prover& prover, TestReport& report, bool tests);

}  // namespace rolewall::ask
