// Where the random sequences are played: a kernel in memory, a directory on disk, the model beside
// both, and what others do to them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "apply/apply.h"
#include "apply/waiting.h"
#include "support/memory_kernel.h"
#include "unit/apply/deeds.h"
#include "unit/apply/machine.h"
#include "unit/apply/model.h"
#include "unit/apply/table.h"

namespace rolewall::apply::test {

class Scene {
 public:
  Scene() { std::filesystem::create_directories(disk_.state()); }

 protected:
  static bool is_of_others(Do what) { return what >= Do::Flush; }

  void happen(const Deed& deed) {
    switch (deed.what) {
      case Do::Flush:
        store_.flush_ruleset();
        model_.put({});
        break;
      case Do::Meddle:
        if (store_.own() == nullptr) break;
        store_.own()->chains[0].rules.push_back(rule("stranger", {Counter{}}));
        store_.own()->chains[0].rules.back().handle = store_.new_handle();
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
      case Do::KeepCopy:
        keep_copy();
        break;
      case Do::PutCopyBack:
        put_copy_back();
        break;
      case Do::LosePending:
        lose_pending(/*is_gone=*/deed.which % 2 == 0);
        break;
      case Do::LoseLink:
        lose_link(deed.which);
        break;
      case Do::LoseHistory:
        if (!has_links()) break;
        std::filesystem::remove(disk_.state() + "/history.log");
        known_.lost = newest_kept();
        known_.unsettled.clear();
        model_.lose_history();
        if (model_.waits && model_.waits->deadline == UINT64_MAX) say_that_pending_is_lost();
        break;
      case Do::SpoilBans:
        spoil_bans(kAddresses[deed.which]);
        break;
      case Do::SpoilGeneration:
        spoil_generation(deed.which);
        break;
      case Do::MeetNewer:
      case Do::Apply:
      case Do::ApplyConfirm:
      case Do::ApplyForGood:
      case Do::Refresh:
      case Do::RefreshConfirm:
      case Do::Confirm:
      case Do::Rollback:
      case Do::RollbackConfirm:
      case Do::RollbackExpired:
      case Do::RollbackTo:
      case Do::RollbackToConfirm:
      case Do::Disable:
      case Do::DisableConfirm:
      case Do::Boot:
      case Do::Ban:
      case Do::BanForGood:
      case Do::Unban:
      case Do::TimerEnds:
        break;
    }
  }

  // Of what is known of the directory, and not of the kernel and the clocks.
  struct Known {
    Model model;
    std::uint32_t lost = 0;               // up to that one the history is lost
    std::vector<State> unsettled;         // what who was killed left waiting below what he applied
    std::map<std::uint32_t, State> seen;  // what generations hold that may be spoilt since
    std::optional<std::uint32_t> refreshing;    // made ready by a refresh that was killed
    std::map<std::uint32_t, std::string> used;  // what was in force once, and its seal
    std::set<std::uint32_t> without_room;       // for their events
  };
  struct Copy {
    Scratch disk;
    Known known;
    std::string boot;
  };

  void keep_copy() {
    copy_ = std::make_shared<Copy>();
    copy_->disk.copy_from(disk_);
    copy_->known = known_;
    copy_->boot = world_.boot;
  }
  void put_copy_back() {
    if (!copy_) return;
    disk_.copy_from(copy_->disk);
    const Model now = model_;
    known_ = copy_->known;
    model_.kernel = now.kernel;
    model_.bans = now.bans;
    if (model_.waits && copy_->boot != world_.boot) model_.waits->of_this_boot = false;
  }

  bool has_links() const {
    return std::filesystem::is_symlink(disk_.state() + "/current") &&
           std::filesystem::is_symlink(disk_.state() + "/boot");
  }
  // Where it led the history says; in which boot something was put in force, pending.json.
  void lose_link(unsigned which) {
    const std::string state = disk_.state();
    const auto events = read_events(state);
    if (!events || events->all.empty() || !has_links()) return;
    const auto leads_to = [](const Result<std::optional<std::uint32_t>>& number,
                             std::optional<std::uint32_t> by_history) {
      return number && *number == by_history;
    };
    const std::string file = which == 0 ? "current" : which == 1 ? "boot" : "kernel.json";
    const auto pending = read_pending(state);
    const bool is_known = which == 0   ? leads_to(current_number(state), in_force_by(events->all))
                          : which == 1 ? leads_to(boot_number(state), confirmed_by(events->all))
                                       : !model_.waits || (pending && *pending);
    if (is_known) std::filesystem::remove(state + "/" + file);
  }

  void lose_pending(bool is_gone) {
    const std::string path = disk_.state() + "/pending.json";
    if (!std::filesystem::exists(path)) return;
    is_gone ? void(std::filesystem::remove(path)) : void(std::ofstream(path) << "{");
    say_that_pending_is_lost();
  }
  void say_that_pending_is_lost() {
    const auto events = read_events(disk_.state());
    const auto lost = whatever_waits(disk_.state()).pending;
    const bool says_nothing =
        events && (events->all.empty() || in_force_by(events->all).value_or(0) !=
                                              generation(current_number(disk_.state())));
    model_.lose_pending(!std::filesystem::exists(disk_.state() + "/pending.json"), says_nothing,
                        lost && lost->boot_id == world_.boot_id(), known_.unsettled);
  }

  // Whatever the log says of the address.
  void spoil_bans(const char* whom) {
    const std::string path = disk_.state() + "/bans.log";
    std::ifstream file(path);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    const std::string word = fmt::format("\"{}\"", name_in_log(whom));
    for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at)) {
      text[at + 1] = 'c';
    }
    if (!text.empty()) std::ofstream(path) << text;
    model_.remembered.erase(whom);
  }

  std::uint32_t newest_kept() const {
    const auto kept = list_generations(disk_.state());
    return kept && !kept->empty() ? kept->back() : 0;
  }

  // `rollback --to` goes by number.
  std::optional<State> one_of_the_last(unsigned which) {
    const auto kept = list_generations(disk_.state());
    if (!kept) return std::nullopt;
    for (const std::uint32_t number : *kept) state_of(number);  // before it is spoilt
    if (kept->size() <= which) return std::nullopt;
    return state_of((*kept)[kept->size() - 1 - which]);
  }

  void spoil_generation(unsigned which) {
    const auto state = one_of_the_last(which);
    if (!state) return;
    const std::string folder = fmt::format("{}/generations/{}", disk_.state(), state->generation);
    std::ofstream(folder + "/snapshot.json", std::ios::app) << "\n";
    model_.damaged.insert(state->generation);
  }

  Policy held() {
    if (store_.own() == nullptr) return {};
    return policy_of(*store_.own());
  }

  static std::uint32_t generation(const Result<std::optional<std::uint32_t>>& number) {
    return number && *number ? **number : 0;
  }

  State state_of(std::optional<std::uint32_t> number) {
    if (!number) return {};
    const auto seen = known_.seen.find(*number);
    if (seen != known_.seen.end()) return seen->second;
    const auto read = read_generation(disk_.state(), *number);
    if (!read) return {*number, {}};
    return known_.seen[*number] = {.generation = *number,
                                   .policy = policy_of(read->snapshot.ruleset.tables[0]),
                                   .is_of_other_host = read->snapshot.host.name == "other",
                                   .is_found = read->snapshot.sources.empty()};
  }

  MemoryStore store_;
  MemoryWorld world_{store_};
  Scratch disk_;
  Known known_;
  Model& model_ = known_.model;
  std::shared_ptr<Copy> copy_;
};

}  // namespace rolewall::apply::test
