// Loads rules of iptables by iptables-restore and ip6tables-restore, in processes of their own that
// share the caller's namespaces. What they say against it goes to stderr where SHOW_REFUSALS is in
// the environment, else nowhere; a refusal is of kind Usage.
#pragma once

#include "base/error.h"
#include "iptables_text.h"
#include "ruleset/host.h"

namespace rolewall::kernel_judge {

// Whether the programs are installed.
bool has_iptables();

// Sets of each type that the kernel has, whose names begin with "s4" and "s6" by their family; and
// "s4b" and "s6b", to which rules add. The host knows them then. REQUIRES: in a namespace of its
// own.
Result<void> make_ipsets(ruleset::Host& host);

// Those sets, as `ipset restore` reads them.
std::string ipset_lines();
// The sets to which rules add hold what they held.
Result<void> restore_ipsets();

Result<void> load_iptables(const IptablesText& text);

}  // namespace rolewall::kernel_judge
