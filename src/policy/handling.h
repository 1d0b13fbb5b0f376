// What a site makes of lint's findings: `allow-finding` with a reason, `[lint] level`, what the
// command line selects, and a baseline of what is known. None of it concerns errors: a policy that
// is wrong stays wrong.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostic.h"
#include "policy/keys.h"
#include "policy/policy.h"

namespace rolewall::policy {

struct Loader;

// --- reading -----------------------------------------------------------------------------------

// A section's `allow-finding`, if it has one.
void read_allowed(Loader& loader, const Section& section, AllowedFinding::Where where,
                  Span subject);

// The table [lint].
void read_levels(Loader& loader, const Value& table, Keys top);

// Whether a reason says anything; else it is reported.
bool check_reason(const Value& value, std::string_view key, Diagnostics& diagnostics);

// --- what findings are about ---------------------------------------------------------------------

// A finding without the line at which it stands: it stays the same as the file around it changes.
struct Fingerprint {
  std::string code;
  std::string file;   // below the site's directory
  std::string about;  // the rule, host, network or role; else, and where it matters, the message
  std::size_t count = 1;  // the first, second, ... with the same words
  std::string hash;       // of all of these
};

// FNV-1a in hexadecimal: short, and the same everywhere. It tells findings apart, and need not keep
// anybody out.
std::string fingerprint_hash(std::string_view text);

// Of each finding, in their order.
std::vector<Fingerprint> fingerprints_of(const Policy& policy, const Diagnostics& findings);

// --- handling ------------------------------------------------------------------------------------

struct Handling {
  // All that the verb looks for was looked for: an entry that silences nothing is a finding.
  bool complete = false;
  bool packets_asked = false;       // `check`: what needs_packets() was looked for as well
  std::vector<std::string> select;  // codes; empty: all
  std::vector<std::string> ignore;
  const std::map<std::string, std::size_t>* baseline = nullptr;  // how often each hash
};

struct Silenced {
  std::size_t allowed = 0;      // by `allow-finding`
  std::size_t left_out = 0;     // by --select, --ignore or level "off"
  std::size_t in_baseline = 0;  // known
  std::size_t gone = 0;         // the baseline has them, and they are not found
};

// Takes out what a baseline knows: how often it has each hash.
void drop_known(const Policy& policy, std::map<std::string, std::size_t> known,
                Diagnostics& findings, Silenced& silenced);

// Leaves what is to be shown, sorted.
Silenced handle(const Policy& policy, const Handling& handling, Diagnostics& findings);

}  // namespace rolewall::policy
