// For tests that support/netns_main.cc runs: a kernel's netfilter to play with.
#pragma once

#include <string>

namespace rolewall::test {

// A new network namespace for this thread, with nothing in it. Call it first in each test.
void fresh_network();

// What a shell command prints, with its exit status where that is not 0.
std::string output_of(const std::string& command);

// Loads text with `nft -f`; "" where that succeeds.
std::string load_nft(const std::string& text);

}  // namespace rolewall::test
