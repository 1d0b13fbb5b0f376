// Sites and packets in a universe that is small on purpose: few hosts, interfaces, networks and
// services, so that random rules overlap and random packets hit their edges. A seed alone decides
// them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "kernel/random.h"
#include "policy/policy.h"
#include "reference/policy_matcher.h"

namespace rolewall::differential {

using kernel_judge::Random;
using SiteFiles = std::map<std::string, std::string>;  // by name, "site.toml"

// The site of the universe, with the given rules in its two roles and its block.
SiteFiles site_with(const std::string& site_defaults, const std::string& edge_rules,
                    const std::string& core_rules, const std::string& block_rules);

// `passing`: of a hundred sites so many pass on and translate, too.
SiteFiles random_site(Random& random, unsigned passing = 50);

// Some of the universe's addresses banned, and ports opened to some; mostly nothing.
test::RunTime random_run_time(Random& random);

// Packets to and from the host, each address, port, type and device of the universe taking part.
reference::Packet random_packet(Random& random, const policy::Host& host);

// Every combination of a smaller universe: a few thousand packets.
std::vector<reference::Packet> packet_grid(const policy::Host& host);

std::string format(const SiteFiles& files);

}  // namespace rolewall::differential
