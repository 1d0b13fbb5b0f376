// An answer as people read it: the packet whole, the verdict, and who decided at each host.
#pragma once

#include "ask/answer.h"
#include "cli/terminal.h"

namespace rolewall::cli {

// Of a packet that is accepted because nobody filters it.
inline constexpr std::string_view kNoChain = "no chain sees it, so nothing filters it";

// "accept" in the colour of its kind.
std::string painted(const Terminal& terminal, ask::Verdict verdict);
// The same, padded to the width of "accept" and "reject", since painted text has no width of its
// own.
std::string in_column(const Terminal& terminal, ask::Verdict verdict);
// The same, as wide as the longest of the common ones.
std::string in_column(const Terminal& terminal, ask::Verdict verdict);

// "web.inbound.app-from-lb  policies/web.toml:8", as far as it is known.
std::string in_words(const ask::DecidedBy& decided_by);

// Of --explain: each rule that was tried at this hop, with what came of it.
void render_tried(const Terminal& terminal, const ask::Hop& hop);

void render(const Terminal& terminal, const ask::Answer& answer);

}  // namespace rolewall::cli
