// Sessions that were open before the table came: those that go on, and those that bans end.
#pragma once

#include <string>

#include "apply/kernel.h"
#include "base/error.h"
#include "net/address_set.h"

namespace rolewall::apply {

// Gives each its conntrack entry. One that is new to conntrack in its middle would pass for an
// invalid packet's, or for the server's own, once the server speaks first. What the kernel cannot
// track is passed over.
Result<void> track_open_sessions(Kernel& kernel);

// Ends what is open with addresses that the table bans, which is in force by now: conntrack would
// go on passing it as established. Returns why it cannot, in words; "" where it is done.
std::string cut_banned_sessions(Kernel& kernel, const net::AddressSet& banned);

}  // namespace rolewall::apply
