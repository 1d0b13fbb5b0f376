// The tables of iptables-legacy, iptables' older way into the kernel, beside nf_tables: their
// names, and how many rules they hold. What the rules say is in a format of its own, which is not
// read.
#pragma once

#include <string>
#include <vector>

namespace rolewall::observe {

// "ip filter (3 rules)", of this network namespace; without the right to ask no count.
std::vector<std::string> legacy_tables();

// What cannot be said beside them, in a sentence; "" where there are none.
std::string remark_on_legacy(const std::vector<std::string>& tables);

}  // namespace rolewall::observe
