// rolewall refresh: what changes by itself in a policy that is in force. The addresses of its DNS
// names are asked for again, and a rule whose day has come goes. Nothing else changes: it compiles
// the files that the last apply has kept, not what somebody has written since.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "apply/apply.h"
#include "apply/generations.h"
#include "apply/interrupted.h"
#include "apply/known_names.h"
#include "apply/policy_sources.h"
#include "apply/waiting.h"
#include "base/calendar.h"
#include "cli/dns.h"
#include "cli/exit_status.h"
#include "cli/guard_facts.h"
#include "cli/program.h"
#include "cli/recorded_site.h"
#include "cli/render.h"
#include "cli/render_cuts.h"
#include "cli/site_options.h"
#include "cli/state_options.h"
#include "compile/written.h"
#include "policy/effective.h"
#include "policy/load.h"

namespace rolewall::cli {
namespace {

struct RefreshOptions {
  std::string state_directory{apply::kDefaultStateDirectory};
  std::string date;
  std::string confirm;
  bool force = false;
  bool cut = false;
  bool as_unit = false;
};

Result<bool> is_table_there() {
  auto kernel = netlink::Connection::open();
  if (!kernel) return std::unexpected(kernel.error());
  const auto tables = kernel->tables();
  if (!tables) return std::unexpected(tables.error());
  return std::ranges::any_of(*tables, ruleset::is_own);
}

// What there is to refresh; else why there is nothing, and the exit status that goes with it.
struct InForce {
  apply::Generation generation;
  apply::PolicySources sources;
};
struct Nothing {
  std::string why;
  int status = kDone;
};

Result<std::optional<InForce>> find_in_force(const RefreshOptions& options, Nothing& nothing) {
  auto current = apply::current_generation(options.state_directory);
  if (!current) return std::unexpected(std::move(current).error());
  if (!*current) {
    nothing.why = "nothing to refresh: no policy is in force";
    return std::nullopt;
  }
  const std::uint32_t number = (*current)->applied.generation;
  const auto there = is_table_there();
  if (!there) return std::unexpected(there.error());
  if (!*there) {
    nothing = {"not refreshed: the table is not in the kernel (`rolewall boot` loads it)",
               options.as_unit ? kDone : kNo};
    return std::nullopt;
  }
  const auto waits = apply::whatever_waits(options.state_directory).pending;
  if (waits && options.confirm.empty()) {
    nothing = {fmt::format("not refreshed: {} waits for `rolewall confirm`",
                           apply::name_of_waiting(*waits)),
               options.as_unit ? kDone : kNo};
    return std::nullopt;
  }
  const auto text = apply::read_sources(options.state_directory, number);
  if (!text) return std::unexpected(text.error());
  if (text->empty()) {
    nothing.why = fmt::format(
        "nothing to refresh: generation {} has no policies with it, as an older rolewall left it: "
        "apply once more",
        number);
    return std::nullopt;
  }
  auto sources = apply::policy_sources_from_json(*text);
  if (!sources) return std::unexpected(std::move(sources).error());
  if (sources->files.empty()) {
    nothing.why = "nothing to refresh: the policy has no DNS names and no rule that expires";
    return std::nullopt;
  }
  return InForce{std::move(**current), std::move(*sources)};
}

// What the site's own lock says; a name that it lacks has nothing there.
policy::Lock lock_of(const apply::PolicySources& sources) {
  const auto file = sources.files.find(fmt::format("{}/{}", sources.directory, policy::kLockFile));
  if (file == sources.files.end()) return {};
  Diagnostics ignored;  // with an error in it nothing was applied
  return policy::parse_lock(file->second, kNoFile, ignored);
}

// A timer says it every few minutes: some, and how many others there are.
void say_some(const std::vector<std::string>& notes) {
  constexpr std::size_t kMost = 8;
  const std::size_t said = notes.size() > kMost + 1 ? kMost : notes.size();
  for (std::size_t i = 0; i < said; ++i) render_notes({notes[i]});
  if (said < notes.size()) {
    render_notes(
        {fmt::format("and {} more (`rolewall status --all`)", grouped(notes.size() - said))});
  }
}

// The DNS names that rules of this host rest on, in force or not, and management, whom the guard
// asks about; sorted, each once. The site's others are not this server's to look up, nor to
// complain of.
std::vector<std::string> names_used(policy::Policy policy, const std::string& host) {
  const auto index = policy::find_host(policy, host);
  if (!index) return policy::dns_names(policy);
  // What is out of force for want of an answer comes back with one.
  for (policy::RuleFile& file : policy.files) {
    for (policy::Rule& rule : file.rules) {
      rule.left_out = false;
      rule.expires.reset();
    }
  }
  const policy::HostPolicy rules = policy::effective_policy(policy, *index, {});
  // What is behind an interface is kept as addresses.
  const bool has_inside = std::ranges::any_of(
      rules.host->interfaces, [](const auto& interface) { return interface.behind.has_value(); });
  if (has_inside) return policy::dns_names(policy);
  std::set<std::string> used;
  const auto add = [&](const policy::Network& network) {
    used.insert(network.rests_on.begin(), network.rests_on.end());
  };
  const auto add_terms = [&](const policy::Selectors& selectors) {
    for (const policy::Selector& item : selectors.items) {
      if (item.term.kind == policy::TermKind::Network) add(policy.networks[item.term.index]);
    }
  };
  const std::vector<ruleset::Written> written = compile::written(policy, rules);
  for (const policy::Network& network : policy.networks) {
    const bool is_named = std::ranges::any_of(written, [&](const ruleset::Written& entry) {
      return entry.kind == "network" && entry.name == network.name;
    });
    if (is_named) add(network);
  }
  if (policy.management) add_terms(*policy.management);
  add_terms(policy.internal);  // what `internet` leaves out
  return {used.begin(), used.end()};
}

// Asks for these names, and takes down what is known then.
apply::KnownNames ask_again(const policy::Policy& policy, const std::vector<std::string>& names,
                            const policy::Lock& locks, const apply::KnownNames& before) {
  const apply::World& world = apply::this_world();
  const auto answers = ask_dns(names);
  apply::KnownNames known = before;
  known.names.clear();
  known.refreshed_at = apply::clock_time(world);
  std::vector<std::string> notes;
  for (const std::string& name : names) {
    std::chrono::seconds keep{0};  // of several networks' the longest
    for (const policy::Network& network : policy.networks) {
      if (std::ranges::find(network.dns_names, name) == network.dns_names.end()) continue;
      keep = std::max(keep, std::chrono::seconds(network.keep_seconds));
    }
    const NameAnswers& answer = answers.at(name);
    for (const net::Address& address : answer.refused) {
      notes.push_back(
          fmt::format("{}: {} is left out: no other host has it", name, net::format(address)));
    }
    const auto there = before.names.find(name);
    apply::KnownName& entry = known.names[name];
    if (there != before.names.end()) entry = there->second;
    const auto lock = locks.find(name);
    apply::take_answers(entry, lock == locks.end() ? std::vector<net::Address>() : lock->second,
                        keep, answer.ipv4, answer.ipv6, world);
    if (const std::string words = apply::silence_in_words(name, entry, world); !words.empty()) {
      const std::string& why = answer.ipv4.why.empty() ? answer.ipv6.why : answer.ipv4.why;
      notes.push_back(why.empty() ? words : fmt::format("{} ({})", words, why));
    }
  }
  say_some(notes);
  return known;
}

Result<void> write(const std::string& state_directory, const apply::KnownNames& known) {
  auto state = apply::StateDirectory::open(state_directory);
  if (!state) return std::unexpected(std::move(state).error());
  return state->write(apply::kNamesFile, apply::to_json(known));
}

// What the DNS says otherwise than the time before: "intake.example: + 192.0.2.7, - 192.0.2.8".
std::vector<std::string> other_answers(const apply::KnownNames& earlier,
                                       const apply::KnownNames& found) {
  std::vector<std::string> lines;
  for (const auto& [name, entry] : found.names) {
    const auto there = earlier.names.find(name);
    const auto before = there == earlier.names.end() ? entry.locked : there->second.addresses();
    std::vector<std::string> words;
    const auto add = [&](const char* mark, const std::vector<net::Address>& of,
                         const std::vector<net::Address>& without) {
      for (const net::Address& address : of) {
        if (std::ranges::find(without, address) != without.end()) continue;
        words.push_back(fmt::format("{} {}", mark, net::format(address)));
      }
    };
    add("+", entry.addresses(), before);
    add("-", before, entry.addresses());
    if (!words.empty()) lines.push_back(fmt::format("{}: {}", name, fmt::join(words, ", ")));
  }
  return lines;
}

// What changes in what is in force, a line each.
std::vector<std::string> changes(const ruleset::Snapshot& before, const ruleset::Snapshot& after,
                                 policy::Date date, const std::vector<std::string>& answers) {
  std::vector<std::string> lines;
  for (const apply::PolicyChange& change : apply::policy_changes(before.written, after.written)) {
    const auto source = before.sources.find(change.name);
    if (change.is_rule() && change.kind == apply::ChangeKind::Added) {
      lines.push_back(change.name + ": in force again");
    } else if (change.is_rule() && change.kind == apply::ChangeKind::Removed) {
      const std::string last_day = source == before.sources.end() ? "" : source->second.expires;
      const auto day = parse_date(last_day);
      lines.push_back(fmt::format("{}: out of force: {}", change.name,
                                  day && *day <= date ? "it expired on " + last_day
                                                      : "a name that it needs has no address"));
    }
    for (const apply::KeyChange& key : change.keys) {
      if (change.is_rule()) continue;
      // A long network is recorded as how many it has: its names tell.
      const bool is_long = std::ranges::any_of(
          key.more, [](const std::string& word) { return word.find(' ') != std::string::npos; });
      if (is_long) {
        lines.push_back(change.name + ": other addresses");
        lines.insert(lines.end(), answers.begin(), answers.end());
        continue;
      }
      std::vector<std::string> words;
      for (const std::string& each : key.more) words.push_back("+ " + each);
      for (const std::string& each : key.less) words.push_back("- " + each);
      lines.push_back(fmt::format("{}: {}", change.name, fmt::join(words, ", ")));
    }
  }
  if (lines.empty()) lines.emplace_back("compiled anew by another version of rolewall");
  return lines;
}

// One line for the history.
std::string in_short(const std::vector<std::string>& lines) {
  constexpr std::size_t kMost = 200;
  std::string text = fmt::format("{}", fmt::join(lines, "; "));
  if (text.size() <= kMost) return text;
  return fmt::format("{} changes, the first: {}", lines.size(), lines.front().substr(0, kMost));
}

Result<apply::ApplyOptions> how_to_apply(const RefreshOptions& options, const InForce& there,
                                         const policy::Policy& policy) {
  const auto within = confirm_within(options.confirm);
  if (!within) return std::unexpected(within.error());
  auto facts = guard_facts(policy);
  if (!facts) return std::unexpected(facts.error());
  facts->may_be_undone = within->has_value();
  apply::ApplyOptions how;
  how.confirm_within = *within;
  how.policies = there.generation.applied.policies;
  how.guard = std::move(*facts);
  how.force = options.force;
  how.cut = options.cut;
  how.refreshes = there.generation.applied.generation;
  how.sources = apply::to_json(there.sources);
  return how;
}

int say_outcome(const apply::Outcome& outcome, const apply::ApplyOptions& how,
                const ruleset::Snapshot& snapshot, const std::vector<std::string>& lines) {
  say_remarks(*how.guard);
  const bool is_done = outcome.report.has_value();
  render_guard(is_done ? outcome.report->overridden : outcome.losses,
               is_done ? "overridden" : "lost", snapshot.sources);
  render_notes(is_done ? outcome.report->notes : outcome.notes, snapshot.sources);
  if (!outcome.losses.empty()) {
    err().line(
        "rolewall: refused, nothing was changed: this would not be let through any more "
        "(--force overrides it)");
    return kNo;
  }
  for (const netlink::Refusal& refusal : outcome.refusals) {
    render_notes({fmt::format("the kernel refused {}: {}", refusal.what, refusal.explanation)});
  }
  if (!is_done) return kSystem;
  render_notes(outcome.report->problems);
  if (outcome.report->generation == *how.refreshes) {
    out().line(fmt::format("{}: nothing has changed", snapshot.host.name));
  } else {
    for (const std::string& line : lines) out().line(printable(line));
    out().line(fmt::format("{}: generation {} is in force in place of generation {}",
                           snapshot.host.name, outcome.report->generation, *how.refreshes));
  }
  if (outcome.report->cut) say_cut(*outcome.report->cut);
  if (outcome.report->pending) say_what_waits(*outcome.report->pending);
  return kDone;
}

// Of a timer nobody sees what it says: `status` shows it.
Result<void> note_refusal(const std::string& state_directory, apply::KnownNames known,
                          const std::string& why, std::uint32_t in_force) {
  if (why == known.refused && (why.empty() || known.refused_in_place_of == in_force)) return {};
  known.refused = why;
  known.refused_in_place_of = in_force;
  return write(state_directory, known);
}

struct Refreshed {
  int status = kDone;
  std::string refused{};         // what the guard would not lose; "": nothing, or it was forced
  std::uint32_t generation = 0;  // in force afterwards
};

// What is in force, as it is on that day with what the DNS says.
Result<Refreshed> refresh_as_of(policy::Date date, const RefreshOptions& options,
                                const InForce& in_force, const apply::KnownNames& found,
                                const std::vector<std::string>& answers) {
  const ruleset::Snapshot& before = in_force.generation.snapshot;
  const std::uint32_t number = in_force.generation.applied.generation;
  LoadedSite site = load_recorded(in_force.sources, date, refreshed_names_of(found));
  if (site.diagnostics.has_errors()) {
    render(err(), site.policy.sources, site.diagnostics, Severity::Error);
    err().line("rolewall: with what the DNS says the policy has errors: nothing was changed");
    return Refreshed{.status = kNo, .generation = number};
  }
  const auto wanted = compile_host(std::move(site), before.host.name);
  if (!wanted) return std::unexpected(wanted.error());
  const ruleset::Snapshot snapshot = with_whole_paths(wanted->snapshot);
  const bool changed = snapshot != before;
  // With --cut there is something to do all the same: what an earlier one has left open.
  if (!changed && !options.cut) {
    out().line(fmt::format("{}: nothing has changed", before.host.name));
    return Refreshed{.generation = number};
  }
  const std::vector<std::string> lines =
      changed ? changes(before, snapshot, date, answers)
              : std::vector<std::string>{"nothing in what is in force"};
  auto how = how_to_apply(options, in_force, wanted->site.policy);
  if (!how) return std::unexpected(how.error());
  how->why = in_short(lines);
  say_cuts(snapshot, *how->guard, options.state_directory,
           {.cuts = options.cut, .command = "rolewall refresh --cut"});
  const auto outcome = apply::apply(snapshot, options.state_directory, *how);
  if (!outcome) return std::unexpected(outcome.error());
  Refreshed done{.status = say_outcome(*outcome, *how, snapshot, lines), .generation = number};
  if (outcome->report) done.generation = outcome->report->generation;
  if (!outcome->losses.empty()) done.refused = outcome->losses.front().what;
  return done;
}

// A day on which the rules in force that have expired by `date` had not; std::nullopt: none has.
std::optional<policy::Date> day_before_what_expired(const ruleset::Snapshot& in_force,
                                                    policy::Date date) {
  std::optional<policy::Date> first;
  for (const auto& [rule, source] : in_force.sources) {
    const auto day = parse_date(source.expires);
    if (day && *day <= date && (!first || *day < *first)) first = *day;
  }
  if (!first) return std::nullopt;
  return policy::Date(std::chrono::sys_days(*first) - std::chrono::days(1));
}

int run(const RefreshOptions& options) {
  if (const auto may = may_change_firewall(); !may) return report(may.error());
  const auto date = date_of(options.date);
  if (!date) return report(date.error());
  carry_out_overdue(options.state_directory);
  const auto cleared = apply::clear_interrupted(options.state_directory, apply::this_world());
  if (!cleared) return report(cleared.error());
  Nothing nothing;
  auto there = find_in_force(options, nothing);
  if (!there) return report(there.error());
  if (!*there) {
    out().line(nothing.why);
    return nothing.status;
  }
  const InForce& in_force = **there;
  auto known = apply::read_known_names(options.state_directory);
  if (!known) render_notes({known.error().message});
  const apply::KnownNames earlier = known.value_or(apply::KnownNames());
  const LoadedSite as_it_is = load_recorded(in_force.sources, *date, refreshed_names_of(earlier));
  const apply::KnownNames found = ask_again(
      as_it_is.policy, names_used(as_it_is.policy, in_force.generation.snapshot.host.name),
      lock_of(in_force.sources), earlier);
  if (const auto written = write(options.state_directory, found); !written) {
    return report(written.error());
  }
  const std::vector<std::string> answers = other_answers(earlier, found);
  auto done = refresh_as_of(*date, options, in_force, found, answers);
  if (!done) return report(done.error());
  // A rule that somebody still needs keeps no name from its addresses.
  const auto day = day_before_what_expired(in_force.generation.snapshot, *date);
  if (!done->refused.empty() && day) {
    err().line("rolewall: without what has expired, which stays in force:");
    const auto names_alone = refresh_as_of(*day, options, in_force, found, answers);
    if (!names_alone) return report(names_alone.error());
    done->generation = names_alone->generation;
  }
  const auto noted = note_refusal(options.state_directory, found, done->refused, done->generation);
  return noted ? done->status : report(noted.error());
}

}  // namespace

void add_refresh(Program& program) {
  Verb verb = program.add_verb(
      kServerVerbs, "refresh",
      "look up the names of the policy in force again, and end what expired",
      "  sudo rolewall refresh\n"
      "  sudo rolewall refresh --confirm 2m                   the old addresses come back unless\n"
      "                                                       confirmed\n"
      "  sudo rolewall refresh --cut                          ends what is no longer admitted\n"
      "  sudo systemctl enable --now rolewall-refresh.timer   every five minutes\n"
      "\n"
      "It asks the DNS for the names that the policy in force uses, takes out rules that have\n"
      "expired, and changes nothing else: what was edited since the last apply waits for the "
      "next.\n"
      "Counters and bans stay. Where no server answers, or one says that a name has no address,\n"
      "the last addresses are kept for as long as the network's `keep` says (7 days), and then\n"
      "taken out. It is refused if your session or management would be lost (--force overrides).");
  auto options = std::make_shared<RefreshOptions>();
  add_state_option(verb, options->state_directory);
  verb.add_option("--date", options->date, "the date for `expires` (default: today, UTC)")
      .type_name("YYYY-MM-DD");
  add_confirm_option(verb, options->confirm);
  const Option force =
      verb.add_flag("--force", options->force, "though somebody would be shut out");
  verb.add_flag("--cut", options->cut,
                "end the open connections that are no longer admitted, an earlier change's too");
  verb.add_flag("--as-unit", options->as_unit,
                "as the timer does: where it has to wait for somebody, that is no failure")
      .excludes(force);
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
