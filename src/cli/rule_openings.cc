#include "cli/rule_openings.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "compile/compile.h"

namespace rolewall::cli {
namespace {

// Somebody waits for the end of `log`: what does not end in it is told as not proven.
constexpr analyze::Budget kBudgetOfARule{.edges = 2'000'000, .steps = 30'000'000};

// Another's, one of them with this text at its end.
class FilesWithText : public policy::Files {
 public:
  FilesWithText(const policy::Files& files, std::string file, std::string text)
      : files_(files), file_(std::move(file)), text_(std::move(text)) {}

  Result<std::string> read(const std::string& path, std::size_t limit) const override {
    auto read = files_.read(path, limit);
    if (read && path == file_) *read += "\n" + text_;
    return read;
  }
  bool is_below(const std::string& path, const std::string& directory) const override {
    return files_.is_below(path, directory);
  }
  Result<std::vector<std::string>> list(const std::string& directory) const override {
    return files_.list(directory);
  }

 private:
  const policy::Files& files_;
  std::string file_;
  std::string text_;
};

Result<LoadedSite> in_force(Result<LoadedSite> site) {
  if (!site) return site;
  for (const Diagnostic& each : site->diagnostics.all()) {
    if (each.severity != Severity::Error) continue;
    return fail(ErrorKind::Usage,
                fmt::format("{}: {}", site->policy.sources.format(each.span), each.message));
  }
  site->policy.defaults.mode = policy::Mode::Enforce;
  for (policy::RuleFile& file : site->policy.files) {
    if (file.defaults.mode) file.defaults.mode = policy::Mode::Enforce;
  }
  return site;
}

}  // namespace

Result<RuleOpenings> RuleOpenings::open(const SiteOptions& options, const std::string& host) {
  auto directory = site_directory(options, Looks::OnServer);
  if (!directory) return std::unexpected(directory.error());
  RuleOpenings openings;
  openings.options_ = options;
  openings.directory_ = std::move(*directory);
  auto reader = reader_of(openings.directory_, Looks::OnServer);
  if (!reader) return std::unexpected(std::move(reader).error());
  openings.reader_ = std::move(*reader);
  auto site = in_force(load_site_of(*openings.reader_, openings.directory_, options));
  if (!site) return std::unexpected(site.error());
  openings.without_ = std::move(*site);
  const policy::Policy& policy = openings.without_.policy;
  const auto index = policy::find_host(policy, host);
  if (!index) {
    return fail(ErrorKind::Usage, fmt::format("the policies in {} have no host {}, whose rules are "
                                              "in force",
                                              openings.directory_, host));
  }
  if (policy.hosts[*index].roles.empty()) {
    return fail(ErrorKind::Usage, fmt::format("{} has no role there", host));
  }
  for (const policy::Index each : policy.hosts[*index].roles) {
    const policy::RuleFile& role = policy.files[each];
    RoleFile& file = openings.files_.emplace_back();
    file.path = policy.sources.path(role.file);
    for (const policy::Index host_of : role.hosts) {
      file.hosts.push_back(policy.hosts[host_of].name);
    }
  }
  return openings;
}

Result<ask::Diff> RuleOpenings::of(const std::string& rule, const RoleFile& file) const {
  const FilesWithText files(*reader_, file.path, rule);
  const auto with = in_force(load_site_of(files, directory_, options_));
  if (!with) return std::unexpected(with.error());
  ask::Differ differ(with->policy, kBudgetOfARule);
  for (const std::string& host : file.hosts) {
    const auto snapshot = [&](const LoadedSite& site) {
      return compile::compile(site.policy, *policy::find_host(site.policy, host),
                              {site.date, true});
    };
    differ.compare(snapshot(without_), snapshot(*with));
  }
  return differ.take();
}

}  // namespace rolewall::cli
