// Whether a flow between hosts of the site may pass as something else than its ends' rules say: by
// a [[nat]] rule of a host between them, or as what the receiver publishes. Told by words alone,
// and so perhaps true of what does not pass: who asks says nothing then.
#pragma once

#include <span>
#include <vector>

#include "policy/effective.h"

namespace rolewall::ask {

struct TranslatedFlow {
  const policy::ServiceList& services;
  std::span<const policy::HostPolicy* const> senders;
  std::span<const policy::HostPolicy* const> receivers;
};

// `translating`: of all hosts those with [[nat]] rules in force.
bool may_pass_translated(const policy::Policy& policy,
                         std::span<const policy::HostPolicy* const> translating,
                         const TranslatedFlow& flow);

}  // namespace rolewall::ask
