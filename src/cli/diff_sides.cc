#include "cli/diff_sides.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "apply/generations.h"
#include "ask/alike.h"
#include "ask/beside.h"
#include "cli/live.h"
#include "cli/ruleset_file.h"
#include "compile/compile.h"
#include "policy/git_files.h"

namespace rolewall::cli {
namespace {

bool is_there(const std::string& path, bool& is_directory) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return false;
  is_directory = S_ISDIR(status.st_mode);
  return true;
}

Result<DiffSide> of_site(const SiteOptions& options) {
  auto site = load_valid_site(options, Looks::Around);
  if (!site) return std::unexpected(site.error());
  DiffSide side;
  side.name = site->policy.directory;
  side.site = std::move(*site);
  return side;
}

Result<DiffSide> of_snapshot(std::string name, Result<ruleset::Snapshot> snapshot) {
  if (!snapshot) return std::unexpected(snapshot.error());
  DiffSide side;
  side.name = std::move(name);
  side.remarks = ask::remarks_on(snapshot->beside);
  side.snapshot = std::move(*snapshot);
  return side;
}

// The site that is asked about, as a git revision has it.
Result<DiffSide> of_revision(const std::string& revision, const SiteOptions& options) {
  const auto directory = site_directory(options, Looks::Around);
  if (!directory) {
    return fail(ErrorKind::Usage,
                fmt::format("{}: neither a directory or file, nor a git revision: {}", revision,
                            directory.error().message));
  }
  const auto files = policy::GitFiles::open(*directory, revision);
  if (!files) return std::unexpected(files.error());
  auto site = if_valid(load_site_of(**files, (*files)->directory(), options));
  if (!site) return std::unexpected(site.error());
  DiffSide side;
  side.name = site->policy.directory;
  side.site = std::move(*site);
  side.revision = revision;
  return side;
}

Result<DiffSide> of_generation(std::string_view which, const std::string& directory) {
  std::uint32_t number = 0;
  if (which == "current") {
    auto current = apply::current_generation(directory);
    if (!current) return std::unexpected(current.error());
    if (!*current) {
      return fail(ErrorKind::Usage, "generation:current: nothing was applied on this machine");
    }
    return of_snapshot("generation:current", std::move((**current).snapshot));
  }
  const auto [end, error] = std::from_chars(which.data(), which.data() + which.size(), number);
  if (error != std::errc() || end != which.data() + which.size()) {
    return fail(
        ErrorKind::Usage,
        fmt::format("generation:{}: not a number of `rolewall history`, and not `current`", which));
  }
  auto generation = apply::read_generation(directory, number);
  if (!generation) return std::unexpected(generation.error());
  return of_snapshot(fmt::format("generation:{}", number), std::move(generation->snapshot));
}

// What one side has of a host.
std::optional<ruleset::Snapshot> of_host(const DiffSide& side, const std::string& host) {
  if (side.snapshot) return side.snapshot;
  const auto index = policy::find_host(side.site->policy, host);
  if (!index) return std::nullopt;
  return compile::compile(side.site->policy, *index, {side.site->date, true});
}

// A ruleset of one machine alone says nothing of another site's hosts.
Result<std::vector<std::string>> hosts_of(const DiffSide& before, const DiffSide& after,
                                          const std::string& named) {
  if (!named.empty()) {
    const auto knows = [&](const DiffSide& side) {
      return side.snapshot || policy::find_host(side.site->policy, named);
    };
    if (!knows(before) && !knows(after)) {
      return fail(ErrorKind::Usage, fmt::format("--host {}: neither side has such a host", named));
    }
    return std::vector<std::string>{named};
  }
  if (before.snapshot || after.snapshot) {
    const DiffSide& one = before.snapshot ? before : after;
    const DiffSide& other = before.snapshot ? after : before;
    if (other.snapshot) return std::vector<std::string>{other.snapshot->host.name};
    const std::string& name = one.snapshot->host.name;
    if (policy::find_host(other.site->policy, name)) return std::vector<std::string>{name};
    const auto chosen = choose_host(other.site->policy, "");
    if (!chosen) return std::unexpected(chosen.error());
    return std::vector<std::string>{other.site->policy.hosts[*chosen].name};
  }
  std::vector<std::string> names;
  std::set<std::string> met;
  for (const DiffSide* side : {&after, &before}) {
    for (const policy::Host& host : side->site->policy.hosts) {
      if (met.insert(host.name).second) names.push_back(host.name);
    }
  }
  return names;
}

// Hosts that are alike on both sides, and are there the same: what differs on one of them differs
// on each, by its own name. For nothing that either policy says tells their addresses apart.
class AlikeHosts {
 public:
  AlikeHosts(const DiffSide& before, const DiffSide& after) {
    if (!before.site || !after.site || after.site->policy.hosts.size() < 2) return;
    before_.emplace(before.site->policy, before.site->date);
    after_.emplace(after.site->policy, after.site->date);
    policy_before_ = &before.site->policy;
    policy_after_ = &after.site->policy;
  }

  // Equal for hosts of one kind. Absent: it is like no other.
  std::optional<std::string> kind_of(const std::string& name) const {
    if (!before_) return std::nullopt;
    const auto was = policy::find_host(*policy_before_, name);
    const auto is = policy::find_host(*policy_after_, name);
    if (!was || !is) return std::nullopt;
    const policy::Host& host = policy_after_->hosts[*is];
    const auto devices = devices_of(host);
    const bool stayed = devices && devices == devices_of(policy_before_->hosts[*was]) &&
                        host.addresses == policy_before_->hosts[*was].addresses;
    if (!stayed) return std::nullopt;
    return fmt::format("{} {} {}", before_->kind_of(*was), after_->kind_of(*is), *devices);
  }

 private:
  // Absent: more of it is its own than addresses that stand for themselves.
  static std::optional<std::string> devices_of(const policy::Host& host) {
    const bool plain = host.virtual_addresses.empty() &&
                       std::ranges::all_of(host.addresses, [](const net::Prefix& own) {
                         return own.length == net::address_bits(own.address);
                       });
    if (!plain) return std::nullopt;
    std::string devices;
    for (const policy::HostInterface& interface : host.interfaces) {
      if (interface.behind) return std::nullopt;
      devices += fmt::format("{}={};", interface.name, fmt::join(interface.devices, ","));
    }
    return devices;
  }

  std::optional<ask::Alike> before_;
  std::optional<ask::Alike> after_;
  const policy::Policy* policy_before_ = nullptr;
  const policy::Policy* policy_after_ = nullptr;
};

}  // namespace

// What ip_set and iptables' lists hold is part of a ruleset and not of its machine.
void put_on_machine(ruleset::Host& host, ruleset::Host machine) {
  machine.ipsets = std::move(host.ipsets);
  machine.ipset_numbers = std::move(host.ipset_numbers);
  machine.xt_tables = std::move(host.xt_tables);
  host = std::move(machine);
}

ruleset::Snapshot put_into(ruleset::Snapshot live, const ruleset::Snapshot& compiled) {
  std::vector<ruleset::Table>& tables = live.ruleset.tables;
  for (const ruleset::Table& table : compiled.ruleset.tables) {
    const auto own = std::ranges::find_if(tables, ruleset::is_own);
    if (own != tables.end()) {
      *own = table;
    } else {
      tables.push_back(table);
    }
  }
  if (compiled.ruleset.tables.empty()) std::erase_if(tables, ruleset::is_own);
  live.sources = compiled.sources;
  live.written = compiled.written;
  return live;
}

Result<DiffSide> read_side(const std::string& word, const DiffQuestion& question) {
  if (word.empty()) return of_site(question.site);
  if (word == kLiveSide) {
    auto side = of_snapshot(std::string(kLiveSide), live_snapshot(question.state_directory));
    if (!side) return side;
    side->is_live = true;
    return side;
  }
  if (word.starts_with(kGenerationSide)) {
    return of_generation(std::string_view(word).substr(kGenerationSide.size()),
                         question.state_directory);
  }
  bool is_directory = false;
  if (word.starts_with(kGitSide)) {
    return of_revision(word.substr(kGitSide.size()), question.site);
  }
  if (word == "-") return of_snapshot("standard input", read_ruleset(word));
  if (is_there(word, is_directory)) {
    if (!is_directory) return of_snapshot(word, read_ruleset(word));
    SiteOptions options = question.site;
    options.directory = word;
    return of_site(options);
  }
  return of_revision(word, question.site);
}

Result<ask::Diff> compare(const DiffSide& before, const DiffSide& after,
                          const DiffQuestion& question) {
  const auto hosts = hosts_of(before, after, question.host);
  if (!hosts) return std::unexpected(hosts.error());
  const policy::Policy* names = after.site    ? &after.site->policy
                                : before.site ? &before.site->policy
                                              : nullptr;
  policy::Policy alone;
  if (names == nullptr) {
    alone = policy_without_site(after.snapshot->host);
    names = &alone;
  }
  ask::Differ differ(*names);
  const AlikeHosts alike(before, after);
  std::map<std::string, ask::Differ::OfHost> of_kind;
  for (const std::string& host : *hosts) {
    const auto kind = alike.kind_of(host);
    if (const auto known = kind ? of_kind.find(*kind) : of_kind.end(); known != of_kind.end()) {
      differ.repeat(known->second, host);
      continue;
    }
    auto was = of_host(before, host);
    auto is = of_host(after, host);
    if (!was && !is) continue;
    if (!was) {
      differ.add_new(host);
      continue;
    }
    if (!is) {
      differ.add_gone(host);
      continue;
    }
    // Other programs' tables stay, and the machine is the one that runs.
    if (before.is_live && !after.is_live) is = put_into(*was, *is);
    if (after.is_live && !before.is_live) was = put_into(*is, *was);
    // Of two rulesets, or of one and a policy, the machine is one.
    if (before.snapshot && !after.snapshot) is->host = was->host;
    if (after.snapshot) put_on_machine(was->host, is->host);
    ask::Differ::OfHost found = differ.compare(*was, *is);
    if (kind) of_kind.emplace(*kind, std::move(found));
  }
  return differ.take();
}

}  // namespace rolewall::cli
