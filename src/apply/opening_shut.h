// Whether what is opened at run time comes through. Rules of the policy that come early, the check
// of source addresses, and other programs' tables may deny it all the same.
#pragma once

#include <string>

#include "apply/guard_facts.h"
#include "apply/kernel.h"
#include "apply/run_time_entries.h"

namespace rolewall::apply {

// Who denies the first packet of it, to each of this host's addresses and by each way: "rule
// web.inbound.abusers". "" where one comes through, or may. A ban is not told: it is asked for
// elsewhere (bans_of()).
std::string who_shuts(Kernel& kernel, const Opening& opening, const GuardFacts& facts);

}  // namespace rolewall::apply
