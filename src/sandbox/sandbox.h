// A host of our own to try things on: a child process in a new network namespace (and a new user
// namespace, so that no privilege is needed and nothing outside can be touched), with the host's
// addresses and interfaces. `apply --sandbox`, `test --kernel` and the tests' kernel judge run
// here.
//
// What is made differs from a real host where a verdict cannot tell: no hardware, no neighbours
// (the devices are NOARP, so nothing waits for an answer), no link-local addresses of the devices'
// own, and nobody at the other end of the wire.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "ruleset/host.h"

namespace rolewall::sandbox {

// std::nullopt-like: "" where namespaces can be made here, else why not, for tests that must skip.
std::string unavailable();

// Forks, enters the namespaces, brings up the loopback, and runs `body` there; returns its exit
// status (128 and the signal's number where it was killed). The child shares stdout and stderr and
// dies with the caller. An error where no namespace can be made.
//
// The child is root of its user namespace. Real root's users 0 to 65535 are all there; for another
// user, who may map none but himself, root is the only one.
Result<int> run(const std::function<int()>& body);

// The host that set_up_host() makes of `host`: a pool is its first host address, "br-*" is "br-0"
// (the first number that no other device has), a host that names no interface has eth0.
ruleset::Host realise(const ruleset::Host& host);

// realise(host), with the routes that set_up_host() makes: those of the running machine.
ruleset::Host with_routes(const ruleset::Host& host);

// REQUIRES: called inside run(). Makes the interfaces of realise(host) (a veth pair for each, the
// other end in the same namespace, without addresses: frames sent there arrive on the interface),
// gives them the host's addresses, routes everything (what is `behind` an interface by it, the rest
// by the first that has nothing behind it), and fixes the settings that verdicts depend on
// (rp_filter off, no limit on ICMP errors). It forwards where the host says so. Frames of up to
// 65,535 bytes pass.
Result<void> set_up_host(const ruleset::Host& host);

// The far end of the cable of `device`, the n-th interface of realise(host).
std::string peer_device(std::size_t n);

}  // namespace rolewall::sandbox
