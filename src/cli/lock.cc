// rolewall lock: ask the resolver for the DNS names that networks use, and write rolewall.lock. The
// only verb that asks the network.

#include "policy/lock.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "cli/exit_status.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/site_options.h"

namespace rolewall::cli {
namespace {

struct LockOptions {
  SiteOptions site;
};

Result<std::vector<net::Address>> ask_resolver(const std::string& name) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  // The trailing dot keeps the resolver from trying this machine's search domains.
  const int error = ::getaddrinfo((name + ".").c_str(), nullptr, &hints, &list);
  if (error != 0) {
    return fail(ErrorKind::System, fmt::format("{}: {}", name, ::gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
  std::vector<net::Address> addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    if (entry->ai_family == AF_INET) {
      sockaddr_in ipv4{};
      std::memcpy(&ipv4, entry->ai_addr, sizeof ipv4);
      addresses.emplace_back(net::Ipv4{ntohl(ipv4.sin_addr.s_addr)});
    } else if (entry->ai_family == AF_INET6) {
      sockaddr_in6 ipv6{};
      std::memcpy(&ipv6, entry->ai_addr, sizeof ipv6);
      addresses.emplace_back(net::ipv6_from_bytes(ipv6.sin6_addr.s6_addr));
    }
  }
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
  for (const std::string& name : names) {
    auto one = policy::resolve({name}, ask_resolver);
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
