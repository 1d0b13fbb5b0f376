// What nobody waits for and everybody should see: the journal and the terminals are told.
#pragma once

#include <string>

namespace rolewall::apply {

// To syslog, and to the terminal of everyone who is logged in (utmp), and to `terminal` (a path;
// "" for none). Whoever cannot be reached is left out.
void give_notice(const std::string& text, const std::string& terminal);

// The terminal that this process was started from; "" where there is none.
std::string own_terminal();

}  // namespace rolewall::apply
