#include "ask/exact.h"

namespace rolewall::ask {

std::map<std::size_t, Answer> prove_tests(Prover& prover, TestReport& report, bool tests) {
  std::vector<Statement> statements;
  std::vector<std::size_t> of;
  for (std::size_t i = 0; i < report.cases.size() && tests; ++i) {
    const TestCase& test_case = report.cases[i];
    const bool denies = test_case.packet->expected != policy::Expectation::Accept;
    if (!denies || test_case.samples.empty()) continue;
    statements.push_back(
        {Claim::Never, &test_case.packet->words, {test_case.host, test_case.host.has_value()}});
    of.push_back(i);
  }
  for (const LawCase& law : report.laws) statements.push_back(law.statement());
  std::map<std::size_t, Answer> broken;
  std::vector<Proof> proofs = prover.prove(statements);
  for (std::size_t i = 0; i < of.size(); ++i) {
    switch (proofs[i].outcome) {
      case Proof::Outcome::Holds:
        report.proven.insert(of[i]);
        break;
      case Proof::Outcome::NotAsked:
        break;
      case Proof::Outcome::Broken:
        broken.emplace(of[i], std::move(*proofs[i].counterexample));
        break;
      case Proof::Outcome::NotProven:
        report.not_proven.emplace(of[i], std::move(proofs[i].why));
        break;
    }
  }
  for (std::size_t i = 0; i < report.laws.size(); ++i) {
    report.laws[i].proof = std::move(proofs[of.size() + i]);
  }
  return broken;
}

}  // namespace rolewall::ask
