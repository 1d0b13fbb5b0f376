// The front end: a site's directory to a Policy. Reads site.toml, every role beside it, the blocks
// that they use (the site's rules/ before the shipped ones), list files and rolewall.lock; asks no
// network and runs nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostic.h"
#include "policy/files.h"
#include "policy/lock.h"
#include "policy/policy.h"

namespace rolewall::policy {

struct LoadOptions {
  std::string shipped_rules;  // the directory of the shipped rules/; "" for none
  Date date{};                // today, or --date: what `expires` is compared with
  // A rule that has expired is an error (check, lint), else a warning (apply, refresh, boot). It is
  // left out of the effective policy either way.
  bool expired_is_error = false;
  // For `rolewall lock`, which makes it: a DNS name that rolewall.lock lacks, or a lock that
  // cannot be read, is no error. The Policy's addresses are then not to be used.
  bool locking = false;
  // On a server that refreshes its names; else none, and rolewall.lock alone counts.
  RefreshedNames refreshed = {};
};

// Every problem that can be found goes to `diagnostics`, at its place; they end up sorted. The
// result is a Policy even where there are errors, as far as it could be read, so that messages can
// name its files; it is to be used further only where diagnostics.has_errors() is false.
Policy load(const std::string& directory, const LoadOptions& options, Diagnostics& diagnostics);
Policy load(const std::string& directory, const LoadOptions& options, const Files& files,
            Diagnostics& diagnostics);

// The names of the shipped services, for a policy without a site. `shipped_rules`: as in
// LoadOptions.
void add_shipped_services(Policy& policy, const std::string& shipped_rules,
                          Diagnostics& diagnostics);

// A packet in the user's words, from the command line or a test. `in_role`: the words stand in a
// role's or block's file, where `self` is meaningful and one side must be it. `every`: as in a law,
// each end may list several, and ports may be left open. Problems go to `diagnostics` at `span`,
// with the column moved to the word at fault.
std::optional<PacketWords> parse_packet(const Policy& policy, std::string_view text, Span span,
                                        bool in_role, Diagnostics& diagnostics, bool every = false);

// A service's name, or a literal such as "tcp/8080", from the command line. Problems go to
// `diagnostics`, without a place.
std::vector<ServiceLiteral> parse_service(const Policy& policy, std::string_view text,
                                          Diagnostics& diagnostics);

}  // namespace rolewall::policy
