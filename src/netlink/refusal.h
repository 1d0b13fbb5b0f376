// From the kernel's "message 212, byte 88: ENOENT" to the rule, the expression or the element that
// it means, with the errno in words that fit what was refused.
#pragma once

#include "netlink/batch.h"
#include "netlink/netlink.h"
#include "netlink/socket.h"

namespace rolewall::netlink {

// `table` is what the batch was made from.
Refusal explain(const ruleset::Table& table, const Batch& batch, const KernelError& error);

}  // namespace rolewall::netlink
