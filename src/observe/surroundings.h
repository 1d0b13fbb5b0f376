// What `status` looks at beside our table: this machine's settings, routes and listening sockets.
#pragma once

#include "base/error.h"
#include "observe/survey.h"

namespace rolewall::observe {

Result<Surroundings> surroundings();

// Whether packets between a bridge's ports pass the chains of inet and ip tables (br_netfilter).
bool asks_about_bridged();

// The kernel's settings of this network namespace, for the machine's devices.
KernelSettings read_kernel_settings(const ruleset::Host& machine);

}  // namespace rolewall::observe
