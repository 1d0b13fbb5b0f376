// What the verbs promise, as plainly as it can be said: no kernel, no disk, no crash. A state is a
// generation and what the kernel would hold of it; generation 0, without a table, is none.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ruleset/ruleset.h"

namespace rolewall::apply::test {

using Policy = std::optional<ruleset::Ruleset>;

struct State {
  std::uint32_t generation = 0;
  Policy policy{};
  bool is_unlogged = false;  // the history had no room for it
  bool is_found = false;     // in the kernel, where nobody knows of which lines it comes
  bool goes_back = false;    // once confirmed, what came after it first is taken away
  bool operator==(const State& other) const { return generation == other.generation; }
};

// Two prefixes that are banned, of which one is part of the other.
inline constexpr const char* kWhole = "10.8.0.0/16";
inline constexpr const char* kPart = "10.8.4.0/24";

struct Model {
  struct Waits {
    State what;
    State former;
    std::uint64_t deadline = 0;  // as `now`
    bool of_this_boot = true;
  };
  struct Remembered {
    std::int64_t until = 0;  // as `wall`
    std::int64_t given = 0;  // seconds; 0: for good
  };

  Policy kernel;                                 // what filters packets
  std::vector<State> applied{{}};                // in force by our hand, the present last
  State boots;                                   // confirmed last
  std::optional<Waits> waits;                    // for its confirmation
  std::map<std::string, std::uint64_t> bans;     // the kernel's, until when; UINT64_MAX: for good
  std::map<std::string, Remembered> remembered;  // in the log
  std::uint64_t now = 0;                         // milliseconds since boot
  std::int64_t wall = 0;                         // seconds, as somebody has set them

  const State& in_force() const { return applied.back(); }
  bool is_overdue() const { return waits && waits->of_this_boot && waits->deadline <= now; }

  void put(const Policy& policy) {
    if (policy && !kernel) recall();
    if (!policy) bans.clear();
    kernel = policy;
  }

  // No longer than it was given at first, whatever the clock says.
  void recall() {
    bans.clear();
    for (const auto& [whom, entry] : remembered) {
      const std::int64_t left = std::min(entry.until - wall, entry.given);
      if (entry.given == 0) bans[whom] = UINT64_MAX;
      if (left > 0) bans[whom] = now + static_cast<std::uint64_t>(left) * 1000;
    }
    if (is_banned(kWhole) && is_banned(kPart)) {
      bans[kWhole] = std::max(bans[kWhole], bans[kPart]);
      bans.erase(kPart);
    }
  }
  bool is_banned(const std::string& whom) const {
    const auto ban = bans.find(whom);
    return ban != bans.end() && ban->second > now;
  }

  void go_back_to(const State state) {
    while (applied.size() > 1 && applied.back().is_unlogged) applied.pop_back();
    const auto there = std::find(applied.rbegin(), applied.rend(), state);
    if (there == applied.rend()) {
      applied.back() = state;
    } else {
      applied.erase(there.base(), applied.end());
    }
    boots = state;
    waits.reset();
    put(state.policy);
  }

  // In force for good, and with it all that waited below it.
  void settle() {
    for (std::size_t i = 1; i < applied.size(); ++i) {
      if (!std::exchange(applied[i].goes_back, false)) continue;
      const auto end = applied.begin() + static_cast<std::ptrdiff_t>(i) + 1;
      const auto there = std::find(applied.begin(), end, applied[i]);
      if (there + 1 != end) applied.erase(there + 1, end);
      i = static_cast<std::size_t>(there - applied.begin());
    }
    boots = in_force();
    waits.reset();
  }

  // Every verb that changes something begins so: what waited for too long, or when the machine went
  // down, is over. Returns whether something was rolled back.
  bool carry_out_overdue() {
    if (waits && !waits->of_this_boot) return go_back_to(boots), true;
    if (is_overdue()) return go_back_to(waits->former), true;
    return false;
  }

  // `generation`: the one that the new state gets, if it is new. `within`: 0: no confirmation is
  // asked for. Returns whether it is done.
  bool apply(const Policy& policy, std::uint64_t within, bool for_good, std::uint32_t generation) {
    carry_out_overdue();
    if (waits && within == 0 && !for_good) return false;
    State former = waits ? waits->former : in_force();
    const bool sends = kernel != policy;
    const bool known = !sends && in_force().policy == policy && !in_force().is_found;
    // What the kernel holds and nobody applied is something to go back to.
    if (!waits && !in_force().policy && kernel && kernel != policy && within != 0) {
      former = {.generation = generation - 1, .policy = kernel, .is_found = true};
      applied.push_back(former);
      boots = former;
    }
    applied.back().is_unlogged = false;  // the next event says what it found
    if (!known) applied.push_back({generation, policy});
    put(policy);
    if (within != 0 && (sends || waits) && in_force() != former) {
      waits = {in_force(), former, now + within};
    } else {
      settle();
    }
    return true;
  }

  // Returns whether what waited is confirmed: only what is in force can be.
  bool confirm() {
    if (carry_out_overdue() || !waits || waits->what != in_force()) return false;
    if (!kernel && waits->what.policy) return put(waits->what.policy), false;
    if (kernel != waits->what.policy) return false;
    settle();
    return true;
  }

  // Returns whether there was something to go back to. What was confirmed last needs no
  // confirmation.
  bool rollback(std::uint64_t within = 0) {
    if (carry_out_overdue()) return true;
    if (waits) return go_back_to(waits->former), true;
    const auto before = std::find_if(applied.rbegin() + 1, applied.rend(), [&](const State& state) {
      return state.policy && state != in_force();
    });
    if (before == applied.rend()) return false;
    if (within == 0) return go_back_to(*before), true;
    State target = *before;
    target.goes_back = true;
    let_wait(target, within);
    return true;
  }

  void let_wait(const State& state, std::uint64_t within) {
    applied.back().is_unlogged = false;  // the event says what it found
    const State former = in_force();
    applied.push_back(state);
    put(state.policy);
    waits = {state, former, now + within};
  }

  bool disable(std::uint64_t within = 0) {
    // What nobody confirmed is nothing to come back to.
    const bool is_removed = waits && in_force() == State() && waits->what == State();
    const State confirmed = !waits ? in_force() : waits->of_this_boot ? waits->former : boots;
    if (within != 0 && !confirmed.policy && kernel) return false;
    if (within != 0 && confirmed.policy && is_removed) {
      put({});
      waits = {State(), confirmed, now + within};
      return true;
    }
    if (waits) go_back_to(confirmed);
    if (within != 0 && in_force().policy) return let_wait({}, within), true;
    if (in_force().policy) applied.emplace_back();
    boots = {};
    put({});
    return true;
  }

  void reboot() {
    kernel.reset();
    bans.clear();
    if (waits) waits->of_this_boot = false;
  }

  void boot() {
    if (carry_out_overdue()) return;
    if (waits && !in_force().policy && waits->what != in_force()) {
      return go_back_to(waits->former);
    }
    if (const State& state = waits ? in_force() : boots; state.policy) put(state.policy);
  }

  // One that has begun counts whole.
  std::int64_t seconds_to(std::uint64_t until) const {
    if (until == UINT64_MAX) return INT64_MAX;
    return static_cast<std::int64_t>((until - now + 999) / 1000);
  }

  // Seconds, 0: for good. Returns whether it is banned for so long.
  bool ban(const std::string& whom, std::int64_t seconds) {
    if (is_overdue()) carry_out_overdue();
    if (!kernel) return false;
    std::uint64_t until =
        seconds == 0 ? UINT64_MAX : now + static_cast<std::uint64_t>(seconds) * 1000;
    if (whom == kPart && is_banned(kWhole)) return seconds_to(bans[kWhole]) >= seconds_to(until);
    if (whom == kWhole && is_banned(kPart)) {
      until = std::max(until, bans[kPart]);
      bans.erase(kPart);
      remembered.erase(kPart);
    }
    bans[whom] = until;
    const std::int64_t left = seconds_to(until);
    remembered[whom] = left == INT64_MAX ? Remembered() : Remembered{wall + left, left};
    return true;
  }
  bool unban(const std::string& whom) {
    if (is_overdue()) carry_out_overdue();
    if (!kernel) return false;
    bans.erase(whom);
    remembered.erase(whom);
    return true;
  }
};

}  // namespace rolewall::apply::test
