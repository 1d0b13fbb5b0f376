// Plays a deed on the program and on the model, and compares what is there afterwards.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "apply/apply.h"
#include "apply/ban_log.h"
#include "apply/bans.h"
#include "apply/interrupted.h"
#include "apply/missing_events.h"
#include "apply/restore.h"
#include "apply/state_files.h"
#include "apply/timed_rollback.h"
#include "unit/apply/scene.h"

namespace rolewall::apply::test {

using rolewall::test::Killed;
using rolewall::test::Trouble;

class Judge : public Scene {
 public:
  // In the last step:
  bool killed = false;
  bool failed = false;       // a call to the kernel
  bool timer_ended = false;  // and has taken something back
  // For whoever reads what went wrong: the kernel's rules, the model, and the directory but for its
  // generations.
  std::string what_is_there() {
    std::string text = fmt::format("    in the kernel: {}; by the model:", in_words(held()));
    for (const State& each : model_.applied) {
      text += fmt::format(" {}{}", each.generation, each.is_waiting ? " (waits)" : "");
    }
    text += fmt::format(", boots {}", model_.boots.generation);
    if (model_.waits) {
      text += fmt::format(", {} waits, else {}", model_.waits->what.generation,
                          model_.waits->former.generation);
    }
    for (const auto& [path, content] : disk_.content()) {
      if (path.find("/generations/") != std::string::npos) continue;
      text += fmt::format("\n    {}: {}", path.substr(disk_.state().size() + 1), content);
    }
    return text + "\n";
  }

  // What is wrong after it; "" for nothing.
  std::string step(const Deed& deed) {
    killed = failed = timer_ended = false;
    if (deed.what == Do::MeetNewer) return meet_newer(deed);
    if (is_of_others(deed.what) || (deed.what == Do::TimerEnds && timer() == nullptr)) {
      happen(deed);
      return compare({model_});
    }
    target_ = one_of_the_last(deed.which);
    look_for_what_was_prepared();
    const auto there = read_events(disk_.state());
    model_.history_is_empty = !there || there->all.empty();
    model_.now = store_.now_ms;
    model_.wall = world_.wall;
    const Model before = model_;
    if (deed.with == With::ReadOnlyDisk) return on_read_only_disk(deed);
    bool done = false;
    store_.fault = {};
    store_.steps.clear();
    if (const auto trouble = trouble_with(deed.with)) {
      store_.fault = {.step = deed.step, .trouble = *trouble, .message = 1};
    }
    if (deed.with == With::KilledAtDisk) killing_sync = deed.step;
    {
      const FullDisk full(deed.with == With::FullDisk);
      try {
        done = run(deed);
      } catch (const Killed&) {
        killed = true;
      }
    }
    killing_sync.reset();
    store_.fault = {};
    const bool fails =
        deed.with == With::Fails || deed.with == With::AnswerLost || deed.with == With::Refused;
    failed = fails && store_.steps.size() > deed.step;
    if (std::string wrong = look_at_numbers(deed); !wrong.empty()) return wrong;
    std::uint32_t number = generation(current_number(disk_.state()));
    // What it armed is the newest, and what it has found in the kernel the one before.
    if (const auto armed = read_pending(disk_.state()); killed && armed && *armed) {
      number = std::max(number, (*armed)->generation.value_or(0));
    }
    if (killed && made_ready()) {
      number = *made_ready();
      const bool refreshes = deed.what == Do::Refresh || deed.what == Do::RefreshConfirm;
      // Or what an earlier one has made ready, which is still there.
      if (refreshes || known_.refreshing != made_ready()) {
        known_.refreshing = refreshes ? made_ready() : std::nullopt;
      }
    }
    timer_ended = deed.what == Do::TimerEnds && done;
    Model cleared = before;
    cleared.clear_interrupted();
    Model ended = before;
    ended.end_what_is_over();
    Model after = before;
    const bool promised = run_model(deed, after, number, target_);
    if (deed.with == With::FullDisk || killed || failed) {
      std::vector<Model> any{before, cleared, ended, after};
      // Better the policy without its bans than none.
      if (deed.with == With::Refused) {
        for (Model& model : std::vector<Model>(any)) any.push_back(without_bans(std::move(model)));
      }
      // Whom to ban does not wait for what is overdue and cannot be taken back.
      if (failed && before.waits && bans_or_opens(deed.what)) {
        Model at_once = before;
        at_once.waits->deadline = UINT64_MAX;
        run_model(deed, at_once, number, target_);
        if (at_once.waits) at_once.waits->deadline = before.waits->deadline;
        any.push_back(std::move(at_once));
      }
      // What was found in the kernel comes first.
      if (killed && after.applied.size() > 1 && after.applied.end()[-2].is_found) {
        Model found = after;
        found.applied.pop_back();
        found.boots = found.in_force();
        any.push_back(std::move(found));
      }
      std::string wrong = compare(any);
      if (wrong.empty()) take_over(any);
      leave_unsettled(before, ended);
      const bool is_there =
          target_ && model_.in_force() == *target_ && before.in_force() != *target_;
      if (deed.what == Do::RollbackTo && deed.with == With::FullDisk && is_there) {
        if (model_.waits) {
          model_.waits_by_history(ended.applied);
        } else {
          model_.gone_to_unlogged(ended.applied);
        }
      }
      // What it was gone back from and to waited, and by the history's last word is confirmed.
      const bool is_to_itself =
          target_ && before.in_force() == *target_ && before.in_force().is_waiting;
      if (deed.what == Do::RollbackTo && deed.with == With::FullDisk && is_to_itself &&
          model_.in_force() == *target_ && !model_.waits) {
        model_.applied = before.applied;
        model_.let_nothing_wait();
      }
      const auto events = read_events(disk_.state());
      const bool unlogged = events && in_force_by(events->all).value_or(0) != 0;
      const bool disables = deed.what == Do::Disable || deed.what == Do::DisableConfirm;
      const auto [was, is] = std::ranges::mismatch(before.applied, model_.applied);
      const bool is_new = is != model_.applied.end();
      // A boot that had no room to write that what was interrupted is over.
      if (deed.what == Do::Boot && unlogged && model_.in_force().generation == 0) {
        model_.applied = by_history(events->all);
        model_.applied.emplace_back().is_unlogged = true;
      }
      if (disables && is_new && model_.in_force().generation == 0) {
        // Nor does what is left of a lost history say what would have come back.
        const auto waited = events ? unconfirmed_by(events->all) : std::nullopt;
        const bool comes_otherwise =
            waited && before.waits &&
            waited->confirmed.value_or(0) != before.waits->former.generation;
        // No room for the event, and no event before it: nothing tells what was in force.
        if (!events || events->all.empty()) {
          model_.applied = {State()};
        } else if (!unlogged && !is_told_of(events->all, before.in_force())) {
          model_.applied = by_history(events->all);  // nor what was in force
        } else if (unlogged && (comes_otherwise || in_force_by(events->all).value_or(0) !=
                                                       before.in_force().generation)) {
          model_.applied = by_history(events->all);  // nor for that which it takes away
        }
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
  // Who was killed had put another in force for good, and had not said so: what waited is settled
  // once somebody says it, unless pending.json is damaged by then.
  void leave_unsettled(const Model& before, const Model& ended) {
    const bool is_unsettled = model_.waits && !model_.in_force().is_waiting;
    if (!is_unsettled) known_.unsettled.clear();
    if (!is_unsettled || model_.in_force() == before.in_force()) return;
    known_.unsettled = ended.applied;
    if (model_.waits->what == model_.in_force()) model_.waits_above(known_.unsettled);
  }

  // At a call to the kernel.
  static std::optional<Trouble> trouble_with(With with) {
    switch (with) {
      case With::KilledBefore:
        return Trouble::KilledBefore;
      case With::KilledAfter:
        return Trouble::KilledAfter;
      case With::Fails:
        return Trouble::Fails;
      case With::AnswerLost:
        return Trouble::AnswerLost;
      case With::Refused:
        return Trouble::Refused;
      case With::Nothing:
      case With::FullDisk:
      case With::KilledAtDisk:
      case With::ReadOnlyDisk:
        break;
    }
    return std::nullopt;
  }
  static Model without_bans(Model model) {
    model.bans.clear();
    return model;
  }

  // Of the process that waits for what pending.json says; null: there is none.
  const rolewall::test::MemoryWorld::Timer* timer() const {
    const auto waits = read_pending(disk_.state());
    if (!waits || !*waits) return nullptr;
    const auto at = std::ranges::find(world_.timers, (*waits)->token,
                                      [](const auto& each) { return each.pending.token; });
    return at == world_.timers.end() ? nullptr : &*at;
  }
  // As that does once its time is over; whether it has taken something back.
  bool end_timer() {
    constexpr int kAttempts = 6;
    const auto* const its = timer();
    if (its == nullptr || !is_overdue(its->pending, world_)) return false;
    TimedRollback rollback(world_, disk_.state(), its->pending, its->former);
    for (int i = 0; i < kAttempts && rollback.look() == TimedRollback::Sight::Ours; ++i) {
      const auto done = rollback.attempt(i);
      if (done) return true;
      if (done.error().kind == ErrorKind::Refused) return false;
    }
    return false;
  }

  // What can be done without a record of it is done: the way back, and bans. Nothing else.
  std::string on_read_only_disk(const Deed& deed) {
    const auto there = disk_.content();
    Model ended = model_;
    ended.end_what_is_over();
    Model after = model_;
    run_model(deed, after, 0, target_);
    const bool goes_back = deed.what == Do::Rollback || deed.what == Do::RollbackTo ||
                           deed.what == Do::Disable || deed.what == Do::Boot ||
                           deed.what == Do::TimerEnds;
    std::vector<Policy> any{model_.kernel};
    const bool ends_what_is_over = deed.what == Do::RollbackExpired || deed.what > Do::Boot ||
                                   deed.what == Do::Refresh || deed.what == Do::RefreshConfirm;
    if (goes_back || ends_what_is_over) {
      any.push_back(ended.kernel);
    }
    if (goes_back) any.push_back(after.kernel);
    disk_is_read_only = true;
    std::ignore = run(deed);
    disk_is_read_only = false;
    if (disk_.content() != there) return "the directory has changed";
    if (std::ranges::find(any, held()) == any.end()) {
      return "the kernel holds another table: " + in_words(held());
    }
    const std::string wrong = compare_bans({model_, ended, after});
    model_.kernel = held();
    take_bans();
    return wrong;
  }

  // Nothing is read and nothing changed of what a newer version has written; a boot has the
  // policies.
  std::string meet_newer(const Deed& deed) {
    const std::string format = disk_.state() + "/format";
    if (!std::filesystem::exists(format)) return compare({model_});
    const Deed verb{.what = static_cast<Do>(deed.step % static_cast<std::size_t>(Do::Flush)),
                    .which = deed.which};
    target_ = one_of_the_last(deed.which);
    model_.now = store_.now_ms;
    model_.wall = world_.wall;
    std::ofstream(format) << "99\n";
    const auto before = disk_.content();
    const bool done = run(verb);
    const bool is_as_before = disk_.content() == before;
    std::ofstream(format) << kStateFormat << "\n";
    const bool loads_nothing = verb.what == Do::Boot && !model_.boots.policy;
    if (verb.what == Do::Boot && !loads_nothing) {
      if (!model_.kernel) model_.bans.clear();  // nor are these read
      model_.kernel = policy_of(policy(0).ruleset.tables[0]);
    }
    if (done != loads_nothing)
      return fmt::format("{} is {}done", test::in_words(verb), done ? "" : "not ");
    if (!is_as_before) return fmt::format("{} has changed the directory", test::in_words(verb));
    return compare({model_});
  }

  static RunTimeEntry entry(const Deed& deed) {
    RunTimeEntry entry = entry_of(kAddresses[deed.which]);
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
      case Do::RefreshConfirm:
        options.confirm_within = kConfirmWithin;
        [[fallthrough]];
      case Do::Refresh: {
        std::ignore = rollback_expired(state, world_);
        if (!clear_interrupted(state, world_)) return false;
        const auto number = current_number(state);
        options.refreshes = number ? number->value_or(0) : 0;
        options.why = "addresses";
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
      case Do::RollbackTo:
        return rollback(state, target_ ? target_->generation : 999'999, world_).has_value();
      case Do::RollbackToConfirm:
        return rollback(state, target_ ? target_->generation : 999'999, world_, nullptr,
                        kConfirmWithin)
            .has_value();
      case Do::Disable:
        return disable(state, world_).has_value();
      case Do::DisableConfirm:
        return disable(state, world_, nullptr, kConfirmWithin).has_value();
      case Do::Boot: {
        if (boot(state, world_)) return true;
        REQUIRE(fall_back(policy(0), state, "damaged", "the policies", world_));
        return false;
      }
      case Do::Ban:
      case Do::BanForGood:
        std::ignore = rollback_expired(state, world_);
        return add_entry(entry(deed), state, world_).has_value();
      case Do::Unban:
        std::ignore = rollback_expired(state, world_);
        return remove_entry(entry(deed), state, world_).has_value();
      case Do::TimerEnds:
        return end_timer();
      case Do::Flush:
      case Do::Meddle:
      case Do::Wait:
      case Do::SetClock:
      case Do::Reboot:
      case Do::KeepCopy:
      case Do::LosePending:
      case Do::LoseHistory:
      case Do::LoseLink:
      case Do::PutCopyBack:
      case Do::SpoilBans:
      case Do::SpoilGeneration:
      case Do::MeetNewer:
        break;
    }
    return false;
  }

  static bool run_model(const Deed& deed, Model& model, std::uint32_t number,
                        const std::optional<State>& target) {
    const Policy wanted = policy_of(policy(deed.which).ruleset.tables[0]);
    const bool is_other = deed.which == kOfOtherHost;
    switch (deed.what) {
      case Do::Apply:
        return model.apply(wanted, 0, false, number, is_other);
      case Do::ApplyConfirm:
        return model.apply(wanted, kConfirmMs, false, number, is_other);
      case Do::ApplyForGood:
        return model.apply(wanted, 0, true, number, is_other);
      case Do::Refresh:
        return model.refresh(wanted, 0, number, is_other);
      case Do::RefreshConfirm:
        return model.refresh(wanted, kConfirmMs, number, is_other);
      case Do::Confirm:
        return model.confirm();
      case Do::Rollback:
        return model.rollback();
      case Do::RollbackConfirm:
        return model.rollback(kConfirmMs);
      case Do::RollbackExpired:
        return model.is_overdue() && model.end_what_is_over() == Model::Over::RolledBack;
      case Do::RollbackTo:
        return model.rollback_to(target);
      case Do::RollbackToConfirm:
        return model.rollback_to(target, kConfirmMs);
      case Do::Disable:
        return model.disable();
      case Do::DisableConfirm:
        return model.disable(kConfirmMs);
      case Do::Boot:
        if (model.boot()) return true;
        model.put(policy_of(policy(0).ruleset.tables[0]));
        return false;
      case Do::Ban:
        return model.ban(kAddresses[deed.which], kBanSeconds);
      case Do::BanForGood:
        return model.ban(kAddresses[deed.which], 0);
      case Do::Unban:
        return model.unban(kAddresses[deed.which]);
      case Do::TimerEnds:
        return model.timer();
      case Do::Flush:
      case Do::Meddle:
      case Do::Wait:
      case Do::SetClock:
      case Do::Reboot:
      case Do::KeepCopy:
      case Do::LosePending:
      case Do::LoseHistory:
      case Do::LoseLink:
      case Do::PutCopyBack:
      case Do::SpoilBans:
      case Do::SpoilGeneration:
      case Do::MeetNewer:
        break;
    }
    return false;
  }

  // Made ready by who was killed: the kernel tells whether it came into force.
  void look_for_what_was_prepared() {
    model_.prepared.reset();
    const auto number = made_ready();
    const auto events = read_events(disk_.state());
    // What is left of a history that was lost does not speak of all that was made.
    const bool is_lost =
        events && (events->all.empty() ? newest_kept() != 1 : events->all.front().from.has_value());
    if (!number || is_lost) return;
    model_.prepared = state_of(*number);
    model_.prepared->refreshes = known_.refreshing == number;
  }
  std::optional<std::uint32_t> made_ready() {
    const auto kept = list_generations(disk_.state());
    const auto newest = newest_known(disk_.state());
    const bool is_one = kept && newest && !kept->empty() && kept->back() > *newest;
    return is_one ? std::optional(kept->back()) : std::nullopt;
  }

  // What was in force once, by the record, has an event, and its number is never another's.
  std::string look_at_numbers(const Deed& deed) {
    const std::uint32_t current = generation(current_number(disk_.state()));
    for (const auto& [number, seal] : known_.used) {
      if (const auto there = seal_text(number); there && *there != seal) {
        return fmt::format("number {} is used again", number);
      }
    }
    const auto events = read_events(disk_.state());
    const bool writes =
        deed.what <= Do::Boot && deed.what != Do::RollbackExpired && deed.with == With::Nothing;
    const bool is_logged = events && !events->all.empty();
    if (!is_logged) known_.lost = std::max(known_.lost, current);
    if (writes && is_logged && in_force_by(events->all).value_or(0) != current) {
      return fmt::format("by the history generation {} is in force, not {}",
                         in_force_by(events->all).value_or(0), current);
    }
    for (const auto& [number, seal] : known_.used) {
      const bool is_told_of =
          is_logged &&
          std::ranges::any_of(events->all, [&](const Event& event) { return event.to == number; });
      if (is_told_of || number <= known_.lost) continue;
      // There was no room for it, and then another was in force.
      if (deed.with == With::FullDisk) known_.without_room.insert(number);
      if (writes && is_logged && !known_.without_room.contains(number)) {
        return fmt::format("no event says that generation {} was in force", number);
      }
    }
    if (const auto seal = seal_text(current); seal && current != 0)
      known_.used.emplace(current, *seal);
    return "";
  }
  std::optional<std::string> seal_text(std::uint32_t number) const {
    const auto text =
        read_state_file(disk_.state(), fmt::format("generations/{}/seal", number), 1U << 20U);
    return text ? std::optional(*text) : std::nullopt;
  }

  static bool is_told_of(const std::vector<Event>& events, const State& state) {
    return !state.policy || std::ranges::any_of(events, [&](const Event& event) {
      return event.to == state.generation;
    });
  }

  // Where nothing is in force, and the last lines found no room.
  std::vector<State> by_history(const std::vector<Event>& events) {
    std::vector<State> states{State()};
    for (const std::uint32_t each : ways_back(events, std::nullopt)) {
      states.insert(states.begin() + 1, state_of(each));
    }
    states.emplace_back();
    return states;
  }

  // The rules of its first chain.
  static std::string in_words(const Policy& policy) {
    if (!policy) return "none";
    std::string text = "[";
    for (const Rule& rule : policy->tables[0].chains[0].rules) text += rule.comment.text() + " ";
    return text + "]";
  }

  std::vector<std::string> banned() const {
    std::vector<std::string> all;
    if (const auto entries = list_entries(world_)) {
      for (const RunTimeEntry& each : *entries) all.push_back(name_of(each));
    }
    return all;
  }

  // "" where each part is as in one of these.
  std::string compare(const std::vector<Model>& any) {
    const auto none = [&](const auto& fits) { return std::ranges::none_of(any, fits); };
    const Policy kernel = held();
    if (none([&](const Model& model) { return model.kernel == kernel; })) {
      std::string text = "the kernel holds another table: " + in_words(kernel) + "; not";
      for (const Model& model : any) text += " " + in_words(model.kernel);
      return text;
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
      const bool is_whole = !any.front().damaged.contains(number);
      if (number != 0 && read_generation(disk_.state(), number).has_value() != is_whole) {
        return fmt::format("the record of generation {} is {}damaged", number,
                           is_whole ? "" : "not ");
      }
    }
    const auto pending = whatever_waits(disk_.state()).pending;
    if (any.size() == 1) {
      const Model& model = any.front();
      if (pending.has_value() != model.waits.has_value()) {
        return pending ? "something waits" : "nothing waits";
      }
      if (pending && pending->generation.value_or(0) != model.waits->what.generation) {
        return name_of_waiting(*pending) + " waits";
      }
      if (pending && pending->former.value_or(0) != model.waits->former.generation) {
        return fmt::format("generation {} would come back, not {}", pending->former.value_or(0),
                           model.waits->former.generation);
      }
      if (const auto now = status(disk_.state(), std::nullopt, world_);
          !now || now->unreadable.empty() != model.is_whole(model.in_force())) {
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
      if (!fits) return fmt::format("{} is {}banned or open", whom, is_there ? "" : "not ");
    }
    return "";
  }

  static std::uint64_t deadline_of(const Pending& pending) {
    return has_deadline(pending) ? pending.deadline_ns / 1'000'000 : UINT64_MAX;
  }
  void take_deadline() {
    const auto pending = whatever_waits(disk_.state()).pending;
    if (pending) model_.waits->deadline = deadline_of(*pending);
  }

  void take_over(const std::vector<Model>& any) {
    const std::uint32_t current = generation(current_number(disk_.state()));
    const std::uint32_t boots = generation(boot_number(disk_.state()));
    const auto is_current = [&](const Model& model) {
      return model.in_force().generation == current;
    };
    // Where several are, the one that boots the same tells what was before.
    auto fits = std::ranges::find_if(any, [&](const Model& model) {
      return is_current(model) && model.boots.generation == boots;
    });
    if (fits == any.end()) fits = std::ranges::find_if(any, is_current);
    const auto pending = whatever_waits(disk_.state()).pending;
    // Who confirms makes the link first: as long as nothing else says so, it waits on.
    const auto waits_on = std::ranges::find_if(any, [&](const Model& model) {
      return is_current(model) && pending && model.waits &&
             model.waits->what.generation == pending->generation.value_or(0);
    });
    if (!fits->waits && waits_on != any.end()) fits = waits_on;
    model_ = *fits;
    model_.kernel = held();
    model_.boots = state_of(boot_number(disk_.state()).value_or(std::nullopt));
    model_.waits.reset();
    if (pending) {
      model_.waits = {state_of(pending->generation), state_of(pending->former),
                      deadline_of(*pending), pending->boot_id == world_.boot_id()};
    }
    take_bans();
    take_remembered(any);
  }

  // As the kernel has them.
  void take_bans() {
    model_.bans.clear();
    if (const auto entries = list_entries(world_)) {
      for (const RunTimeEntry& each : *entries) {
        model_.bans[name_of(each)] =
            each.left ? store_.now_ms + static_cast<std::uint64_t>(each.left->count()) * 1'000
                      : UINT64_MAX;
      }
    }
  }

  // As before or as after, whichever the log says.
  void take_remembered(const std::vector<Model>& any) {
    const Remembered log = read_log(disk_.state(), world_);
    model_.remembered.clear();
    for (const char* whom : kAddresses) {
      const auto there = std::ranges::find_if(
          log.entries, [&](const RunTimeEntry& each) { return name_of(each) == whom; });
      for (const Model& model : any) {
        const auto entry = model.remembered.find(whom);
        if (entry == model.remembered.end()) continue;
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

  std::optional<State> target_;  // of `rollback --to`
};

}  // namespace rolewall::apply::test
