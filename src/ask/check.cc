#include "ask/check.h"

#include <numeric>
#include <utility>

#include "ask/alike.h"
#include "ask/rule_lint.h"
#include "ask/shut_out.h"
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

void find_shut_out(const policy::Policy& policy, policy::Date date, Site& site,
                   Diagnostics& findings) {
  std::vector<policy::Index> all(policy.hosts.size());
  std::iota(all.begin(), all.end(), policy::Index{0});
  ShutOut shut_out(policy, date, site);
  for (const auto& group : Alike(policy, date).groups(all)) shut_out.find(group, findings);
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
  if (extent != Extent::TestsAlone) {
    lint(policy, date, site, checked.findings);
    find_shut_out(policy, date, site, checked.findings);
  }
  if (extent == Extent::Everything) {
    for (policy::Index host = 0; host < policy.hosts.size(); ++host) {
      checked.hosts.push_back(size_of(site.snapshot(host)));
      site.forget(host);
    }
  }
  checked.findings.sort();
  return checked;
}

}  // namespace rolewall::ask
