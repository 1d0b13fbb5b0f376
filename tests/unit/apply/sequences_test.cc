// Random sequences of the verbs, of what others do, of clocks, timers, reboots, kills, full disks
// and a kernel that fails or refuses, on a kernel in memory and a directory on disk; after each
// step the program is compared with the model (model.h). What was killed or
// found no room may be done or not, or as far as ending what was over: each
// part of the state is one of these, and whatever comes after goes on from
// there.
//
// A sequence that fails is reduced to the shortest that still does, and printed
// with its seed and what is there after each step. ROLEWALL_LONG_TESTS: 100,000 steps in place of
// 4,000; ROLEWALL_SHARE: that part of these; ROLEWALL_SEED: others.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "support/share.h"
#include "unit/apply/deeds.h"
#include "unit/apply/judge.h"

// In the C library's place, so that whoever is killed can be between two of its writes, and a disk
// can be read-only though root writes to it.
extern "C" int fsync(int) {
  auto& left = rolewall::apply::test::killing_sync;
  if (!left) return 0;
  if (*left == 0) {
    left.reset();
    throw rolewall::test::Killed();
  }
  --*left;
  return 0;
}

namespace {

long unless_read_only(bool writes, auto... call) {
  if (!writes || !rolewall::apply::test::disk_is_read_only) return ::syscall(call...);
  errno = EROFS;
  return -1;
}

int open_at(int folder, const char* path, int flags, unsigned mode) {
  const bool writes = (flags & (O_WRONLY | O_RDWR | O_CREAT)) != 0;
  return static_cast<int>(unless_read_only(writes, SYS_openat, folder, path, flags, mode));
}

}  // namespace

extern "C" int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const unsigned mode = (flags & O_CREAT) != 0 ? va_arg(more, unsigned) : 0;
  va_end(more);
  return open_at(AT_FDCWD, path, flags, mode);
}
extern "C" int openat(int folder, const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const unsigned mode = (flags & O_CREAT) != 0 ? va_arg(more, unsigned) : 0;
  va_end(more);
  return open_at(folder, path, flags, mode);
}
extern "C" int rename(const char* from, const char* to) noexcept {
  return static_cast<int>(unless_read_only(true, SYS_rename, from, to));
}
extern "C" int symlink(const char* to, const char* path) noexcept {
  return static_cast<int>(unless_read_only(true, SYS_symlink, to, path));
}
extern "C" int unlink(const char* path) noexcept {
  return static_cast<int>(unless_read_only(true, SYS_unlink, path));
}
extern "C" int unlinkat(int folder, const char* path, int flags) noexcept {
  return static_cast<int>(unless_read_only(true, SYS_unlinkat, folder, path, flags));
}
extern "C" int mkdir(const char* path, mode_t mode) noexcept {
  return static_cast<int>(unless_read_only(true, SYS_mkdir, path, mode));
}

namespace rolewall::apply {
namespace {

using namespace test;

// What has come to pass, over all sequences.
struct Figures {
  std::size_t steps = 0;
  std::size_t kills = 0;
  std::size_t reboots = 0;
  std::size_t full_disks = 0;  // or read-only
  std::size_t losses = 0;      // files that were taken away, spoilt or put back
  std::size_t failures = 0;    // of calls to the kernel
  std::size_t timers = 0;      // that have taken something back
};

// `trace`: gets what is there after each step.
std::string first_wrong(const std::vector<Deed>& deeds, Figures* figures = nullptr,
                        std::string* trace = nullptr) {
  Judge judge;
  for (std::size_t i = 0; i < deeds.size(); ++i) {
    std::string wrong = judge.step(deeds[i]);
    if (trace != nullptr) *trace += "  " + in_words(deeds[i]) + "\n" + judge.what_is_there();
    if (!wrong.empty()) {
      return fmt::format("after step {} ({}): {}", i + 1, in_words(deeds[i]), wrong);
    }
    if (figures == nullptr) continue;
    ++figures->steps;
    if (judge.killed) ++figures->kills;
    if (judge.failed) ++figures->failures;
    if (judge.timer_ended) ++figures->timers;
    if (deeds[i].what == Do::Reboot) ++figures->reboots;
    const bool is_full = deeds[i].with == With::FullDisk || deeds[i].with == With::ReadOnlyDisk;
    if (is_full) ++figures->full_disks;
    if (deeds[i].what >= Do::LosePending) ++figures->losses;
  }
  return "";
}

std::vector<Deed> random_deeds(std::mt19937& random, std::size_t count) {
  const auto below = [&](std::size_t most) {
    return std::uniform_int_distribution<std::size_t>(0, most - 1)(random);
  };
  std::vector<Deed> deeds;
  while (deeds.size() < count) {
    Deed deed;
    deed.what = static_cast<Do>(below(kDeeds));
    const bool is_damage = deed.what >= Do::LosePending;
    if (is_damage && below(2) != 0) continue;
    deed.which = static_cast<unsigned>(below(4));
    const bool applies = deed.what <= Do::RefreshConfirm;
    if (applies) deed.which %= kPolicies;
    if (deed.what == Do::MeetNewer) deed.step = below(15);
    const bool bans =
        (Do::Ban <= deed.what && deed.what <= Do::Unban) || deed.what == Do::SpoilBans;
    if (bans) deed.which = static_cast<unsigned>(below(kAddresses.size()));
    if (below(3) == 0 && deed.what != Do::MeetNewer)
      deed.with = static_cast<With>(1 + below(kWith - 1));
    if (deed.with == With::KilledBefore || deed.with == With::KilledAfter) deed.step = below(8);
    if (deed.with >= With::Fails) {
      deed.step = below(8);
      // A boot that fails falls back, for as long as it does.
      if (deed.what == Do::Boot) deed.with = With::Nothing;
    }
    if (deed.with == With::KilledAtDisk) deed.step = below(20);
    deeds.push_back(deed);
    // Of what was lost, the boot that follows most often.
    if (deed.what == Do::Reboot && below(4) != 0) deeds.push_back({.what = Do::Boot});
    const bool may_wait = deed.what == Do::ApplyConfirm || deed.what == Do::RollbackConfirm ||
                          deed.what == Do::DisableConfirm;
    if (may_wait && below(4) == 0) deeds.push_back({.what = Do::Wait, .which = 2});
    if (deeds.back().what == Do::Wait && below(3) == 0) {
      const With with = below(3) == 0 ? static_cast<With>(1 + below(kWith - 1)) : With::Nothing;
      deeds.push_back({.what = Do::TimerEnds, .with = with, .step = below(8)});
    }
  }
  return deeds;
}

// Without what it fails without, too.
std::vector<Deed> shortest(std::vector<Deed> deeds) {
  for (std::size_t size = deeds.size() / 2; size > 0; size /= 2) {
    for (std::size_t at = 0; at + size <= deeds.size();) {
      std::vector<Deed> fewer = deeds;
      fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(at),
                  fewer.begin() + static_cast<std::ptrdiff_t>(at + size));
      if (first_wrong(fewer).empty()) {
        at += size;
      } else {
        deeds = std::move(fewer);
      }
    }
  }
  return deeds;
}

TEST_CASE("random sequences of verbs do what the model says") {
  const char* given = std::getenv("ROLEWALL_SEED");
  const unsigned seed = given != nullptr ? static_cast<unsigned>(std::atoi(given)) : 20'261'128;
  const bool is_long = std::getenv("ROLEWALL_LONG_TESTS") != nullptr;
  const std::size_t steps = is_long ? 100'000 : 4'000 / rolewall::test::share();
  constexpr std::size_t kLength = 40;
  Figures figures;
  for (std::size_t sequence = 0; sequence * kLength < steps; ++sequence) {
    std::mt19937 random(seed + static_cast<unsigned>(sequence));
    const std::vector<Deed> deeds = random_deeds(random, kLength);
    if (first_wrong(deeds, &figures).empty()) continue;
    const std::vector<Deed> fewer = shortest(deeds);
    std::string trace;
    const std::string wrong = first_wrong(fewer, nullptr, &trace);
    std::string text = fmt::format("seed {}: {}\n", seed + sequence, wrong);
    for (const Deed& deed : fewer) text += "  " + in_words(deed) + "\n";
    text += "step by step:\n" + trace;
    FAIL_CHECK(text);
    return;
  }
  MESSAGE(fmt::format(
      "seed {}: {} steps, {} kills, {} reboots, {} full or read-only disks, "
      "{} files lost, spoilt or put back, {} failures of the kernel, {} timers that ended, "
      "0 differences",
      seed, figures.steps, figures.kills, figures.reboots, figures.full_disks, figures.losses,
      figures.failures, figures.timers));
}

// What the random ones have found, at its shortest.
TEST_CASE("sequences that once went wrong") {
  const std::vector<Deed> found_in_the_kernel{
      {.what = Do::Apply, .with = With::KilledAfter, .step = 3},
      {.what = Do::ApplyConfirm, .which = 1},
      {.what = Do::Rollback},
      {.what = Do::ApplyConfirm},  // gives its rules the lines that they come from
  };
  CHECK(first_wrong(found_in_the_kernel) == "");
  const std::vector<Deed> armed_and_killed{
      {.what = Do::ApplyForGood},
      {.what = Do::ApplyConfirm, .which = 2, .with = With::KilledBefore, .step = 2},
      {.what = Do::ApplyConfirm},  // is in force, and confirmed: nothing waits
  };
  CHECK(first_wrong(armed_and_killed) == "");
  const std::vector<Deed> confirmed_what_was_not_logged{
      {.what = Do::Apply},
      {.what = Do::Apply, .which = 1},
      {.what = Do::Rollback},
      {.what = Do::ApplyConfirm, .which = 2},
      {.what = Do::RollbackTo, .which = 1, .with = With::FullDisk},
      {.what = Do::ApplyForGood, .which = 1},
      {.what = Do::Rollback},  // not to what nobody has confirmed
  };
  CHECK(first_wrong(confirmed_what_was_not_logged) == "");
  const std::vector<Deed> bans_became_policy{
      {.what = Do::Apply, .which = 1},
      {.what = Do::Ban, .which = 4},
      {.what = Do::SetClock, .which = 3},
      {.what = Do::SpoilGeneration},
      {.what = Do::Apply},  // what the kernel holds becomes a generation
      {.what = Do::Flush},
      {.what = Do::Rollback},  // to that: the ban is over
  };
  CHECK(first_wrong(bans_became_policy) == "");
  const std::vector<Deed> waited_on_for_nothing{
      {.what = Do::Apply},
      {.what = Do::Apply, .which = 1},
      {.what = Do::ApplyConfirm, .which = 2},
      {.what = Do::RollbackTo, .which = 1, .with = With::FullDisk},  // nothing waits any more
      {.what = Do::DisableConfirm},
  };
  CHECK(first_wrong(waited_on_for_nothing) == "");
  const std::vector<Deed> killed_once_all_was_recorded{
      {.what = Do::ApplyForGood, .which = 2},
      {.what = Do::DisableConfirm},
      {.what = Do::Disable, .with = With::KilledAfter, .step = 0},
      {.what = Do::RollbackConfirm},
      {.what = Do::LosePending},  // what comes back is that there is no table
  };
  CHECK(first_wrong(killed_once_all_was_recorded) == "");
  const std::vector<Deed> what_boots_is_damaged{
      {.what = Do::Apply, .which = 2},
      {.what = Do::ApplyForGood},
      {.what = Do::Apply, .which = 2},
      {.what = Do::Apply, .which = 1},
      {.what = Do::RollbackTo, .which = 3},
      {.what = Do::Reboot},
      {.what = Do::SpoilGeneration, .which = 3},
      {.what = Do::ApplyConfirm, .which = 2},
      {.what = Do::RollbackToConfirm, .which = 1},
  };
  CHECK(first_wrong(what_boots_is_damaged) == "");
  // What was to come back is damaged: there is nothing to wait for.
  const std::vector<Deed> nothing_to_come_back{
      {.what = Do::ApplyForGood, .which = 1},
      {.what = Do::ApplyConfirm},
      {.what = Do::SpoilGeneration, .which = 1},
      {.what = Do::Wait, .which = 3},
      {.what = Do::ApplyConfirm},
  };
  CHECK(first_wrong(nothing_to_come_back) == "");
  const std::vector<Deed> another_was_to_wait{
      {.what = Do::ApplyForGood, .which = 1},
      {.what = Do::ApplyConfirm},
      {.what = Do::ApplyConfirm, .which = 1, .with = With::KilledBefore, .step = 2},
      {.what = Do::SpoilGeneration, .which = 2},
      {.what = Do::Wait, .which = 3},
      {.what = Do::ApplyConfirm},
  };
  CHECK(first_wrong(another_was_to_wait) == "");
  const std::vector<Deed> itself_would_come_back{
      {.what = Do::Apply},           {.what = Do::ApplyForGood, .which = 2},
      {.what = Do::RollbackConfirm}, {.what = Do::SpoilGeneration},
      {.what = Do::ApplyConfirm},    {.what = Do::ApplyConfirm},
  };
  CHECK(first_wrong(itself_would_come_back) == "");
  // Neither what was gone to nor its removal found room in the history.
  const std::vector<Deed> two_lines_are_missing{
      {.what = Do::ApplyConfirm},
      {.what = Do::ApplyConfirm, .which = 2},
      {.what = Do::ApplyConfirm},
      {.what = Do::RollbackTo, .which = 2, .with = With::FullDisk},
      {.what = Do::Disable, .with = With::FullDisk},
      {.what = Do::Rollback},
  };
  CHECK(first_wrong(two_lines_are_missing) == "");
  const std::vector<Deed> removed_by_half{
      {.what = Do::Apply, .which = 1},
      {.what = Do::DisableConfirm, .with = With::KilledBefore, .step = 1},
      {.what = Do::LosePending},
  };
  CHECK(first_wrong(removed_by_half) == "");
  const std::vector<Deed> gone_to_already{
      {.what = Do::Apply, .which = 2},
      {.what = Do::Disable, .with = With::FullDisk},
      {.what = Do::RollbackConfirm},
      {.what = Do::RollbackTo, .with = With::FullDisk},  // it waits: refused
      {.what = Do::Disable},
      {.what = Do::Rollback},
  };
  CHECK(first_wrong(gone_to_already) == "");
  // Another program's rule stands before what the rollback puts there.
  const std::vector<Deed> changed_while_it_waited{
      {.what = Do::ApplyForGood, .which = 1},
      {.what = Do::Meddle},
      {.what = Do::SpoilGeneration},
      {.what = Do::ApplyConfirm},
      {.what = Do::Meddle},
      {.what = Do::RollbackConfirm, .which = 3, .with = With::KilledAfter, .step = 4},
  };
  CHECK(first_wrong(changed_while_it_waited) == "");
  // By the history's last line what is gone to waits still.
  const std::vector<Deed> waits_by_its_last_line{
      {.what = Do::ApplyForGood},
      {.what = Do::Flush},
      {.what = Do::ApplyConfirm},
      {.what = Do::Confirm, .which = 3},
      {.what = Do::RollbackToConfirm, .which = 1},
      {.what = Do::RollbackConfirm, .which = 1, .with = With::FullDisk},
      {.what = Do::RollbackTo, .which = 1, .with = With::FullDisk},
      {.what = Do::DisableConfirm},
      {.what = Do::Wait, .which = 2},
      {.what = Do::ApplyConfirm},
      {.what = Do::RollbackConfirm, .which = 3},
  };
  CHECK(first_wrong(waits_by_its_last_line) == "");
  // The history's last word is of what waited, and the boot's of what was confirmed since.
  const std::vector<Deed> disabled_without_room{
      {.what = Do::Apply, .which = 1},
      {.what = Do::DisableConfirm},
      {.what = Do::Disable, .with = With::FullDisk},
      {.what = Do::ApplyConfirm, .which = 1},
      {.what = Do::LosePending, .which = 2},
  };
  CHECK(first_wrong(disabled_without_room) == "");
  // The removal was made for good, and its line found no room.
  const std::vector<Deed> gone_to_after_a_removal{
      {.what = Do::Apply, .which = 2},
      {.what = Do::ApplyForGood},
      {.what = Do::ApplyConfirm, .which = 1},
      {.what = Do::Disable},
      {.what = Do::ApplyForGood},
      {.what = Do::DisableConfirm},
      {.what = Do::Disable, .with = With::FullDisk},
      {.what = Do::RollbackToConfirm, .which = 3},
      {.what = Do::LosePending},
  };
  CHECK(first_wrong(gone_to_after_a_removal) == "");
  // pending.json says still that a removal waits, which never was in force.
  const std::vector<Deed> no_room_to_clear{
      {.what = Do::Apply, .which = 2},
      {.what = Do::ApplyConfirm, .which = 1},
      {.what = Do::DisableConfirm, .with = With::KilledBefore, .step = 1},
      {.what = Do::RollbackTo, .with = With::FullDisk},
  };
  CHECK(first_wrong(no_room_to_clear) == "");
  // Confirmed by the link, which was made first, and killed before its event.
  for (std::size_t step = 0; step < 12; ++step) {
    const std::vector<Deed> confirmed_by_half{
        {.what = Do::ApplyForGood},
        {.what = Do::ApplyConfirm, .which = 1},
        {.what = Do::Confirm, .with = With::KilledAtDisk, .step = step},
        {.what = Do::LoseHistory},
        {.what = Do::Rollback},
    };
    CHECK(first_wrong(confirmed_by_half) == "");
  }
  const std::vector<Deed> nothing_is_left_of_it{
      {.what = Do::ApplyForGood}, {.what = Do::Disable},     {.what = Do::RollbackConfirm},
      {.what = Do::LoseHistory},  {.what = Do::LosePending}, {.what = Do::DisableConfirm},
      {.what = Do::LosePending},
  };
  CHECK(first_wrong(nothing_is_left_of_it) == "");
  // A refresh is of what came into force last, though who applied it was killed before he said so.
  for (std::size_t step = 0; step < 8; ++step) {
    for (const With with : {With::KilledBefore, With::KilledAfter}) {
      const std::vector<Deed> refreshes_what_was_not_written_down{
          {.what = Do::Apply},
          {.what = Do::Apply, .which = 1, .with = with, .step = step},
          {.what = Do::Refresh, .which = 2},
      };
      CHECK(first_wrong(refreshes_what_was_not_written_down) == "");
    }
  }
  // Nor is what it took the place of a way back.
  for (std::size_t step = 0; step < 16; ++step) {
    const std::vector<Deed> refreshed_by_half{
        {.what = Do::Apply, .which = 1},
        {.what = Do::Refresh, .with = With::KilledAtDisk, .step = step},
        {.what = Do::RollbackConfirm},
    };
    CHECK(first_wrong(refreshed_by_half) == "");
  }
  const std::vector<Deed> overdue_on_a_read_only_disk{
      {.what = Do::ApplyConfirm},
      {.what = Do::Wait, .which = 3},
      {.what = Do::RefreshConfirm, .with = With::ReadOnlyDisk},
  };
  CHECK(first_wrong(overdue_on_a_read_only_disk) == "");
  // What waited when the machine went down is not gone back from once more.
  const std::vector<Deed> ended_by_a_boot_on_a_read_only_disk{
      {.what = Do::Apply, .which = 1},
      {.what = Do::Apply, .which = 3},
      {.what = Do::Disable, .which = 1},
      {.what = Do::RollbackConfirm, .which = 1},
      {.what = Do::Reboot, .which = 1},
      {.what = Do::Rollback, .which = 2, .with = With::ReadOnlyDisk},
  };
  CHECK(first_wrong(ended_by_a_boot_on_a_read_only_disk) == "");
  // A ban is for now: it does not wait for what is overdue and cannot be taken back.
  const std::vector<Deed> ban_beside_what_is_overdue{
      {.what = Do::ApplyConfirm, .which = 1},
      {.what = Do::Wait, .which = 2},
      {.what = Do::Ban, .which = 0, .with = With::Fails, .step = 0},
  };
  CHECK(first_wrong(ban_beside_what_is_overdue) == "");
  // An opening that the kernel refuses beside what is overdue is remembered all the same.
  const std::vector<Deed> opening_refused{
      {.what = Do::ApplyForGood, .which = 3},
      {.what = Do::DisableConfirm, .which = 2},
      {.what = Do::Wait, .which = 3},
      {.what = Do::BanForGood, .which = 5, .with = With::Refused, .step = 1},
      {.what = Do::DisableConfirm, .which = 2},
      {.what = Do::Unban, .which = 5},
  };
  CHECK(first_wrong(opening_refused) == "");
  // The boot's link is lost, and an apply is killed before the history has its event.
  const std::vector<Deed> boots_by_the_history{
      {.what = Do::ApplyForGood, .which = 1},
      {.what = Do::LoseLink, .which = 1},
      {.what = Do::Apply, .which = 3, .with = With::KilledAtDisk, .step = 6},
      {.what = Do::DisableConfirm},
  };
  CHECK(first_wrong(boots_by_the_history) == "");
  // What a refresh has made ready stays a refresh, though another verb is killed behind it.
  const std::vector<Deed> refresh_killed_twice{
      {.what = Do::ApplyForGood, .which = 3},
      {.what = Do::Refresh, .which = 2, .with = With::KilledAfter, .step = 2},
      {.what = Do::RollbackTo, .which = 3, .with = With::KilledBefore, .step = 0},
      {.what = Do::Rollback, .which = 1},
  };
  CHECK(first_wrong(refresh_killed_twice) == "");
  // A boot has no room to write that an interrupted apply is over.
  const std::vector<Deed> boot_without_room{
      {.what = Do::ApplyForGood, .which = 2, .with = With::KilledAtDisk, .step = 7},
      {.what = Do::Flush},
      {.what = Do::Boot, .which = 1, .with = With::FullDisk},
      {.what = Do::Rollback, .which = 3},
  };
  CHECK(first_wrong(boot_without_room) == "");
  // An apply for good over what waits is killed, and later the kernel does not say what it holds.
  const std::vector<Deed> kernel_says_nothing_of_it{
      {.what = Do::ApplyConfirm, .which = 1},
      {.what = Do::ApplyConfirm, .which = 2, .with = With::KilledAtDisk, .step = 18},
      {.what = Do::ApplyForGood, .which = 3, .with = With::KilledAtDisk, .step = 6},
      {.what = Do::Wait, .which = 2},
      {.what = Do::BanForGood, .which = 2, .with = With::Fails, .step = 0},
  };
  CHECK(first_wrong(kernel_says_nothing_of_it) == "");
  const std::vector<Deed> rolled_back_without_the_boots_link{
      {.what = Do::Apply, .which = 1},
      {.what = Do::LoseLink, .which = 1},
      {.what = Do::Disable},
      {.what = Do::Rollback, .which = 1, .with = With::KilledAtDisk, .step = 0},
      {.what = Do::Boot},
  };
  CHECK(first_wrong(rolled_back_without_the_boots_link) == "");
  // What waited in vain is the highest number that a lost history has left, and the same rules.
  const std::vector<Deed> taken_for_what_was_prepared{
      {.what = Do::ApplyForGood, .which = 2},
      {.what = Do::ApplyConfirm, .which = 1},
      {.what = Do::ApplyConfirm, .which = 2},
      {.what = Do::RollbackTo, .which = 1},
      {.what = Do::RollbackConfirm, .with = With::KilledAfter, .step = 2},
      {.what = Do::Wait, .which = 2},
      {.what = Do::LoseHistory},
      {.what = Do::Rollback, .with = With::FullDisk},
  };
  CHECK(first_wrong(taken_for_what_was_prepared) == "");
  const std::vector<Deed> with_room = [&] {
    std::vector<Deed> deeds = taken_for_what_was_prepared;
    deeds.back().with = With::Nothing;
    return deeds;
  }();
  CHECK(first_wrong(with_room) == "");
  // What it found in the kernel is recorded, and what it put there is not.
  for (std::size_t step = 10; step < 24; ++step) {
    const std::vector<Deed> found_and_killed{
        {.what = Do::Apply, .which = 3},
        {.what = Do::SpoilGeneration},
        {.what = Do::ApplyConfirm, .which = 2, .with = With::KilledAtDisk, .step = step},
        {.what = Do::RollbackConfirm},
    };
    CHECK(first_wrong(found_and_killed) == "");
  }
  // Neither a lost history nor a full disk says what was there before what waits.
  const std::vector<Deed> nobody_knows_what_was{
      {.what = Do::Apply, .which = 3},
      {.what = Do::DisableConfirm, .which = 2, .with = With::KilledBefore, .step = 4},
      {.what = Do::LoseHistory},
      {.what = Do::ApplyConfirm, .which = 1},
      {.what = Do::Disable, .with = With::FullDisk},
      {.what = Do::Rollback},
  };
  CHECK(first_wrong(nobody_knows_what_was) == "");
  // Nobody can tell any more whether that is what the kernel holds.
  const std::vector<Deed> prepared_and_damaged{
      {.what = Do::ApplyForGood, .which = 1, .with = With::KilledAfter, .step = 3},
      {.what = Do::SpoilGeneration},
      {.what = Do::Rollback, .which = 1},
  };
  CHECK(first_wrong(prepared_and_damaged) == "");
  // What waited below it would have been settled by the event that was not written, and waits on.
  const std::vector<Deed> not_settled_yet{
      {.what = Do::Apply, .which = 2},
      {.what = Do::Disable},
      {.what = Do::RollbackConfirm},
      {.what = Do::ApplyForGood, .with = With::KilledAtDisk, .step = 6},
      {.what = Do::LosePending, .which = 1},
      {.what = Do::RollbackConfirm},
      {.what = Do::Rollback},  // to what was in force before `disable`
  };
  CHECK(first_wrong(not_settled_yet) == "");
  const std::vector<Deed> damaged_before_that{
      {.what = Do::Apply, .which = 3},
      {.what = Do::Disable},
      {.what = Do::RollbackConfirm},
      {.what = Do::LosePending, .which = 3},
      {.what = Do::ApplyForGood, .which = 1, .with = With::KilledAtDisk, .step = 6},
      {.what = Do::RollbackConfirm},
      {.what = Do::RollbackConfirm},
  };
  CHECK(first_wrong(damaged_before_that) == "");
  // Nobody confirmed what had taken the place of what a boot loads: it is no way back from that.
  const std::vector<Deed> refreshed_and_taken_back{
      {.what = Do::Apply, .which = 1},
      {.what = Do::RefreshConfirm, .with = With::KilledAtDisk, .step = 10},
      {.what = Do::LosePending, .which = 2},
      {.what = Do::RefreshConfirm, .which = 2},
      {.what = Do::Reboot},
      {.what = Do::Boot},
      {.what = Do::Rollback},
  };
  CHECK(first_wrong(refreshed_and_taken_back) == "");
  // As long as its event is not written it is not confirmed, and what it would replace comes back.
  const std::vector<Deed> confirmed_by_half{
      {.what = Do::Apply, .which = 3},
      {.what = Do::RefreshConfirm, .which = 2},
      {.what = Do::Confirm, .with = With::KilledAtDisk, .step = 0},
      {.what = Do::RefreshConfirm},
      {.what = Do::RollbackConfirm, .with = With::KilledBefore, .step = 4},
      {.what = Do::RollbackConfirm},
  };
  CHECK(first_wrong(confirmed_by_half) == "");
  // Somebody has emptied the directory: a ban does not make it look like another program's.
  const std::vector<Deed> banned_in_an_empty_directory{
      {.what = Do::KeepCopy},    {.what = Do::ApplyConfirm, .which = 2},
      {.what = Do::PutCopyBack}, {.what = Do::BanForGood, .which = 5},
      {.what = Do::Apply},
  };
  CHECK(first_wrong(banned_in_an_empty_directory) == "");
  // Nothing came of it, and the process that waits has nothing to take back.
  for (std::size_t step = 8; step < 16; ++step) {
    const std::vector<Deed> waited_for_nothing{
        {.what = Do::ApplyConfirm, .which = 1, .with = With::KilledAtDisk, .step = step},
        {.what = Do::Wait, .which = 2},
        {.what = Do::TimerEnds},
    };
    CHECK(first_wrong(waited_for_nothing) == "");
  }
  // The kernel fails as what is overdue is to be taken back: no apply goes on over it.
  for (std::size_t step = 0; step < 6; ++step) {
    for (const With with : {With::Fails, With::AnswerLost}) {
      const std::vector<Deed> not_taken_back{
          {.what = Do::ApplyConfirm},
          {.what = Do::Wait, .which = 3},
          {.what = Do::ApplyForGood, .which = 3, .with = with, .step = step},
          {.what = Do::RollbackConfirm},
      };
      CHECK(first_wrong(not_taken_back) == "");
    }
  }
  // A confirmation without its event, once pending.json is gone, is written down.
  const std::vector<Deed> confirmed_without_its_event{
      {.what = Do::ApplyForGood, .which = 3},
      {.what = Do::RefreshConfirm, .which = 1},
      {.what = Do::Confirm, .with = With::KilledAtDisk, .step = 0},
      {.what = Do::LosePending, .which = 2},
      {.what = Do::RollbackConfirm, .which = 1},
  };
  CHECK(first_wrong(confirmed_without_its_event) == "");
  // A copy from before a restart, put back: whose table is in force nobody knows.
  const std::vector<Deed> copy_of_an_earlier_boot{
      {.what = Do::Apply},    {.what = Do::Disable}, {.what = Do::RollbackConfirm},
      {.what = Do::KeepCopy}, {.what = Do::Disable}, {.what = Do::Rollback},
      {.what = Do::Reboot},   {.what = Do::Boot},    {.what = Do::PutCopyBack},
      {.what = Do::Boot},
  };
  CHECK(first_wrong(copy_of_an_earlier_boot) == "");
  // Neither the apply nor the rollback came to its event: no number is used again.
  for (std::size_t first = 0; first < 16; ++first) {
    for (std::size_t second = 0; second < 8; ++second) {
      const std::vector<Deed> killed_twice{
          {.what = Do::Apply},
          {.what = Do::Disable},
          {.what = Do::Apply, .which = 1, .with = With::KilledAtDisk, .step = first},
          {.what = Do::Rollback, .with = With::KilledAtDisk, .step = second},
          {.what = Do::Disable},
          {.what = Do::Apply, .which = 2},
      };
      CHECK(first_wrong(killed_twice) == "");
    }
  }
  // The boot has nothing to go by but its link, which leads to what cannot be read.
  const std::vector<Deed> removal_and_its_history_lost{
      {.what = Do::Apply, .which = 2}, {.what = Do::DisableConfirm},  {.what = Do::LosePending},
      {.what = Do::LoseHistory},       {.what = Do::SpoilGeneration}, {.what = Do::Boot},
      {.what = Do::DisableConfirm},    {.what = Do::Rollback},
  };
  CHECK(first_wrong(removal_and_its_history_lost) == "");
  // What waited and is gone to has by the history's last word taken the place of what it refreshed.
  const std::vector<Deed> refreshed_by_its_number{
      {.what = Do::ApplyForGood, .which = 3},
      {.what = Do::RefreshConfirm, .which = 1},
      {.what = Do::Wait, .which = 2},
      {.what = Do::RollbackTo, .with = With::FullDisk},
      {.what = Do::RollbackConfirm, .which = 2},
  };
  CHECK(first_wrong(refreshed_by_its_number) == "");
  const std::vector<Deed> above_a_refresh{
      {.what = Do::ApplyForGood, .which = 3},
      {.what = Do::RefreshConfirm, .which = 1},
      {.what = Do::ApplyConfirm},
      {.what = Do::Wait, .which = 2},
      {.what = Do::RollbackTo, .with = With::FullDisk},
      {.what = Do::RollbackConfirm, .which = 2},
  };
  CHECK(first_wrong(above_a_refresh) == "");
  // Neither what was in force nor that it was taken away is written down.
  const std::vector<Deed> never_written_down{
      {.what = Do::Apply},
      {.what = Do::Disable},
      {.what = Do::Apply, .with = With::KilledAtDisk, .step = 6},
      {.what = Do::Disable, .with = With::FullDisk},
      {.what = Do::Rollback},
  };
  CHECK(first_wrong(never_written_down) == "");
  // Nor does what was interrupted say what boots, whatever else is lost.
  const std::vector<Deed> interrupted_without_the_boots_link{
      {.what = Do::Apply, .which = 2},
      {.what = Do::RefreshConfirm, .which = 1},
      {.what = Do::LoseLink, .which = 1},
      {.what = Do::ApplyConfirm, .which = 2, .with = With::KilledAtDisk, .step = 10},
      {.what = Do::LosePending, .which = 2},
      {.what = Do::Boot, .which = 2},
  };
  CHECK(first_wrong(interrupted_without_the_boots_link) == "");
  // What waits without a history waits on, whatever was killed over it.
  for (std::size_t step = 0; step < 12; ++step) {
    for (const Do what : {Do::RefreshConfirm, Do::ApplyConfirm, Do::ApplyForGood}) {
      const std::vector<Deed> waits_without_a_history{
          {.what = Do::ApplyConfirm, .which = 2},
          {.what = Do::LoseHistory},
          {.what = Do::RefreshConfirm, .which = 2},
          {.what = what, .which = 1, .with = With::KilledAtDisk, .step = step},
          {.what = Do::ApplyConfirm, .which = 1},
      };
      CHECK(first_wrong(waits_without_a_history) == "");
    }
  }
}

}  // namespace
}  // namespace rolewall::apply
