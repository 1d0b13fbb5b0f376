// The front end: a site's directory to a Policy. Reads site.toml, every role beside it, the blocks
// that they use (the site's rules/ before the shipped ones), list files and rolewall.lock; asks no
// network and runs nothing.
#pragma once

#include <optional>
#include <string>

#include "base/diagnostic.h"
#include "policy/policy.h"

namespace rolewall::policy {

struct LoadOptions {
  std::string shipped_rules;  // the directory of the shipped rules/
  Date date;                  // today, or --date: what `expires` is compared with
};

// Every problem that can be found goes to `diagnostics`, at its place. The result is a Policy even
// where there are errors, as far as it could be read, so that messages can name its files; it is to
// be used further only where diagnostics.has_errors() is false.
Policy load(const std::string& directory, const LoadOptions& options, Diagnostics& diagnostics);

// A packet in the user's words, from the command line or a test. `in_role`: the words stand in a
// role's or block's file, where `self` is meaningful and one side must be it. Problems go to
// `diagnostics` at `span`, with the column moved to the word at fault.
std::optional<PacketWords> parse_packet(const Policy& policy, std::string_view text, Span span,
                                        bool in_role, Diagnostics& diagnostics);

}  // namespace rolewall::policy
