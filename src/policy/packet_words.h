// The packet grammar: "mysql web > db-primary in=private". parse_packet() of load.h is its public
// face; tests bring the place of their text and the block that they stand in.
#pragma once

#include "policy/selector.h"

namespace rolewall::policy {

// `scope.self`: the words stand in a role or block, and one side must be `self`.
std::optional<PacketWords> parse_packet_words(const Scope& scope, std::string_view text,
                                              const Place& place);

}  // namespace rolewall::policy
