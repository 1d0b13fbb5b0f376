// "Did you mean": the nearest of the names that would have been right.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace rolewall {

// The candidate nearest to `word` in edit distance (a swap of neighbours counts one), if it is near
// enough to be a slip of the finger. Of equals the first that begins as `word` does, else the
// first.
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates);

// "did you mean `x`?", "did you mean `x` or `y`?" of those as near, or "" where nothing is.
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates);

}  // namespace rolewall
