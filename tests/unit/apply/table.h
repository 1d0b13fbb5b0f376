// A small firewall of ours, as a compiler would make it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "ruleset/expr.h"
#include "ruleset/snapshot.h"

namespace rolewall::apply::test {

using namespace ruleset;  // NOLINT(google-build-using-namespace)

inline Rule rule(std::string id, std::vector<Expr> exprs) {
  return {.handle = 0, .comment = std::move(id), .exprs = std::move(exprs)};
}

inline ImmediateVerdict verdict(VerdictCode code, std::string chain = "") {
  return {{.code = code, .chain = std::move(chain), .queue = 0}};
}

inline Set address_set(std::string name) {
  Set set;
  set.name = std::move(name);
  set.key = {{DataType::Ipv4Address, 4}};
  return set;
}

inline void add_address(Set& set, std::initializer_list<std::uint8_t> key) {
  set.elements.key_size = 4;
  set.elements.keys.insert(set.elements.keys.end(), key);
}

inline Snapshot firewall() {
  Chain input;
  input.name = "input";
  input.base = {ChainType::Filter, Hook::Input, 0, VerdictCode::Drop, {}};
  input.rules = {
      rule("(banned)",
           {Payload{PayloadBase::Network, 12, 4, 0},
            Lookup{"banned", 0, LookupResult::Membership, 0, false}, verdict(VerdictCode::Drop)}),
      rule("web.inbound.https", {Meta{MetaKey::L4Proto, 0}, Cmp{CmpOp::Eq, 0, Value::u8(6)},
                                 verdict(VerdictCode::Jump, "web.inbound.https")}),
      rule("(default)", {Counter{}})};
  Chain https;
  https.name = "web.inbound.https";
  https.rules = {rule("web.inbound.https", {Counter{}}),
                 rule("web.inbound.https", {verdict(VerdictCode::Accept)})};
  Set banned = address_set("banned");
  banned.has_timeout = true;
  banned.size = 100;
  Set sources = address_set("sources");
  sources.dynamic = true;
  sources.size = 100;
  Set offices = address_set("offices");
  add_address(offices, {192, 0, 2, 1});
  add_address(offices, {192, 0, 2, 2});

  Snapshot snapshot;
  snapshot.host.name = "web-01";
  Table table;
  table.name = kOwnTable;
  table.chains = {input, https};
  table.sets = {banned, sources, offices};
  snapshot.ruleset.tables = {table};
  snapshot.sources["web.inbound.https"] = {"web.toml", 12, 1};
  return snapshot;
}

inline Table& own_table(Snapshot& snapshot) {
  return snapshot.ruleset.tables[0];
}

}  // namespace rolewall::apply::test
