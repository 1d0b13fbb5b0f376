// The DNS, by this machine's resolver (resolv.conf): for `lock` and `refresh`, the only verbs that
// ask the network.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "apply/known_names.h"

namespace rolewall::cli {

struct NameAnswers {
  apply::DnsAnswer ipv4;
  apply::DnsAnswer ipv6;
  std::vector<net::Address> refused{};  // that no host has (policy::is_of_no_host())
};

// Each name for both families, several at a time. Once a good number of names in a row have got no
// answer at all, no server is there, and the rest is silent without having been asked.
std::map<std::string, NameAnswers> ask_dns(const std::vector<std::string>& names);

}  // namespace rolewall::cli
