#include "policy/rule_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <unordered_set>
#include <utility>

#include "base/suggest.h"
#include "policy/codes.h"
#include "policy/defaults.h"
#include "policy/handling.h"
#include "policy/law.h"
#include "policy/test.h"

namespace rolewall::policy {
namespace {

constexpr std::string_view kExtension = ".toml";
constexpr std::string_view kServices = "services";

// The stems of the names that end in ".toml".
std::vector<std::string> toml_stems(const std::vector<std::string>& names) {
  std::vector<std::string> stems;
  for (const std::string& name : names) {
    if (name.size() > kExtension.size() && name.ends_with(kExtension)) {
      stems.push_back(name.substr(0, name.size() - kExtension.size()));
    }
  }
  return stems;
}

bool contains(const std::vector<std::string>& sorted, std::string_view name) {
  return std::binary_search(sorted.begin(), sorted.end(), name);
}

}  // namespace

std::optional<Value> open_toml(Loader& loader, const std::string& path, FileId& file) {
  file = loader.policy.sources.add(path);
  const Result<std::string> text = loader.files.read(path, kLargestPolicyFile);
  if (!text) {
    report(loader.diagnostics, Code::UnreadableFile, {file, 0, 0}, text.error().message);
    return std::nullopt;
  }
  const bool shipped = !path.starts_with(loader.policy.directory + "/");
  if (!shipped && !loader.is_of_site(path, {file, 0, 0})) return std::nullopt;
  return parse_toml(*text, file, loader.diagnostics);
}

// --- opening -----------------------------------------------------------------------------------

void RuleFiles::open_roles() {
  Policy& policy = loader_.policy;
  const auto list = [&](const std::string& directory, bool optional) {
    const auto names = loader_.files.list(directory);
    if (names) return toml_stems(*names);
    if (!optional || names.error().os_errno != ENOENT) {
      const FileId file = policy.sources.add(directory);
      report(loader_.diagnostics, Code::UnreadableFile, {file, 0, 0}, names.error().message);
    }
    return std::vector<std::string>();
  };
  site_blocks_ = list(policy.directory + "/rules", true);
  if (!loader_.options.shipped_rules.empty()) {
    shipped_blocks_ = list(loader_.options.shipped_rules, false);
  }
  if (contains(site_blocks_, kServices))
    site_services_ = open_services(policy.directory + "/rules");
  if (contains(shipped_blocks_, kServices)) {
    open_shipped_services();
  }
  for (const std::string& stem : list(policy.directory, false)) {
    if (stem != "site") open_role(stem);
  }
}

void RuleFiles::open_shipped_services() {
  shipped_services_ = open_services(loader_.options.shipped_rules);
}

ServicesFile RuleFiles::open_services(const std::string& directory) {
  FileId file = kNoFile;
  const std::optional<Value> tree =
      open_toml(loader_, fmt::format("{}/{}.toml", directory, kServices), file);
  if (!tree) return {};
  const Section section(*tree, keys::kServicesFile, "services.toml", {}, loader_.diagnostics);
  const auto copy_of = [&](std::string_view key) {
    const Value* table = section.find(key);
    return table == nullptr ? std::nullopt : std::optional(*table);
  };
  return {copy_of("services"), copy_of("kinds")};
}

void RuleFiles::open_role(const std::string& stem) {
  Policy& policy = loader_.policy;
  OpenFile& open = files_.emplace_back();
  open.index = static_cast<Index>(policy.files.size());
  RuleFile& file = policy.files.emplace_back();
  file.name = stem;
  file.is_role = true;
  open.tree = open_toml(loader_, fmt::format("{}/{}.toml", policy.directory, stem), file.file);
  file.span = {file.file, 0, 0};
  if (open.tree) {
    open.section.emplace(*open.tree, keys::kRoleFile, "a role's file", Keys{}, loader_.diagnostics);
    file.description = open.section->text("description");
    read_allowed(loader_, *open.section, AllowedFinding::Where::File, {file.file, 0, 0});
    if (const Value* role = open.section->find("role")) {
      file.span = role->span();
      if (role->text != stem) {
        report(loader_.diagnostics, Code::RoleNotFileName, role->span(),
               fmt::format("the role {} is in the file of {}", quote(role->text), quote(stem)),
               fmt::format("write role = \"{}\", or rename the file", stem));
      }
    }
    if (const Value* defaults = open.section->find("defaults")) {
      file.defaults = read_defaults(*defaults, keys::kRoleFile, loader_.diagnostics);
    }
  } else {
    loader_.unread.insert(stem);
  }
  check_id(stem, "role", file.span, loader_.diagnostics);
  const bool shipped = contains(shipped_blocks_, stem);
  if (stem != kServices && (shipped || contains(site_blocks_, stem))) {
    report(loader_.diagnostics, Code::RoleBearsBlockName, file.span,
           fmt::format("the role {} has the name of the {} {}/{}.toml", quote(stem),
                       contains(site_blocks_, stem) ? "block" : "shipped block", "rules", stem),
           "rename the role");
  }
  declare(policy, stem, {TermKind::Role, open.index, file.span}, loader_.diagnostics);
}

void RuleFiles::open_blocks() {
  // Blocks are appended to files_ while roles' `use` is read.
  const std::size_t roles = files_.size();
  for (std::size_t i = 0; i < roles; ++i) {
    const OpenFile& role = files_[i];
    if (role.section) read_use(role.index, *role.section);
  }
}

void RuleFiles::read_use(Index role, const Section& section) {
  std::unordered_set<std::string> seen;
  for (const Value& item : section.items("use")) {
    if (!seen.insert(item.text).second) {
      report(loader_.diagnostics, Code::ListedTwice, item.span(),
             fmt::format("the block {} is used twice", quote(item.text)));
      continue;
    }
    if (const auto block = open_block(item.text, item.span())) {
      loader_.policy.files[role].use.push_back(*block);
      loader_.policy.files[role].used_at.push_back(item.span());
    }
  }
}

std::optional<Index> RuleFiles::open_block(const std::string& name, Span used_at) {
  const auto opened = opened_blocks_.find(name);
  if (opened != opened_blocks_.end()) return opened->second;
  const bool own = contains(site_blocks_, name);
  const bool shipped = contains(shipped_blocks_, name);
  if (name == kServices || (!own && !shipped)) {
    loader_.unread.insert(name);
    std::vector<std::string> known;
    if (can_afford_hint(loader_.diagnostics, site_blocks_.size() + shipped_blocks_.size())) {
      known = site_blocks_;
      known.insert(known.end(), shipped_blocks_.begin(), shipped_blocks_.end());
    }
    std::erase(known, kServices);
    std::string hint = did_you_mean(name, known);
    if (hint.empty()) hint = "a block is a file rules/NAME.toml, in the site or shipped";
    report(loader_.diagnostics, Code::UnknownBlock, used_at,
           fmt::format("there is no block {}", quote(name)), std::move(hint));
    return std::nullopt;
  }
  Policy& policy = loader_.policy;
  OpenFile& open = files_.emplace_back();
  open.index = static_cast<Index>(policy.files.size());
  open.used_at = used_at;
  RuleFile& file = policy.files.emplace_back();
  file.name = name;
  file.shipped = !own;
  file.replaces_shipped = own && shipped;
  const std::string directory = own ? policy.directory + "/rules" : loader_.options.shipped_rules;
  open.tree = open_toml(loader_, fmt::format("{}/{}.toml", directory, name), file.file);
  file.span = {file.file, 0, 0};
  opened_blocks_.emplace(name, open.index);
  check_id(name, "block", file.span, loader_.diagnostics);
  if (open.tree) {
    open.section.emplace(*open.tree, keys::kBlockFile, "a block's file", Keys{},
                         loader_.diagnostics);
    file.description = open.section->text("description");
    if (own) read_allowed(loader_, *open.section, AllowedFinding::Where::File, file.span);
  } else {
    loader_.unread.insert(name);
  }
  if (file.replaces_shipped) {
    report(loader_.diagnostics, Code::ReplacesShipped, file.span,
           fmt::format("the site's block {} replaces the whole shipped one", quote(name)));
  }
  return open.index;
}

std::vector<const OpenFile*> RuleFiles::blocks() const {
  std::vector<const OpenFile*> blocks;
  for (const bool shipped : {false, true}) {
    for (const OpenFile& open : files_) {
      const RuleFile& file = loader_.policy.files[open.index];
      if (!file.is_role && open.section && file.shipped == shipped) blocks.push_back(&open);
    }
  }
  return blocks;
}

// --- reading -----------------------------------------------------------------------------------

void RuleFiles::find_hosts() {
  Policy& policy = loader_.policy;
  for (RuleFile& role : policy.files) {
    if (!role.is_role) continue;
    for (const Index block : role.use) {
      std::vector<Index>& hosts = policy.files[block].hosts;
      hosts.insert(hosts.end(), role.hosts.begin(), role.hosts.end());
    }
  }
  for (RuleFile& file : policy.files) {
    std::sort(file.hosts.begin(), file.hosts.end());
    file.hosts.erase(std::unique(file.hosts.begin(), file.hosts.end()), file.hosts.end());
  }
}

RuleSource RuleFiles::source_of(const OpenFile& open) const {
  const RuleFile& file = loader_.policy.files[open.index];
  return {open.index, file.is_role ? keys::kRoleFile : keys::kBlockFile,
          file.shipped ? open.used_at : std::nullopt};
}

void RuleFiles::read_rules() {
  for (OpenFile& open : files_) {
    if (!open.section) continue;
    for (const Direction direction :
         {Direction::Inbound, Direction::Outbound, Direction::Forward, Direction::Nat}) {
      read_rules_of(open, *open.section, direction);
    }
  }
}

void RuleFiles::read_rules_of(const OpenFile& open, const Section& section, Direction direction) {
  std::map<std::string, Span> seen;
  const RuleSource source = source_of(open);
  for (const Value& table : section.items(word_of(direction))) {
    Rule rule = read_rule(loader_, source, direction, table);
    add_rule(loader_.policy.files[open.index], std::move(rule), seen);
  }
}

void RuleFiles::add_rule(RuleFile& file, Rule rule, std::map<std::string, Span>& seen) {
  if (!rule.id.empty()) {
    const auto [earlier, is_new] = seen.emplace(rule.id, rule.span);
    if (!is_new) {
      Diagnostic& diagnostic = report(loader_.diagnostics, Code::DuplicateId, rule.span,
                                      fmt::format("there is already a rule {}", rule.full_name),
                                      "give one of them another `id`");
      diagnostic.notes.push_back({earlier->second, "the first one is here"});
    }
    loader_.rule_files.emplace(rule.full_name,
                               static_cast<Index>(&file - loader_.policy.files.data()));
  }
  file.rules.push_back(std::move(rule));
}

void RuleFiles::read_tests() {
  for (OpenFile& open : files_) {
    if (!open.section) continue;
    const RuleSource source = source_of(open);
    for (const Value& table : open.section->items("test")) {
      Test test = read_test(loader_, source, table);
      loader_.policy.files[open.index].tests.push_back(std::move(test));
      check_by(loader_, &loader_.policy.files[open.index], table);
    }
    for (const LawKind kind : {LawKind::Never, LawKind::Always}) {
      for (const Value& table : open.section->items(word_of(kind))) {
        Law law = read_law(loader_, source, kind, table);
        loader_.policy.files[open.index].laws.push_back(std::move(law));
      }
    }
  }
}

void RuleFiles::read_skips() {
  Policy& policy = loader_.policy;
  for (OpenFile& open : files_) {
    RuleFile& file = policy.files[open.index];
    if (!open.section || !file.is_role) continue;
    for (const Value& item : open.section->items("skip")) {
      if (loader_.is_of_unread(item.text)) continue;
      const auto rule = loader_.rule_files.find(item.text);
      if (rule != loader_.rule_files.end() &&
          std::find(file.use.begin(), file.use.end(), rule->second) != file.use.end()) {
        file.skip.push_back(item.text);
        continue;
      }
      std::vector<std::string> known;
      for (const Index block : file.use) {
        if (!can_afford_hint(loader_.diagnostics, loader_.rule_files.size())) break;
        for (const Rule& each : policy.files[block].rules) known.push_back(each.full_name);
      }
      std::string hint = did_you_mean(item.text, known);
      if (hint.empty()) hint = "for example \"baseline.inbound.ping\"";
      report(
          loader_.diagnostics, Code::UnknownRule, item.span(),
          fmt::format("no block that {} uses has the rule {}", quote(file.name), quote(item.text)),
          std::move(hint));
    }
  }
}

void RuleFiles::report_unused() const {
  for (const RuleFile& file : loader_.policy.files) {
    // A host's error may be why.
    if (!file.is_role || !file.hosts.empty() || loader_.diagnostics.has_errors()) continue;
    report(loader_.diagnostics, Code::UnusedRole, file.span,
           fmt::format("no host has the role {}", quote(file.name)));
  }
  for (const std::string& name : site_blocks_) {
    if (name == kServices || opened_blocks_.contains(name)) continue;
    const std::string path = fmt::format("{}/rules/{}.toml", loader_.policy.directory, name);
    const FileId file = loader_.policy.sources.add(path);
    report(loader_.diagnostics, Code::UnusedBlock, {file, 0, 0},
           fmt::format("no role uses the block {}, so it is not read", quote(name)));
  }
}

}  // namespace rolewall::policy
