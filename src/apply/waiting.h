// What waits for its confirmation: the one place where that is decided, for every verb.
//
// `pending.json` says it. Where somebody has taken it away, or it cannot be read, that is no
// confirmation: where the last word of the history on what is in force is that it waits, it still
// does, and only its deadline is lost. The process that waits knows that still. Where the history
// cannot be read either, what is in force and not what a boot would load is taken to wait. And
// where neither says that something waits, nothing does.
#pragma once

#include <optional>
#include <string>

#include "apply/pending.h"
#include "apply/world.h"

namespace rolewall::apply {

struct Waiting {
  std::optional<Pending> pending{};
  std::string problem{};  // what is wrong with pending.json, and what that means; "": nothing
};

// What pending.json says to wait is what a boot loads, and confirmed by the history's last word, if
// it has any: whoever did it was killed before the file was gone.
bool is_confirmed(const std::string& directory, const Pending& armed);

// In this boot, or when the machine went down.
Waiting whatever_waits(const std::string& directory);
// In this boot: what waited when the machine went down is over.
Waiting what_waits(const std::string& directory, const World& world);

// Its time is over, and it was not rolled back: the process that should have is gone, or cannot.
bool is_overdue(const Pending& pending, const World& world);
// That, or the machine was restarted since.
bool is_over(const Pending& pending, const World& world);

}  // namespace rolewall::apply
