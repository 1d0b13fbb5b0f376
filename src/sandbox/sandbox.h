// A host of our own to try things on: a child process in a new network namespace (and a new user
// namespace, so that no privilege is needed and nothing outside can be touched), with the host's
// addresses and interfaces. `apply --sandbox`, `test --kernel` and the tests' kernel judge run
// here.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "ruleset/host.h"

namespace rolewall::sandbox {

// std::nullopt-like: "" where namespaces can be made here, else why not, for tests that must skip.
std::string unavailable();

// Forks, enters the namespaces, brings up the loopback, and runs `body` there; returns its exit
// status. The child shares stdout and stderr. An error where no namespace can be made.
Result<int> run(const std::function<int()>& body);

// REQUIRES: called inside run(). Makes the host's interfaces (a veth pair for each device, the
// other end in a namespace-internal peer from which frames are injected), gives them the host's
// addresses, routes everything, and fixes the settings that verdicts depend on (rp_filter off, no
// forwarding).
Result<void> set_up_host(const ruleset::Host& host);

}  // namespace rolewall::sandbox
