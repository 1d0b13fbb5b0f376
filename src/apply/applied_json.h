// applied.json and kernel.json (state_directory.h), to and from text.
#pragma once

#include <string>
#include <string_view>

#include "apply/state_directory.h"
#include "base/error.h"

namespace rolewall::apply {

inline constexpr const char* kKernelFile = "kernel.json";

// `path` is for errors. Of format 2 with what it says of the kernel.
Result<Applied> applied_from_json(const std::string& path, std::string_view text);
std::string to_json(const Applied& applied);

std::string kernel_to_json(const Applied& applied);
// Fills in what kernel.json says of this generation, if it does and is whole.
void take_kernel(std::string_view text, Applied& applied);

}  // namespace rolewall::apply
