// Sessions that were open before the table came.
#pragma once

#include "apply/kernel.h"
#include "base/error.h"

namespace rolewall::apply {

// Gives each its conntrack entry. One that is new to conntrack in its middle would pass for an
// invalid packet's, or for the server's own, once the server speaks first. What the kernel cannot
// track is passed over.
Result<void> track_open_sessions(Kernel& kernel);

}  // namespace rolewall::apply
