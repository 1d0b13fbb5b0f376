// What meets a packet whose destination was translated, by our own [[nat]] rules or another
// program's (Docker's): the same rules in the same order, where `service` and `to` are what the
// client wrote, as conntrack's original tuple keeps it. After them everything is admitted that the
// host's own [[nat]] rules have translated, and nothing more: what was asked for and where it goes
// now are both tested.
//
// Such packets are few and new, so that their rules are tested one after the other.
#pragma once

#include <string_view>
#include <vector>

#include "compile/address_sets.h"
#include "compile/lower.h"
#include "compile/table_builder.h"

namespace rolewall::compile {

// Which of the host's own translations are met on a hook.
enum class Admitted : std::uint8_t {
  None,   // what it sends itself: our translations are of what arrives
  Here,   // what is delivered: also those to the host itself
  Going,  // what is forwarded: those to an address
};

void add_translated_chain(TableBuilder& table, AddressSets& sets, std::string_view dispatch,
                          const std::vector<LoweredRule>& rules,
                          const std::vector<LoweredRule>& translations, Admitted admitted);

}  // namespace rolewall::compile
