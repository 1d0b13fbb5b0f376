// What iptables has loaded, in payloads of earlier revisions and in older forms (xt_older_forms.h),
// as older programs write them: iptables itself writes the latest that the kernel has.
#pragma once

#include "random.h"
#include "ruleset/ruleset.h"

namespace rolewall::kernel_judge {

// Each match and target whose payload an earlier revision can say stays as it is, or becomes one.
void lower_revisions(ruleset::Ruleset& ruleset, Random& random);

}  // namespace rolewall::kernel_judge
