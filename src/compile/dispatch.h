// How a packet finds its rule. Testing rule after rule costs some 20 ns each; a verdict map costs
// 100 ns for any number. So a list of rules is cut into runs, in order, and each run of enough
// rules that ask for a protocol and port (or an address) becomes one lookup in a map from that to
// the rules that can still match, which are dispatched further by what the map has not settled:
//
//   chain input              meta l4proto . th dport vmap @inbound/ports
//                            meta l4proto @inbound/asked-protocols
//                              meta nfproto . meta l4proto vmap @inbound/protocols
//   chain inbound/tcp/443    the rules that admit tcp/443, in policy order
//   chain web.inbound.app    the rule's own (rule_chain.h); dispatch itself never decides
//
// What must stay true: a packet meets the chains of exactly those rules that it matches, in policy
// order, until one decides. Runs keep the order among each other; within a run a packet falls into
// one entry of the map, whose list keeps it too. No rule is met twice.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "compile/address_sets.h"
#include "compile/lower.h"
#include "compile/table_builder.h"

namespace rolewall::compile {

// Where a packet goes whose destination was translated.
enum class Translated : std::uint8_t {
  Alike,  // with all others: `service` and `to` are what stands in the packet
  Apart,  // to NAME/translated (translated.h), from a chain NAME
};

// What a base chain does to have its packets meet the rules: jumps to the rules' own chains,
// straight or through chains and maps that this adds, whose names begin with `name`. REQUIRES:
// add_rule_chain() is called for each rule as well.
std::vector<ruleset::Rule> add_dispatch(TableBuilder& table, AddressSets& sets,
                                        std::string_view name,
                                        const std::vector<LoweredRule>& rules, bool optimise,
                                        Translated translated);

}  // namespace rolewall::compile
