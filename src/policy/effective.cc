#include "policy/effective.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <unordered_set>

#include "policy/defaults.h"

namespace rolewall::policy {
namespace {

// An empty list is any interface.
bool has_one(const Host& host, const std::vector<std::string>& interfaces) {
  return interfaces.empty() ||
         std::any_of(interfaces.begin(), interfaces.end(), [&](const std::string& name) {
           return std::any_of(host.interfaces.begin(), host.interfaces.end(),
                              [&](const HostInterface& i) { return i.name == name; });
         });
}

class Collector {
 public:
  Collector(const Policy& policy, Index host, Date date)
      : policy_(policy), host_(policy.hosts[host]), date_(date) {
    out_.host = &host_;
    out_.index = host;
    out_.defaults = policy.defaults;
  }

  HostPolicy collect() {
    for (const Index role : host_.roles) {
      const RuleFile& file = policy_.files[role];
      skipped_.insert(file.skip.begin(), file.skip.end());
      apply_override(out_.defaults, file.defaults);
    }
    for (const Index role : host_.roles) {
      for (const Index block : policy_.files[role].use) add(block);
      add(role);
    }
    return std::move(out_);
  }

 private:
  void add(Index index) {
    if (!seen_.insert(index).second) return;
    const RuleFile& file = policy_.files[index];
    for (const Rule& rule : file.rules) {
      if (!holds(rule)) continue;
      out_.rules(rule.direction).push_back({&rule, &file});
    }
  }

  bool holds(const Rule& rule) const {
    if (!rule.enabled || rule.left_out || skipped_.contains(rule.full_name)) return false;
    if (rule.expires && *rule.expires <= date_) return false;
    if (rule.on && !names_host(policy_, *rule.on, out_.index)) return false;
    return has_one(host_, rule.conditions.in) && has_one(host_, rule.conditions.out);
  }

  const Policy& policy_;
  const Host& host_;
  Date date_;
  HostPolicy out_;
  std::unordered_set<std::string_view> skipped_;
  std::set<Index> seen_;
};

}  // namespace

std::vector<EffectiveRule>& HostPolicy::rules(Direction direction) {
  switch (direction) {
    case Direction::Inbound:
      return inbound;
    case Direction::Outbound:
      return outbound;
    case Direction::Forward:
      return forward;
    case Direction::Nat:
      break;
  }
  return nat;
}

HostPolicy effective_policy(const Policy& policy, Index host, Date date) {
  return Collector(policy, host, date).collect();
}

}  // namespace rolewall::policy
