#include "policy/load.h"

#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "policy/codes.h"
#include "policy/defaults.h"
#include "policy/handling.h"
#include "policy/kinds.h"
#include "policy/law.h"
#include "policy/network.h"
#include "policy/rule_file.h"
#include "policy/service.h"
#include "policy/site.h"
#include "policy/test.h"

namespace rolewall::policy {

bool Loader::is_of_site(const std::string& path, Span span) {
  if (files.is_below(path, policy.directory)) return true;
  report(diagnostics, Code::BadPath, span,
         fmt::format("{} is a link that leads out of the site's directory", quote(path)),
         "copy the file into the site");
  return false;
}

std::vector<bool> Loader::excused_networks(bool also_unanswered) const {
  std::vector<bool> excused = broken_networks;
  if (!also_unanswered || unanswered.empty()) return excused;
  for (Index i = 0; i < excused.size(); ++i) {
    if (!policy.networks[i].unanswered.empty()) excused[i] = true;
  }
  return excused;
}

namespace {

void take_refreshed(Loader& loader) {
  for (const auto& [name, refreshed] : loader.options.refreshed) {
    const auto locked = loader.lock.find(name);
    const bool is_locked_anew = locked != loader.lock.end() && locked->second != refreshed.locked;
    if (is_locked_anew) continue;
    loader.lock[name] = refreshed.addresses;
    if (refreshed.addresses.empty()) loader.unanswered.insert(name);
  }
}

void read_lock(Loader& loader) {
  const std::string path = loader.policy.directory + "/" + std::string(kLockFile);
  const Result<std::string> text = loader.files.read(path, kLargestPolicyFile);
  if (!text && text.error().os_errno == ENOENT) return;  // networks say which name they lack
  const FileId file = loader.policy.sources.add(path);
  if (loader.options.locking) return;  // it is about to be written anew
  if (text && !loader.is_of_site(path, {file, 0, 0})) return;
  if (!text) {
    report(loader.diagnostics, Code::UnreadableFile, {file, 0, 0}, text.error().message);
    return;
  }
  loader.lock = parse_lock(*text, file, loader.diagnostics);
}

const Value* find_table(const Section& section, std::string_view key) {
  const Value* value = section.find(key);
  return value != nullptr && value->kind == ValueKind::Table ? value : nullptr;
}

const Value* find_table(const OpenFile& block, std::string_view key) {
  return block.section ? find_table(*block.section, key) : nullptr;
}

const Value* if_there(const std::optional<Value>& value) {
  return value ? &*value : nullptr;
}

// The site's own before what is shipped: the first of a name stays.
void read_all_kinds(Loader& loader, const Section& site, const RuleFiles& files) {
  const auto read = [&](const Value* table, Keys top, bool shipped) {
    if (table != nullptr) read_kinds(loader.policy, *table, top, shipped, loader.diagnostics);
  };
  read(find_table(site, "kinds"), keys::kSiteFile, false);
  read(if_there(files.site_services().kinds), keys::kServicesFile, false);
  read(if_there(files.shipped_services().kinds), keys::kServicesFile, true);
}

// The site's own before what is shipped: the first of a name stays.
void read_all_services(Loader& loader, const Section& site, const RuleFiles& files) {
  const auto read = [&](const Value* table, bool shipped, bool of_block) {
    if (table == nullptr) return;
    read_services(loader.policy, *table, shipped, of_block, loader.diagnostics);
  };
  read(find_table(site, "services"), false, false);
  read(if_there(files.site_services().services), false, false);
  const std::vector<const OpenFile*> blocks = files.blocks();
  for (const OpenFile* block : blocks) {
    if (!loader.policy.files[block->index].shipped) {
      read(find_table(*block, "services"), false, true);
    }
  }
  read(if_there(files.shipped_services().services), true, false);
  for (const OpenFile* block : blocks) {
    if (loader.policy.files[block->index].shipped) {
      read(find_table(*block, "services"), true, true);
    }
  }
}

void resolve_networks(Loader& loader, const Section& site, const RuleFiles& files,
                      const Value* management, const Value* internal) {
  Networks networks(loader);
  if (const Value* table = find_table(site, "networks")) {
    networks.declare(*table, false, std::nullopt);
  }
  for (const OpenFile* block : files.blocks()) {
    const Value* table = find_table(*block, "networks");
    const bool shipped = loader.policy.files[block->index].shipped;
    if (table != nullptr) {
      networks.declare(*table, true, shipped ? block->used_at : std::nullopt);
    }
  }
  networks.resolve(management, internal);
}

// What hosts and networks are for, in [site].
void read_purposes(Loader& loader, const Section& section) {
  Policy& policy = loader.policy;
  for (const auto& [key, selectors] :
       {std::pair("collector", &policy.collector), std::pair("writers", &policy.writers),
        std::pair("replicas", &policy.replicas)}) {
    const Value* value = section.find(key);
    if (value == nullptr) continue;
    *selectors = parse_selectors(loader.scope(false), *value);
    check_not_empty(policy, **selectors, {}, loader.broken_networks, loader.diagnostics);
  }
}

void read_site(Loader& loader, const Value& tree, RuleFiles& files) {
  Policy& policy = loader.policy;
  const Keys top = keys::kSiteFile;
  const Section site(tree, top, "site.toml", {}, loader.diagnostics);
  read_all_services(loader, site, files);
  read_all_kinds(loader, site, files);

  if (const Value* interfaces = site.find("interfaces")) {
    read_interfaces(loader, *interfaces, top);
  }
  if (const Value* hosts = site.find("hosts")) read_hosts(loader, *hosts, top);
  const Value* management = nullptr;
  const Value* internal = nullptr;
  std::optional<Section> section;
  if (const Value* table = site.find("site")) {
    section.emplace(*table, keys::kSite, "[site]", top, loader.diagnostics);
    policy.site_name = section->text("name");
    management = section->find("management");
    internal = section->find("internal");
    read_allowed(loader, *section, AllowedFinding::Where::Site, section->span());
  }
  if (const Value* lint = site.find("lint")) read_levels(loader, *lint, top);
  resolve_networks(loader, site, files, management, internal);
  finish_interfaces(loader);
  if (const Value* defaults = site.find("defaults")) {
    const DefaultsOverride given = read_defaults(*defaults, top, loader.diagnostics);
    apply_override(policy.defaults, given);
    policy.default_places = given.places;
  }
  if (section) read_purposes(loader, *section);

  files.find_hosts();
  files.read_rules();
  files.read_skips();
  files.read_tests();
  for (const Value& table : site.items("test")) {
    policy.tests.push_back(read_site_test(loader, top, table));
    check_by(loader, nullptr, table);
  }
  for (const LawKind kind : {LawKind::Never, LawKind::Always}) {
    for (const Value& table : site.items(word_of(kind))) {
      policy.laws.push_back(read_site_law(loader, top, kind, table));
    }
  }
  for (const Host& host : policy.hosts) check_roles_agree(loader, host);
  check_clashes(policy, loader.uses, loader.diagnostics);
  files.report_unused();
  for (const auto& [kind, index] : loader.uses.named) {
    if (kind == TermKind::Network) policy.networks[index].used = true;
    if (kind == TermKind::Tag) policy.tags[index].used = true;
  }
}

}  // namespace

Policy load(const std::string& directory, const LoadOptions& options, Diagnostics& diagnostics) {
  const DiskFiles files;
  return load(directory, options, files, diagnostics);
}

void add_shipped_services(Policy& policy, const std::string& shipped_rules,
                          Diagnostics& diagnostics) {
  const LoadOptions options{.shipped_rules = shipped_rules, .date = {}};
  const DiskFiles files;
  Loader loader{policy, options, files, diagnostics};
  RuleFiles rule_files(loader);
  rule_files.open_shipped_services();
  const Value* services = if_there(rule_files.shipped_services().services);
  if (services != nullptr) read_services(policy, *services, true, false, diagnostics);
}

Policy load(const std::string& directory, const LoadOptions& options, const Files& files,
            Diagnostics& diagnostics) {
  Policy policy;
  policy.directory = directory;
  Loader loader{policy, options, files, diagnostics};
  FileId site_file = kNoFile;
  const std::optional<Value> tree = open_toml(loader, directory + "/site.toml", site_file);
  read_lock(loader);
  if (!options.locking) take_refreshed(loader);
  RuleFiles rule_files(loader);
  rule_files.open_roles();
  rule_files.open_blocks();
  // Without the site's names, every name of the roles would be one more error.
  if (tree) read_site(loader, *tree, rule_files);
  // All that is asked of it would be said to be well.
  if (tree && policy.hosts.empty() && !diagnostics.has_errors()) {
    report(diagnostics, Code::MissingKey, {site_file, 1, 1}, "the site has no host",
           "[hosts.web-01] with its `role` and `addresses`");
  }
  diagnostics.sort();
  return policy;
}

}  // namespace rolewall::policy
