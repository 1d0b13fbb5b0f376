// The objects that --format json prints, in the shapes of docs/json.md. Keys that do not apply are
// left out; none is ever renamed.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "ask/answer.h"
#include "base/diagnostic.h"
#include "base/source.h"

namespace rolewall::cli {

using Json = nlohmann::ordered_json;

// The version of the shapes: raised where a reader of the old one would misread the new one.
inline constexpr int kJsonVersion = 1;

Json to_json(const Diagnostics& diagnostics, const SourceFiles& sources);
Json to_json(const ask::DecidedBy& decided_by);
Json to_json(const ask::Alternative& alternative);
Json to_json(const ask::Hop& hop);
Json to_json(const ask::Answer& answer);

// A hop as to_json(Hop) wrote it, without what --explain adds. REQUIRES: `json` is such an object.
ask::Hop hop_from_json(const Json& json);

// On standard output, on one line. Bytes that are not UTF-8 are replaced.
void print(const Json& json);

}  // namespace rolewall::cli
