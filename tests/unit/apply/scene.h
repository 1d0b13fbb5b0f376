// Where the random sequences are played: a kernel in memory, a directory on disk, the model beside
// both, and what others do to them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
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
      case Do::LosePending:
        lose_pending(/*is_gone=*/deed.which % 2 == 0);
        break;
      case Do::LoseHistory:
        std::filesystem::remove(disk_.state() + "/history.log");
        lost_ = newest_kept();
        unsettled_.clear();
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
        break;
    }
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
                        lost && lost->boot_id == world_.boot_id(), unsettled_);
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
    const auto seen = seen_.find(*number);
    if (seen != seen_.end()) return seen->second;
    const auto read = read_generation(disk_.state(), *number);
    if (!read) return {*number, {}};
    return seen_[*number] = {.generation = *number,
                             .policy = policy_of(read->snapshot.ruleset.tables[0]),
                             .is_of_other_host = read->snapshot.host.name == "other",
                             .is_found = read->snapshot.sources.empty()};
  }

  MemoryStore store_;
  MemoryWorld world_{store_};
  Scratch disk_;
  Model model_;
  std::uint32_t lost_ = 0;               // up to that one the history is lost
  std::vector<State> unsettled_;         // what who was killed left waiting below what he applied
  std::map<std::uint32_t, State> seen_;  // what generations hold that may be spoilt since
};

}  // namespace rolewall::apply::test
