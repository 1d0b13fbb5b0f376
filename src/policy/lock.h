// rolewall.lock: the addresses that DNS names had when `rolewall lock` was run, so that a policy
// means the same wherever it is read.
//
//     [names]
//     "intake.example.com" = ["192.0.2.200", "2001:db8:d09::200"]
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostic.h"
#include "base/error.h"
#include "policy/policy.h"

namespace rolewall::policy {

inline constexpr std::string_view kLockFile = "rolewall.lock";
inline constexpr std::size_t kMostNames = 10'000;
inline constexpr std::size_t kMostAddressesOfName = 1'000;

using Lock = std::map<std::string, std::vector<net::Address>, std::less<>>;

// What a server's own refresh found of a name (apply/known_names.h). It takes the place of the
// lock's addresses for as long as these are `locked`: who writes the lock anew has looked himself.
struct RefreshedName {
  std::vector<net::Address> addresses;  // none: for too long no server has answered
  std::vector<net::Address> locked;
};
using RefreshedNames = std::map<std::string, RefreshedName, std::less<>>;

// Addresses that no other host has, whatever a DNS server says: unspecified, loopback, link-local,
// multicast and reserved ones. A rule with one of them would open what the policy never meant.
bool is_of_no_host(const net::Address& address);

// Letters, digits, '-' and '_' between dots; a whole name of at most 253 characters.
bool is_dns_name(std::string_view text);

Lock parse_lock(std::string_view text, FileId file, Diagnostics& diagnostics);

// Every DNS name that the policy's networks use, sorted, each once.
std::vector<std::string> dns_names(const Policy& policy);

// All addresses of a name, of both families. The verb asks the system's resolver, a test its own.
using Resolver = std::function<Result<std::vector<net::Address>>(const std::string& name)>;

// Asks for every name, sorted and without duplicates. A name that cannot be resolved, or has no
// address, is an error and nothing is returned: a lock is whole or it is not written.
Result<Lock> resolve(const std::vector<std::string>& names, const Resolver& resolver);

// The file's text: the same lock gives the same bytes.
std::string format_lock(const Lock& lock);

}  // namespace rolewall::policy
