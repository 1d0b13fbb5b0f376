#include "apply/recorded_facts.h"

#include <utility>

#include "apply/applied.h"
#include "apply/machine_facts.h"

namespace rolewall::apply {

Result<GuardFacts> recorded_facts(const std::string& state_directory) {
  auto facts = machine_facts();
  if (!facts) return facts;
  auto applied = last_known_applied(state_directory);
  if (!applied) return std::unexpected(std::move(applied).error());
  if (!*applied) return facts;
  facts->management = std::move((*applied)->management);
  facts->site = std::move((*applied)->site);
  narrow_relays(*facts);
  return facts;
}

}  // namespace rolewall::apply
