#include "compile/rule_chain.h"

#include <algorithm>

#include "compile/ending.h"
#include "compile/logging.h"
#include "compile/match.h"
#include "compile/per_source.h"
#include "ruleset/expr.h"
#include "ruleset/own_table.h"

namespace rolewall::compile {
namespace {

using namespace ruleset;
using match::IpVersion;
using policy::Action;

class RuleChain {
 public:
  RuleChain(TableBuilder& table, const LoweredRule& rule, const policy::Defaults& defaults)
      : table_(table), rule_(rule), defaults_(defaults) {}

  // The count is a rule of its own, which stays whatever of the policy's rule changes: one that is
  // made anew and takes its count along would miss what came in between, and who sees a count go
  // back takes it for a restart.
  void add() {
    match::counter(append());
    if (rule_.limit) deny_over_limit(*rule_.limit);
    if (rule_.connections) deny_over_connections(*rule_.connections);
    if (rule_.helper != nullptr) match::set_helper(append(), *rule_.helper);
    if (rule_.decides()) {
      if (rule_.log) log_to(rules_, name_of(rule_.action));
      end_with(rules_, rule_.full_name, rule_.action, can_be_tcp());
    }
    table_.add_chain(rule_.full_name, std::move(rules_));
  }

 private:
  match::Exprs& append() { return append_to(rules_); }
  match::Exprs& append_to(std::vector<Rule>& rules) { return append_rule(rules, rule_.full_name); }

  // What the excess gets: a drop or reject rule's own action, else the direction's default.
  Action excess_action() const {
    if (rule_.action != Action::Accept) return rule_.action;
    if (defaults_.mode == policy::Mode::Audit) return Action::Accept;
    switch (rule_.direction) {
      case policy::Direction::Inbound:
        return defaults_.inbound;
      case policy::Direction::Outbound:
        return defaults_.outbound;
      case policy::Direction::Forward:
      case policy::Direction::Nat:
        break;
    }
    return defaults_.forward;
  }

  CanBeTcp can_be_tcp() const {
    const ServiceCondition& service = rule_.conditions.service;
    const auto is_tcp = [](const Traffic& box) { return box.protocol == net::protocol::kTcp; };
    return service.any || std::ranges::any_of(service.traffic, is_tcp) ? CanBeTcp::Yes
                                                                       : CanBeTcp::No;
  }

  bool excess_is_logged() const {
    return rule_.log || defaults_.log.steps.limits ||
           (rule_.action == Action::Accept && defaults_.mode == policy::Mode::Audit);
  }

  void log_to(std::vector<Rule>& rules, std::string_view fate) {
    add_log(table_, rules, defaults_.log, {rule_.full_name, fate, rule_.log_limit});
  }

  // Ends a rule that matched what is over a limit: in a chain that all of this rule's limits share,
  // so that its count stays whatever the limits are.
  void deny(match::Exprs& exprs) {
    const std::string chain = own::excess_chain(rule_.full_name);
    match::go_to(exprs, chain);
    if (has_excess_chain_) return;
    has_excess_chain_ = true;
    std::vector<Rule> rules;
    match::counter(append_to(rules));
    if (excess_is_logged()) log_to(rules, excess_action() == Action::Accept ? "audit" : "excess");
    end_with(rules, rule_.full_name, excess_action(), can_be_tcp());
    table_.add_chain(chain, std::move(rules));
  }

  void deny_over_limit(const policy::Rate& rate) {
    if (!rate.per_source) {
      auto& exprs = append();
      exprs.push_back(match::limit_over(rate));
      return deny(exprs);
    }
    for_each_source(own::rate_set, DynsetOp::Update, match::limit_over(rate), memory_ms(rate));
  }

  void deny_over_connections(std::uint32_t count) {
    // No timeout: the kernel drops an element when its last connection is gone.
    for_each_source(own::connections_set, DynsetOp::Add, Connlimit{count, true}, 0);
  }

  void for_each_source(std::string (*name_of_set)(std::string_view, bool), DynsetOp op,
                       const StatefulExpr& state, std::uint64_t timeout_ms) {
    const Families families = rule_.conditions.families();
    for (const IpVersion version : {IpVersion::V4, IpVersion::V6}) {
      const bool v4 = version == IpVersion::V4;
      if (v4 ? !families.ipv4 : !families.ipv6) continue;
      auto& exprs = append();
      per_source(table_, exprs, version, name_of_set(rule_.full_name, v4), op, state, timeout_ms);
      deny(exprs);
    }
  }

  TableBuilder& table_;
  const LoweredRule& rule_;
  const policy::Defaults& defaults_;
  std::vector<Rule> rules_;
  bool has_excess_chain_ = false;
};

}  // namespace

void add_rule_chain(TableBuilder& table, const LoweredRule& rule,
                    const policy::Defaults& defaults) {
  RuleChain(table, rule, defaults).add();
}

}  // namespace rolewall::compile
