// Whether what lies on the disk is what was written there: SHA-256 over all that boot loads.
//
// A generation's folder holds `seal`, a line for each other file in it as sha256sum(1) writes and
// checks them (`sha256sum -c seal`). What is small and changes is an object of JSON with its own
// checksum in the member `seal`, over the object without it. This finds what a disk, a crash or a
// hasty hand has spoilt; that no stranger wrote it is another question (state_files.h).
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace rolewall::apply {

// Of a generation: a file's name to its checksum.
using Seal = std::map<std::string, std::string>;

inline constexpr std::string_view kSealFile = "seal";

std::string sha256(std::string_view bytes);  // in hexadecimal

std::string to_text(const Seal& seal);
// Of `folder` in the state directory. std::nullopt where it has none.
Result<std::optional<Seal>> read_seal(const std::string& directory, std::string_view folder);

// A file of that folder, which must be what the seal says. `seal` null: of a format that had none.
Result<std::string> read_sealed_file(const std::string& directory, std::string_view folder,
                                     const Seal* seal, std::string_view name, std::size_t limit);

// The object with its checksum, on several lines, for a file of its own.
std::string sealed_file(nlohmann::json object);
// On one line, without the end of it.
std::string sealed_line(nlohmann::json object);
// std::nullopt where it is no object, or not the one that was sealed.
std::optional<nlohmann::json> unsealed(std::string_view text);
// The same of an object that may have no checksum, for what an older rolewall wrote.
std::optional<nlohmann::json> unsealed_or_old(std::string_view text);

}  // namespace rolewall::apply
