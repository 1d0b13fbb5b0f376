// rolewall allow, unallow: what is opened to one address for a time, without the policy.

#include <fmt/format.h>

#include <string>
#include <vector>

#include "apply/apply.h"
#include "apply/bans.h"
#include "apply/kernel.h"
#include "apply/opening_shut.h"
#include "apply/recorded_facts.h"
#include "cli/ban_words.h"
#include "cli/exit_status.h"
#include "cli/guard_facts.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/site_options.h"
#include "cli/state_options.h"
#include "net/protocol.h"
#include "policy/load.h"

namespace rolewall::cli {
namespace {

using apply::RunTimeEntry;

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

// In an emergency the policies may be what is broken: the shipped services will do, and a port as
// in tcp/8080 needs neither.
policy::Policy known_services(const AllowOptions& options) {
  auto site = load_site(options.site, Looks::OnServer);
  if (site && !site->diagnostics.has_errors()) return std::move(site->policy);
  if (options.service.find('/') == std::string::npos) {
    render_notes({fmt::format(
        "`{}` is taken as shipped, since the policies cannot be read: {}", options.service,
        site ? "they have errors (`rolewall check`)" : site.error().message)});
  }
  return policy_without_site({});
}

// Each port of the service, from one address.
Result<std::vector<RunTimeEntry>> openings(const AllowOptions& options) {
  constexpr unsigned kMostPorts = 64;
  if (options.from_word != "from" || options.from.empty()) {
    const bool is_address = options.from_word != "from" && net::parse_prefix(options.from_word);
    return fail(ErrorKind::Usage,
                fmt::format("write `{} from {}`", options.service,
                            is_address ? options.from_word : std::string("ADDRESS")));
  }
  if (!net::parse_address(options.from)) {
    return fail(ErrorKind::Usage,
                fmt::format("`{}` is not an address: an opening is for one address; for a network "
                            "write a rule in the policy",
                            options.from));
  }
  const auto from = source_of(options.from);
  if (!from) return std::unexpected(from.error());
  Diagnostics diagnostics;
  const auto literals =
      policy::parse_service(known_services(options), options.service, diagnostics);
  if (diagnostics.has_errors()) {
    const Diagnostic& wrong = diagnostics.all().front();
    return fail(ErrorKind::Usage, wrong.hint.empty()
                                      ? wrong.message
                                      : fmt::format("{}: {}", wrong.message, wrong.hint));
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
                                                  .from = from->address},
                         .left = {},
                         .reason = options.reason});
    }
  }
  return entries;
}

// A ban comes first: what is opened to a banned address stays shut.
void warn_of_bans(const net::Address& from) {
  const auto bans = apply::bans_of({from, net::address_bits(from)});
  if (!bans) return;
  for (const RunTimeEntry& ban : *bans) {
    render_notes(
        {fmt::format("{} is banned, by {} {}: what it sends is dropped all the same "
                     "(`rolewall unban {}`)",
                     net::format(from), net::format(*ban.banned), for_how_long(ban.left),
                     net::format(*ban.banned))});
  }
}

// Nor does it come through what is asked before, or beside.
void warn_of_who_shuts(const std::vector<RunTimeEntry>& entries, const AllowOptions& options) {
  const auto facts = apply::recorded_facts(options.state_directory);
  const auto kernel = apply::this_world().open_kernel();
  if (!facts || !kernel) return;
  for (const RunTimeEntry& entry : entries) {
    const std::string who = apply::who_shuts(**kernel, *entry.opened, *facts);
    if (who.empty()) continue;
    render_notes({fmt::format("{} is opened, and what {} sends there is denied all the same, by {}",
                              options.service, net::format(entry.opened->from), printable(who))});
    return;
  }
}

int allow(const AllowOptions& options) {
  carry_out_overdue(options.state_directory);
  auto entries = openings(options);
  if (!entries) return report(entries.error());
  if (options.time.empty()) {
    return report_usage(
        "say for how long: --for 1h (for a permanent opening, write a rule in the policy)");
  }
  const auto left = time_left(options.time);
  if (!left) return report(left.error());
  if (const auto good = check_reason(options.reason); !good) return report(good.error());
  std::optional<Error> unrecorded;
  for (RunTimeEntry& entry : *entries) {
    entry.left = *left;
    const auto added = apply::add_entry(entry, options.state_directory);
    if (!added) return report(added.error());
    if (added->unrecorded) unrecorded = added->unrecorded;
  }
  warn_of_bans(entries->front().opened->from);
  warn_of_who_shuts(*entries, options);
  const std::int64_t seconds = left->value_or(std::chrono::seconds(0)).count();
  out().line(fmt::format("opened {} from {} {}: until {}, then the policy decides again",
                         options.service, options.from, for_how_long(*left),
                         apply::clock_time(apply::this_world(), seconds)));
  return unrecorded ? report(*unrecorded) : kDone;
}

int unallow(const AllowOptions& options) {
  carry_out_overdue(options.state_directory);
  const auto entries = openings(options);
  if (!entries) return report(entries.error());
  auto facts = apply::recorded_facts(options.state_directory);
  if (!facts) return report(facts.error());
  apply::GuardCall guard{.facts = std::move(*facts), .force = options.force};
  bool any = false;
  bool was_recorded_alone = false;
  std::optional<Error> unrecorded;
  for (const RunTimeEntry& entry : *entries) {
    const auto removed =
        apply::remove_entry(entry, options.state_directory, apply::this_world(), &guard);
    if (is_refused(guard) || (!guard.answer.losses.empty() && removed)) render_guard_call(guard);
    if (is_refused(guard)) return kNo;
    if (!removed) return report(removed.error());
    any = any || removed->was_there;
    was_recorded_alone |= removed->was_there && removed->was_recorded_alone;
    if (removed->unrecorded) unrecorded = removed->unrecorded;
  }
  out().line(fmt::format("{} from {} {}", options.service, options.from,
                         any ? "is no longer open" : "was not opened"));
  if (was_recorded_alone) out().line(kRecordedAlone);
  return unrecorded ? report(*unrecorded) : kDone;
}

void add_opening_options(Verb& verb, AllowOptions& options) {
  verb.add_option("service", options.service, "as in a policy: ssh, tcp/8080").required();
  verb.add_option("from", options.from_word, "the word `from`").required();
  verb.add_option("address", options.from, "the address to admit");
  add_site_options(verb, options.site, Looks::OnServer, false);
  add_state_option(verb, options.state_directory);
}

}  // namespace

void add_openings(Program& program) {
  Verb open =
      program.add_verb(kEmergencyVerbs, "allow", "open a service to one address for a time",
                       "  sudo rolewall allow ssh from 192.0.2.7 --for 1h\n"
                       "  sudo rolewall allow tcp/8443 from 2001:db8::7 --for 30m\n"
                       "\n"
                       "A ban comes first, and rules that are asked before the openings: what "
                       "they deny\n"
                       "stays shut, and that is said.");
  auto open_options = std::make_shared<AllowOptions>();
  add_opening_options(open, *open_options);
  open.add_option("--for", open_options->time, "how long (30m, 1h, 7d)").type_name("TIME");
  open.add_option("--reason", open_options->reason, "shown by `bans`");
  program.on_choice(open, open_options, allow);

  Verb close =
      program.add_verb(kEmergencyVerbs, "unallow", "undo an opening",
                       "  sudo rolewall bans                          what is open\n"
                       "  sudo rolewall unallow ssh from 192.0.2.7\n"
                       "  sudo rolewall unallow tcp/8443 from 2001:db8::7\n"
                       "\n"
                       "Connections that are open stay open. It is no error if nothing was "
                       "opened. It is refused\n"
                       "if your session or management would be lost (--force overrides). "
                       "A service's name is looked\n"
                       "up in the policies, or if they cannot be read, in the shipped "
                       "services; a port as in\n"
                       "tcp/8443 needs neither.");
  auto close_options = std::make_shared<AllowOptions>();
  add_opening_options(close, *close_options);
  close.add_flag("--force", close_options->force, "close it even if somebody would be locked out");
  program.on_choice(close, close_options, unallow);
}

}  // namespace rolewall::cli
