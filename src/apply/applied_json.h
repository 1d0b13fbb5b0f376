// applied.json and kernel.json (state_directory.h), to and from text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "apply/applied.h"
#include "base/error.h"

namespace rolewall::apply {

inline constexpr const char* kKernelFile = "kernel.json";
inline constexpr std::size_t kMaxKernelFile = 64UL * 1024;

// `path` is for errors. Of format 2 with what it says of the kernel.
Result<Applied> applied_from_json(const std::string& path, std::string_view text);
std::string to_json(const Applied& applied);

std::string kernel_to_json(const Applied& applied);
// Fills in what kernel.json says of this generation, if it does and is whole.
void take_kernel(std::string_view text, Applied& applied);
// The boot and the network namespace in which something was put in force last; "" where kernel.json
// does not say.
struct Where {
  std::string boot_id;
  std::string network_namespace;
};
Where where_of(std::string_view text);

}  // namespace rolewall::apply
