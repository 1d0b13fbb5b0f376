// Findings and answers as JSON, in the shapes of docs/json.md. Keys that do not apply are left out;
// none is ever renamed.
#pragma once

#include "ask/answer.h"
#include "base/diagnostic.h"
#include "base/source.h"
#include "cli/json.h"

namespace rolewall::cli {

Json to_json(const Diagnostics& diagnostics, const SourceFiles& sources);
Json to_json(const ask::DecidedBy& decided_by);
Json to_json(const ask::Alternative& alternative);
Json to_json(const ask::Hop& hop);
Json to_json(const ask::Answer& answer);

// A hop as to_json(Hop) wrote it, without what --explain adds. REQUIRES: `json` is such an object.
ask::Hop hop_from_json(const Json& json);

}  // namespace rolewall::cli
