// The policies on a server beside what they say: the addresses that its last refresh found, and the
// files that what is in force was compiled from.
#pragma once

#include <string>

#include "apply/known_names.h"
#include "apply/policy_sources.h"
#include "base/error.h"
#include "cli/site_options.h"
#include "policy/lock.h"
#include "ruleset/snapshot.h"

namespace rolewall::cli {

policy::RefreshedNames refreshed_names_of(const apply::KnownNames& known);
// For SiteOptions::refreshed. What cannot be read counts as never refreshed, and is said.
policy::RefreshedNames refreshed_names(const std::string& state_directory);

// For ApplyOptions::sources. REQUIRES: the site was loaded with `remembers`.
std::string sources_of(const LoadedSite& site);

// The site again, as it was then.
LoadedSite load_recorded(const apply::PolicySources& sources, policy::Date date,
                         policy::RefreshedNames refreshed);

// The record is read later, in other directories.
ruleset::Snapshot with_whole_paths(ruleset::Snapshot snapshot);

}  // namespace rolewall::cli
