// Tests that are held for every packet: a `deny`, `drop` or `reject` of a role or block says that
// no packet of its words is accepted by the host, and samples cannot say that. The analyser can.
//
// Every packet: a connection's first in the state that conntrack gives it (another by `state=`),
// not over the loopback, by the devices that samples take; every field that the words leave open
// has every value. A limit's tokens and other choices are as bad for the statement as they can be.
//
// A packet that breaks the statement is put to the evaluator before anybody sees it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "ask/site.h"
#include "ask/test_report.h"
#include "ask/tests.h"

namespace rolewall::ask {

struct Proof {
  enum class Outcome {
    Holds,
    Broken,     // `counterexample` is accepted
    NotProven,  // `why`
    NotAsked,   // what the words say is asked of samples alone
  } outcome = Outcome::NotAsked;
  std::optional<Answer> counterexample;
  std::string why;
};

// Proves the cases of one host, one after the other. The site must not forget the host meanwhile.
class Prover {
 public:
  Prover(const policy::Policy& policy, Site& site, policy::Index host);
  ~Prover();
  Prover(const Prover&) = delete;
  Prover& operator=(const Prover&) = delete;

  // REQUIRES: a case of this host alone.
  Proof prove(const TestCase& test_case);

 private:
  class Words;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Proves what it can of a report's cases, host by host: each that denies and is asked of one host
// alone. Counterexamples by case; what is proven and what is not goes to the report.
std::map<std::size_t, Answer> prove_tests(const policy::Policy& policy, Site& site,
                                          TestReport& report);

}  // namespace rolewall::ask
