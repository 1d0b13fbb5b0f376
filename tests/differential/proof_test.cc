// Translation validation of generated sites: each host's compiled ruleset, with its dispatch maps
// and without, is proven to be what the policy says, for all packets, by a denotation of the policy
// that shares nothing with the compiler (src/analyze/denotation.h). 1,000 sites, of which one in
// seventeen passes packets on, every second with ROLEWALL_LONG_TESTS; ROLEWALL_PROOF_SITES=5 says
// how many, ROLEWALL_PROOF_SEED=17 where it begins.
//
// That it can fail wrong_compilers_test.cc shows.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <set>

#include "ask/validation.h"
#include "compile/compile.h"
#include "differential/generator.h"
#include "ruleset/expr.h"
#include "ruleset/verify.h"
#include "support/run_time.h"
#include "unit/policy/memory_site.h"

namespace rolewall::differential {
namespace {

using ask::Validation;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

analyze::RunTime as_denoted(const test::RunTime& run_time) {
  analyze::RunTime same{run_time.banned, {}};
  for (const test::Opening& opening : run_time.allowed) {
    same.opened.push_back({opening.protocol, opening.port, opening.from});
  }
  return same;
}

std::string in_words(const Validation& validation) {
  std::string text = validation.host + ": ";
  if (validation.outcome == Validation::Outcome::Proven) return text + "proven";
  if (!validation.counterexample) return text + "not proven: " + validation.why;
  const Validation::Counterexample& example = *validation.counterexample;
  const auto side = [](const Validation::Side& one) {
    return fmt::format("{} by {} {} {}", ask::name_of(one.verdict), one.decided_by.rule, one.told,
                       one.translated);
  };
  text += fmt::format("{} {} {}\n  policy:   {}\n  bytecode: {}\n",
                      example.arrives ? "arrives" : "sent", example.packet, example.bytes,
                      side(example.policy), side(example.bytecode));
  for (const std::string& where : example.where) text += "  where " + where + '\n';
  return text;
}

struct Tally {
  std::size_t sites = 0;
  std::size_t hosts = 0;
};

// Each host in both forms. `why`: what repeats it.
void prove(const policy::MemorySite& site, const test::RunTime& run_time, const std::string& why,
           Tally& tally) {
  for (policy::Index host = 0; host < site.policy.hosts.size(); ++host) {
    for (const bool optimise : {true, false}) {
      ruleset::Snapshot snapshot =
          compile::compile(site.policy, host, {policy::MemorySite::kToday, optimise});
      test::put(run_time, snapshot.ruleset.tables.front());
      const Validation validation = ask::validate(site.policy, host, policy::MemorySite::kToday,
                                                  snapshot, as_denoted(run_time));
      ++tally.hosts;
      if (validation.outcome == Validation::Outcome::Proven) continue;
      FAIL(fmt::format("{}{}\n{}", in_words(validation), optimise ? "" : " (without maps)", why));
    }
  }
  ++tally.sites;
}

TEST_CASE("generated sites are proven") {
  // A host that passes packets on and translates them is proven in seconds, not in hundredths.
  const bool is_long = std::getenv("ROLEWALL_LONG_TESTS") != nullptr;
  const unsigned passing = is_long ? 50 : 6;
  const std::uint64_t sites = from_environment("ROLEWALL_PROOF_SITES", 1000);
  const std::uint64_t first = from_environment("ROLEWALL_PROOF_SEED", 1);
  Tally tally;
  for (std::uint64_t seed = first; tally.sites < sites; ++seed) {
    Random random(seed);
    const SiteFiles files = random_site(random, passing);
    const policy::MemorySite site = policy::make_site(files);
    if (site.diagnostics.has_errors()) continue;  // policies_test.cc asks why
    const test::RunTime run_time = random_run_time(random);
    prove(site, run_time, fmt::format("seed {}\n{}", seed, format(files)), tally);
  }
  MESSAGE(fmt::format("{} sites, {} rulesets", tally.sites, tally.hosts));
}

}  // namespace
}  // namespace rolewall::differential
