// `current` and `boot` in the state directory: links to the generation in force, and to the one
// that the next boot loads; to `nothing` where there is none. A directory has both from its
// beginning on, so that one that is gone is a loss: the history says then what it said.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace rolewall::apply {

inline constexpr std::string_view kGenerations = "generations";
inline constexpr std::string_view kCurrentLink = "current";
inline constexpr std::string_view kBootLink = "boot";

// "generations/3".
std::string folder_of(std::uint32_t generation);

// The generations that are there, whole ones alone, the oldest first.
Result<std::vector<std::uint32_t>> list_generations(const std::string& directory);

// std::nullopt where there is none. By the link; where that is lost or damaged, by the history; an
// error where that does not say it either.
Result<std::optional<std::uint32_t>> current_number(const std::string& directory);
Result<std::optional<std::uint32_t>> boot_number(const std::string& directory);

// Whether it is gone or damaged, so that the history alone says where it led.
bool is_lost(const std::string& directory, std::string_view name);

// Which of the links are damaged, in words.
std::vector<std::string> damaged_links(const std::string& directory);

// Takes no room for a file's content. std::nullopt: to `nothing`.
Result<void> make_link(const std::string& directory, std::string_view name,
                       std::optional<std::uint32_t> generation);

}  // namespace rolewall::apply
