// The guard's words about rulesets written by hand: a host with one device, our table and others'.
#pragma once

#include <net/if_arp.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "apply/guard.h"
#include "ruleset/expr.h"
#include "table.h"

namespace rolewall::apply::scene {

using namespace ruleset;
using test::rule;
using test::verdict;

inline net::Address address(const char* text) {
  return *net::parse_address(text);
}
inline net::Prefix prefix(const char* text) {
  return *net::parse_prefix(text);
}

inline Chain base(const char* name, Hook hook, std::vector<Rule> rules, VerdictCode policy) {
  Chain chain;
  chain.name = name;
  chain.base = {ChainType::Filter, hook, 0, policy, {}};
  chain.rules = std::move(rules);
  return chain;
}

inline std::vector<Expr> port_is(std::uint8_t protocol, std::uint16_t port) {
  return {Meta{MetaKey::L4Proto, 0}, Cmp{CmpOp::Eq, 0, Value::u8(protocol)},
          Payload{PayloadBase::Transport, 2, 2, 0}, Cmp{CmpOp::Eq, 0, Value::be16(port)}};
}
inline std::vector<Expr> with(std::vector<Expr> exprs, Expr last) {
  exprs.push_back(std::move(last));
  return exprs;
}

inline Rule established() {
  return rule("(established)", {Ct{CtKey::State, std::nullopt, 0},
                                Cmp{CmpOp::Eq, 0, Value::host_u32(ct_state::kEstablished)},
                                verdict(VerdictCode::Accept)});
}
// ICMP errors, of path MTU discovery.
inline Rule related() {
  return rule("(established)", {Ct{CtKey::State, std::nullopt, 0},
                                Cmp{CmpOp::Eq, 0, Value::host_u32(ct_state::kRelated)},
                                verdict(VerdictCode::Accept)});
}
inline Rule loopback(MetaKey key) {
  return rule("(loopback)",
              {Meta{key, 0}, Cmp{CmpOp::Eq, 0, Value(std::string("lo") + std::string(14, '\0'))},
               verdict(VerdictCode::Accept)});
}

// What is established, the loopback, and these.
inline Table ours(std::vector<Rule> in, std::vector<Rule> out = {}) {
  std::vector<Rule> input{established(), related(), loopback(MetaKey::IifName)};
  for (Rule& each : in) input.push_back(std::move(each));
  input.push_back(rule("(default)", {verdict(VerdictCode::Drop)}));
  std::vector<Rule> output{established(), loopback(MetaKey::OifName)};
  for (Rule& each : out) output.push_back(std::move(each));
  output.push_back(rule("(default)", {verdict(VerdictCode::Drop)}));
  Table table;
  table.name = std::string(kOwnTable);
  table.chains = {base("input", Hook::Input, std::move(input), VerdictCode::Drop),
                  base("output", Hook::Output, std::move(output), VerdictCode::Drop)};
  return table;
}
inline Rule ssh(std::vector<Expr> first = {}) {
  for (const Expr& expr : port_is(6, 22)) first.push_back(expr);
  return rule("r.inbound.ssh", with(std::move(first), verdict(VerdictCode::Accept)));
}

// One device with a default route, without IPv6; the office is beyond the route.
inline GuardFacts facts() {
  GuardFacts facts;
  facts.machine.name = "n1";
  facts.machine.addresses = {prefix("203.0.113.10")};
  Interface device;
  device.name = device.device = "eth0";
  device.index = 2;
  device.hardware_type = ARPHRD_ETHER;
  facts.machine.interfaces = {device};
  facts.machine.routes = std::vector<Route>{
      {.to = prefix("0.0.0.0/0"), .device = "eth0", .gateway = address("203.0.113.1")},
      {.to = prefix("203.0.113.0/24"), .device = "eth0", .gateway = {}},
      {.to = prefix("203.0.113.10"),
       .type = RouteType::Local,
       .device = "eth0",
       .gateway = {},
       .table = 255}};
  facts.ssh_doors = {{net::Ipv6{}, 22}};
  facts.management = {prefix("198.51.100.0/24")};
  return facts;
}

// As a device of this kind comes: with an address of its network, by which packets may arrive.
inline void add_device(GuardFacts& about, const char* name, const char* own) {
  Interface device = about.machine.interfaces.front();
  device.name = device.device = name;
  device.index = static_cast<std::uint32_t>(about.machine.interfaces.size() + 2);
  about.machine.interfaces.push_back(device);
  about.machine.addresses.push_back(prefix(own));
  about.machine.routes->push_back(
      {.to = prefix(own), .type = RouteType::Local, .device = name, .gateway = {}, .table = 255});
}

inline GuardAnswer ask(const Table& before, const Table& after, const GuardFacts& about,
                       std::vector<Table> others = {}) {
  Ruleset was{{before}};
  Ruleset will{{after}};
  for (const Table& other : others) {
    was.tables.push_back(other);
    will.tables.push_back(other);
  }
  eval::PartialSets none_before;
  eval::PartialSets none_after;
  return ask_about({was, none_before}, {will, none_after}, about);
}
inline GuardAnswer ask(const Table& after, const GuardFacts& about,
                       std::vector<Table> others = {}) {
  return ask(after, after, about, std::move(others));
}

inline bool is_said(const std::vector<Loss>& all, const std::string& text) {
  return std::ranges::any_of(all, [&](const Loss& loss) {
    return (loss.what + ": " + loss.how).find(text) != std::string::npos;
  });
}

inline Table theirs(std::vector<Chain> chains) {
  Table table;
  table.name = "theirs";
  table.chains = std::move(chains);
  return table;
}

}  // namespace rolewall::apply::scene
