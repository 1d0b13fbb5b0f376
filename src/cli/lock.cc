// rolewall lock: ask the resolver for the DNS names that networks use, and write rolewall.lock.

#include "policy/lock.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "cli/dns.h"
#include "cli/exit_status.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/site_options.h"

namespace rolewall::cli {
namespace {

struct LockOptions {
  SiteOptions site;
};

// A lock is whole: both families must be answered for.
Result<std::vector<net::Address>> addresses_of(const std::string& name,
                                               const NameAnswers& answers) {
  using Kind = apply::DnsAnswer::Kind;
  const auto& [ipv4, ipv6, refused] = answers;
  for (const apply::DnsAnswer& answer : {ipv4, ipv6}) {
    if (answer.kind == Kind::Silence) {
      return fail(ErrorKind::System, fmt::format("{}: {}", name, answer.why));
    }
  }
  if (ipv4.kind == Kind::None && ipv6.kind == Kind::None) {
    return fail(ErrorKind::System, fmt::format("{}: {}", name, ipv4.why));
  }
  std::vector<net::Address> addresses = ipv4.addresses;
  addresses.insert(addresses.end(), ipv6.addresses.begin(), ipv6.addresses.end());
  return addresses;
}

std::string place_of(const policy::Policy& policy, const std::string& name) {
  for (const policy::Network& network : policy.networks) {
    if (std::ranges::find(network.dns_names, name) == network.dns_names.end()) continue;
    return policy.sources.format(network.span);
  }
  return "rolewall";
}

// Each name that has no address is said, at the network that uses it.
std::optional<policy::Lock> resolve_all(const policy::Policy& policy,
                                        const std::vector<std::string>& names,
                                        const std::string& path) {
  policy::Lock all;
  std::size_t failed = 0;
  const std::map<std::string, NameAnswers> answers = ask_dns(names);
  for (const std::string& name : names) {
    const NameAnswers& answer = answers.at(name);
    for (const net::Address& address : answer.refused) {
      render_notes(
          {fmt::format("{}: {} is left out: no other host has it", name, net::format(address))});
    }
    auto one = policy::resolve(
        {name}, [&](const std::string& asked) { return addresses_of(asked, answer); });
    if (one) {
      all.merge(*one);
      continue;
    }
    ++failed;
    err().line(fmt::format("{}: {}: {}", printable(place_of(policy, name)),
                           err().paint(Tone::Bad, "error"), printable(one.error().message)));
  }
  if (failed == 0) return all;
  err().line(fmt::format("rolewall: {} of {} could not be resolved: {} stays as it was", failed,
                         counted(names.size(), "name"), printable(path)));
  return std::nullopt;
}

int run(const LockOptions& options) {
  const auto site = load_valid_site(options.site, Looks::Around);
  if (!site) return report(site.error());
  const std::vector<std::string> names = policy::dns_names(site->policy);
  if (names.empty()) {
    out().line("nothing to lock: no network in this site has `names`");
    return kDone;
  }
  const std::string path = fmt::format("{}/{}", site->policy.directory, policy::kLockFile);
  const auto lock = resolve_all(site->policy, names, path);
  if (!lock) return kSystem;
  if (const auto written = write_file_atomically(path, policy::format_lock(*lock)); !written) {
    return report(written.error());
  }
  std::size_t addresses = 0;
  for (const auto& [name, found] : *lock) addresses += found.size();
  out().line(fmt::format("{}: {}, {}", printable(path), counted(lock->size(), "name"),
                         addresses == 1 ? "1 address" : grouped(addresses) + " addresses"));
  return kDone;
}

}  // namespace

void add_lock(Program& program) {
  Verb verb = program.add_verb(kPolicyVerbs, "lock",
                               "look up the policies' DNS names and write rolewall.lock",
                               "  rolewall lock policies\n"
                               "  rolewall lock policies && git diff policies/rolewall.lock");
  auto options = std::make_shared<LockOptions>();
  options->site.locking = true;
  add_site_options(verb, options->site, Looks::Around);
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
