// The rules that write to the log, before the one that decides.
//
//   limit in all                 [conditions] limit rate 10/second  log
//   and per source               one a family: [conditions] update @log/4 { ip saddr limit rate
//                                1/second }  limit rate 10/second  log
//
// A source that finds the set full is not logged: what it meets is decided and counted all the
// same.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "compile/match.h"
#include "compile/table_builder.h"
#include "policy/policy.h"

namespace rolewall::compile {

struct LogLine {
  std::string_view name;  // the policy rule's, or a built-in step's; the rules' comment, too
  std::string_view fate;  // "drop"
  // The rule's own `log-limit`, which takes the place of both limits of the defaults.
  std::optional<policy::Rate> own_limit{};
};

// `when`: conditions that come first. They keep no state, since each rule has them.
void add_log(TableBuilder& table, std::vector<ruleset::Rule>& rules, const policy::LogTarget& to,
             const LogLine& line, const match::Exprs& when = {});

}  // namespace rolewall::compile
