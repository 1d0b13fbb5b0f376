// Tables that the kernel takes, holding every expression and every kind of set.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "ruleset/expr.h"
#include "ruleset/ruleset.h"

namespace rolewall::netlink::test {

using namespace ruleset;  // NOLINT(google-build-using-namespace)

inline Value bytes(std::initializer_list<std::uint8_t> list) {
  return Value(std::vector<std::uint8_t>(list));
}

inline Table table_of(std::vector<Chain> chains, std::vector<Set> sets = {}) {
  Table table;
  table.name = kOwnTable;
  table.chains = std::move(chains);
  table.sets = std::move(sets);
  return table;
}

inline Rule rule(std::string comment, std::vector<Expr> exprs) {
  return {.handle = 0, .comment = std::move(comment), .exprs = std::move(exprs)};
}

inline Chain base_chain(std::string name, Hook hook, std::vector<Rule> rules,
                        VerdictCode policy = VerdictCode::Accept, std::int32_t priority = 0) {
  Chain chain;
  chain.name = std::move(name);
  chain.base = {ChainType::Filter, hook, priority, policy, {}};
  chain.rules = std::move(rules);
  return chain;
}

inline Chain plain_chain(std::string name, std::vector<Rule> rules = {}) {
  Chain chain;
  chain.name = std::move(name);
  chain.rules = std::move(rules);
  return chain;
}

inline Set make_set(std::string name, std::vector<KeyField> key, SetKind kind = SetKind::Set) {
  Set set;
  set.name = std::move(name);
  set.key = std::move(key);
  set.kind = kind;
  set.elements.key_size = set.key_size();
  return set;
}

inline void add_key(Set& set, std::initializer_list<std::uint8_t> key) {
  set.elements.keys.insert(set.elements.keys.end(), key);
}

inline void add_interval(Set& set, std::initializer_list<std::uint8_t> first,
                         std::initializer_list<std::uint8_t> last) {
  set.elements.keys.insert(set.elements.keys.end(), first);
  set.elements.key_ends.insert(set.elements.key_ends.end(), last);
}

inline ImmediateVerdict verdict(VerdictCode code, std::string chain = "") {
  return {{.code = code, .chain = std::move(chain), .queue = 0}};
}

inline constexpr KeyField kIpv4{DataType::Ipv4Address, 4};
inline constexpr KeyField kIpv6{DataType::Ipv6Address, 16};
inline constexpr KeyField kPort{DataType::InetService, 2};
inline constexpr KeyField kProtocol{DataType::InetProtocol, 1};
inline constexpr KeyField kMark{DataType::Mark, 4};
inline constexpr KeyField kIfName{DataType::IfName, 16};

}  // namespace rolewall::netlink::test
