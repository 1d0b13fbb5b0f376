// tests/cases/small-site in memory, for tests that ask it.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "base/diagnostic.h"
#include "policy/policy.h"

namespace rolewall::test {

inline constexpr policy::Date kToday = std::chrono::year{2026} / 11 / 21;

using SiteFiles = std::map<std::string, std::string>;  // "web.toml": its text

// What `extra` names replaces or adds a file.
SiteFiles small_site(const SiteFiles& extra = {});

// Loads it; fails the test where it has errors.
policy::Policy load_site(const SiteFiles& files);
policy::Policy load_site(const SiteFiles& files, Diagnostics& diagnostics);  // whatever it has

// Reads words as `rolewall eval` does, or with `in_role` as a role's test does; fails the test
// where they are wrong.
policy::PacketWords words(const policy::Policy& policy, const std::string& text,
                          bool in_role = false);

policy::Index host(const policy::Policy& policy, const std::string& name);

}  // namespace rolewall::test
