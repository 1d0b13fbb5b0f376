// What was put in force, as it is read back: for whoever reads, these need no lock and create
// nothing. What was written is what is read (seal.h), or it is an error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apply/applied.h"
#include "base/error.h"
#include "ruleset/snapshot.h"

namespace rolewall::apply {

inline constexpr std::size_t kMaxSnapshotSize = std::size_t{1} << 30;

struct Generation {
  Applied applied;
  ruleset::Snapshot snapshot;
};

inline constexpr std::string_view kSourcesFile = "policies.json";

// ApplyOptions::sources of that generation; "" where it has none.
Result<std::string> read_sources(const std::string& directory, std::uint32_t generation);

// In force. std::nullopt where nothing is.
Result<std::optional<Generation>> current_generation(const std::string& directory);
// What the next boot puts in force: what was confirmed last.
Result<std::optional<Generation>> boot_generation(const std::string& directory);
// An error of kind Usage where there is none of that number, or not any more.
Result<Generation> read_generation(const std::string& directory, std::uint32_t generation);
// What there is to go back to; std::nullopt: no table.
Result<std::optional<Generation>> read_former(const std::string& directory,
                                              std::optional<std::uint32_t> former);
// Whether its record is whole; an error that says what is not.
Result<void> check_generation(const std::string& directory, std::uint32_t generation);

// What is recorded of the one in force, without its ruleset.
Result<std::optional<Applied>> current_applied(const std::string& directory);

// For whoever finds nothing in force: whether anything was, and is kept.
std::string why_none_is_in_force(const std::string& directory);

// What is kept, the oldest first. One that a writer sweeps away meanwhile is none.
struct Kept {
  std::vector<Applied> applied;
  struct Unreadable {
    std::uint32_t generation = 0;
    std::string why;
  };
  std::vector<Unreadable> unreadable;
};
Result<Kept> list_kept(const std::string& directory);

}  // namespace rolewall::apply
