// What the verbs promise, as plainly as it can be said: no kernel, no disk, no crash. A state is a
// generation and what the kernel would hold of it; generation 0, without a table, is none.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ruleset/ruleset.h"

namespace rolewall::apply::test {

using Policy = std::optional<ruleset::Ruleset>;

struct State {
  std::uint32_t generation = 0;
  Policy policy{};
  bool is_of_other_host = false;  // the same rules, for a host of another name
  bool is_unlogged = false;       // the history had no room for it
  bool is_found = false;          // in the kernel, where nobody knows of which lines it comes
  bool goes_back = false;         // once confirmed, what came after it first is taken away
  bool refreshes = false;         // once confirmed, it takes the place of what is below it
  bool is_waiting = false;        // for its confirmation
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
  std::set<std::uint32_t> damaged;               // generations that cannot be read any more
  bool history_is_empty = true;                  // or lost
  std::optional<State> prepared;                 // by who was killed, and not recorded as in force
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
    take_back_to(state);
    let_nothing_wait();
    boots = state;
    put(state.policy);
  }
  void take_back_to(const State& state) {
    const auto there = std::find(applied.rbegin(), applied.rend(), state);
    if (there != applied.rend()) {
      applied.erase(there.base(), applied.end());
      return;
    }
    // Another took its place, and was not confirmed: that is gone, too.
    while (applied.size() > 1 && applied.back().is_waiting) applied.pop_back();
    applied.back() = state;
  }

  bool is_whole(const State& state) const { return !damaged.contains(state.generation); }

  // The nearest that was confirmed and can be read, of what was in force before.
  std::optional<State> whole_before(const State& state) const {
    if (history_is_empty) return std::nullopt;
    auto from = std::find(applied.rbegin(), applied.rend(), state);
    if (from == applied.rend()) from = applied.rbegin();
    for (; from != applied.rend(); ++from) {
      if (from->policy && *from != state && !from->is_waiting && is_whole(*from)) return *from;
    }
    return std::nullopt;
  }

  // In force for good, and with it all that waited below it.
  void settle() {
    let_nothing_wait();
    boots = in_force();
  }
  void let_nothing_wait() {
    waits.reset();
    for (State& state : applied) state.is_waiting = false;
    for (std::size_t i = 1; i < applied.size(); ++i) {
      if (applied[i].refreshes) {
        take_the_place(i);
        --i;
        continue;
      }
      if (!std::exchange(applied[i].goes_back, false)) continue;
      // As if it had not waited: to where it was last.
      std::size_t there = i;
      while (there > 0 && applied[there - 1] != applied[i]) --there;
      if (there == 0) continue;
      const auto begin = applied.begin();
      applied.erase(begin + static_cast<std::ptrdiff_t>(there),
                    begin + static_cast<std::ptrdiff_t>(i) + 1);
      i = there - 1;
    }
  }

  // Who was killed before the commit has left what waits and never was in force: nothing came of it
  // where the kernel holds what is recorded. What it took the place of waits on.
  void clear_interrupted() {
    end_what_never_was();
    // What was in force and not written down is, now.
    applied.back().is_unlogged = false;
    const auto made = std::exchange(prepared, std::nullopt);
    const bool differs = is_whole(in_force()) && kernel != in_force().policy;
    if (made && is_whole(*made) && kernel && kernel == made->policy && differs) {
      applied.push_back(*made);
      let_nothing_wait();
    }
  }
  void end_what_never_was() {
    if (!waits || waits->what == in_force()) return;
    if (waits->of_this_boot && kernel != in_force().policy) return;
    if (waits->of_this_boot && !is_whole(in_force())) return;
    // Of a history that is lost the links are left.
    const bool waited = history_is_empty ? boots != in_force() : in_force().is_waiting;
    if (!waited) return waits.reset();
    const auto confirmed =
        std::ranges::find(applied.rbegin(), applied.rend(), false, &State::is_waiting);
    const State by_history = confirmed == applied.rend() ? State() : *confirmed;
    waits->what = in_force();
    waits->former = history_is_empty ? boots : by_history;
  }

  // Every verb that changes something begins so: what waited for too long, or when the machine went
  // down, is over. What was confirmed comes back, or where that is damaged, what was before it.
  enum class Over : std::uint8_t { No, RolledBack, NothingIsLeft };
  Over end_what_is_over() {
    clear_interrupted();
    if (!waits || (waits->of_this_boot && !is_overdue())) return Over::No;
    const State confirmed = waits->of_this_boot ? waits->former : boots;
    const auto back = is_whole(confirmed) ? std::optional(confirmed) : whole_before(confirmed);
    if (!back) return Over::NothingIsLeft;
    go_back_to(*back);
    return Over::RolledBack;
  }

  // The process that waits has in memory what comes back. Where pending.json is lost, it is asked
  // elsewhere (cli/overdue.sh). Returns whether it has taken something back.
  bool timer() {
    if (!is_overdue()) return false;
    clear_interrupted();
    if (!is_overdue()) return false;
    return go_back_to(waits->former), true;
  }

  // `generation`: the one that the new state gets, if it is new. `within`: 0: no confirmation is
  // asked for. Returns whether it is done.
  bool apply(const Policy& policy, std::uint64_t within, bool for_good, std::uint32_t generation,
             bool of_other_host) {
    const bool is_over = end_what_is_over() == Over::NothingIsLeft;
    const bool still_waits = waits && !is_over;
    if (still_waits && within == 0 && !for_good) return false;
    const bool is_spoilt = !is_whole(in_force());
    State former = is_spoilt ? State() : in_force();
    if (still_waits) {
      const State confirmed = waits->former;
      former = is_whole(confirmed) ? confirmed : whole_before(confirmed).value_or(former);
    }
    const bool sends = kernel != policy;
    const bool known = !sends && !is_spoilt && in_force().policy == policy &&
                       !in_force().is_found && in_force().is_of_other_host == of_other_host;
    // What the kernel holds and nobody applied, or whose record is damaged, is something to go back
    // to.
    const bool is_unrecorded = !still_waits && (is_spoilt || !in_force().policy);
    if (is_unrecorded && kernel && sends && (is_spoilt || within != 0)) {
      former = {.generation = generation - 1, .policy = kernel, .is_found = true};
      applied.push_back(former);
      boots = former;
    }
    applied.back().is_unlogged = false;  // the next event says what it found
    if (!known) applied.push_back({generation, policy, of_other_host});
    put(policy);
    const bool waits_anew = waits && (still_waits || !known);
    // What waits did not come into force whole, and what was confirmed still is.
    const bool is_confirmed = known && still_waits && waits->former == in_force();
    const bool is_all_there_is = known && former == in_force();  // what was before is damaged
    if (within != 0 && (sends || waits_anew) && !is_confirmed && !is_all_there_is) {
      applied.back().is_waiting = true;
      waits = {in_force(), former, now + within};
    } else {
      settle();
    }
    return true;
  }

  // An apply that takes the place of what is in force: the same policy with other addresses. Where
  // there is no table, no record of what is in force, or something waits, it is not done.
  bool refresh(const Policy& policy, std::uint64_t within, std::uint32_t generation,
               bool of_other_host) {
    const bool was_down = waits && !waits->of_this_boot;
    const Over over = end_what_is_over();
    // It was to refresh what is not in force any more.
    if (over == Over::RolledBack && was_down) return false;
    if (waits && over != Over::NothingIsLeft && within == 0) return false;
    if (!in_force().policy || !is_whole(in_force()) || !kernel) return false;
    const std::size_t before = applied.size();
    if (!apply(policy, within, false, generation, of_other_host)) return false;
    if (applied.size() == before) return true;
    applied.back().refreshes = true;
    if (!applied.back().is_waiting) take_the_place(applied.size() - 1);
    return true;
  }
  void take_the_place(std::size_t i) {
    applied[i].refreshes = false;
    applied.erase(applied.begin() + static_cast<std::ptrdiff_t>(i) - 1);
  }

  // Returns whether what waited is confirmed: only what is in force can be.
  bool confirm() {
    if (end_what_is_over() != Over::No || !waits || waits->what != in_force()) return false;
    if (!is_whole(waits->what)) return false;
    if (!kernel && waits->what.policy) return put(waits->what.policy), false;
    if (kernel != waits->what.policy) return false;
    settle();
    return true;
  }

  // Returns whether there was something to go back to. What was confirmed last needs no
  // confirmation.
  bool rollback(std::uint64_t within = 0) {
    const Over over = end_what_is_over();
    if (over != Over::No) return over == Over::RolledBack;
    if (waits && !is_whole(waits->former)) return false;
    if (waits) return go_back_to(waits->former), true;
    if (history_is_empty) return false;
    const auto before = std::find_if(applied.rbegin() + 1, applied.rend(), [&](const State& state) {
      return state.policy && state != in_force();
    });
    if (before == applied.rend() || !is_whole(*before)) return false;
    if (within == 0) return go_back_to(*before), true;
    if (!is_whole(in_force())) return false;
    State target = *before;
    target.goes_back = true;
    let_wait(target, within);
    return true;
  }

  // To one by its number. What waits is confirmed or undone, and not gone to; what is in force for
  // good is at most loaded again.
  bool rollback_to(const std::optional<State>& target, std::uint64_t within = 0) {
    end_what_is_over();
    if (!target || !is_whole(*target) || (waits && waits->what == *target)) return false;
    const bool again = !waits && *target == in_force();
    if (again && boots == *target) return put(target->policy), true;
    if (waits && waits->former == *target) return go_back_to(*target), true;
    const bool lets_wait = within != 0 && !again;
    if (lets_wait && !is_whole(waits ? waits->former : in_force())) return false;
    const Model before = *this;
    if (waits) go_back_to(waits->former);
    kernel = before.kernel;  // one step there, whatever the history says
    bans = before.bans;
    if (lets_wait) {
      boots = before.boots;  // though that may be damaged: a boot has the policies then
      State state = *target;
      state.goes_back = true;
      let_wait(state, within);
      return true;
    }
    applied.back().is_unlogged = false;
    if (!again) go_to(*target);
    put(target->policy);
    settle();
    return true;
  }

  // Where it was in force before, all above it is taken away; else it is the next.
  void go_to(const State& target) {
    const auto there = std::find(applied.rbegin(), applied.rend(), target);
    if (there == applied.rend()) return applied.push_back(target);
    applied.erase(there.base(), applied.end());
  }

  // The history found no room for that: by its last word, `logged`, and the link, what is in force
  // is what it was when it was in force before.
  void gone_to_unlogged(std::vector<State> logged) {
    const State there = in_force();
    if (history_is_empty) logged = {there};
    while (logged.size() > 1 && logged.back().is_waiting) logged.pop_back();
    const auto before = std::find(logged.rbegin(), logged.rend(), there);
    if (before == logged.rend()) {
      logged.push_back(there);
    } else {
      logged.erase(before.base(), logged.end());
    }
    applied = std::move(logged);
  }

  // The history found no room for what was done since it began to wait, and pending.json is gone:
  // it waits on.
  void waits_by_history(std::vector<State> confirmed) {
    State waiting = in_force();
    waiting.is_waiting = waiting.goes_back = true;
    applied = std::move(confirmed);
    applied.push_back(waiting);
  }

  // Another hand takes pending.json away or spoils it: that is no confirmation. By the history what
  // is in force waits on, unless a boot loads it; where that is lost, too, a spoilt file still says
  // that something did.
  // `below`: what waits below what is in force, put there by who was killed before he said that it
  // waits no more.
  void lose_pending(bool is_gone, bool history_is_lost, bool of_this_boot,
                    const std::vector<State>& below) {
    if (!waits) return;
    const bool is_known =
        boots != in_force() && (history_is_lost ? !is_gone : in_force().is_waiting);
    if (!is_known) return let_nothing_wait();
    const auto confirmed =
        std::ranges::find(applied.rbegin(), applied.rend(), false, &State::is_waiting);
    const State by_history = confirmed == applied.rend() ? State() : *confirmed;
    if (history_is_lost && !below.empty()) waits_above(below);
    waits = {in_force(), history_is_lost ? boots : by_history, UINT64_MAX, of_this_boot};
  }

  void waits_above(std::vector<State> below) {
    below.push_back(in_force());
    below.back().is_waiting = true;
    applied = std::move(below);
  }

  // What is in force is known by its link, and nothing of what was before.
  void lose_history() {
    if (waits && waits->what == boots) waits.reset();  // by the link it is confirmed
    State now = in_force();
    now.is_unlogged = now.goes_back = now.is_waiting = false;
    applied = {now};
  }

  void let_wait(const State& state, std::uint64_t within) {
    applied.back().is_unlogged = false;  // the event says what it found
    const State former = in_force();
    applied.push_back(state);
    applied.back().is_waiting = true;
    put(state.policy);
    waits = {state, former, now + within};
  }

  bool disable(std::uint64_t within = 0) {
    clear_interrupted();
    // What nobody confirmed is nothing to come back to.
    const bool is_removed = waits && in_force() == State() && waits->what == State();
    const State confirmed = !waits ? in_force() : waits->of_this_boot ? waits->former : boots;
    if (within != 0 && !confirmed.policy && kernel) return false;
    if (within != 0 && !is_whole(confirmed)) return false;
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

  // Returns whether what was confirmed, or waits, is loaded. What is recorded as taken back stays
  // so.
  bool boot() {
    clear_interrupted();
    const bool ends = waits && (!waits->of_this_boot || is_overdue());
    const bool is_half = waits && !ends && !in_force().policy && waits->what != in_force();
    const bool is_spoilt = waits && !ends && !is_whole(in_force());
    const State state = !waits                         ? boots
                        : !waits->of_this_boot         ? boots
                        : ends || is_half || is_spoilt ? waits->former
                                                       : in_force();
    const bool takes_back = ends || is_half || is_spoilt;
    if (!is_whole(state)) {
      const Model before = *this;
      if (takes_back) go_back_to(state);
      kernel = before.kernel;
      bans = before.bans;
      return false;
    }
    const bool was_down = waits && !waits->of_this_boot;
    if (takes_back) {
      const Model before = *this;
      go_back_to(state);
      // Of an earlier boot nothing is in force: whose table it is nobody knows.
      if (was_down && !state.policy) kernel = before.kernel, bans = before.bans;
      return true;
    }
    if (!state.policy && kernel) return true;
    put(state.policy);
    // Who put the other in force was killed, or that it waited is lost with all that said so.
    if (!waits && in_force() != state) take_back_to(state);
    return true;
  }

  // One that has begun counts whole.
  std::int64_t seconds_to(std::uint64_t until) const {
    if (until == UINT64_MAX) return INT64_MAX;
    return static_cast<std::int64_t>((until - now + 999) / 1000);
  }

  // Seconds, 0: for good. Returns whether it is banned for so long.
  bool ban(const std::string& whom, std::int64_t seconds) {
    if (is_overdue()) end_what_is_over();
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
    if (is_overdue()) end_what_is_over();
    remembered.erase(whom);  // without a table it would come back with one
    if (kernel) bans.erase(whom);
    return true;
  }
};

}  // namespace rolewall::apply::test
