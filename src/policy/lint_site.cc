#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "policy/codes.h"
#include "policy/lint.h"

namespace rolewall::policy {
namespace {

// No organisation logs in from a whole /8 of the public internet.
void check_management(const Policy& policy, Diagnostics& diagnostics) {
  if (!policy.management) return;
  if (!holds_much_of_internet(policy, policy.management_addresses)) return;
  report(diagnostics, Code::ManagementOpen, policy.management->span,
         "`management` contains large parts of the internet",
         "list the networks that administrators log in from");
}

void check_length_zero(const Policy& policy, Diagnostics& diagnostics) {
  for (const Network& network : policy.networks) {
    const bool zero = std::any_of(network.prefixes.begin(), network.prefixes.end(),
                                  [](const net::Prefix& prefix) { return prefix.length == 0; });
    const bool list_holds_all = !network.list_file.empty() && (network.addresses.ipv4.is_all() ||
                                                               network.addresses.ipv6.is_all());
    if (network.shipped || !((network.literal && zero) || list_holds_all)) continue;
    report(diagnostics, Code::AddressZero, network.span,
           fmt::format("the network {} contains every address of a family", quote(network.name)),
           "`any` is both families, `internet` is `any` without the site's own addresses");
  }
}

// --- hosts of several roles --------------------------------------------------------------------

Index block_of(const Policy& policy, const RuleFile& role, std::string_view rule) {
  const std::string_view name = rule.substr(0, rule.find('.'));
  for (const Index block : role.use) {
    if (policy.files[block].name == name) return block;
  }
  return static_cast<Index>(policy.files.size());
}

void check_skips(const Policy& policy, Diagnostics& diagnostics) {
  std::set<std::tuple<Index, Index>> seen;
  for (const Host& host : policy.hosts) {
    for (const Index a : host.roles) {
      for (const Index b : host.roles) {
        const RuleFile& skipping = policy.files[a];
        const RuleFile& other = policy.files[b];
        if (a == b || skipping.skip.empty() || !seen.emplace(a, b).second) continue;
        for (const std::string& rule : skipping.skip) {
          const Index block = block_of(policy, skipping, rule);
          const bool uses = std::find(other.use.begin(), other.use.end(), block) != other.use.end();
          const bool skips =
              std::find(other.skip.begin(), other.skip.end(), rule) != other.skip.end();
          if (!uses || skips) continue;
          report(diagnostics, Code::SkipDiffers, host.span,
                 fmt::format("{} is left out on {}: the role {} skips it, but {} uses it", rule,
                             quote(host.name), quote(skipping.name), quote(other.name)));
        }
      }
    }
  }
}

void check_behind(const Policy& policy, Diagnostics& diagnostics) {
  std::set<std::pair<std::string, std::string>> seen;
  for (const Host& host : policy.hosts) {
    for (std::size_t i = 0; i < host.interfaces.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        const HostInterface& a = host.interfaces[j];
        const HostInterface& b = host.interfaces[i];
        if (!a.behind || !b.behind || !seen.emplace(a.name, b.name).second) continue;
        if ((*a.behind & *b.behind).empty()) continue;
        report(diagnostics, Code::OverlappingBehind, b.span,
               fmt::format("the same addresses are behind {} and {} of {}", quote(a.name),
                           quote(b.name), quote(host.name)),
               "packets from there are dropped as spoofed on both")
            .subject = host.span;
      }
    }
  }
}

void check_tests(const Policy& policy, Diagnostics& diagnostics) {
  if (!policy.tests.empty() || !policy.laws.empty()) return;
  for (const RuleFile& file : policy.files) {
    if (!file.is_role || file.rules.empty() || !file.tests.empty() || !file.laws.empty()) {
      continue;
    }
    report(diagnostics, Code::NoTests, file.span,
           fmt::format("the role {} has rules but no [[test]]", quote(file.name)),
           "write tests for what must get through and what must not");
  }
}

}  // namespace

void lint_site(const Policy& policy, Diagnostics& diagnostics) {
  if (policy.management) check_management(policy, diagnostics);
  check_length_zero(policy, diagnostics);
  check_skips(policy, diagnostics);
  check_behind(policy, diagnostics);
  check_tests(policy, diagnostics);
}

void lint(const Policy& policy, Date date, Diagnostics& diagnostics, DecidedPackets* decided) {
  lint_site(policy, diagnostics);
  lint_rules(policy, date, diagnostics);
  lint_weak_points(policy, date, decided, diagnostics);
  lint_hygiene(policy, date, diagnostics);
  lint_unmet_rules(policy, date, diagnostics);
  diagnostics.sort();
}

}  // namespace rolewall::policy
