// What the random sequences consist of (sequences_test.cc): the verbs, what others do, and what
// befalls them.
#pragma once

#include <fmt/format.h>
#include <sys/resource.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "apply/bans.h"
#include "unit/apply/machine.h"
#include "unit/apply/model.h"
#include "unit/apply/table.h"

namespace rolewall::apply::test {

enum class Do : std::uint8_t {
  Apply,
  ApplyConfirm,
  ApplyForGood,
  Refresh,
  RefreshConfirm,
  Confirm,
  Rollback,
  RollbackConfirm,
  RollbackExpired,
  RollbackTo,
  RollbackToConfirm,
  Disable,
  DisableConfirm,
  Boot,
  Ban,
  BanForGood,
  Unban,
  TimerEnds,  // the process that waits looks whether its time is over
  Flush,      // another program, all tables
  Meddle,     // another program, in our table
  Wait,       // time passes
  SetClock,
  Reboot,
  KeepCopy,     // of the directory
  LosePending,  // another hand, or the disk
  LoseHistory,
  LoseLink,     // or kernel.json
  PutCopyBack,  // the kernel and the clocks have gone on
  SpoilBans,
  SpoilGeneration,
  MeetNewer,  // a verb (`step`) meets a directory of a newer version, which is mended then
};
inline constexpr std::size_t kDeeds = 31;
inline constexpr std::array<const char*, kDeeds> kNames{"apply",
                                                        "apply --confirm",
                                                        "apply --no-confirm",
                                                        "refresh",
                                                        "refresh --confirm",
                                                        "confirm",
                                                        "rollback",
                                                        "rollback --confirm",
                                                        "rollback --expired",
                                                        "rollback --to one of the last",
                                                        "rollback --to --confirm",
                                                        "disable",
                                                        "disable --confirm",
                                                        "boot",
                                                        "ban",
                                                        "ban for good",
                                                        "unban",
                                                        "the timer ends",
                                                        "flush",
                                                        "meddle",
                                                        "wait",
                                                        "set the clock",
                                                        "reboot",
                                                        "keep a copy",
                                                        "lose pending.json",
                                                        "lose history.log",
                                                        "lose a link",
                                                        "put the copy back",
                                                        "spoil bans.log",
                                                        "spoil one of the last generations",
                                                        "meet a newer version's directory"};

enum class With : std::uint8_t {
  Nothing,
  KilledBefore,
  KilledAfter,
  FullDisk,
  KilledAtDisk,
  ReadOnlyDisk,
  Fails,       // a call to the kernel
  AnswerLost,  // it was done
  Refused,     // by the kernel, a message
};
inline constexpr std::size_t kWith = 9;
inline constexpr std::array<const char*, kWith> kTroubles{"",
                                                          ", killed before",
                                                          ", killed after",
                                                          ", disk full",
                                                          ", killed at the disk's",
                                                          ", disk read-only",
                                                          ", the kernel fails at",
                                                          ", the kernel's answer lost at",
                                                          ", the kernel refuses at"};

struct Deed {
  Do what = Do::Apply;
  unsigned which = 0;  // policy, address, time
  With with = With::Nothing;
  std::size_t step = 0;  // of the kernel's, or of what is to be on the disk, at which it is killed
};

inline bool bans_or_opens(Do what) {
  return what == Do::Ban || what == Do::BanForGood || what == Do::Unban;
}

inline std::string in_words(const Deed& deed) {
  return fmt::format("{} {}{} {}", kNames[static_cast<std::size_t>(deed.what)], deed.which,
                     kTroubles[static_cast<std::size_t>(deed.with)], deed.step);
}

inline constexpr unsigned kPolicies = 4;
inline constexpr unsigned kOfOtherHost = 3;  // with the rules of the first
// Who is banned, and to whom a port is opened.
inline constexpr const char* kOpened = "tcp/22 from 192.0.2.9";
inline constexpr std::array<const char*, 6> kAddresses{"192.0.2.1", "192.0.2.2", "203.0.113.9",
                                                       kWhole,      kPart,       kOpened};
inline RunTimeEntry entry_of(const std::string& whom) {
  RunTimeEntry entry;
  if (whom == kOpened) {
    entry.opened = Opening{.protocol = 6, .port = 22, .from = *net::parse_address("192.0.2.9")};
  } else {
    entry.banned = net::parse_prefix(whom);
  }
  return entry;
}
inline std::string name_of(const RunTimeEntry& entry) {
  return entry.banned ? net::format(*entry.banned) : std::string(kOpened);
}
inline std::string name_in_log(const std::string& whom) {
  return whom == kOpened ? "allow 6 22 192.0.2.9" : "ban " + whom;
}
inline constexpr std::array<std::uint64_t, 4> kWaits{7, 31, 61, 4'001};  // seconds
inline constexpr std::array<std::int64_t, 4> kClocks{-500'000'000, -3'000, 3'000, 500'000'000};
inline constexpr std::int64_t kBanSeconds = 3'607;
inline constexpr std::chrono::seconds kConfirmWithin{60};
inline constexpr std::uint64_t kConfirmMs = 60'000;

inline Snapshot policy(unsigned which) {
  Snapshot snapshot = firewall_with_bans();
  if (which == kOfOtherHost) snapshot.host.name = "other";
  for (unsigned i = 0; i < which % kOfOtherHost; ++i) {
    own_table(snapshot).chains[0].rules.push_back(rule("more", {Counter{}}));
  }
  return snapshot;
}

// At which fsync(2) who calls it is killed, counted from 0: all that it has written is there, and
// nothing after it. sequences_test.cc has the function.
inline std::optional<std::size_t> killing_sync;
// Whether nothing can be written: the functions are there, too.
inline bool disk_is_read_only = false;

// Files cannot grow while it lives: what a full disk does, but for links and folders.
class FullDisk {
 public:
  explicit FullDisk(bool full) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    if (!full) return;
    rlimit none = before_;
    none.rlim_cur = 0;
    std::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &none);
  }
  ~FullDisk() { ::setrlimit(RLIMIT_FSIZE, &before_); }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit before_{};
};

}  // namespace rolewall::apply::test
