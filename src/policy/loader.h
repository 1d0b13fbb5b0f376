// What the parts of load() share while a site is being read. Internal to this folder.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "policy/files.h"
#include "policy/keys.h"
#include "policy/load.h"
#include "policy/lock.h"
#include "policy/names.h"
#include "policy/selector.h"

namespace rolewall::policy {

struct Loader {
  Policy& policy;
  const LoadOptions& options;
  const Files& files;
  Diagnostics& diagnostics;

  NameUses uses = {};
  Lock lock = {};
  std::set<std::string, std::less<>> unanswered = {};  // DNS names without an address any more
  std::vector<bool> broken_networks = {};  // by network: something wrong was reported already
  std::map<std::string, Index, std::less<>> interfaces = {};  // [interfaces], by name
  std::vector<const Value*> interface_behind = {};            // their `behind`, or null
  std::vector<const Value*> host_interfaces = {};             // each host's `interfaces`, or null
  std::set<std::string, std::less<>> interface_names = {};    // those that some host has
  std::unordered_map<std::string, Index> rule_files = {};     // full name of a rule: its file
  std::map<std::pair<Index, Index>, bool> meetings = {};  // whether one file's hosts meet another
  std::set<std::string, std::less<>> unread = {};         // roles and blocks that are no TOML

  // A name that begins with an unread file's is no second error.
  bool is_of_unread(std::string_view rule_name) const {
    return unread.contains(rule_name.substr(0, rule_name.find('.')));
  }

  // Those, and where `also_unanswered` those whose emptiness is the DNS's doing: for readers that
  // leave out what needs them.
  std::vector<bool> excused_networks(bool also_unanswered) const;

  // Whether a path of the site's is a file of the site; else a link leads out of it, which is
  // reported at `span`.
  bool is_of_site(const std::string& path, Span span);

  Scope scope(bool self, std::optional<Span> used_at = std::nullopt) {
    return {policy, diagnostics, &uses, self, used_at};
  }
};

}  // namespace rolewall::policy
