// Loads rules of iptables by iptables-restore and ip6tables-restore, in processes of their own that
// share the caller's namespaces. What they say against it goes to stderr where SHOW_REFUSALS is in
// the environment, else nowhere; a refusal is of kind Usage.
#pragma once

#include "base/error.h"
#include "iptables_text.h"

namespace rolewall::kernel_judge {

// Whether the programs are installed.
bool has_iptables();

// The sets of ip_set that the rules name. REQUIRES: in a namespace of its own.
Result<void> make_ipsets();

Result<void> load_iptables(const IptablesText& text);

}  // namespace rolewall::kernel_judge
