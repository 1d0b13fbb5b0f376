// Random rules of iptables, as iptables-restore reads them: of both families, in the five tables,
// with all matches and targets that iptables has an option for and this kernel may take. The same
// seed gives the same text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace rolewall::kernel_judge {

struct IptablesText {
  struct Chain {
    std::string name;
    std::string policy;  // "-" for those of a user
    std::vector<std::string> rules;
  };
  struct Table {
    bool ipv6 = false;
    std::string name;
    std::vector<Chain> chains;
  };
  std::vector<Table> tables;
  // Where it is there, what was loaded is loaded again in earlier revisions (xt_revisions.h).
  std::optional<std::uint64_t> lowered_by;
};

IptablesText generate_iptables(std::uint64_t seed, bool remembers = false);

// A file of what iptables-save says (iptables_saved.cc).
Result<IptablesText> read_iptables(const std::string& path);

// What iptables-restore gets, or ip6tables-restore; "" where there is nothing of the family.
std::string render(const IptablesText& text, bool ipv6);
std::string render(const IptablesText& text);

}  // namespace rolewall::kernel_judge
