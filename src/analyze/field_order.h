// In which order a packet's fields stand in diagrams: it changes no answer, and decides how large
// the diagrams become.
#pragma once

#include <cstdint>

#include "ruleset/ruleset.h"

namespace rolewall::analyze {

enum class FieldOrder : std::uint8_t {
  AddressesFirst,
  PortsFirst,
};

// By a look at the rules.
FieldOrder order_for(const ruleset::Ruleset& ruleset);

}  // namespace rolewall::analyze
