// The machine that a ruleset runs on, as far as a dry run must know it: which addresses are its
// own, and what its interfaces are called. It is kept with a ruleset in a file (Snapshot).
#pragma once

#include <string>
#include <vector>

#include "net/address.h"
#include "net/address_set.h"

namespace rolewall::ruleset {

struct Interface {
  std::string name;        // the policy's name ("public"); the device's where there is no policy
  std::string device;      // "eth0"; may end in '*'
  net::AddressSet behind;  // what arrives here and nowhere else; empty: not said
  bool operator==(const Interface&) const = default;
};

struct Host {
  std::string name;
  std::vector<net::Prefix> addresses;  // its own; a prefix is a pool of like hosts
  std::vector<net::Prefix> virtual_addresses;
  std::vector<Interface> interfaces;  // without the loopback
  bool operator==(const Host&) const = default;
};

}  // namespace rolewall::ruleset
