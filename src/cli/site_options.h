// Which policies a verb works on: where the site's directory and the shipped rules are, the date,
// and the host. See design: verbs that only read try the current directory, those that touch the
// server never do.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/diagnostic.h"
#include "base/error.h"
#include "cli/program.h"
#include "policy/files.h"
#include "policy/lock.h"
#include "policy/policy.h"
#include "policy/remembered_files.h"
#include "ruleset/snapshot.h"

namespace rolewall::cli {

inline constexpr std::string_view kServerDirectory = "/etc/rolewall";

enum class Looks {
  Around,    // ./site.toml, ./policies, /etc/rolewall
  OnServer,  // /etc/rolewall alone; and no file is read that others could write
};

struct SiteOptions {
  std::string directory;  // "" where none was named
  std::string date;       // "" for today
  // How the verb itself wants the policies read (policy::LoadOptions).
  bool expired_is_error = false;
  bool locking = false;
  policy::RefreshedNames refreshed = {};  // LoadOptions::refreshed
  bool remembers = false;                 // LoadedSite::texts
};

// DIR (also -p DIR) and --date; `looks`: where, without DIR. `positional` false: -p alone (where
// another word stands in DIR's place). `by_default`: what the help says is read without it; "":
// where `looks` looks.
void add_site_options(Verb& verb, SiteOptions& options, Looks looks, bool positional = true,
                      std::string_view by_default = "");

// What --date says; today where it says nothing.
Result<policy::Date> date_of(const std::string& text);

// --host, for verbs that make one host's ruleset.
void add_host_option(Verb& verb, std::string& host);

struct LoadedSite {
  policy::Policy policy;
  Diagnostics diagnostics;
  policy::Date date;
  policy::FileTexts texts = {};  // where they are asked for: what it was read from
  std::string rules;             // the directory of the shipped ones
};

// Reads the policies. An error where there is no such directory or file; what is wrong in the
// policies themselves is in the result's diagnostics. Says on the error stream which directory it
// took, where none was named.
Result<LoadedSite> load_site(const SiteOptions& options, Looks looks);

// The site as `files` have it in this directory.
Result<LoadedSite> load_site_of(const policy::Files& files, const std::string& directory,
                                const SiteOptions& options);
// The reader that load_site() has for that directory: on a server one that refuses what others
// could write.
Result<std::unique_ptr<policy::Files>> reader_of(const std::string& directory, Looks looks);
// Where load_site() finds it.
Result<std::string> site_directory(const SiteOptions& options, Looks looks);

// The same, for verbs to which wrong policies are as bad as unreadable ones: renders what is wrong
// on the error stream, and fails.
Result<LoadedSite> load_valid_site(const SiteOptions& options, Looks looks);

// The site that was loaded, where its policies have no errors; else as load_valid_site().
Result<LoadedSite> if_valid(Result<LoadedSite> site);

// For questions to a ruleset that came without a policy: its host alone, and the shipped services.
policy::Policy policy_without_site(const ruleset::Host& host);

// What this machine calls itself; "" where it does not say.
std::string machine_name();

// The host that was named, or else the site's host of this machine's name, or else its only host.
Result<policy::Index> choose_host(const policy::Policy& policy, const std::string& named);

// A site and one host of it, with what its kernel is to get.
struct CompiledHost {
  LoadedSite site;
  policy::Index host = 0;
  ruleset::Snapshot snapshot;
};

// The host that choose_host() says. REQUIRES: the site has no errors.
Result<CompiledHost> compile_host(LoadedSite site, const std::string& named);

// How every verb begins that is about one host's ruleset: load_valid_site(), compile_host().
Result<CompiledHost> compiled_host(const SiteOptions& options, Looks looks,
                                   const std::string& named);

}  // namespace rolewall::cli
