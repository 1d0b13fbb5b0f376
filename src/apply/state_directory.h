// What was put in force, on disk; apply.h says what the directory holds. Every change is made aside
// and renamed, so that a reader, or a boot after a crash, finds the old state or the new one. All
// of it is read by state_files.h, which decides whom to trust, and what was written is what is read
// (seal.h), or it is an error.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apply/events.h"
#include "apply/file_lock.h"
#include "apply/guard_facts.h"
#include "apply/kernel.h"
#include "apply/world.h"
#include "base/error.h"
#include "net/address.h"
#include "ruleset/snapshot.h"

namespace rolewall::apply {

// The form of the directory that this version writes. A newer one is refused. Of the older ones, 2
// is read as it is, and brought to this one by the first who writes (older_format.h).
inline constexpr std::uint32_t kStateFormat = 3;
inline constexpr std::uint32_t kOldestFormat = 2;
// Older generations are removed, so that the directory does not grow for ever.
inline constexpr std::size_t kKeptGenerations = 20;
inline constexpr std::size_t kMaxSnapshotSize = std::size_t{1} << 30;

// applied.json; boot_id, network_namespace and mark are kernel.json's, which is written anew at
// each boot and is of the generation in force alone. Where it is not there, they are empty: nothing
// is believed.
struct Applied {
  std::uint32_t generation = 0;  // the directory's name
  std::string at;                // RFC 3339, UTC
  std::string by;                // "root", or "root (sudo alice)"
  std::string host;
  std::string boot_id;
  std::string network_namespace;
  KernelMark mark{};                    // at which the kernel holds it (belief.h)
  std::string changes;                  // in a line, for the history
  std::vector<net::Prefix> management;  // whom a ban must not hit
  SiteHosts site;                       // nor these
  std::string machine;                  // its devices and addresses then (guard_facts.h)
  bool operator==(const Applied&) const = default;
};

// Who is at work: "root (sudo alice)".
std::string own_name();

// Now, by this user, in this world. `generation` and `mark` are left 0.
Applied applied_now(const World& world, const std::string& host);

// The same boot and network namespace: what was recorded then may still be so.
bool is_of(const Applied& applied, const World& world);

struct Generation {
  Applied applied;
  ruleset::Snapshot snapshot;
};

// For readers: these need no lock and create nothing.
//
// In force. std::nullopt where nothing is.
Result<std::optional<Generation>> current_generation(const std::string& directory);
// What the next boot puts in force: what was confirmed last.
Result<std::optional<Generation>> boot_generation(const std::string& directory);
// An error of kind Usage where there is none of that number, or not any more.
Result<Generation> read_generation(const std::string& directory, std::uint32_t generation);
// What there is to go back to; std::nullopt: no table.
Result<std::optional<Generation>> read_former(const std::string& directory,
                                              std::optional<std::uint32_t> former);
// Numbers alone; std::nullopt where there is none. By the links `current` and `boot`; where one is
// lost or damaged, by the history.
Result<std::optional<std::uint32_t>> current_number(const std::string& directory);
Result<std::optional<std::uint32_t>> boot_number(const std::string& directory);
// Which of the links are damaged, in words.
std::vector<std::string> damaged_links(const std::string& directory);
// What is recorded of the one in force, without its ruleset.
Result<std::optional<Applied>> current_applied(const std::string& directory);
// The same for whoever must know who manages this host and reads no policy: where nothing is in
// force, or its record is damaged, of what was in force before, or else of the newest that is kept.
Result<std::optional<Applied>> last_known_applied(const std::string& directory);

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

// For writers, one at a time: holds the lock while it lives.
class StateDirectory {
 public:
  // Makes the directory where it is missing, and brings an older format to ours. An error of kind
  // Conflict where another process holds the lock for longer than `kPatience`; of kind Usage where
  // the directory holds other things and no `format`: it is somebody else's.
  static constexpr std::chrono::seconds kPatience{10};
  static Result<StateDirectory> open(const std::string& directory);

  const std::string& path() const { return path_; }
  Result<std::optional<Generation>> current() const { return current_generation(path_); }

  // Writes the next generation, which is not in force yet; returns its number. All that needs room
  // on the disk is done here, but for kernel.json, which can be done without.
  Result<std::uint32_t> prepare(const ruleset::Snapshot& snapshot, Applied applied);
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
};

}  // namespace rolewall::apply
