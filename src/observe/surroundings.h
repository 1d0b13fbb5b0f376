// What `status` looks at beside our table: this machine's settings, routes and listening sockets.
#pragma once

#include "base/error.h"
#include "observe/survey.h"

namespace rolewall::observe {

Result<Surroundings> surroundings();

}  // namespace rolewall::observe
