// The packet grammar: "mysql web > db-primary in=private". parse_packet() of load.h is its public
// face; tests bring the place of their text and the block that they stand in.
#pragma once

#include <span>

#include "policy/selector.h"

namespace rolewall::policy {

// How much words may leave open: a question one packet; a test several ends on each side, with
// commas between, as a rule's key; a law ports, too.
enum class Wording : std::uint8_t { Packet, Test, Law };

// `scope.self`: the words stand in a role or block, and one side must be `self`.
std::optional<PacketWords> parse_packet_words(const Scope& scope, std::string_view text,
                                              const Place& place, Wording wording);

// `who`, "no host" or "no host that is asked", has what the word names; it may be one of `hosts`'.
void report_unknown_interface(const InterfaceWord& word, std::span<const Host> hosts,
                              std::string_view who, Diagnostics& diagnostics);

}  // namespace rolewall::policy
