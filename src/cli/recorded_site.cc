#include "cli/recorded_site.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "cli/render.h"
#include "policy/load.h"

namespace rolewall::cli {
namespace {

std::string whole(const std::string& path) {
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  if (error || path.empty()) return path;
  std::string normal = absolute.lexically_normal().string();
  if (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  return normal;
}

bool may_change_by_itself(const policy::Policy& policy) {
  const auto expires = [](const policy::RuleFile& file) {
    return std::ranges::any_of(file.rules,
                               [](const policy::Rule& rule) { return rule.expires.has_value(); });
  };
  return !policy::dns_names(policy).empty() || std::ranges::any_of(policy.files, expires);
}

}  // namespace

policy::RefreshedNames refreshed_names_of(const apply::KnownNames& known) {
  policy::RefreshedNames names;
  for (const auto& [name, entry] : known.names) {
    names[name] = {.addresses = entry.addresses(), .locked = entry.locked};
  }
  return names;
}

policy::RefreshedNames refreshed_names(const std::string& state_directory) {
  const auto known = apply::read_known_names(state_directory);
  if (!known) {
    render_notes({known.error().message});
    return {};
  }
  return refreshed_names_of(*known);
}

std::string sources_of(const LoadedSite& site) {
  if (!may_change_by_itself(site.policy)) return apply::to_json(apply::PolicySources());
  apply::PolicySources sources{.directory = whole(site.policy.directory),
                               .rules = whole(site.rules)};
  for (const auto& [path, text] : site.texts.files) sources.files[whole(path)] = text;
  for (const auto& [path, names] : site.texts.folders) sources.folders[whole(path)] = names;
  return apply::to_json(sources);
}

LoadedSite load_recorded(const apply::PolicySources& sources, policy::Date date,
                         policy::RefreshedNames refreshed) {
  const policy::RememberedFiles files({.files = sources.files, .folders = sources.folders});
  LoadedSite site;
  site.date = date;
  site.rules = sources.rules;
  const policy::LoadOptions how{
      .shipped_rules = sources.rules, .date = date, .refreshed = std::move(refreshed)};
  site.policy = policy::load(sources.directory, how, files, site.diagnostics);
  return site;
}

ruleset::Snapshot with_whole_paths(ruleset::Snapshot snapshot) {
  for (auto& [rule, source] : snapshot.sources) source.file = whole(source.file);
  for (ruleset::Written& each : snapshot.written) each.file = whole(each.file);
  return snapshot;
}

}  // namespace rolewall::cli
