// `format` in the state directory: in which form the rest of it is, and so whether it is ours at
// all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace rolewall::apply {

// The form of the directory that this version writes. A newer one is refused. Of the older ones, 2
// is read as it is, and brought to this one by the first who writes (older_format.h).
inline constexpr std::uint32_t kStateFormat = 3;
inline constexpr std::uint32_t kOldestFormat = 2;

inline constexpr std::string_view kFormatFile = "format";

// The number; std::nullopt where the file is not there yet. Ours where it is damaged and the
// directory has our links: each generation says itself whether it is whole.
Result<std::optional<std::uint32_t>> read_format(const std::string& directory);

// Whether this rolewall reads it.
Result<void> check_format(const std::string& directory);

// Of a directory of ours; who writes next makes it anew.
bool is_format_damaged(const std::string& directory);

// False where the directory is not there, or as good as empty. An error of kind Usage where it
// holds other things and no `format`: one that was named by mistake must not be written into, and
// nothing in it taken away.
Result<bool> is_in_use(const std::string& directory);

}  // namespace rolewall::apply
