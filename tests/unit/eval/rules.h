// Rulesets written by hand for the tests, expression by expression, as nft compiles them.
#pragma once

#include <doctest/doctest.h>

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "eval/build.h"
#include "eval/eval.h"
#include "net/address.h"
#include "ruleset/expr.h"
#include "ruleset/ruleset.h"
#include "ruleset/verify.h"

namespace rolewall::eval {

using ruleset::Expr;

inline constexpr std::uint64_t kSecond = 1'000'000'000;  // in ns, as times are

// For loops over literals.
using Octets = std::initializer_list<std::uint8_t>;
using Words = std::initializer_list<std::uint16_t>;

inline net::Address address(const char* text) {
  return *net::parse_address(text);
}
inline net::Prefix prefix(const char* text) {
  return *net::parse_prefix(text);
}

inline Expr load_meta(ruleset::MetaKey key, ruleset::Register to = 0) {
  return ruleset::Meta{key, to};
}
inline Expr load_ct(ruleset::CtKey key, ruleset::Register to = 0) {
  return ruleset::Ct{key, std::nullopt, to};
}
inline Expr load_transport(std::uint32_t offset, std::uint32_t length, ruleset::Register to = 0) {
  return ruleset::Payload{ruleset::PayloadBase::Transport, offset, length, to};
}
inline Expr load_network(std::uint32_t offset, std::uint32_t length, ruleset::Register to = 0) {
  return ruleset::Payload{ruleset::PayloadBase::Network, offset, length, to};
}
inline Expr is(ruleset::Value value, ruleset::Register in = 0) {
  return ruleset::Cmp{ruleset::CmpOp::Eq, in, value};
}
inline Expr is_not(ruleset::Value value, ruleset::Register in = 0) {
  return ruleset::Cmp{ruleset::CmpOp::Neq, in, value};
}
inline Expr verdict(ruleset::VerdictCode code, std::string chain = "") {
  return ruleset::ImmediateVerdict{{code, std::move(chain), 0}};
}
inline Expr accept() {
  return verdict(ruleset::VerdictCode::Accept);
}
inline Expr drop() {
  return verdict(ruleset::VerdictCode::Drop);
}
inline std::vector<Expr> protocol_is(std::uint8_t protocol) {
  return {load_meta(ruleset::MetaKey::L4Proto), is(ruleset::Value::u8(protocol))};
}
inline std::vector<Expr> destination_port_is(std::uint8_t protocol, std::uint16_t port) {
  auto exprs = protocol_is(protocol);
  exprs.push_back(load_transport(2, 2));
  exprs.push_back(is(ruleset::Value::be16(port)));
  return exprs;
}
inline std::vector<Expr> then(std::vector<Expr> exprs, Expr last) {
  exprs.push_back(std::move(last));
  return exprs;
}
inline ruleset::Rule rule(std::vector<Expr> exprs) {
  ruleset::Rule made;
  made.exprs = std::move(exprs);
  return made;
}
inline ruleset::Value bytes_value(std::vector<std::uint8_t> bytes) {
  return ruleset::Value(bytes);
}

inline ruleset::Chain base_chain(std::vector<ruleset::Rule> rules,
                                 ruleset::Hook hook = ruleset::Hook::Input,
                                 std::int32_t priority = 0,
                                 ruleset::VerdictCode policy = ruleset::VerdictCode::Drop) {
  ruleset::Chain chain;
  chain.name = "base" + std::to_string(static_cast<int>(hook)) + "_" + std::to_string(priority);
  chain.base = ruleset::BaseChain{ruleset::ChainType::Filter, hook, priority, policy, {}};
  chain.rules = std::move(rules);
  return chain;
}
inline ruleset::Chain plain_chain(std::string name, std::vector<ruleset::Rule> rules) {
  ruleset::Chain chain;
  chain.name = std::move(name);
  chain.rules = std::move(rules);
  return chain;
}
inline ruleset::Ruleset one_table(std::vector<ruleset::Chain> chains,
                                  std::vector<ruleset::Set> sets = {},
                                  ruleset::Family family = ruleset::Family::Inet,
                                  std::vector<ruleset::Object> objects = {}) {
  ruleset::Table table;
  table.family = family;
  table.name = "t";
  table.chains = std::move(chains);
  table.sets = std::move(sets);
  table.objects = std::move(objects);
  ruleset::Ruleset whole{{std::move(table)}};
  const auto flaw = ruleset::verify(whole);
  REQUIRE_MESSAGE(!flaw, flaw->path, ": ", flaw->what);
  return whole;
}
// One input chain with policy drop.
inline ruleset::Ruleset input_rules(std::vector<ruleset::Rule> rules,
                                    std::vector<ruleset::Set> sets = {},
                                    std::vector<ruleset::Object> objects = {}) {
  return one_table({base_chain(std::move(rules))}, std::move(sets), ruleset::Family::Inet,
                   std::move(objects));
}

inline ruleset::Host host() {
  ruleset::Host host;
  host.name = "web-01";
  host.addresses = {prefix("10.0.0.1"), prefix("fd00::1"), prefix("10.9.0.0/24")};
  host.virtual_addresses = {prefix("10.0.0.100")};
  return host;
}

inline PacketFields fields(std::uint8_t protocol = 6, std::uint16_t port = 22) {
  PacketFields fields;
  fields.source = address("192.0.2.7");
  fields.destination = address("10.0.0.1");
  fields.protocol = protocol;
  fields.destination_port = port;
  return fields;
}
inline PacketFields fields6(std::uint8_t protocol = 6, std::uint16_t port = 22) {
  PacketFields made = fields(protocol, port);
  made.source = address("2001:db8::7");
  made.destination = address("fd00::1");
  if (protocol == 58) made.icmp_type = 128;
  return made;
}
inline Packet arriving(const PacketFields& fields, std::string device = "eth0") {
  Packet packet = build(fields);
  packet.in_device = std::move(device);
  return packet;
}

inline Fate fate_of(const ruleset::Ruleset& ruleset, const Packet& packet) {
  const ruleset::Host on = host();
  Evaluator evaluator(ruleset, on);
  return evaluator.arrive(packet).fate();
}
// Whether one rule of these expressions lets the packet in, where the policy is drop.
inline bool matches(std::vector<Expr> exprs, const Packet& packet,
                    std::vector<ruleset::Set> sets = {}) {
  return fate_of(input_rules({rule(then(std::move(exprs), accept()))}, std::move(sets)), packet) ==
         Fate::Accept;
}

inline ruleset::Set exact_set(std::string name, std::vector<ruleset::KeyField> key,
                              const std::vector<std::vector<std::uint8_t>>& keys) {
  ruleset::Set set;
  set.name = std::move(name);
  set.key = std::move(key);
  set.elements.key_size = set.key_size();
  for (const auto& bytes : keys) {
    set.elements.keys.insert(set.elements.keys.end(), bytes.begin(), bytes.end());
  }
  return set;
}

// Of each way, in order: "accept drop".
inline std::string fates(const Outcomes& outcomes) {
  std::string all;
  for (const Journey& way : outcomes.ways) {
    all += (all.empty() ? "" : " ") + std::string(name_of(way.fate()));
  }
  return all;
}

}  // namespace rolewall::eval
