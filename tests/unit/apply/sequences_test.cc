// Random sequences of the verbs, of what others do, of clocks, reboots, kills and full disks, on a
// kernel in memory and a directory on disk; after each step the program is compared with the model
// (model.h). What was killed or found no room may be done or not, or as far as ending what was
// over: each part of the state is one of these, and whatever comes after goes on from there.
//
// A sequence that fails is reduced to the shortest that still does, and printed with its seed.
// ROLEWALL_LONG_TESTS: 100,000 steps in place of 4,000; ROLEWALL_SHARE: that part of these;
// ROLEWALL_SEED: others.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "apply/apply.h"
#include "apply/ban_log.h"
#include "apply/bans.h"
#include "apply/restore.h"
#include "support/memory_kernel.h"
#include "unit/apply/machine.h"
#include "unit/apply/model.h"
#include "unit/apply/table.h"

namespace rolewall::apply {
namespace {

using namespace test;
using rolewall::test::Killed;
using rolewall::test::Trouble;

enum class Do : std::uint8_t {
  Apply,
  ApplyConfirm,
  ApplyForGood,
  Confirm,
  Rollback,
  RollbackConfirm,
  RollbackExpired,
  Disable,
  DisableConfirm,
  Boot,
  Ban,
  BanForGood,
  Unban,
  Flush,   // another program, all tables
  Meddle,  // another program, in our table
  Wait,    // time passes
  SetClock,
  Reboot,
};
constexpr std::size_t kDeeds = 18;
constexpr std::array<const char*, kDeeds> kNames{"apply",
                                                 "apply --confirm",
                                                 "apply --no-confirm",
                                                 "confirm",
                                                 "rollback",
                                                 "rollback --confirm",
                                                 "rollback --expired",
                                                 "disable",
                                                 "disable --confirm",
                                                 "boot",
                                                 "ban",
                                                 "ban for good",
                                                 "unban",
                                                 "flush",
                                                 "meddle",
                                                 "wait",
                                                 "set the clock",
                                                 "reboot"};

enum class With : std::uint8_t { Nothing, KilledBefore, KilledAfter, FullDisk };
constexpr std::array<const char*, 4> kTroubles{"", ", killed before", ", killed after",
                                               ", disk full"};

struct Deed {
  Do what = Do::Apply;
  unsigned which = 0;  // policy, address, time
  With with = With::Nothing;
  std::size_t step = 0;  // of the kernel's, at which it is killed
};

std::string in_words(const Deed& deed) {
  return fmt::format("{} {}{} {}", kNames[static_cast<std::size_t>(deed.what)], deed.which,
                     kTroubles[static_cast<std::size_t>(deed.with)], deed.step);
}

constexpr unsigned kPolicies = 3;
constexpr std::array<const char*, 5> kAddresses{"192.0.2.1", "192.0.2.2", "203.0.113.9", kWhole,
                                                kPart};
constexpr std::array<std::uint64_t, 4> kWaits{7, 31, 61, 4'001};  // seconds
constexpr std::array<std::int64_t, 4> kClocks{-500'000'000, -3'000, 3'000, 500'000'000};
constexpr std::int64_t kBanSeconds = 3'607;
constexpr std::chrono::seconds kConfirmWithin{60};
constexpr std::uint64_t kConfirmMs = 60'000;

Snapshot policy(unsigned which) {
  Snapshot snapshot = firewall_with_bans();
  for (unsigned i = 0; i < which; ++i) {
    own_table(snapshot).chains[0].rules.push_back(rule("more", {Counter{}}));
  }
  return snapshot;
}

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

class Judge {
 public:
  bool killed = false;  // in the last step

  Judge() { std::filesystem::create_directories(disk_.state()); }

  // What is wrong after it; "" for nothing.
  std::string step(const Deed& deed) {
    killed = false;
    if (is_of_others(deed.what)) {
      happen(deed);
      return compare({model_});
    }
    model_.now = store_.now_ms;
    model_.wall = world_.wall;
    const Model before = model_;
    bool done = false;
    store_.fault = {};
    store_.steps.clear();
    if (deed.with == With::KilledBefore || deed.with == With::KilledAfter) {
      store_.fault.step = deed.step;
      store_.fault.trouble =
          deed.with == With::KilledBefore ? Trouble::KilledBefore : Trouble::KilledAfter;
    }
    {
      const FullDisk full(deed.with == With::FullDisk);
      try {
        done = run(deed);
      } catch (const Killed&) {
        killed = true;
      }
    }
    store_.fault = {};
    const std::uint32_t number = generation(current_number(disk_.state()));
    Model ended = before;
    ended.carry_out_overdue();
    Model after = before;
    const bool promised = run_model(deed, after, number);
    if (deed.with == With::FullDisk || killed) {
      std::string wrong = compare({before, ended, after});
      if (wrong.empty()) take_over({before, ended, after});
      const auto events = read_events(disk_.state());
      const bool unlogged = events && in_force_by(events->all).value_or(0) != 0;
      const bool disables = deed.what == Do::Disable || deed.what == Do::DisableConfirm;
      if (disables && model_.in_force().generation == 0) {
        model_.applied.back().is_unlogged = unlogged;
      }
      return wrong;
    }
    model_ = after;
    if (done != promised) {
      return fmt::format("it says that it is {}done", done ? "" : "not ");
    }
    if (model_.waits) take_deadline();
    return compare({model_});
  }

 private:
  static bool is_of_others(Do what) {
    return what == Do::Flush || what == Do::Meddle || what == Do::Wait || what == Do::SetClock ||
           what == Do::Reboot;
  }

  void happen(const Deed& deed) {
    switch (deed.what) {
      case Do::Flush:
        store_.flush_ruleset();
        model_.put({});
        break;
      case Do::Meddle:
        if (store_.own() == nullptr) break;
        store_.own()->chains[0].rules.push_back(rule("stranger", {Counter{}}));
        store_.touch();
        model_.kernel = held();
        break;
      case Do::Wait:
        store_.now_ms += kWaits[deed.which] * 1'000;
        world_.wall += static_cast<std::int64_t>(kWaits[deed.which]);
        break;
      case Do::SetClock:
        world_.wall += kClocks[deed.which];
        break;
      case Do::Reboot:
        world_.reboot();
        model_.reboot();
        break;
      case Do::Apply:
      case Do::ApplyConfirm:
      case Do::ApplyForGood:
      case Do::Confirm:
      case Do::Rollback:
      case Do::RollbackConfirm:
      case Do::RollbackExpired:
      case Do::Disable:
      case Do::DisableConfirm:
      case Do::Boot:
      case Do::Ban:
      case Do::BanForGood:
      case Do::Unban:
        break;
    }
  }

  static RunTimeEntry entry(const Deed& deed) {
    RunTimeEntry entry;
    entry.banned = net::parse_prefix(kAddresses[deed.which]);
    if (deed.what == Do::Ban) entry.left = std::chrono::seconds(kBanSeconds);
    return entry;
  }

  // The program.
  bool run(const Deed& deed) {
    const std::string state = disk_.state();
    ApplyOptions options;
    switch (deed.what) {
      case Do::ApplyConfirm:
        options.confirm_within = kConfirmWithin;
        [[fallthrough]];
      case Do::ApplyForGood:
        options.for_good = deed.what == Do::ApplyForGood;
        [[fallthrough]];
      case Do::Apply: {
        const auto done = apply::apply(policy(deed.which), state, options, world_);
        return done && done->report;
      }
      case Do::Confirm: {
        const auto done = confirm(state, world_);
        return done && done->what == Confirmation::Confirmed;
      }
      case Do::Rollback:
        return rollback(state, {}, world_).has_value();
      case Do::RollbackConfirm:
        return rollback(state, {}, world_, nullptr, kConfirmWithin).has_value();
      case Do::RollbackExpired: {
        const auto done = rollback_expired(state, world_);
        return done && *done;
      }
      case Do::Disable:
        return disable(state, world_).has_value();
      case Do::DisableConfirm:
        return disable(state, world_, nullptr, kConfirmWithin).has_value();
      case Do::Boot:
        return boot(state, world_).has_value();
      case Do::Ban:
      case Do::BanForGood:
        return rollback_expired(state, world_) && add_entry(entry(deed), state, world_);
      case Do::Unban:
        return rollback_expired(state, world_) && remove_entry(entry(deed), state, world_);
      case Do::Flush:
      case Do::Meddle:
      case Do::Wait:
      case Do::SetClock:
      case Do::Reboot:
        break;
    }
    return false;
  }

  static bool run_model(const Deed& deed, Model& model, std::uint32_t number) {
    const Policy wanted = policy_of(policy(deed.which).ruleset.tables[0]);
    switch (deed.what) {
      case Do::Apply:
        return model.apply(wanted, 0, false, number);
      case Do::ApplyConfirm:
        return model.apply(wanted, kConfirmMs, false, number);
      case Do::ApplyForGood:
        return model.apply(wanted, 0, true, number);
      case Do::Confirm:
        return model.confirm();
      case Do::Rollback:
        return model.rollback();
      case Do::RollbackConfirm:
        return model.rollback(kConfirmMs);
      case Do::RollbackExpired:
        return model.is_overdue() && model.carry_out_overdue();
      case Do::Disable:
        return model.disable();
      case Do::DisableConfirm:
        return model.disable(kConfirmMs);
      case Do::Boot:
        return model.boot(), true;
      case Do::Ban:
        return model.ban(kAddresses[deed.which], kBanSeconds);
      case Do::BanForGood:
        return model.ban(kAddresses[deed.which], 0);
      case Do::Unban:
        return model.unban(kAddresses[deed.which]);
      case Do::Flush:
      case Do::Meddle:
      case Do::Wait:
      case Do::SetClock:
      case Do::Reboot:
        break;
    }
    return false;
  }

  // --- What is there
  // ------------------------------------------------------------------------------

  Policy held() {
    if (store_.own() == nullptr) return {};
    return policy_of(*store_.own());
  }

  static std::uint32_t generation(const Result<std::optional<std::uint32_t>>& number) {
    return number && *number ? **number : 0;
  }

  std::vector<std::string> banned() const {
    std::vector<std::string> all;
    if (const auto entries = list_entries(world_)) {
      for (const RunTimeEntry& each : *entries) all.push_back(net::format(*each.banned));
    }
    return all;
  }

  // "" where each part is as in one of these.
  std::string compare(const std::vector<Model>& any) {
    const auto none = [&](const auto& fits) { return std::ranges::none_of(any, fits); };
    const Policy kernel = held();
    if (none([&](const Model& model) { return model.kernel == kernel; })) {
      return "the kernel holds another table";
    }
    const std::uint32_t current = generation(current_number(disk_.state()));
    if (none([&](const Model& model) { return model.in_force().generation == current; })) {
      return fmt::format("generation {} is recorded as in force, not {}", current,
                         any.back().in_force().generation);
    }
    const std::uint32_t boots = generation(boot_number(disk_.state()));
    if (none([&](const Model& model) { return model.boots.generation == boots; })) {
      return fmt::format("generation {} would be booted, not {}", boots,
                         any.back().boots.generation);
    }
    for (const std::uint32_t number : {current, boots}) {
      if (number != 0 && !read_generation(disk_.state(), number)) return "its record is damaged";
    }
    const auto pending = read_pending(disk_.state());
    if (!pending) return pending.error().message;
    if (any.size() == 1) {
      const Model& model = any.front();
      if (pending->has_value() != model.waits.has_value()) {
        return pending->has_value() ? "something waits" : "nothing waits";
      }
      if (*pending && (*pending)->generation.value_or(0) != model.waits->what.generation) {
        return name_of_waiting(**pending) + " waits";
      }
      if (const auto now = status(disk_.state(), std::nullopt, world_);
          !now || !now->unreadable.empty()) {
        return "status cannot say anything";
      }
    }
    return compare_bans(any);
  }

  std::string compare_bans(const std::vector<Model>& any) {
    const std::vector<std::string> there = banned();
    for (const char* whom : kAddresses) {
      const bool is_there = std::ranges::find(there, whom) != there.end();
      const bool fits = std::ranges::any_of(any, [&](const Model& model) {
        const auto ban = model.bans.find(whom);
        if (ban == model.bans.end()) return !is_there;
        // The clocks of kernel and log differ by less than that.
        constexpr std::uint64_t kNear = 3'000;
        const std::uint64_t now = store_.now_ms;
        if (ban->second - std::min(ban->second, now) < kNear &&
            now - std::min(ban->second, now) < kNear) {
          return true;
        }
        return is_there == (ban->second > now);
      });
      if (!fits) return fmt::format("{} is {}banned", whom, is_there ? "" : "not ");
    }
    return "";
  }

  // --- After trouble
  // ------------------------------------------------------------------------------

  State state_of(std::optional<std::uint32_t> number) {
    if (!number) return {};
    const auto read = read_generation(disk_.state(), *number);
    if (!read) return {*number, {}};
    return {.generation = *number,
            .policy = policy_of(read->snapshot.ruleset.tables[0]),
            .is_found = read->snapshot.sources.empty()};
  }

  void take_deadline() {
    const auto pending = read_pending(disk_.state());
    if (pending && *pending) model_.waits->deadline = (*pending)->deadline_ns / 1'000'000;
  }

  void take_over(const std::vector<Model>& any) {
    const std::uint32_t current = generation(current_number(disk_.state()));
    model_ = *std::ranges::find_if(
        any, [&](const Model& model) { return model.in_force().generation == current; });
    model_.kernel = held();
    model_.boots = state_of(boot_number(disk_.state()).value_or(std::nullopt));
    model_.waits.reset();
    if (const auto pending = read_pending(disk_.state()); pending && *pending) {
      model_.waits = {state_of((*pending)->generation), state_of((*pending)->former),
                      (*pending)->deadline_ns / 1'000'000, (*pending)->boot_id == world_.boot_id()};
    }
    model_.bans.clear();
    if (const auto entries = list_entries(world_)) {
      for (const RunTimeEntry& each : *entries) {
        model_.bans[net::format(*each.banned)] =
            each.left ? store_.now_ms + static_cast<std::uint64_t>(each.left->count()) * 1'000
                      : UINT64_MAX;
      }
    }
    take_remembered(any);
  }

  // As before or as after, whichever the log says.
  void take_remembered(const std::vector<Model>& any) {
    const Remembered log = read_log(disk_.state(), world_);
    model_.remembered.clear();
    for (const char* whom : kAddresses) {
      const auto there = std::ranges::find_if(
          log.entries, [&](const RunTimeEntry& each) { return net::format(*each.banned) == whom; });
      for (const Model* model : {&any.front(), &any.back()}) {
        const auto entry = model->remembered.find(whom);
        if (entry == model->remembered.end()) continue;
        const auto& [until, given] = entry->second;
        const std::int64_t left = std::min(until - world_.wall, given);
        const bool is_over = given != 0 && left <= 0;
        const bool fits = there == log.entries.end() ? is_over
                          : given == 0               ? !there->left
                                                     : there->left && there->left->count() == left;
        if (fits) model_.remembered[whom] = entry->second;
      }
    }
  }

  MemoryStore store_;
  MemoryWorld world_{store_};
  Scratch disk_;
  Model model_;
};

// What has come to pass, over all sequences.
struct Figures {
  std::size_t steps = 0;
  std::size_t kills = 0;
  std::size_t reboots = 0;
  std::size_t full_disks = 0;
};

std::string first_wrong(const std::vector<Deed>& deeds, Figures* figures = nullptr) {
  Judge judge;
  for (std::size_t i = 0; i < deeds.size(); ++i) {
    if (std::string wrong = judge.step(deeds[i]); !wrong.empty()) {
      return fmt::format("after step {} ({}): {}", i + 1, in_words(deeds[i]), wrong);
    }
    if (figures == nullptr) continue;
    ++figures->steps;
    if (judge.killed) ++figures->kills;
    if (deeds[i].what == Do::Reboot) ++figures->reboots;
    if (deeds[i].with == With::FullDisk) ++figures->full_disks;
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
    deed.which = static_cast<unsigned>(below(4));
    const bool applies = deed.what <= Do::ApplyForGood;
    if (applies) deed.which %= kPolicies;
    const bool bans = Do::Ban <= deed.what && deed.what <= Do::Unban;
    if (bans) deed.which = static_cast<unsigned>(below(kAddresses.size()));
    if (below(6) == 0) deed.with = static_cast<With>(1 + below(3));
    if (deed.with == With::KilledBefore || deed.with == With::KilledAfter) deed.step = below(8);
    deeds.push_back(deed);
    // Of what was lost, the boot that follows most often.
    if (deed.what == Do::Reboot && below(4) != 0) deeds.push_back({.what = Do::Boot});
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
  const char* share = std::getenv("ROLEWALL_SHARE");
  const std::size_t parts = share != nullptr ? std::max(1, std::atoi(share)) : 1;
  const std::size_t steps = std::getenv("ROLEWALL_LONG_TESTS") != nullptr ? 100'000 : 4'000 / parts;
  constexpr std::size_t kLength = 40;
  Figures figures;
  for (std::size_t sequence = 0; sequence * kLength < steps; ++sequence) {
    std::mt19937 random(seed + static_cast<unsigned>(sequence));
    const std::vector<Deed> deeds = random_deeds(random, kLength);
    if (first_wrong(deeds, &figures).empty()) continue;
    const std::vector<Deed> fewer = shortest(deeds);
    std::string text = fmt::format("seed {}: {}\n", seed + sequence, first_wrong(fewer));
    for (const Deed& deed : fewer) text += "  " + in_words(deed) + "\n";
    FAIL_CHECK(text);
    return;
  }
  MESSAGE(fmt::format("seed {}: {} steps, {} kills, {} reboots, {} full disks, 0 differences", seed,
                      figures.steps, figures.kills, figures.reboots, figures.full_disks));
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
}

}  // namespace
}  // namespace rolewall::apply
