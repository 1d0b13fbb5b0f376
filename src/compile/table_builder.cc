#include "compile/table_builder.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "ruleset/expr.h"

namespace rolewall::compile {

using namespace ruleset;

TableBuilder::TableBuilder() {
  ruleset_.tables.emplace_back();
  table().family = kOwnFamily;
  table().name = kOwnTable;
}

void TableBuilder::add_chain(std::string_view name, std::vector<Rule> rules) {
  table().chains.push_back({std::string(name), 0, std::nullopt, std::move(rules)});
}

void TableBuilder::add_base_chain(std::string_view name, BaseChain base, std::vector<Rule> rules) {
  table().chains.push_back({std::string(name), 0, std::move(base), std::move(rules)});
}

std::vector<Rule> TableBuilder::take_chain(std::string_view name) {
  auto& chains = table().chains;
  const auto at = std::ranges::find(chains, name, &Chain::name);
  if (at == chains.end()) return {};
  std::vector<Rule> rules = std::move(at->rules);
  chains.erase(at);
  return rules;
}

void TableBuilder::add_object(Object object) {
  table().objects.push_back(std::move(object));
}

void TableBuilder::add_set(Set set) {
  const auto at = std::lower_bound(set_names_.begin(), set_names_.end(), set.name);
  CHECK(at == set_names_.end() || *at != set.name, "two sets of one name");
  set_names_.insert(at, set.name);
  set.elements.sort();
  table().sets.push_back(std::move(set));
}

bool TableBuilder::has_set(std::string_view name) const {
  return std::binary_search(set_names_.begin(), set_names_.end(), name);
}

Ruleset TableBuilder::take() {
  auto& sets = table().sets;
  auto& chains = table().chains;
  std::sort(sets.begin(), sets.end(), [](const Set& a, const Set& b) { return a.name < b.name; });
  std::sort(chains.begin(), chains.end(), [](const Chain& a, const Chain& b) {
    if (a.base.has_value() != b.base.has_value()) return a.base.has_value();
    return a.name < b.name;
  });
  const auto twice =
      std::adjacent_find(chains.begin(), chains.end(),
                         [](const Chain& a, const Chain& b) { return a.name == b.name; });
  CHECK(twice == chains.end(), "two chains of one name");
  return std::exchange(ruleset_, {});
}

ExprList& append_rule(std::vector<Rule>& rules, std::string_view comment) {
  rules.push_back({0, std::string(comment), {}});
  return rules.back().exprs;
}

Set make_set(std::string name, std::vector<KeyField> fields) {
  Set set;
  set.name = std::move(name);
  set.key = std::move(fields);
  set.elements.key_size = set.key_size();
  return set;
}

Set make_verdict_map(std::string name, std::vector<KeyField> fields) {
  Set set = make_set(std::move(name), std::move(fields));
  set.kind = SetKind::VerdictMap;
  return set;
}

}  // namespace rolewall::compile
