// What `compile --prove` says of each host: proven, refuted by a packet, or not proven.
#pragma once

#include <span>

#include "ask/validation.h"
#include "cli/json.h"
#include "cli/terminal.h"

namespace rolewall::cli {

// A host a line, and below it the packet that refutes it.
void render(const Terminal& to, std::span<const ask::Validation> hosts);
Json to_json(std::span<const ask::Validation> hosts);

}  // namespace rolewall::cli
