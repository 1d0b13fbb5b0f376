#include "ask/exact.h"

#include <fmt/format.h>

#include <algorithm>

namespace rolewall::ask {
namespace {

// Words that say more than the end's address does: a host, or a network by its name. (`internet`,
// a prefix, or none at all leave open whose address it is.)
bool says_whose(const policy::Selectors& selectors) {
  return std::ranges::any_of(selectors.items, [](const policy::Selector& item) {
    switch (item.term.kind) {
      case policy::TermKind::Self:
      case policy::TermKind::Host:
      case policy::TermKind::Role:
      case policy::TermKind::Tag:
      case policy::TermKind::Network:
        return !item.negated;
      case policy::TermKind::Any:
      case policy::TermKind::Internet:
      case policy::TermKind::Site:
      case policy::TermKind::Management:
      case policy::TermKind::LinkLocal:
      case policy::TermKind::Prefix:
        return false;
    }
    return false;
  });
}

// " (198.51.100.1 is in `office`)": the narrowest network that has the address, where the end's
// words do not say whose it is.
std::string network_of(const policy::Policy& policy, const policy::Selectors& selectors,
                       const net::Address& address) {
  if (says_whose(selectors)) return "";
  const policy::Network* narrowest = nullptr;
  for (const policy::Network& network : policy.networks) {
    const bool is_all = (net::AddressSet::all() - network.addresses).empty();
    if (is_all || !network.addresses.contains(address)) continue;
    if (narrowest == nullptr || (network.addresses - narrowest->addresses).empty()) {
      narrowest = &network;
    }
  }
  if (narrowest == nullptr) return "";
  return fmt::format(" ({} is in `{}`)", net::format(address), narrowest->name);
}

}  // namespace

std::string names_of_ends(const policy::Policy& policy, const policy::PacketWords& words,
                          const Sample& sample) {
  return network_of(policy, words.from.selectors, sample.fields.source) +
         network_of(policy, words.to.selectors, sample.fields.destination);
}

std::map<std::size_t, Proof> prove_tests(Prover& prover, TestReport& report, bool tests) {
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
  std::map<std::size_t, Proof> broken;
  std::vector<Proof> proofs = prover.prove(statements);
  for (std::size_t i = 0; i < of.size(); ++i) {
    switch (proofs[i].outcome) {
      case Proof::Outcome::Holds:
        report.proven.insert(of[i]);
        break;
      case Proof::Outcome::NotAsked:
        break;
      case Proof::Outcome::Broken:
        broken.emplace(of[i], std::move(proofs[i]));
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
