// The directory in which everything stands that has to outlast a boot; apply.h says what it holds.
// Every change is made aside and renamed, so that a reader, or a boot after a crash, finds the old
// state or the new one. All of it is read by state_files.h, which decides whom to trust.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "apply/events.h"
#include "apply/file_lock.h"
#include "apply/generations.h"
#include "apply/state_format.h"
#include "apply/state_links.h"
#include "base/error.h"
#include "ruleset/snapshot.h"

namespace rolewall::apply {

// Older generations are removed, so that the directory does not grow for ever.
inline constexpr std::size_t kKeptGenerations = 20;

// Whether an error of open() says that the directory can be read and not written, and nothing else:
// no reason to leave the firewall as it is.
bool is_unwritable(const Error& error);

// For writers, one at a time: holds the lock while it lives.
class StateDirectory {
 public:
  static constexpr std::chrono::seconds kPatience{10};
  // Makes the directory where it is missing, and brings an older format to ours. An error of kind
  // Conflict where another process holds the lock for longer than `kPatience`; of kind Usage where
  // the directory holds other things and no `format`: it is somebody else's.
  static Result<StateDirectory> open(const std::string& directory);
  // For whoever has nothing to write where nothing was applied: makes none. std::nullopt where
  // there is none, or an empty one.
  static Result<std::optional<StateDirectory>> open_existing(const std::string& directory);

  const std::string& path() const { return path_; }
  // What of the directory itself was damaged and is right since it was opened, in words; or "".
  const std::string& mended() const { return mended_; }
  Result<std::optional<Generation>> current() const { return current_generation(path_); }

  // Writes the next generation, which is not in force yet; returns its number. All that needs room
  // on the disk is done here, but for kernel.json, which can be done without.
  // `sources`: ApplyOptions::sources.
  Result<std::uint32_t> prepare(const ruleset::Snapshot& snapshot, Applied applied,
                                const std::string& sources = "");
  // What was prepared and did not come into force.
  void discard(std::uint32_t generation);

  // std::nullopt: nothing is in force, or nothing is loaded by a boot.
  Result<void> make_current(std::optional<std::uint32_t> generation);
  Result<void> make_boot(std::optional<std::uint32_t> generation);
  // A file that is no longer wanted; success where it is not there.
  Result<void> remove(std::string_view name);
  Result<void> write(std::string_view name, std::string_view content);

  // The generation that is in force, with the mark at which the kernel holds it (kernel.json).
  Result<void> note(const Applied& applied);
  Result<void> append(const Event& event);

 private:
  StateDirectory(std::string path, FileLock lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  std::string path_;
  FileLock lock_;
  std::string mended_;
};

}  // namespace rolewall::apply
