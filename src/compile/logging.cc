#include "compile/logging.h"

#include <string>

#include "compile/per_source.h"
#include "ruleset/expr.h"
#include "ruleset/own_table.h"

namespace rolewall::compile {
namespace {

using match::IpVersion;
namespace own = ruleset::own;

class LogRules {
 public:
  LogRules(TableBuilder& table, std::vector<ruleset::Rule>& rules, const policy::LogTarget& to,
           const LogLine& line, const match::Exprs& when)
      : table_(table), rules_(rules), to_(to), line_(line), when_(when) {}

  void add() {
    const auto& own_limit = line_.own_limit;
    if (!own_limit) {
      add(to_.per_source, to_.limit);
    } else if (own_limit->per_source) {
      add(own_limit, std::nullopt);
    } else {
      add(std::nullopt, own_limit);
    }
  }

 private:
  using Limit = std::optional<policy::Rate>;

  void add(const Limit& each, const Limit& all) {
    if (!each) return finish(append(), all);
    for (const IpVersion version : {IpVersion::V4, IpVersion::V6}) {
      auto& exprs = append();
      ruleset::Limit within = match::limit_over(*each);
      within.over = false;
      per_source(table_, exprs, version, set_of(version), ruleset::DynsetOp::Update, within,
                 memory_ms(*each));
      finish(exprs, all);
    }
  }

  // All share the defaults' set: one source fills the log no faster by meeting several rules.
  std::string set_of(IpVersion version) const {
    const bool v4 = version == IpVersion::V4;
    return line_.own_limit ? own::log_set(line_.name, v4) : own::log_set(v4);
  }

  match::Exprs& append() {
    auto& exprs = append_rule(rules_, line_.name);
    exprs = when_;
    return exprs;
  }

  void finish(match::Exprs& exprs, const Limit& all) {
    if (all) match::limit(exprs, *all);
    match::log(exprs, own::log_prefix(line_.name, line_.fate), to_);
  }

  TableBuilder& table_;
  std::vector<ruleset::Rule>& rules_;
  const policy::LogTarget& to_;
  const LogLine& line_;
  const match::Exprs& when_;
};

}  // namespace

void add_log(TableBuilder& table, std::vector<ruleset::Rule>& rules, const policy::LogTarget& to,
             const LogLine& line, const match::Exprs& when) {
  LogRules(table, rules, to, line, when).add();
}

}  // namespace rolewall::compile
