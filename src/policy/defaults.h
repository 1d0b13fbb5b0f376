// [defaults]: what happens to what no rule decides, in site.toml and overridden in a role.
#pragma once

#include "policy/loader.h"

namespace rolewall::policy {

std::optional<Action> parse_action(std::string_view text);

DefaultsOverride read_defaults(const Value& table, Keys top, Diagnostics& diagnostics);

// The overrides that are set replace.
void apply_override(Defaults& defaults, const DefaultsOverride& override_);

// Reports, at the host, two of its roles that override one default differently.
void check_roles_agree(Loader& loader, const Host& host);

}  // namespace rolewall::policy
