// Who put a generation in force, when and for whom: what is recorded beside its ruleset.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apply/guard_facts.h"
#include "apply/kernel.h"
#include "apply/world.h"
#include "base/error.h"
#include "net/address.h"

namespace rolewall::apply {

// applied.json; boot_id, network_namespace and mark are kernel.json's, which is written anew at
// each boot and is of the generation in force alone. Where it is not there, they are empty: nothing
// is believed.
struct Applied {
  std::uint32_t generation = 0;  // the directory's name
  std::string at;                // RFC 3339, UTC
  std::string by;                // "root", or "root (sudo alice)"
  std::string host;
  std::string policies;  // their directory, absolute; "" where an older version applied
  std::string boot_id;
  std::string network_namespace;
  KernelMark mark{};                         // at which the kernel holds it (belief.h)
  std::string changes;                       // in a line, for the history
  std::optional<std::uint32_t> refreshes{};  // in place of that generation, by `refresh`
  std::vector<net::Prefix> management;       // whom a ban must not hit
  SiteHosts site;                            // nor these
  std::string machine;                       // its devices and addresses then (guard_facts.h)
  bool operator==(const Applied&) const = default;
};

// Who is at work: "root (sudo alice)".
std::string own_name();

// Now, by this user, in this world. `generation` and `mark` are left 0.
Applied applied_now(const World& world, const std::string& host);

// The same boot and network namespace: what was recorded then may still be so.
bool is_of(const Applied& applied, const World& world);

// Of the generation in force, for whoever must know who manages this host and reads no policy;
// where nothing is in force, or its record is damaged, of what was in force before, or else of the
// newest that is kept.
Result<std::optional<Applied>> last_known_applied(const std::string& directory);

}  // namespace rolewall::apply
