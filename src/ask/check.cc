#include "ask/check.h"

#include <utility>

#include "ask/rule_lint.h"
#include "ask/shut_out.h"
#include "policy/lint.h"
#include "ruleset/snapshot.h"

namespace rolewall::ask {
namespace {

HostSize size_of(const ruleset::Snapshot& snapshot) {
  HostSize size{.host = snapshot.host.name};
  for (const ruleset::Table& table : snapshot.ruleset.tables) {
    for (const ruleset::Chain& chain : table.chains) size.rules += chain.rules.size();
    for (const ruleset::Set& set : table.sets) size.elements += set.elements.count();
    size.sets += table.sets.size();
  }
  return size;
}

}  // namespace

Result<Checked> check(const policy::Policy& policy, policy::Date date, Diagnostics findings,
                      Extent extent, const Answerer& answerer) {
  Checked checked;
  checked.findings = std::move(findings);
  if (checked.findings.has_errors()) return checked;
  Site site(policy, date);
  auto tests = run_tests(policy, site, answerer, checked.findings);
  if (!tests) return std::unexpected(tests.error());
  checked.tests = std::move(*tests);
  if (extent == Extent::Everything) {
    policy::lint(policy, date, checked.findings);
    lint_exactly(policy, date, site, checked.findings);
    ShutOut shut_out(policy, date, site);
    for (policy::Index host = 0; host < policy.hosts.size(); ++host) {
      shut_out.find(host, checked.findings);
      checked.hosts.push_back(size_of(site.snapshot(host)));
      site.forget(host);
    }
  }
  checked.findings.sort();
  return checked;
}

}  // namespace rolewall::ask
