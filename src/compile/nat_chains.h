// The chains that translate. A [[nat]] rule owns a chain named by its id, like any rule: its
// counter, then the translation. The first that matches a connection's first packet decides.
//
//   dstnat   prerouting, dstnat    -> the rules with new-destination
//   srcnat   postrouting, srcnat   -> the rules with new-source
#pragma once

#include "compile/address_sets.h"
#include "compile/lower.h"
#include "compile/table_builder.h"

namespace rolewall::compile {

// Adds each of the two only where a rule needs it.
void add_nat_chains(TableBuilder& table, AddressSets& sets, const LoweredPolicy& policy);

}  // namespace rolewall::compile
