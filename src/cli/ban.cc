// rolewall ban, unban, allow, unallow, bans: what is shut or opened for a time, without the policy.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "apply/apply.h"
#include "apply/bans.h"
#include "cli/ban_hits.h"
#include "cli/exit_status.h"
#include "cli/guard_facts.h"
#include "cli/json.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/site_options.h"
#include "cli/state_options.h"
#include "cli/time_option.h"
#include "net/protocol.h"
#include "netlink/conntrack.h"
#include "policy/load.h"

namespace rolewall::cli {
namespace {

using apply::RunTimeEntry;

constexpr std::size_t kMaxReason = 120;  // an element's comment

struct BanOptions {
  std::string what;
  std::string time;  // "": for good
  std::string reason;
  std::string state_directory{apply::kDefaultStateDirectory};
  bool keep_connections = false;
  bool force = false;
};

struct AllowOptions {
  SiteOptions site;
  std::string service;
  std::string from_word;
  std::string from;
  std::string time;
  std::string reason;
  std::string state_directory{apply::kDefaultStateDirectory};
  bool force = false;
};

struct BansOptions {
  std::string format = "text";
};

Result<net::Prefix> prefix_of(const std::string& text) {
  if (const auto address = net::parse_address(text)) {
    return net::Prefix{*address, net::address_bits(*address)};
  }
  if (const auto prefix = net::parse_prefix(text)) {
    if (prefix->length != 0) return *prefix;
    return fail(ErrorKind::Refused, "this bans every address: write such a rule in the policy");
  }
  return fail(
      ErrorKind::Usage,
      fmt::format("`{}` is not an address or a prefix, such as 192.0.2.7 or 2001:db8::/48", text));
}

Result<std::optional<std::chrono::seconds>> time_left(const std::string& text) {
  if (text.empty()) return std::nullopt;
  const auto time = parse_time("--for", text, std::chrono::hours(24 * 366));
  if (!time) return std::unexpected(time.error());
  return *time;
}

Result<void> check_reason(const std::string& reason) {
  if (reason.size() <= kMaxReason && printable(reason) == reason) return {};
  return fail(ErrorKind::Usage,
              fmt::format("--reason: at most {} bytes, without control characters", kMaxReason));
}

std::string for_how_long(const std::optional<std::chrono::seconds>& left) {
  return left ? fmt::format("for {}", in_words(*left)) : std::string("for good");
}

int ban(const BanOptions& options) {
  const auto prefix = prefix_of(options.what);
  if (!prefix) return report(prefix.error());
  const auto left = time_left(options.time);
  if (!left) return report(left.error());
  if (const auto good = check_reason(options.reason); !good) return report(good.error());
  const auto hit = whom_it_hits(*prefix, options.state_directory);
  if (!hit) return report(hit.error());
  if (!hit->empty() && !options.force) {
    return report({ErrorKind::Refused,
                   fmt::format("{} holds {}: nothing was changed (--force does it all the same)",
                               net::format(*prefix), hit->front()),
                   0,
                   {}});
  }
  for (const std::string& who : *hit) {
    err().line(fmt::format("rolewall: overridden: {} holds {}", net::format(*prefix), who));
  }
  const RunTimeEntry entry{
      .banned = *prefix, .opened = {}, .left = *left, .reason = options.reason};
  if (const auto added = apply::add_entry(entry, options.state_directory); !added) {
    return report(added.error());
  }
  std::string done = fmt::format("banned {} {}", net::format(*prefix), for_how_long(*left));
  if (!options.keep_connections) {
    const net::AddressSet banned = net::AddressSet::from({*prefix});
    const auto cut = netlink::cut_connections(
        [&](const net::Address& address) { return banned.contains(address); });
    if (!cut) return report(cut.error());
    if (*cut != 0) done += fmt::format("; {} cut", counted(*cut, "connection"));
  }
  out().line(done);
  return kDone;
}

int unban(const BanOptions& options) {
  const auto prefix = prefix_of(options.what);
  if (!prefix) return report(prefix.error());
  const auto removed = apply::remove_entry(
      {.banned = *prefix, .opened = {}, .left = {}, .reason = ""}, options.state_directory);
  if (!removed) return report(removed.error());
  out().line(fmt::format("{} {}", net::format(*prefix),
                         *removed ? "is no longer banned" : "was not banned"));
  return kDone;
}

// Each port of the service, from one address.
Result<std::vector<RunTimeEntry>> openings(const AllowOptions& options) {
  constexpr unsigned kMostPorts = 64;
  if (options.from_word != "from") {
    return fail(ErrorKind::Usage, "write `allow SERVICE from ADDRESS`");
  }
  const auto from = net::parse_address(options.from);
  if (!from) {
    return fail(ErrorKind::Usage, fmt::format("`{}` is not an address", options.from));
  }
  const auto site = load_site(options.site, Looks::OnServer);
  if (!site) return std::unexpected(site.error());
  Diagnostics diagnostics;
  const auto literals = policy::parse_service(site->policy, options.service, diagnostics);
  if (diagnostics.has_errors()) {
    return fail(ErrorKind::Usage, fmt::format("there is no service `{}`", options.service));
  }
  std::vector<RunTimeEntry> entries;
  for (const policy::ServiceLiteral& literal : literals) {
    if (!net::has_ports(literal.protocol) || !literal.ports_given) {
      return fail(ErrorKind::Usage,
                  fmt::format("`{}`: only services with tcp, udp or sctp ports can be opened",
                              options.service));
    }
    const unsigned ports = literal.destination.last - literal.destination.first + 1U;
    if (entries.size() + ports > kMostPorts) {
      return fail(ErrorKind::Usage,
                  fmt::format("`{}` has more than {} ports", options.service, kMostPorts));
    }
    for (unsigned i = 0; i < ports; ++i) {
      entries.push_back({.banned = {},
                         .opened = apply::Opening{.protocol = literal.protocol,
                                                  .port = static_cast<std::uint16_t>(
                                                      literal.destination.first + i),
                                                  .from = *from},
                         .left = {},
                         .reason = options.reason});
    }
  }
  return entries;
}

int allow(const AllowOptions& options) {
  auto entries = openings(options);
  if (!entries) return report(entries.error());
  if (options.time.empty()) {
    return report_usage(
        "say for how long: --for 1h (for a permanent opening, write a rule in the policy)");
  }
  const auto left = time_left(options.time);
  if (!left) return report(left.error());
  if (const auto good = check_reason(options.reason); !good) return report(good.error());
  for (RunTimeEntry& entry : *entries) {
    entry.left = *left;
    if (const auto added = apply::add_entry(entry, options.state_directory); !added) {
      return report(added.error());
    }
  }
  const std::int64_t seconds = left->value_or(std::chrono::seconds(0)).count();
  out().line(
      fmt::format("opened {} from {} {}: until {}, then new connections are what the policy "
                  "says of them",
                  options.service, options.from, for_how_long(*left),
                  apply::clock_time(apply::this_world(), seconds)));
  return kDone;
}

int unallow(const AllowOptions& options) {
  const auto entries = openings(options);
  if (!entries) return report(entries.error());
  auto facts = guard_facts(options.state_directory);
  if (!facts) return report(facts.error());
  apply::GuardCall guard{.facts = std::move(*facts), .force = options.force};
  bool any = false;
  for (const RunTimeEntry& entry : *entries) {
    const auto removed =
        apply::remove_entry(entry, options.state_directory, apply::this_world(), &guard);
    if (is_refused(guard) || (!guard.answer.losses.empty() && removed)) render_guard_call(guard);
    if (is_refused(guard)) return kNo;
    if (!removed) return report(removed.error());
    any = any || *removed;
  }
  out().line(fmt::format("{} from {} {}", options.service, options.from,
                         any ? "is no longer open" : "was not opened"));
  return kDone;
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
  const auto entries = apply::list_entries();
  if (!entries) return report(entries.error());
  if (options.format == "json") {
    Json json{{"version", kJsonVersion}, {"verb", "bans"}, {"entries", Json::array()}};
    for (const RunTimeEntry& entry : *entries) json["entries"].push_back(entry_json(entry));
    print(json);
    return kDone;
  }
  for (const RunTimeEntry& entry : *entries) {
    std::string line = fmt::format("{}  {}", name_of(entry), for_how_long(entry.left));
    if (!entry.reason.empty()) line += "  " + entry.reason;
    out().line(printable(line));
  }
  if (entries->empty()) out().line("no bans, no openings");
  return kDone;
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
                       "an open ssh session, a router on the way to it, or a resolver in use "
                       "(--force overrides).");
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
  Verb verb =
      program.add_verb(kEmergencyVerbs, "unban", "undo a ban", "  sudo rolewall unban 192.0.2.7");
  auto options = std::make_shared<BanOptions>();
  verb.add_option("address", options->what, "an address or a prefix").required();
  add_state_option(verb, options->state_directory);
  program.on_choice(verb, options, unban);
}

void add_opening_options(Verb& verb, AllowOptions& options) {
  verb.add_option("service", options.service, "as in a policy: ssh, tcp/8080").required();
  verb.add_option("from", options.from_word, "the word `from`").required();
  verb.add_option("address", options.from, "the address to admit").required();
  add_site_options(verb, options.site, false);
  add_state_option(verb, options.state_directory);
}

}  // namespace

void add_bans(Program& program) {
  add_ban_verb(program);
  add_unban_verb(program);
  Verb bans = program.add_verb(kEmergencyVerbs, "bans", "list bans and openings",
                               "  sudo rolewall bans\n"
                               "  sudo rolewall bans --format json");
  auto bans_options = std::make_shared<BansOptions>();
  add_format_option(bans, bans_options->format, {"text", "json"});
  program.on_choice(bans, bans_options, list);

  Verb open = program.add_verb(kEmergencyVerbs, "allow", "open a service to one address for a time",
                               "  sudo rolewall allow ssh from 192.0.2.7 --for 1h\n"
                               "  sudo rolewall allow tcp/8443 from 2001:db8::7 --for 30m");
  auto open_options = std::make_shared<AllowOptions>();
  add_opening_options(open, *open_options);
  open.add_option("--for", open_options->time, "how long (30m, 1h, 7d)").type_name("TIME");
  open.add_option("--reason", open_options->reason, "shown by `bans`");
  program.on_choice(open, open_options, allow);

  Verb close = program.add_verb(kEmergencyVerbs, "unallow", "undo an opening",
                                "  sudo rolewall unallow ssh from 192.0.2.7\n"
                                "\n"
                                "Refused where your session or management would be lost by it.");
  auto close_options = std::make_shared<AllowOptions>();
  add_opening_options(close, *close_options);
  close.add_flag("--force", close_options->force, "though somebody would be shut out");
  program.on_choice(close, close_options, unallow);
}

}  // namespace rolewall::cli
