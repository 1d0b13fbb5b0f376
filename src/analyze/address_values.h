// Sets of packets, read as the addresses that they have.
#pragma once

#include "analyze/diagram.h"
#include "analyze/packet_space.h"
#include "net/address_set.h"

namespace rolewall::analyze {

struct AddressValues {
  net::AddressSet addresses;
  bool complete = true;  // else there are more, which are too many to list
};

// The sources of the packets, or the destinations.
AddressValues addresses_in(Diagrams& diagrams, PacketSpace& space, Diagram packets, bool sources);

}  // namespace rolewall::analyze
