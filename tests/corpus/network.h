// A network namespace for one ruleset.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"

namespace rolewall::corpus {

// Leaves us in a new one, without routes, its loopback up. REQUIRES: we may make one.
Result<void> fresh_network();

// Devices with these names, of no matter which kind: a ruleset may ask that they exist.
Result<void> add_devices(const std::vector<std::string>& names);

// Runs it where fresh_network() works: as real root, who needs no user namespace and may send the
// kernel the largest rulesets at once, else in a sandbox. The exit status, 77 where there is no
// way.
int where_networks_can_be_made(const std::function<int()>& body);

}  // namespace rolewall::corpus
