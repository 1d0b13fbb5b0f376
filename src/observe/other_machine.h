// A policy's host that this machine does not look like. Which host a machine is follows from its
// name, or is said (`--host`); it is never guessed from addresses, but a mistake is told by them.
#pragma once

#include <optional>
#include <string_view>

#include "observe/finding.h"
#include "ruleset/host.h"

namespace rolewall::observe {

// Where `host` has neither the name nor any address of the machine.
std::optional<Finding> other_machine(const ruleset::Host& host, const ruleset::Host& machine,
                                     std::string_view machine_name);

}  // namespace rolewall::observe
