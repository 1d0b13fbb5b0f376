// Whom a ban would hit that this host and its administrators cannot do without.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "net/address.h"

namespace rolewall::apply {

// In words: "the address that an ssh session comes from". Empty: nobody.
Result<std::vector<std::string>> whom_it_hits(const net::Prefix& banned,
                                              const std::string& state_directory);

}  // namespace rolewall::apply
