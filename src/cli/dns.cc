#include "cli/dns.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "net/mapped_address.h"
#include "policy/lock.h"

namespace rolewall::cli {
namespace {

using apply::DnsAnswer;

constexpr std::size_t kAtOnce = 16;
constexpr int kMostSilent = 32;  // in a row

std::optional<net::Address> address_of(const addrinfo& entry) {
  if (entry.ai_family == AF_INET) {
    sockaddr_in ipv4{};
    std::memcpy(&ipv4, entry.ai_addr, sizeof ipv4);
    return net::Ipv4{ntohl(ipv4.sin_addr.s_addr)};
  }
  if (entry.ai_family != AF_INET6) return std::nullopt;
  sockaddr_in6 ipv6{};
  std::memcpy(&ipv6, entry.ai_addr, sizeof ipv6);
  return net::ipv6_from_bytes(ipv6.sin6_addr.s6_addr);
}

// A server has said that there is none: of this family (NODATA), or at all (NXDOMAIN).
bool says_none(int error) {
  return error == EAI_NONAME || error == EAI_NODATA || error == EAI_ADDRFAMILY;
}

// Of one family alone: asked for both at once, the resolver gives what one of them has, and does
// not tell that nobody answered for the other.
DnsAnswer ask_for(const std::string& name, int family, std::vector<net::Address>& refused) {
  addrinfo hints{};
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  // The trailing dot keeps the resolver from trying this machine's search domains.
  const int error = ::getaddrinfo((name + ".").c_str(), nullptr, &hints, &list);
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
  if (error != 0) {
    return {.kind = says_none(error) ? DnsAnswer::Kind::None : DnsAnswer::Kind::Silence,
            .why = ::gai_strerror(error)};
  }
  std::vector<net::Address> addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    const auto address = address_of(*entry);
    if (!address) continue;
    const bool is_refused = policy::is_of_no_host(*address) || net::unmapped(*address) != *address;
    (is_refused ? refused : addresses).push_back(*address);
  }
  std::ranges::sort(addresses);
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  if (addresses.size() > policy::kMostAddressesOfName) {
    return {.kind = DnsAnswer::Kind::Silence,
            .why = fmt::format("more than {} addresses", policy::kMostAddressesOfName)};
  }
  if (addresses.empty()) {
    return {.kind = DnsAnswer::Kind::None, .why = "no address that a host can have"};
  }
  return {.kind = DnsAnswer::Kind::Addresses, .addresses = std::move(addresses)};
}

NameAnswers ask(const std::string& name) {
  NameAnswers answers;
  answers.ipv4 = ask_for(name, AF_INET, answers.refused);
  answers.ipv6 = ask_for(name, AF_INET6, answers.refused);
  return answers;
}

}  // namespace

std::map<std::string, NameAnswers> ask_dns(const std::vector<std::string>& names) {
  std::vector<NameAnswers> answers(names.size());
  std::atomic<std::size_t> next = 0;
  std::atomic<int> silent = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < names.size(); i = next++) {
      if (silent >= kMostSilent) {
        answers[i].ipv4.why = answers[i].ipv6.why = "no server answers";
        continue;
      }
      answers[i] = ask(names[i]);
      const bool is_silent = answers[i].ipv4.kind == DnsAnswer::Kind::Silence &&
                             answers[i].ipv6.kind == DnsAnswer::Kind::Silence;
      silent = is_silent ? silent + 1 : 0;
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < std::min(kAtOnce, names.size()); ++i) threads.emplace_back(work);
    work();
  }
  std::map<std::string, NameAnswers> all;
  for (std::size_t i = 0; i < names.size(); ++i) all[names[i]] = std::move(answers[i]);
  return all;
}

}  // namespace rolewall::cli
