// What `status` looks at beside our table: this machine's settings, routes and listening sockets.
#pragma once

#include "apply/survey.h"
#include "base/error.h"

namespace rolewall::cli {

Result<apply::Surroundings> surroundings();

}  // namespace rolewall::cli
