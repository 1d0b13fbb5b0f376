// rolewall confirm, rollback, history: what was applied stays, or goes.

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apply/apply.h"
#include "apply/generations.h"
#include "apply/recorded_facts.h"
#include "cli/changed_packets.h"
#include "cli/exit_status.h"
#include "cli/guard_facts.h"
#include "cli/json.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/render_diff.h"
#include "cli/screen.h"
#include "cli/state_options.h"

namespace rolewall::cli {
namespace {

struct ConfirmOptions {
  std::string state_directory{apply::kDefaultStateDirectory};
};

struct RollbackOptions {
  std::string state_directory{apply::kDefaultStateDirectory};
  std::optional<std::uint32_t> to;
  std::string confirm;  // a time, "" where none was given
  bool expired = false;
  bool force = false;
};

struct HistoryOptions {
  std::string state_directory{apply::kDefaultStateDirectory};
  bool packets = false;
  bool all = false;
  std::string format = "text";
};

int confirm(const ConfirmOptions& options) {
  if (const auto may = may_change_firewall(); !may) return report(may.error());
  const auto confirmed = apply::confirm(options.state_directory);
  if (!confirmed) return report(confirmed.error());
  render_notes(confirmed->problems);
  switch (confirmed->what) {
    case apply::Confirmation::Confirmed:
      out().line(confirmed->is_removal
                     ? "confirmed: table inet rolewall stays away, after a reboot too: rolewall "
                       "filters nothing until the next apply"
                     : "confirmed: what is in force stays, after a reboot too");
      return kDone;
    case apply::Confirmation::NothingPending:
      out().line("nothing to confirm");
      return kDone;
    case apply::Confirmation::TooLate:
      err().line(
          "rolewall: too late: it was not confirmed in time and is rolled back (see `rolewall "
          "status`)");
      return kNo;
    case apply::Confirmation::RolledBack:
      err().line(fmt::format("rolewall: nothing to confirm: {}, at {}",
                             printable(apply::in_words(*confirmed->taken_back)),
                             confirmed->taken_back->at));
      return kNo;
    case apply::Confirmation::PutBack:
      err().line(fmt::format(
          "rolewall: not confirmed: table inet rolewall had been removed, so nothing was "
          "filtered.\n"
          "Generation {} is loaded again. It will be rolled back {} unless you confirm it. From "
          "a NEW connection:\n"
          "  sudo rolewall confirm\n"
          "For more time: sudo rolewall apply --confirm TIME",
          confirmed->pending->generation.value_or(0), when_over(*confirmed->pending)));
      return kNo;
  }
  return kSystem;
}

int roll_back_expired(const RollbackOptions& options) {
  const auto done = apply::rollback_expired(options.state_directory);
  if (!done) return report(done.error());
  out().line(*done ? "not confirmed in time: " + printable(apply::in_words(**done))
                   : std::string("nothing to roll back"));
  return kDone;
}

// Against what is in force now.
void say_changed_packets(const ruleset::Snapshot& before, std::uint32_t generation,
                         const std::string& state_directory) {
  constexpr std::size_t kMostClasses = 5;
  const auto now = apply::last_applied(state_directory);
  if (!now || !*now) return;
  for (const std::string& line :
       short_lines(out(), changed_packets(before, **now, nullptr), kMostClasses,
                   fmt::format("rolewall diff generation:{} generation:current", generation))) {
    out().line(line);
  }
}

int rollback(const RollbackOptions& options) {
  if (const auto may = may_change_firewall(); !may) return report(may.error());
  if (options.expired) return roll_back_expired(options);
  const auto within = confirm_within(options.confirm);
  if (!within) return report(within.error());
  const auto before = apply::last_applied(options.state_directory);
  auto facts = apply::recorded_facts(options.state_directory);
  if (!facts) return report(facts.error());
  facts->may_be_undone = within->has_value();
  apply::GuardCall guard{.facts = std::move(*facts), .force = options.force};
  const auto done =
      apply::rollback(options.state_directory, options.to, apply::this_world(), &guard, *within);
  render_guard_call(guard);
  if (is_refused(guard)) return kNo;
  if (!done) return report(done.error());
  render_notes(done->problems);
  const auto& to = done->event.to;
  const bool waits = done->pending.has_value();
  if (done->audits) say_audit_mode();
  if (done->was_in_force) {
    out().line(fmt::format("generation {} is in force already: {}", *to,
                           done->was_changed ? "another program had changed it, and it is loaded "
                                               "again as it was"
                                             : "nothing to do"));
    return kDone;
  }
  if (done->unrecorded) {
    out().line(to ? fmt::format("rolled back: generation {} is in force again", *to)
                  : "rolled back: table inet rolewall was removed: none was in force before");
    return report(*done->unrecorded);
  }
  out().line(to ? fmt::format("rolled back: generation {} is in force again{}", *to,
                              waits ? "" : ", after a reboot too")
                : "rolled back: table inet rolewall was removed: none was in force before");
  if (to && before && *before) {
    say_changed_packets(**before, done->event.from.value_or(0), options.state_directory);
  }
  if (waits) {
    say_what_waits(*done->pending);
  } else if (*within) {
    out().line("It was confirmed before: nothing has to be confirmed.");
  }
  return kDone;
}

// A generation that is its own.
bool puts_in_force(const apply::Event& event) {
  return event.kind == apply::EventKind::Applied || event.kind == apply::EventKind::Refreshed;
}

bool has_event(const apply::Applied& applied, const apply::History& history) {
  return std::ranges::any_of(history.events, [&](const apply::Event& event) {
    return puts_in_force(event) && event.to == applied.generation;
  });
}

Json generation_json(const apply::Applied& applied, const apply::History& history) {
  Json json{{"generation", applied.generation},
            {"applied_at", applied.at},
            {"by", applied.by},
            {"host", applied.host},
            {"changes", applied.changes}};
  json["current"] = history.current == applied.generation;
  json["boot"] = history.boot == applied.generation;
  if (!has_event(applied, history)) json["in_history"] = false;
  json["pending"] = history.pending && history.pending->generation == applied.generation;
  return json;
}

Json event_json(const apply::Event& event) {
  Json json{{"event", apply::name_of(event.kind)}, {"at", event.at}, {"by", event.by}};
  if (event.from) json["from"] = *event.from;
  if (event.to) json["to"] = *event.to;
  if (!event.why.empty()) json["why"] = event.why;
  return json;
}

// What there is to say of a generation beside its number: " (in force until the next reboot)".
std::string state_of(std::uint32_t generation, const apply::History& history) {
  if (history.pending && history.pending->generation == generation) {
    return fmt::format(" (not confirmed yet: rolled back {})", when_over(*history.pending));
  }
  if (history.current != generation) return "";
  return history.boot == generation ? " (in force)" : " (in force until the next reboot)";
}

std::string line_of(const apply::Applied& applied, const apply::History& history) {
  return fmt::format("{}{:>6}  {}  {}  {}{}", history.current == applied.generation ? "*" : " ",
                     applied.generation, applied.at, applied.by, applied.changes,
                     state_of(applied.generation, history));
}

// An apply's line is its generation's, while that is kept; what else happened has no number.
std::string line_of(const apply::Event& event, const apply::History& history) {
  const auto kept =
      std::ranges::find(history.generations, event.to.value_or(0), &apply::Applied::generation);
  if (puts_in_force(event) && kept != history.generations.end()) {
    return line_of(*kept, history);
  }
  return fmt::format(" {:>6}  {}  {}  {}", "", event.at, event.by, apply::in_words(event));
}

// What each generation that is kept has changed for packets, against the one before it.
class GenerationPackets {
 public:
  GenerationPackets(const apply::History& history, const std::string& state_directory) {
    std::optional<ruleset::Snapshot> before;
    std::uint32_t number = 0;  // of that
    for (const apply::Applied& applied : history.generations) {
      auto read = apply::read_generation(state_directory, applied.generation);
      if (!read) {
        before.reset();
        continue;
      }
      if (before) {
        diffs_.emplace(applied.generation, changed_packets(*before, read->snapshot, nullptr));
        before_.emplace(applied.generation, number);
      }
      before = std::move(read->snapshot);
      number = applied.generation;
    }
  }
  // The one that it is compared with.
  std::uint32_t before(std::uint32_t generation) const {
    const auto at = before_.find(generation);
    return at == before_.end() ? 0 : at->second;
  }
  const ask::Diff* of(std::uint32_t generation) const {
    const auto at = diffs_.find(generation);
    return at == diffs_.end() ? nullptr : &at->second;
  }

 private:
  std::map<std::uint32_t, ask::Diff> diffs_;
  std::map<std::uint32_t, std::uint32_t> before_;
};

void add_packets(const GenerationPackets* packets, std::uint32_t generation, Screen& screen) {
  constexpr std::size_t kMostClasses = 5;
  const ask::Diff* diff = packets == nullptr ? nullptr : packets->of(generation);
  if (diff == nullptr) return;
  for (const std::string& line :
       short_lines(out(), *diff, kMostClasses,
                   fmt::format("rolewall diff generation:{} generation:{}",
                               packets->before(generation), generation)))
    screen.line("         " + line);
}

// The newest first. Generations of which no event says anything stand where their numbers and times
// do: what is older than the history, whose line is damaged, or what was made ready and never put
// in force.
struct HistoryLine {
  std::string text;
  std::optional<std::uint32_t> applied;  // the generation that came into force
};
std::vector<HistoryLine> lines_of(const apply::History& history) {
  std::vector<HistoryLine> lines;
  auto left = history.generations.rbegin();
  const auto add_while = [&](const auto& is_later) {
    for (; left != history.generations.rend() && is_later(*left); ++left) {
      if (has_event(*left, history)) continue;
      const bool in_use = history.current == left->generation || history.boot == left->generation;
      lines.push_back(
          {line_of(*left, history) + (in_use ? "" : " (no event says that it was in force)"),
           left->generation});
    }
  };
  for (auto at = history.events.rbegin(); at != history.events.rend(); ++at) {
    const bool applies = puts_in_force(*at);
    add_while([&](const apply::Applied& applied) {
      return applied.at > at->at || (applies && applied.generation > at->to.value_or(0));
    });
    lines.push_back({line_of(*at, history), applies ? at->to : std::nullopt});
  }
  add_while([](const apply::Applied&) { return true; });
  return lines;
}

void list_json(const apply::History& history, const GenerationPackets* packets) {
  Json json{{"version", kJsonVersion},
            {"verb", "history"},
            {"generations", Json::array()},
            {"events", Json::array()},
            {"problems", Json::array()}};
  for (const apply::Applied& applied : history.generations) {
    Json entry = generation_json(applied, history);
    const ask::Diff* diff = packets == nullptr ? nullptr : packets->of(applied.generation);
    if (diff != nullptr) {
      Json changed;
      add_members(changed, *diff);
      entry["packets"] = std::move(changed);
    }
    json["generations"].push_back(std::move(entry));
  }
  for (const apply::Event& event : history.events) json["events"].push_back(event_json(event));
  for (const std::string& problem : history.problems)
    json["problems"].push_back(printable(problem));
  print(json);
}

int list(const HistoryOptions& options) {
  const auto history = apply::history(options.state_directory);
  if (!history) return report(history.error());
  std::optional<GenerationPackets> compared;
  if (options.packets) compared.emplace(*history, options.state_directory);
  const GenerationPackets* packets = compared ? &*compared : nullptr;
  if (options.format == "json") {
    list_json(*history, packets);
    return kDone;
  }
  render_notes(history->problems);
  if (history->generations.empty() && history->events.empty()) {
    out().line("nothing was applied yet");
  }
  Screen screen(out());
  for (const HistoryLine& line : lines_of(*history)) {
    screen.line(printable(line.text));
    if (line.applied) add_packets(packets, *line.applied, screen);
  }
  screen.show(options.all, "rolewall history --all");
  return kDone;
}

}  // namespace

void add_confirm(Program& program) {
  Verb verb =
      program.add_verb(kServerVerbs, "confirm", "keep what was applied",
                       "  sudo rolewall confirm           from a NEW connection\n"
                       "\n"
                       "Without it, what `apply`, `rollback` or `disable` did with "
                       "--confirm TIME is\n"
                       "rolled back after that time.\n"
                       "If another program removed the table meanwhile, it is loaded again "
                       "and goes on\n"
                       "waiting: confirm it from a connection that it admitted.\n"
                       "\n"
                       "The exit status is 1 if it was not confirmed in time and is rolled "
                       "back, or if the\n"
                       "table is not what was applied: then nothing is confirmed. It is 0 if "
                       "nothing waits.");
  auto options = std::make_shared<ConfirmOptions>();
  add_state_option(verb, options->state_directory);
  program.on_choice(verb, options, confirm);
}

void add_rollback(Program& program) {
  Verb verb = program.add_verb(
      kServerVerbs, "rollback", "go back to what was in force before",
      "  sudo rolewall rollback                 undoes what waits for its confirmation, else back\n"
      "                                         to what was in force before\n"
      "  sudo rolewall rollback --to 4          `rolewall history` lists them\n"
      "  sudo rolewall rollback --confirm 2m    returns unless confirmed\n"
      "\n"
      "What was in force before is told by the history, not by the numbers of generations: never\n"
      "what was itself rolled back. After `rolewall disable` it is what was in force until then.\n"
      "With --confirm TIME, what was confirmed last is in force again after that time, or a "
      "reboot,\n"
      "unless you run `rolewall confirm` from a new connection.\n"
      "To go to the generation that is in force already is success.\n"
      "Later bans and openings are kept. The guard is asked first, as by `apply`: if the older\n"
      "generation would lock out your session or management, it is refused.");
  auto options = std::make_shared<RollbackOptions>();
  const Option to =
      verb.add_option("--to", options->to, "go back to this generation").type_name("N");
  const Option confirm = add_confirm_option(verb, options->confirm);
  verb.add_flag("--force", options->force, "go back even if somebody would be locked out");
  verb.add_flag("--expired", options->expired,
                "only if the time to confirm is over (used by the timer of --confirm)")
      .excludes(to)
      .excludes(confirm);
  add_state_option(verb, options->state_directory);
  program.on_choice(verb, options, rollback);
}

void add_history(Program& program) {
  Verb verb = program.add_verb(
      kServerVerbs, "history", "list what was applied, confirmed, rolled back: when and by whom",
      "  sudo rolewall history            the newest, as many as a screen holds\n"
      "  sudo rolewall history --all\n"
      "  sudo rolewall history --packets\n"
      "  sudo rolewall history --format json");
  auto options = std::make_shared<HistoryOptions>();
  add_state_option(verb, options->state_directory);
  verb.add_flag("--all", options->all, "all of it, however long");
  verb.add_flag("--packets", options->packets,
                "show which packets' fate each generation has changed");
  add_format_option(verb, options->format, {"text", "json"});
  program.on_choice(verb, options, list);
}

}  // namespace rolewall::cli
