// rolewall confirm, rollback, history: what was applied stays, or goes.

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "apply/apply.h"
#include "cli/exit_status.h"
#include "cli/guard_facts.h"
#include "cli/json.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/state_options.h"

namespace rolewall::cli {
namespace {

struct ConfirmOptions {
  std::string state_directory{apply::kDefaultStateDirectory};
};

struct RollbackOptions {
  std::string state_directory{apply::kDefaultStateDirectory};
  std::optional<std::uint32_t> to;
  bool expired = false;
  bool force = false;
};

struct HistoryOptions {
  std::string state_directory{apply::kDefaultStateDirectory};
  std::string format = "text";
};

int confirm(const ConfirmOptions& options) {
  const auto confirmed = apply::confirm(options.state_directory);
  if (!confirmed) return report(confirmed.error());
  switch (*confirmed) {
    case apply::Confirmation::Confirmed:
      out().line("confirmed: the applied ruleset stays in force, after a reboot too");
      return kDone;
    case apply::Confirmation::NothingPending:
      out().line("nothing to confirm");
      return kDone;
    case apply::Confirmation::TooLate:
      err().line("rolewall: too late: it was already rolled back (see `rolewall status`)");
      return kNo;
  }
  return kSystem;
}

int roll_back_expired(const RollbackOptions& options) {
  const auto done = apply::rollback_expired(options.state_directory);
  if (!done) return report(done.error());
  out().line(*done ? "rolled back: the apply was not confirmed in time" : "nothing to roll back");
  return kDone;
}

int rollback(const RollbackOptions& options) {
  if (options.expired) return roll_back_expired(options);
  auto facts = guard_facts(options.state_directory);
  if (!facts) return report(facts.error());
  apply::GuardCall guard{.facts = std::move(*facts), .force = options.force};
  const auto done =
      apply::rollback(options.state_directory, options.to, apply::this_world(), &guard);
  render_guard_call(guard);
  if (is_refused(guard)) return kNo;
  if (!done) return report(done.error());
  out().line(done->to ? fmt::format("rolled back: generation {} is in force again, after a reboot "
                                    "too",
                                    *done->to)
                      : "rolled back: table inet rolewall was removed, as before the first apply");
  return kDone;
}

Json generation_json(const apply::Applied& applied, const apply::History& history) {
  Json json{{"generation", applied.generation},
            {"applied_at", applied.at},
            {"by", applied.by},
            {"host", applied.host},
            {"changes", applied.changes}};
  json["current"] = history.current == applied.generation;
  json["boot"] = history.boot == applied.generation;
  json["pending"] = history.pending && history.pending->generation == applied.generation;
  return json;
}

int list(const HistoryOptions& options) {
  const auto history = apply::history(options.state_directory);
  if (!history) return report(history.error());
  if (options.format == "json") {
    Json json{{"version", kJsonVersion}, {"verb", "history"}, {"generations", Json::array()}};
    for (const apply::Applied& applied : history->generations) {
      json["generations"].push_back(generation_json(applied, *history));
    }
    print(json);
    return kDone;
  }
  if (history->generations.empty()) out().line("nothing was applied yet");
  for (auto at = history->generations.rbegin(); at != history->generations.rend(); ++at) {
    const bool current = history->current == at->generation;
    std::string line =
        fmt::format("{:>6}  {}  {}  {}", at->generation, at->at, at->by, at->changes);
    if (history->pending && history->pending->generation == at->generation) {
      line += ", not confirmed yet: rolled back at " + history->pending->deadline;
    } else if (current && history->boot == at->generation) {
      line += ", in force";
    } else if (current) {
      line += ", in force until the next reboot";
    }
    out().line((current ? "*" : " ") + printable(line));
  }
  return kDone;
}

}  // namespace

void add_confirm(Program& program) {
  Verb verb = program.add_verb(kServerVerbs, "confirm", "keep what was applied",
                               "  sudo rolewall confirm           from a NEW connection\n"
                               "\n"
                               "Without it, what `apply --confirm TIME` loaded is rolled back "
                               "after that time.");
  auto options = std::make_shared<ConfirmOptions>();
  add_state_option(verb, options->state_directory);
  program.on_choice(verb, options, confirm);
}

void add_rollback(Program& program) {
  Verb verb = program.add_verb(
      kServerVerbs, "rollback", "go back to what was in force before",
      "  sudo rolewall rollback           the unconfirmed apply, else back one generation\n"
      "  sudo rolewall rollback --to 4    `rolewall history` lists them\n"
      "\n"
      "Later bans and openings are kept. The guard is asked first, as by `apply`: if the older\n"
      "generation would lock out your session or management, it is refused.");
  auto options = std::make_shared<RollbackOptions>();
  const Option to =
      verb.add_option("--to", options->to, "go back to this generation").type_name("N");
  verb.add_flag("--force", options->force, "go back even if somebody would be locked out");
  verb.add_flag("--expired", options->expired,
                "only if the time to confirm is over (used by the timer of `apply --confirm`)")
      .excludes(to);
  add_state_option(verb, options->state_directory);
  program.on_choice(verb, options, rollback);
}

void add_history(Program& program) {
  Verb verb = program.add_verb(kServerVerbs, "history",
                               "list what was applied: when, by whom, and what it changed",
                               "  sudo rolewall history\n"
                               "  sudo rolewall history --format json");
  auto options = std::make_shared<HistoryOptions>();
  add_state_option(verb, options->state_directory);
  add_format_option(verb, options->format, {"text", "json"});
  program.on_choice(verb, options, list);
}

}  // namespace rolewall::cli
