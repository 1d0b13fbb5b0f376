// What was put in force, on disk; apply.h says what the directory holds. Every change is made aside
// and renamed, so that a reader, or a boot after a crash, finds the old state or the new one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "ruleset/snapshot.h"

namespace rolewall::apply {

// The form of the directory that this version writes. A newer one is refused.
inline constexpr std::uint32_t kStateFormat = 1;
// Older generations are removed, so that the directory does not grow for ever.
inline constexpr std::size_t kKeptGenerations = 20;
inline constexpr std::size_t kMaxSnapshotSize = std::size_t{1} << 30;

// applied.json.
struct Applied {
  std::uint32_t generation = 0;  // the directory's name
  std::string at;                // RFC 3339, UTC
  std::string by;                // "root", or "root (sudo alice)"
  std::string host;
  std::string boot_id;
  std::string network_namespace;
  std::uint32_t kernel_generation = 0;
  bool operator==(const Applied&) const = default;
};

// Now, by this user, in this boot and network namespace. `generation` is left 0.
Applied applied_now(const std::string& host, std::uint32_t kernel_generation);

struct Generation {
  Applied applied;
  ruleset::Snapshot snapshot;
};

// For readers: needs no lock and creates nothing. std::nullopt where nothing is in force.
Result<std::optional<Generation>> current_generation(const std::string& directory);

// For writers, one at a time: holds the lock while it lives.
class StateDirectory {
 public:
  // Makes the directory where it is missing. An error of kind Conflict where another process holds
  // the lock for longer than `kLockSeconds`.
  static constexpr int kLockSeconds = 10;
  static Result<StateDirectory> open(const std::string& directory);
  ~StateDirectory();
  StateDirectory(StateDirectory&& other) noexcept;
  StateDirectory& operator=(StateDirectory&&) = delete;

  Result<std::optional<Generation>> current() const { return current_generation(path_); }

  // Writes the next generation and makes it the current one; returns its number.
  Result<std::uint32_t> record(const ruleset::Snapshot& snapshot, Applied applied);

  // The generation that is in force stands unchanged in the kernel, whose own count has moved on.
  Result<void> note_kernel_generation(const Generation& current, std::uint32_t kernel_generation);

  // Boot then loads nothing. Returns whether there was a current one.
  Result<bool> forget_current();

 private:
  StateDirectory(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}

  std::string path_;
  int lock_ = -1;
};

}  // namespace rolewall::apply
