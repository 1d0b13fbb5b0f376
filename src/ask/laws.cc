#include "ask/laws.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "ask/tests.h"
#include "policy/codes.h"

namespace rolewall::ask {
namespace {

using policy::Code;
using policy::Index;

void plan_laws_of(const policy::Policy& policy, const policy::RuleFile& file,
                  std::vector<LawCase>& cases, Diagnostics& diagnostics) {
  const std::vector<Index> hosts = hosts_asked(policy, file);
  const Sampler sampler(policy);
  for (const policy::Law& law : file.laws) {
    for (const policy::PacketWords& words : law.packets) {
      std::vector<Index> lacking;
      std::size_t asked = 0;
      for (const Index host : hosts) {
        // A host of this file's own that is named is asked.
        if (words.at && words.at != host) continue;
        if (sampler.lacks_interface(words, host)) {
          lacking.push_back(host);
          continue;
        }
        cases.push_back({&law, &words, host});
        ++asked;
      }
      if (asked == 0 && !lacking.empty()) sampler.report_lacking(words, lacking, diagnostics);
      if (asked == 0 && lacking.empty() && !hosts.empty()) {
        policy::report(diagnostics, Code::NotAnEnd, words.span,
                       fmt::format("`at={}`: only hosts of {} are asked here",
                                   policy.hosts[*words.at].name, file.name),
                       "write `at=self`; a law in site.toml asks every host");
      }
    }
  }
}

}  // namespace

Statement LawCase::statement() const {
  return {law->kind == policy::LawKind::Never ? Claim::Never : Claim::Always,
          words,
          {host, host.has_value()}};
}

std::vector<LawCase> plan_laws(const policy::Policy& policy, Diagnostics& diagnostics) {
  std::vector<LawCase> cases;
  for (const policy::RuleFile& file : policy.files) {
    if (!file.laws.empty()) plan_laws_of(policy, file, cases, diagnostics);
  }
  for (const policy::Law& law : policy.laws) {
    for (const policy::PacketWords& words : law.packets) {
      cases.push_back({&law, &words, std::nullopt});
    }
  }
  return cases;
}

void drop_unasked(std::vector<LawCase>& laws, Diagnostics& diagnostics) {
  const auto is_unasked = [](const LawCase& law) {
    return law.proof.outcome == Proof::Outcome::NotAsked;
  };
  std::set<const policy::PacketWords*> asked;
  for (const LawCase& law : laws) {
    if (!is_unasked(law)) asked.insert(law.words);
  }
  std::set<const policy::PacketWords*> reported;
  for (const LawCase& law : laws) {
    if (asked.contains(law.words) || !reported.insert(law.words).second) continue;
    if (law.host) {
      policy::report(diagnostics, Code::NoSample, law.words->span,
                     fmt::format("no packet fits `{}`, so this law says nothing", law.words->text),
                     kWhyNone);
    } else {
      policy::report(diagnostics, Code::NotAnEnd, law.words->span,
                     "neither end of this packet is a host of the site",
                     "name a host, or add `at=` with the host to ask");
    }
  }
  std::erase_if(laws, is_unasked);
}

}  // namespace rolewall::ask
