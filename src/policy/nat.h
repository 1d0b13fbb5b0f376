// What a [[nat]] rule translates to: `new-destination` ("web-01:443", "self:8080", an address) or
// `new-source` (an address, "masquerade").
#pragma once

#include <optional>

#include "policy/loader.h"

namespace rolewall::policy {

// REQUIRES: the rule's other keys are read. Reports what cannot be translated; the rule is then
// none. `used_at`: RuleSource's.
std::optional<Translation> read_translation(Loader& loader, const Section& section,
                                            const Rule& rule, std::optional<Span> used_at);

}  // namespace rolewall::policy
