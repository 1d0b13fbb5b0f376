// Whom a ban would hit that this host and its administrators cannot do without.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "net/address.h"

namespace rolewall::apply {

struct BanHits {
  std::vector<std::string> hit;  // in words: "the address that an ssh session comes from"
  // What carries a session and cannot be found: whether the ban hits it is not known.
  std::vector<std::string> not_found;
  // It hits one of several of which one carries a session: in words, of which.
  std::vector<std::string> may_hit;
};

Result<BanHits> whom_it_hits(const net::Prefix& banned, const std::string& state_directory);

}  // namespace rolewall::apply
