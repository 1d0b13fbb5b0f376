// Other programs' base chains: when they run, and what they can do to packets that our table
// judges.
//
// nf_tables asks every base chain of a hook in the order of priorities (net/netfilter/core.c). A
// drop is final wherever it is said; an accept ends its own chain alone. So no chain can admit what
// ours drops, and each that can drop may drop what ours admits, whichever is asked first.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "observe/finding.h"
#include "ruleset/ruleset.h"

namespace rolewall::observe {

enum class Effect : std::uint8_t {
  Drops,                  // a rule or the policy can end a packet, or a program decides (queue)
  TranslatesDestination,  // for new flows: ours sees what the packet has become
  Redirects,              // a destination, to a port of this host
  TranslatesSource,
  Untracks,  // no conntrack entry: nothing is established
  Leaves,    // to another device, past every later chain (fwd)
  Offloads,  // a flowtable: the flow's later packets meet no chain
  Unread,    // an expression that is not modelled (iptables' own matches and targets)
};
// What the chain then does, in words behind "it": "may drop what rolewall accepts"; `in_force`:
// whether our table is there, and accepts anything.
std::string_view words_of(Effect effect, bool in_force);
std::string_view code_of(Effect effect);  // "drops"

enum class Order : std::uint8_t { Before, After };  // our chains that judge

struct OtherChain {
  ruleset::Family family = ruleset::Family::Inet;
  std::string table;
  std::string chain;
  ruleset::BaseChain base;
  Order order = Order::Before;
  std::vector<Effect> effects;  // of all that it can reach by jumps, each once; may, not must
};

// Whether our chain ends in an accept of what no rule speaks of.
bool accepts_by_default(const ruleset::Table& own, std::string_view name);

// Of the families and hooks that IP packets pass. Sets' elements need not be there: a verdict map
// is taken to hold any verdict and a jump to any chain of its table.
std::vector<OtherChain> other_chains(const ruleset::Ruleset& live);

// What bypasses our table by them. REQUIRES: `own` is our table, as it is in the kernel.
std::vector<Finding> bypasses(const std::vector<OtherChain>& chains, const ruleset::Table& own);

}  // namespace rolewall::observe
