// [defaults]: what happens to what no rule decides, in site.toml and overridden in a role.
#pragma once

#include "policy/loader.h"

namespace rolewall::policy {

// Of `action` or of a default; what is none is reported.
std::optional<Action> read_action(const Value& value, Diagnostics& diagnostics);

DefaultsOverride read_defaults(const Value& table, Keys top, Diagnostics& diagnostics);

// The overrides that are set replace.
void apply_override(Defaults& defaults, const DefaultsOverride& override_);

// Reports, at the host, two of its roles that override one default differently.
void check_roles_agree(Loader& loader, const Host& host);

}  // namespace rolewall::policy
