// What of the policy would have to change for a logged packet to be admitted, by the record of what
// is in force. Each sentence is true as it stands: one that changes a rule says what else that rule
// asks for, and what is not known is said.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "observe/log_event.h"
#include "observe/written_policy.h"

namespace rolewall::observe {

// What a rule's `service` and `to` have to name for it.
struct AskedFor {
  net::Address to;
  std::uint16_t port = 0;
};
// REQUIRES: event.packet.
AskedFor asked_for(const LogEvent& event, const WrittenPolicy& policy);

// Narrowest first, a line each; none for what was admitted.
std::vector<std::string> admission_advice(const LogEvent& event, const WrittenPolicy& policy);

}  // namespace rolewall::observe
