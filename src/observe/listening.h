// Listening programs that no rule admits, and rules that admit what nobody listens on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/address.h"
#include "observe/finding.h"
#include "ruleset/ruleset.h"

namespace rolewall::observe {

// A TCP socket that listens, or a bound UDP socket without a peer, that the network can reach.
struct Listening {
  std::uint8_t protocol = 0;
  net::Address address;  // unspecified: every one of the host's
  std::uint16_t port = 0;
  bool both_families = false;  // IPv6, and takes IPv4, too
  // UDP, on a port that the kernel gives to clients: it may wait for an answer.
  bool may_be_client = false;
  std::string program;  // "" where it is not known
};

// `translations`: see admitting(). A rule that names no port is not among those that are idle.
std::vector<Finding> listening(const ruleset::Table& own, const std::vector<Listening>& sockets,
                               bool translations);

}  // namespace rolewall::observe
