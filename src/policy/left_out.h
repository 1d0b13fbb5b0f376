// What holds where a rule leaves a key out, in words: "any", "accept".
#pragma once

#include <string_view>

namespace rolewall::policy {

// "none" of a key that then asks for nothing, as `limit`.
std::string_view if_left_out(std::string_view key);

}  // namespace rolewall::policy
