#include "cli/guard_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "apply/machine_facts.h"
#include "cli/render.h"
#include "cli/site_options.h"
#include "net/prefixes.h"
#include "observe/absent_devices.h"
#include "observe/nat_helpers.h"
#include "observe/net_setting.h"
#include "observe/other_machine.h"

namespace rolewall::cli {
namespace {

using apply::GuardFacts;

std::string place_of(const apply::Loss& loss, const ruleset::SourceMap& sources) {
  const auto source = sources.find(loss.rule);
  if (source == sources.end()) return "rolewall";
  return fmt::format("{}:{}:{}", printable(source->second.file), source->second.line,
                     source->second.column);
}

}  // namespace

Result<GuardFacts> guard_facts(const policy::Policy& policy) {
  auto facts = apply::machine_facts();
  if (!facts) return facts;
  facts->management = net::to_prefixes(policy.management_addresses);
  for (const policy::Host& host : policy.hosts) {
    std::vector<net::Prefix>& addresses = facts->site[host.name];
    addresses = host.addresses;
    addresses.insert(addresses.end(), host.virtual_addresses.begin(), host.virtual_addresses.end());
    for (const net::Prefix& own : host.addresses) {
      for (const net::Address& end : {net::first(own), net::last(own)}) {
        if (policy.management_addresses.contains(end)) facts->named.push_back(end);
      }
    }
  }
  apply::narrow_relays(*facts);
  return facts;
}

void warn_of_machine(const ruleset::Snapshot& snapshot, const ruleset::Host& machine) {
  const auto warn = [](const observe::Finding& finding) {
    err().line(fmt::format("rolewall: {}: {} [{}]", err().paint(Tone::Warning, "warning"),
                           printable(finding.what), name_of(finding.code)));
    err().line("      = " + printable(finding.hint));
  };
  if (const auto other = observe::other_machine(snapshot.host, machine, machine_name())) {
    warn(*other);
  }
  for (const ruleset::Table& table : snapshot.ruleset.tables) {
    if (!ruleset::is_own(table)) continue;
    std::ranges::for_each(observe::absent_devices(table, machine), warn);
    std::ranges::for_each(
        observe::missing_nat_helpers(table, observe::translates(table), observe::kernel_modules()),
        warn);
  }
}

void render_guard(const std::vector<apply::Loss>& losses, const char* word,
                  const ruleset::SourceMap& sources) {
  for (const apply::Loss& loss : losses) {
    err().line(fmt::format("{}: {}: {}", place_of(loss, sources), err().paint(Tone::Bad, word),
                           printable(loss.what)));
    err().line(fmt::format("      = {}", printable(loss.how)));
  }
}

void render_notes(const std::vector<apply::Loss>& notes, const ruleset::SourceMap& sources) {
  for (const apply::Loss& note : notes) {
    err().line(fmt::format("{}: {}: {}", place_of(note, sources), err().paint(Tone::Quiet, "note"),
                           printable(note.what)));
    err().line(fmt::format("      = {}", printable(note.how)));
  }
}

bool is_refused(const apply::GuardCall& guard) {
  return !guard.force && !guard.answer.losses.empty();
}

void say_remarks(const apply::GuardFacts& facts) {
  for (const std::string& remark : facts.remarks) {
    err().line("rolewall: note: " + printable(remark));
  }
}

void say_untracked(const apply::Plan& plan, const apply::GuardFacts& facts) {
  const bool forwards = facts.machine.forwards_ipv4 || facts.machine.forwards_ipv6;
  if (!plan.first || !forwards) return;
  // Where another program's rules have it track, it knows what is open.
  if (observe::net_setting("netfilter/nf_conntrack_count").value_or(0) != 0) return;
  err().line(
      "rolewall: note: the kernel tracks no connections yet: of those that are open through this "
      "host, what comes back is denied until the side that opened them sends something");
  err().line(
      "      = some seconds before, let it track them: nft 'add table inet track; add chain inet "
      "track f { type filter hook forward priority 0; }; add rule inet track f ct state "
      "established'; afterwards: nft delete table inet track");
}

void render_guard_call(const apply::GuardCall& guard, const char* word_if_forced) {
  say_remarks(guard.facts);
  render_guard(guard.answer.losses, guard.force ? word_if_forced : "lost", {});
  render_notes(guard.answer.notes, {});
  if (is_refused(guard)) {
    err().line("rolewall: refused, nothing was changed (--force overrides it)");
  }
}

}  // namespace rolewall::cli
