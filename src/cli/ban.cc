// rolewall ban, unban, bans: whom the policy would admit and nobody wants.

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "apply/apply.h"
#include "apply/ban_hits.h"
#include "apply/ban_log.h"
#include "apply/bans.h"
#include "cli/ban_words.h"
#include "cli/exit_status.h"
#include "cli/json.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/state_options.h"
#include "net/protocol.h"
#include "netlink/open_connections.h"

namespace rolewall::cli {
namespace {

using apply::RunTimeEntry;

struct BanOptions {
  std::string what;
  std::string time;  // "": for good
  std::string reason;
  std::string state_directory{apply::kDefaultStateDirectory};
  bool keep_connections = false;
  bool force = false;
};

struct BansOptions {
  std::string state_directory{apply::kDefaultStateDirectory};
  std::string format = "text";
};

Result<net::Prefix> whom_to_ban(const std::string& text) {
  auto prefix = source_of(text);
  if (prefix && prefix->length == 0) {
    return fail(ErrorKind::Refused, "this bans every address: write such a rule in the policy");
  }
  return prefix;
}

// What came of it.
std::string words_of(const apply::Added& added, const net::Prefix& asked) {
  if (added.part_of) {
    return fmt::format("{} is banned already, as part of {} {}", net::format(asked),
                       net::format(*added.part_of->banned), for_how_long(added.part_of->left));
  }
  std::string text =
      fmt::format("banned {} {}", net::format(asked), for_how_long(added.entry.left));
  if (!added.replaced.empty()) text += ", in place of " + listed(added.replaced);
  return text;
}

// "; 3 open connections cut, 2 sockets of this host closed"; "" where there were none.
std::string what_was_cut(const netlink::Ended& cut) {
  std::string words;
  if (cut.open != 0) words = fmt::format("; {} cut", counted(cut.open, "open connection"));
  if (cut.sockets != 0) {
    words += fmt::format("{} {} of this host closed", words.empty() ? ";" : ",",
                         counted(cut.sockets, "socket"));
  }
  return words;
}

int ban(const BanOptions& options) {
  carry_out_overdue(options.state_directory);
  const auto prefix = whom_to_ban(options.what);
  if (!prefix) return report(prefix.error());
  const auto left = time_left(options.time);
  if (!left) return report(left.error());
  if (const auto good = check_reason(options.reason); !good) return report(good.error());
  const auto hit = apply::whom_it_hits(*prefix, options.state_directory);
  if (!hit) return report(hit.error());
  if (!hit->hit.empty() && !options.force) {
    return report({ErrorKind::Refused,
                   fmt::format("{} includes {}: nothing was changed (--force bans it anyway)",
                               net::format(*prefix), hit->hit.front()),
                   0,
                   {}});
  }
  for (const std::string& who : hit->hit) {
    err().line(fmt::format("rolewall: overridden: {} includes {}", net::format(*prefix), who));
  }
  for (const std::string& one : hit->may_hit) {
    err().line(fmt::format("rolewall: note: {} includes {}; whether this cuts it is not known",
                           net::format(*prefix), one));
  }
  for (const std::string& carried : hit->not_found) {
    err().line(
        fmt::format("rolewall: note: what carries {} cannot be found, and so it is not known "
                    "whether this ban cuts it",
                    carried));
  }
  const RunTimeEntry entry{
      .banned = *prefix, .opened = {}, .left = *left, .reason = options.reason};
  const auto added = apply::add_entry(entry, options.state_directory);
  if (!added) return report(added.error());
  std::string done = words_of(*added, *prefix);
  std::optional<Error> problem = added->unrecorded;
  if (!options.keep_connections) {
    const net::AddressSet banned = net::AddressSet::from({*prefix});
    const auto cut = netlink::end_connections_with(
        [&](const net::Address& address) { return banned.contains(address); });
    if (!cut) problem = cut.error();
    if (cut) done += what_was_cut(*cut);
  }
  out().line(done);
  return problem ? report(*problem) : kDone;
}

// `others`: what still bans it, or some of it.
int report_others(const net::Prefix& prefix, bool was_there,
                  const std::vector<RunTimeEntry>& others) {
  std::vector<net::Prefix> parts;
  for (const RunTimeEntry& other : others) {
    if (other.banned->length > prefix.length) {
      parts.push_back(*other.banned);
      continue;
    }
    err().line(fmt::format("rolewall: {} is still banned, as part of {} {} (`rolewall unban {}`)",
                           net::format(prefix), net::format(*other.banned),
                           for_how_long(other.left), net::format(*other.banned)));
    return kNo;
  }
  out().line(fmt::format("{} {}", net::format(prefix),
                         was_there ? "is no longer banned" : "was not banned"));
  if (parts.empty()) return kDone;
  render_notes({fmt::format("still banned within {}: {} (`rolewall bans` lists all)",
                            net::format(prefix), listed(parts))});
  return was_there ? kDone : kNo;
}

int unban(const BanOptions& options) {
  carry_out_overdue(options.state_directory);
  const auto prefix = prefix_of(options.what);
  if (!prefix) return report(prefix.error());
  const auto removed = apply::remove_entry(
      {.banned = *prefix, .opened = {}, .left = {}, .reason = ""}, options.state_directory);
  if (!removed) return report(removed.error());
  const auto others = removed->was_recorded_alone
                          ? apply::recorded_bans_of(*prefix, options.state_directory)
                          : apply::bans_of(*prefix);
  if (!others) return report(others.error());
  const int status = report_others(*prefix, removed->was_there, *others);
  if (removed->was_there && removed->was_recorded_alone) out().line(kRecordedAlone);
  return removed->unrecorded ? report(*removed->unrecorded) : status;
}

std::string name_of(const RunTimeEntry& entry) {
  if (entry.banned) return "ban    " + net::format(*entry.banned);
  return fmt::format("allow  {}/{} from {}", net::protocol_name(entry.opened->protocol),
                     entry.opened->port, net::format(entry.opened->from));
}

Json entry_json(const RunTimeEntry& entry) {
  Json json;
  if (entry.banned) {
    json["kind"] = "ban";
    json["address"] = net::format(*entry.banned);
  } else {
    json["kind"] = "allow";
    json["service"] =
        fmt::format("{}/{}", net::protocol_name(entry.opened->protocol), entry.opened->port);
    json["address"] = net::format(entry.opened->from);
  }
  if (entry.left) json["seconds_left"] = entry.left->count();
  if (!entry.reason.empty()) json["reason"] = entry.reason;
  return json;
}

int list(const BansOptions& options) {
  // What the kernel holds is listed all the same.
  const auto record = apply::may_record(options.state_directory);
  if (!record) render_notes({record.error().message});
  int status = record ? kDone : kNo;
  auto entries = apply::list_entries();
  if (!entries) return report(entries.error());
  std::vector<std::string> problems;
  // What comes back with the table.
  const bool in_force = !entries->empty() || apply::is_in_force();
  if (record) {
    apply::Remembered recorded = apply::look_at_log(options.state_directory, apply::this_world());
    if (!recorded.is_read) status = kNo;
    if (!in_force) entries = std::move(recorded.entries);
    if (!in_force || !recorded.is_read) problems = std::move(recorded.problems);
  }
  const bool is_known = record && status == kDone;
  if (options.format == "json") {
    render_notes(problems);
    Json json{{"version", kJsonVersion},
              {"verb", "bans"},
              {"in_force", in_force},
              {"entries", Json::array()}};
    for (const RunTimeEntry& entry : *entries) json["entries"].push_back(entry_json(entry));
    print(json);
    return status;
  }
  render_notes(problems);
  if (!in_force && !entries->empty()) {
    out().line("No table is in force, so none of these is; they come back with it:");
  }
  for (const RunTimeEntry& entry : *entries) {
    std::string line = fmt::format("{}  {}", name_of(entry), for_how_long(entry.left));
    if (!entry.reason.empty()) line += "  " + entry.reason;
    out().line(printable(line));
  }
  if (entries->empty()) {
    out().line(is_known ? "no bans, no openings"
                        : "no bans, no openings in force; what is recorded is not read");
  }
  return status;
}

void add_ban_verb(Program& program) {
  Verb verb =
      program.add_verb(kEmergencyVerbs, "ban", "drop everything an address sends, at once",
                       "  sudo rolewall ban 192.0.2.7 --for 1h --reason \"guesses passwords\"\n"
                       "  sudo rolewall ban 2001:db8:bad::/48\n"
                       "\n"
                       "What is sent to the address is denied too, and its open connections are "
                       "cut. The ban survives\n"
                       "applies and reboots until its time is over. It is refused if it would hit "
                       "management, this host,\n"
                       "another host of the site, an open ssh session, a router on the way to it, "
                       "or a resolver in use\n"
                       "(--force overrides). A ban of a wider prefix takes the place of narrower "
                       "prefixes, with the\n"
                       "longest time of them; a ban of a single address stays beside it.");
  auto options = std::make_shared<BanOptions>();
  verb.add_option("address", options->what, "an address or a prefix").required();
  verb.add_option("--for", options->time, "how long (30m, 1h, 7d); default: for good")
      .type_name("TIME");
  verb.add_option("--reason", options->reason, "shown by `bans`");
  verb.add_flag("--keep-connections", options->keep_connections, "do not cut open connections");
  verb.add_flag("--force", options->force, "ban even if somebody would be locked out");
  add_state_option(verb, options->state_directory);
  program.on_choice(verb, options, ban);
}

void add_unban_verb(Program& program) {
  Verb verb = program.add_verb(
      kEmergencyVerbs, "unban", "undo a ban",
      "  sudo rolewall unban 192.0.2.7\n"
      "\n"
      "The exit status is 1 if another ban still holds the address or a part of the "
      "prefix.");
  auto options = std::make_shared<BanOptions>();
  verb.add_option("address", options->what, "an address or a prefix").required();
  add_state_option(verb, options->state_directory);
  program.on_choice(verb, options, unban);
}

}  // namespace

void add_bans(Program& program) {
  add_ban_verb(program);
  add_unban_verb(program);
  Verb bans = program.add_verb(kEmergencyVerbs, "bans", "list bans and openings",
                               "  sudo rolewall bans\n"
                               "  sudo rolewall bans --format json\n"
                               "\n"
                               "Where no table is in force, as after `rolewall disable`, it lists "
                               "what is recorded\n"
                               "and comes back with the table, and says so.");
  auto bans_options = std::make_shared<BansOptions>();
  add_state_option(bans, bans_options->state_directory);
  add_format_option(bans, bans_options->format, {"text", "json"});
  program.on_choice(bans, bans_options, list);
}

}  // namespace rolewall::cli
