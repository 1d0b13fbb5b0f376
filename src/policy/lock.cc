#include "policy/lock.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "net/known_addresses.h"
#include "net/mapped_address.h"
#include "policy/codes.h"
#include "policy/keys.h"
#include "policy/selector.h"
#include "policy/toml_file.h"

namespace rolewall::policy {
namespace {

bool is_label(std::string_view label) {
  constexpr std::size_t kLongestLabel = 63;
  if (label.empty() || label.size() > kLongestLabel) return false;
  if (label.front() == '-' || label.back() == '-') return false;
  return std::all_of(label.begin(), label.end(), [](char c) {
    return ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z') || ('0' <= c && c <= '9') || c == '-' ||
           c == '_';
  });
}

void read_name(const Member& member, Lock& lock, Diagnostics& diagnostics) {
  if (!is_dns_name(member.key)) {
    report(diagnostics, Code::BadLock, member.span,
           fmt::format("{} is not a DNS name", quote(member.key)));
    return;
  }
  if (!check_type(member.value, KeyType::Strings, member.key, diagnostics)) return;
  const auto items = items_of(member.value);
  if (items.size() > kMostAddressesOfName) {
    report(diagnostics, Code::BadLock, member.value.span(),
           fmt::format("more than {} addresses", kMostAddressesOfName));
    return;
  }
  std::vector<net::Address>& addresses = lock[member.key];
  for (const Value& item : items) {
    if (const auto address = net::parse_address(item.text)) {
      addresses.push_back(net::unmapped(*address));
    } else {
      report(diagnostics, Code::BadLock, item.span(),
             fmt::format("{} is not an address", quote(item.text)), "run `rolewall lock` again");
    }
  }
}

}  // namespace

bool is_of_no_host(const net::Address& address) {
  static const net::AddressSet none =
      net::known_addresses({"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4",
                            "240.0.0.0/4", "::/128", "::1/128", "fe80::/10", "ff00::/8"});
  return none.contains(net::unmapped(address));
}

bool is_dns_name(std::string_view text) {
  constexpr std::size_t kLongest = 253;
  if (text.empty() || text.size() > kLongest || net::parse_address(text)) return false;
  while (true) {
    const auto dot = text.find('.');
    if (!is_label(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

Lock parse_lock(std::string_view text, FileId file, Diagnostics& diagnostics) {
  Lock lock;
  const std::optional<Value> tree = parse_toml(text, file, diagnostics);
  if (!tree) return lock;
  const Section top(*tree, keys::kLockFile, "rolewall.lock", {}, diagnostics);
  const Value* names = top.find("names");
  if (names == nullptr) return lock;
  if (names->members.size() > kMostNames) {
    report(diagnostics, Code::BadLock, names->span(),
           fmt::format("more than {} names", kMostNames));
    return lock;
  }
  for (const Member& member : names->members) read_name(member, lock, diagnostics);
  return lock;
}

std::vector<std::string> dns_names(const Policy& policy) {
  std::vector<std::string> names;
  for (const Network& network : policy.networks) {
    names.insert(names.end(), network.dns_names.begin(), network.dns_names.end());
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Result<Lock> resolve(const std::vector<std::string>& names, const Resolver& resolver) {
  Lock lock;
  for (const std::string& name : names) {
    Result<std::vector<net::Address>> addresses = resolver(name);
    if (!addresses) return std::unexpected(std::move(addresses).error());
    if (addresses->empty()) {
      return fail(ErrorKind::System, fmt::format("{} has no address", name));
    }
    std::sort(addresses->begin(), addresses->end());
    addresses->erase(std::unique(addresses->begin(), addresses->end()), addresses->end());
    if (addresses->size() > kMostAddressesOfName) {
      return fail(ErrorKind::System,
                  fmt::format("{} has more than {} addresses", name, kMostAddressesOfName));
    }
    lock.emplace(name, std::move(*addresses));
  }
  return lock;
}

std::string format_lock(const Lock& lock) {
  std::string text =
      "# Written by `rolewall lock`: what the names in the policy resolved to.\n[names]\n";
  for (const auto& [name, addresses] : lock) {
    text += fmt::format("\"{}\" = [", name);
    std::string_view separator;
    for (const net::Address& address : addresses) {
      text += fmt::format("{}\"{}\"", separator, net::format(address));
      separator = ", ";
    }
    text += "]\n";
  }
  return text;
}

}  // namespace rolewall::policy
