#include "observe/survey.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string_view>

#include "base/calendar.h"
#include "observe/absent_devices.h"
#include "observe/absent_hooks.h"
#include "observe/nat_helpers.h"

namespace rolewall::observe {
namespace {

bool translates(const std::vector<OtherChain>& others, const ruleset::Table& own) {
  const auto by_other = [](const OtherChain& chain) {
    return std::ranges::any_of(chain.effects, [](Effect effect) {
      return effect == Effect::TranslatesDestination || effect == Effect::Redirects;
    });
  };
  return std::ranges::any_of(others, by_other) || observe::translates(own);
}

void append(std::vector<Finding>& all, const std::vector<Finding>& some) {
  all.insert(all.end(), some.begin(), some.end());
}

}  // namespace

std::vector<Finding> expiring(const ruleset::SourceMap& sources, std::chrono::sys_days today) {
  constexpr std::chrono::days kSoon{30};
  std::vector<Finding> findings;
  for (const auto& [rule, line] : sources) {
    const auto last = parse_date(line.expires);
    if (!last || std::chrono::sys_days(*last) - today > kSoon) continue;
    const auto left = (std::chrono::sys_days(*last) - today).count();
    if (left < 0) {
      findings.push_back({Weight::Warning, Code::ExpiredRule,
                          fmt::format("{} expired on {}, but is still in force ({}:{})", rule,
                                      line.expires, line.file, line.line),
                          "the next apply leaves it out"});
    } else {
      findings.push_back({Weight::Note, Code::ExpiringRule,
                          fmt::format("{} expires on {}, in {} day{} ({}:{})", rule, line.expires,
                                      left, left == 1 ? "" : "s", line.file, line.line),
                          ""});
    }
  }
  return findings;
}

Survey survey(const ruleset::Ruleset& live, const ruleset::Table* own,
              const ruleset::SourceMap& sources, const Surroundings& around) {
  Survey survey;
  survey.others = other_chains(live);
  std::vector<Finding>& findings = survey.findings;
  append(findings, legacy_iptables(around.kernel));
  append(findings, absent_hooks(live, around.machine));
  if (own == nullptr) return survey;
  append(findings, bypasses(survey.others, *own));
  append(findings, absent_devices(*own, around.machine));
  append(findings, missing_nat_helpers(*own, translates(survey.others, *own), around.modules));
  append(findings, kernel_settings(*own, around.machine, around.kernel));
  append(findings, expiring(sources, around.today));
  append(findings, listening(*own, around.listening, translates(survey.others, *own)));
  std::ranges::stable_sort(findings, std::ranges::greater(), &Finding::weight);
  return survey;
}

}  // namespace rolewall::observe
