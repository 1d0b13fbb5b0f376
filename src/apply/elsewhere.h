// A state directory tells of one network namespace. Who asks in another, by `ip netns exec` or in a
// container that shares the directory, finds another kernel's table there: what is recorded is in
// force elsewhere, and no verb here may say that it is not any more.
#pragma once

#include <string>

#include "apply/world.h"
#include "base/error.h"

namespace rolewall::apply {

// Whether what it records as in force, or as waiting, was put there in this boot and in another
// namespace. Of an earlier boot nobody can say it: a container that was started again has another.
bool is_elsewhere(const std::string& state_directory, const World& world);

// For whoever changes the record or the kernel by it: an error of kind Refused. `boot` and `apply`
// go on, for they put it in force here: it is a problem that they report.
Result<void> refuse_elsewhere(const std::string& state_directory, const World& world);
std::string elsewhere_in_words(const std::string& state_directory);

}  // namespace rolewall::apply
