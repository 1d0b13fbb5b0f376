// rolewall status: what is in force, and whether it is what was applied. Also `rolewall` alone.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "apply/apply.h"
#include "cli/exit_status.h"
#include "cli/json.h"
#include "cli/printed_commands.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/screen.h"
#include "cli/site_options.h"
#include "cli/state_options.h"
#include "observe/surroundings.h"
#include "ruleset/names.h"

namespace rolewall::cli {
namespace {

struct StatusOptions {
  std::string state_directory{apply::kDefaultStateDirectory};
  std::string format = "text";
  bool all = false;
};

const char* word_of(observe::Order order) {
  return order == observe::Order::Before ? "before" : "after";
}

const char* word_of(observe::Weight weight) {
  return weight == observe::Weight::Warning ? "warning" : "note";
}

Json chain_json(const observe::OtherChain& chain) {
  Json json{{"family", ruleset::name_of(chain.family)},
            {"table", printable(chain.table)},
            {"chain", printable(chain.chain)},
            {"type", ruleset::name_of(chain.base.type)},
            {"hook", ruleset::name_of(chain.base.hook)},
            {"priority", chain.base.priority},
            {"policy", ruleset::name_of(chain.base.policy)},
            {"order", word_of(chain.order)},
            {"effects", Json::array()}};
  for (const std::string& device : chain.base.devices) json["devices"].push_back(device);
  for (const observe::Effect effect : chain.effects) json["effects"].push_back(code_of(effect));
  return json;
}

Json finding_json(const observe::Finding& finding) {
  Json json{{"severity", word_of(finding.weight)},
            {"code", name_of(finding.code)},
            {"message", finding.what}};
  if (!finding.hint.empty()) json["hint"] = finding.hint;
  return json;
}

void print_json(const apply::Status& status) {
  Json json{{"version", kJsonVersion}, {"verb", "status"}, {"in_force", status.table_present}};
  if (status.table_present) json["audit"] = status.audits;
  if (!status.host.empty()) json["host"] = status.host;
  if (status.generation) json["generation"] = *status.generation;
  if (status.way_back.is_there) {
    if (status.way_back.to && !status.pending) json["before"] = *status.way_back.to;
    json["way_back"] = "rolewall " + status.way_back.command();
  }
  if (!status.names_refreshed.empty()) {
    json["names"] = {{"refreshed_at", status.names_refreshed}, {"silent", Json::array()}};
    for (const std::string& each : status.silent)
      json["names"]["silent"].push_back(printable(each));
  }
  if (!status.applied_at.empty()) json["applied_at"] = status.applied_at;
  if (status.is_elsewhere) json["elsewhere"] = true;
  if (status.same_boot) json["same_boot"] = *status.same_boot && status.same_namespace == true;
  if (status.pending) {
    json["pending"] = {{"overdue", status.overdue},
                       {"watched", apply::is_watched(*status.pending)}};
    if (has_deadline(*status.pending)) json["pending"]["deadline"] = status.pending->deadline;
    if (status.pending->generation) json["pending"]["generation"] = *status.pending->generation;
    if (status.pending->former) json["pending"]["former"] = *status.pending->former;
  }
  if (status.rolled_back) {
    json["rolled_back"] = {{"at", status.rolled_back->at}, {"why", status.rolled_back->why}};
    if (status.rolled_back->from) json["rolled_back"]["generation"] = *status.rolled_back->from;
    if (status.rolled_back->to) json["rolled_back"]["to"] = *status.rolled_back->to;
  }
  if (!status.unreadable.empty()) json["unreadable"] = printable(status.unreadable);
  if (status.disabled) json["disabled_at"] = status.disabled->at;
  if (status.fallback) {
    json["fallback"] = {{"at", status.fallback->at},
                        {"why", printable(status.fallback->why)},
                        {"in_force", status.fallback->instead}};
  }
  if (!status.problems.empty()) {
    json["problems"] = Json::array();
    for (const std::string& problem : status.problems)
      json["problems"].push_back(printable(problem));
  }
  json["drift"] = status.drift;
  if (status.table_present) {
    json["rules"] = status.rules;
    json["sets"] = status.sets;
    json["elements"] = status.elements;
    json["bans"] = status.bans;
    json["openings"] = status.openings;
  }
  json["other_chains"] = Json::array();
  for (const auto& chain : status.survey.others) json["other_chains"].push_back(chain_json(chain));
  json["findings"] = Json::array();
  for (const auto& finding : status.survey.findings)
    json["findings"].push_back(finding_json(finding));
  print(json);
}

// Where nothing of ours is in force, there is no order to it, and nothing to add to it.
void add_others(const std::vector<observe::OtherChain>& others, bool in_force, Screen& screen) {
  std::size_t widest = 0;
  std::vector<std::string> names;
  for (const observe::OtherChain& chain : others) {
    names.push_back(printable(
        fmt::format("{} {} {}", ruleset::name_of(chain.family), chain.table, chain.chain)));
    widest = std::max(widest, names.back().size());
  }
  for (std::size_t i = 0; i < others.size(); ++i) {
    const observe::OtherChain& chain = others[i];
    std::vector<std::string_view> effects;
    for (const observe::Effect effect : chain.effects)
      effects.push_back(words_of(effect, in_force));
    screen.line(
        i == 0 ? "others" : "",
        fmt::format(
            "{:<{}}  {} {} {}{}: {}", names[i], widest, ruleset::name_of(chain.base.type),
            ruleset::name_of(chain.base.hook), chain.base.priority,
            in_force ? fmt::format(", {} rolewall", word_of(chain.order)) : "",
            effects.empty() ? "drops nothing" : fmt::format("{}", fmt::join(effects, ", "))));
  }
  if (!others.empty() && in_force) {
    screen.line("", "a drop in any chain is final: none of these can admit what rolewall drops");
  }
}

// The chains alone say what may be; which rules suffer, the policies beside them.
void add_what_is_dropped(const apply::Status& status, Screen& screen) {
  const bool drops = std::ranges::any_of(status.survey.others, [](const auto& chain) {
    return std::ranges::find(chain.effects, observe::Effect::Drops) != chain.effects.end();
  });
  if (!drops || !status.table_present || !status.generation) return;
  screen.line("", fmt::format("which rules open nothing by them: sudo rolewall lint --live{}",
                              policies_named(status.policies, status.host)));
}

void add_findings(const std::vector<observe::Finding>& findings, Screen& screen) {
  for (const observe::Finding& finding : findings) {
    const bool warns = finding.weight == observe::Weight::Warning;
    screen.line(fmt::format(
        "{}: {} [{}]", out().paint(warns ? Tone::Warning : Tone::Quiet, word_of(finding.weight)),
        printable(finding.what), name_of(finding.code)));
    if (!finding.hint.empty()) screen.line("  = " + printable(finding.hint));
  }
}

// What somebody must do, or can still do, and until when.
void add_pending(const apply::Status& status, Screen& screen) {
  if (!status.pending) return;
  const std::string what = apply::name_of_waiting(*status.pending);
  const apply::WayBack& way = status.way_back;
  if (status.overdue) {
    screen.urgent("overdue", fmt::format("{} should have been rolled back {}", what,
                                         when_over(*status.pending)));
    screen.line("", way.is_there ? "do it now: sudo rolewall rollback --expired"
                                 : "load the policies: sudo rolewall apply    or none: sudo "
                                   "rolewall disable");
  } else {
    screen.urgent("pending", what_becomes_of(*status.pending));
    screen.line("", fmt::format("keep it: sudo rolewall confirm    undo it now: sudo rolewall {}",
                                way.is_there ? way.command() : "disable"));
  }
  if (!way.why_named.empty()) screen.urgent("problem", printable(way.why_named));
}

// As it was applied last. While something waits, an apply has to say what becomes of that.
std::string apply_command(const apply::Status& status) {
  const std::string command = applying_again(status.policies, status.host);
  return status.pending && !status.overdue ? command + " --confirm 5m" : command;
}

// What of that which was applied is not there, and the way back.
void add_lost(const apply::Status& status, bool all, Screen& screen) {
  if (!status.distrusted.empty()) {
    screen.urgent("record", printable(status.distrusted));
    screen.line("",
                "until then it is not read: a boot falls back to the policies, other verbs "
                "refuse");
  } else if (!status.unreadable.empty()) {
    const std::string generation =
        status.generation ? fmt::format("generation {}", *status.generation) : "the last";
    screen.urgent("applied",
                  fmt::format("{} cannot be read: {}", generation, printable(status.unreadable)));
    screen.line("",
                fmt::format("`{}` records it anew; until then a boot falls back to the policies",
                            apply_command(status)));
  }
  if (const auto& fallback = status.fallback) {
    const std::string generation =
        fallback->from ? fmt::format("generation {}", *fallback->from) : "what was confirmed";
    // A long reason is cut off at its end; what is in force, and what to do, are not.
    if (fallback->instead.empty()) {
      screen.urgent("fallback",
                    fmt::format("boot at {} could not load {}", fallback->at, generation));
    } else {
      screen.urgent("fallback", fmt::format("{} is in force since the boot at {}, not {}",
                                            fallback->instead, fallback->at, generation));
    }
    screen.line("", fmt::format("put it right: sudo {}", apply_command(status)));
    screen.line("", printable(fallback->why));
  }
  constexpr std::size_t kMost = 4;
  const std::size_t listed = all ? status.drift.size() : std::min(kMost, status.drift.size());
  for (std::size_t i = 0; i < listed && !status.is_elsewhere; ++i)
    screen.urgent("drift", printable(status.drift[i]));
  if (status.is_elsewhere) {
    screen.urgent("elsewhere",
                  "what is recorded is in force in another network namespace: act there");
    screen.line("", "load it into this one, and record that: sudo rolewall boot");
  } else if (listed < status.drift.size()) {
    screen.line("", fmt::format("and {} (`rolewall status --all`)",
                                counted(status.drift.size() - listed, "other difference")));
  }
  if (status.is_elsewhere) {
    // said already
  } else if (status.generation && !status.table_present) {
    const bool is_rebooted = status.same_boot == false;
    screen.line("", is_rebooted ? "nothing has loaded it since the machine was restarted (is "
                                  "rolewall.service enabled?)"
                                : "flushed or deleted, as nftables.service does when it stops");
    screen.line("", "load it again: sudo rolewall boot");
  } else if (status.generation && !status.drift.empty()) {
    screen.line("", fmt::format("put it right: sudo {}    or load it as it was: sudo rolewall boot",
                                apply_command(status)));
  }
  for (const std::string& problem : status.problems) {
    screen.urgent("problem", printable(problem));
  }
}

// Of the record, where it is not this one; "" also where it does not say.
const char* in_which_world(const apply::Status& status) {
  if (status.same_boot == false) return ", before the last boot";
  return status.same_namespace == false ? ", in another network namespace" : "";
}

// What was applied, how it came that it is in force or not, and what was before.
void add_record(const apply::Status& status, Screen& screen) {
  if (!status.unreadable.empty()) {
    // said already
  } else if (status.generation) {
    screen.line("applied", fmt::format("generation {} for {}, {}{}", *status.generation,
                                       status.host, status.applied_at, in_which_world(status)));
  } else if (status.disabled) {
    const auto& from = status.disabled->from;
    screen.line(
        "applied",
        fmt::format(
            "nothing: disabled at {}{}", status.disabled->at,
            from ? fmt::format(" (`rolewall rollback` loads generation {} again)", *from) : ""));
  } else {
    screen.line("applied", "nothing yet");
  }
  if (const auto& back = status.rolled_back) {
    screen.urgent("rolled back", fmt::format("{} at {}: {}",
                                             back->from ? fmt::format("generation {}", *back->from)
                                                        : "the removal of the table",
                                             back->at, printable(back->why)));
  }
  if (status.pending || status.is_elsewhere) return;
  const bool is_said = status.disabled && status.way_back.why_named.empty();
  const std::string way = command_back(status.way_back);
  if (!way.empty() && !is_said) screen.line("way back", way);
  // What is lost of the history stands among the problems.
  if (status.way_back.is_there && !status.way_back.why_named.empty()) {
    screen.urgent("", printable(status.way_back.why_named));
  }
}

void print_text(const apply::Status& status, bool all) {
  Screen screen(out());
  if (status.audits) screen.urgent("audit mode", kAudits);
  if (status.table_present) {
    screen.line("in force",
                fmt::format("{}, {}, {}", counted(status.rules, "rule"),
                            counted(status.sets, "set"), counted(status.elements, "element")));
  } else {
    screen.line("in force", out().paint(Tone::Warning, "nothing"));
  }
  if (!status.is_elsewhere) add_pending(status, screen);
  add_lost(status, all, screen);
  add_record(status, screen);
  if (status.bans != 0 || status.openings != 0) {
    screen.line("by hand", fmt::format("{}, {}{} (`rolewall bans`)", counted(status.bans, "ban"),
                                       counted(status.openings, "opening"),
                                       status.table_present ? "" : ", not in force"));
  }
  for (const std::string& each : status.silent) screen.line("names", printable(each));
  add_others(status.survey.others, status.table_present, screen);
  add_what_is_dropped(status, screen);
  add_findings(status.survey.findings, screen);
  screen.show(all, "rolewall status --all");
}

// What runs is not what was applied or should run (changed by another hand, gone, not rolled back
// in time, or nobody will), or it cannot be told.
bool drifted(const apply::Status& status) {
  const bool unwatched = status.pending && !apply::is_watched(*status.pending);
  return unwatched || !status.drift.empty() || (status.generation && !status.table_present) ||
         status.overdue || status.fallback || !status.unreadable.empty() ||
         !status.problems.empty();
}

int run(const StatusOptions& options) {
  const auto around = observe::surroundings();
  if (!around) return report(around.error());
  const auto status = apply::status(options.state_directory, *around);
  if (!status) return report(status.error());
  if (options.format == "json") {
    print_json(*status);
  } else {
    print_text(*status, options.all);
  }
  return drifted(*status) ? kNo : kDone;
}

void how_to_begin() {
  out().line(
      "rolewall: nothing is applied on this machine.\n"
      "\n"
      "  rolewall check policies                           lint, test and compile every host\n"
      "  rolewall eval -p policies 'ssh any > HOST'        what would happen to a packet, and why\n"
      "  rolewall apply --sandbox policies --host HOST     try it in a sandbox; changes nothing\n"
      "  sudo rolewall apply policies --host HOST --confirm 2m\n"
      "                                                    put it in force; back after 2 minutes\n"
      "                                                    unless `sudo rolewall confirm` is run\n"
      "\n"
      "`rolewall --help` lists every verb.");
}

}  // namespace

int begin() {
  const auto status = apply::status(std::string(apply::kDefaultStateDirectory));
  if (!status || (!status->table_present && !status->generation)) {
    how_to_begin();
    return kDone;
  }
  print_text(*status, /*all=*/false);
  return drifted(*status) ? kNo : kDone;
}

void add_status(Program& program) {
  Verb verb = program.add_verb(
      kServerVerbs, "status", "show what is in force, and whether it is what was applied",
      "  sudo rolewall status\n"
      "  sudo rolewall status --all\n"
      "  sudo rolewall status --format json\n"
      "\n"
      "First what is urgent, with the command to use; without --all at most a screen of it.\n"
      "It also shows other programs' chains, kernel settings that undo a policy, rules that\n"
      "expire, programs that listen but are not admitted, and rules for ports where nothing "
      "listens.\n"
      "The exit status is 1 if the table is not what was applied, a rollback is overdue or nobody\n"
      "is there to do it, boot had to fall back, or part of the record cannot be read.");
  auto options = std::make_shared<StatusOptions>();
  add_state_option(verb, options->state_directory);
  verb.add_flag("--all", options->all, "show everything, however long");
  add_format_option(verb, options->format, {"text", "json"});
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
