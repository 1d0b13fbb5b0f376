// What libpcap does not tell of a pcapng file: on which interfaces it was taken. Packets of several
// would be judged as of one.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

namespace rolewall::eval {

// The names of the interfaces that the file describes before its first packet, each once; those
// without a name are left out. Empty where the file is none, or cannot be read from its begin
// again. The file is at its begin afterwards.
std::vector<std::string> pcapng_interfaces(std::FILE* file);

}  // namespace rolewall::eval
