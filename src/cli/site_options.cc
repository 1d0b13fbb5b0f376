#include "cli/site_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "ask/site.h"
#include "base/calendar.h"
#include "base/file.h"
#include "base/suggest.h"
#include "base/trusted_path.h"
#include "cli/render.h"
#include "compile/compile.h"
#include "policy/load.h"
#include "policy/trusted_files.h"

namespace rolewall::cli {
namespace {

constexpr std::string_view kInstalledRules = ROLEWALL_RULES;
// Beside a program that has just been built, Meson leaves a file that names the source's rules/.
constexpr std::string_view kBuiltRulesPointer = "rolewall-rules-path";

bool is_file(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

bool is_directory(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

Result<std::string> find_directory(const SiteOptions& options, Looks looks) {
  if (!options.directory.empty()) {
    if (is_file(options.directory)) {
      return fail(ErrorKind::Usage,
                  fmt::format("{} is a file: name its directory", options.directory));
    }
    if (!is_directory(options.directory)) {
      return fail(ErrorKind::Io, fmt::format("{}: no such directory", options.directory));
    }
    if (!is_file(options.directory + "/site.toml")) {
      return fail(ErrorKind::Io, fmt::format("{}: not a directory of policies: it has no site.toml",
                                             options.directory));
    }
    return options.directory;
  }
  std::vector<std::string> candidates;
  if (looks == Looks::Around) candidates = {".", "policies"};
  candidates.emplace_back(kServerDirectory);
  for (const std::string& candidate : candidates) {
    if (!is_file(candidate + "/site.toml")) continue;
    err().line(err().paint(Tone::Quiet, fmt::format("rolewall: policies from {}",
                                                    candidate == "." ? "./" : candidate)));
    return candidate;
  }
  if (looks == Looks::OnServer) {
    return fail(
        ErrorKind::Io,
        fmt::format("no policies in {}: name their directory with -p DIR{}", kServerDirectory,
                    is_file("./site.toml") ? " (`-p .` takes the site.toml here)" : ""));
  }
  return fail(ErrorKind::Io,
              fmt::format("no policies found: there is no ./site.toml, ./policies/site.toml or "
                          "{}/site.toml; name their directory (-p DIR)",
                          kServerDirectory));
}

std::string find_shipped_rules() {
  if (const char* named = std::getenv("ROLEWALL_RULES_DIR"); named != nullptr && *named != '\0') {
    return named;
  }
  std::error_code ignored;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  constexpr std::size_t kLongestPath = 4096;
  const auto pointer =
      read_file((program.parent_path() / kBuiltRulesPointer).string(), kLongestPath);
  if (pointer) {
    const std::string path = pointer->substr(0, pointer->find('\n'));
    if (is_directory(path)) return path;
  }
  return std::string(kInstalledRules);
}

}  // namespace

Result<policy::Date> date_of(const std::string& text) {
  if (text.empty()) return today();
  if (const auto date = parse_date(text)) return *date;
  return fail(ErrorKind::Usage, fmt::format("--date {}: not a date; write YYYY-MM-DD", text));
}

std::string machine_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "";
  return name.data();
}

void add_site_options(Verb& verb, SiteOptions& options, Looks looks, bool positional,
                      std::string_view by_default) {
  if (by_default.empty()) {
    by_default = looks == Looks::Around
                     ? "the first of ., ./policies and /etc/rolewall that has a site.toml"
                     : kServerDirectory;
  }
  verb.add_option(positional ? "-p,--policies,DIR" : "-p,--policies", options.directory,
                  fmt::format("the directory with the policies (default: {})", by_default))
      .type_name("DIR");
  verb.add_option("--date", options.date, "the date for `expires` (default: today, UTC)")
      .type_name("YYYY-MM-DD");
}

void add_host_option(Verb& verb, std::string& host) {
  verb.add_option("--host", host,
                  "the host (default: the one named like this machine, or the site's only one)")
      .type_name("HOST");
}

policy::Policy policy_without_site(const ruleset::Host& host) {
  policy::Policy policy = ask::policy_of(host);
  // Without them, or with wrong ones, ports have no names: whoever writes one is told.
  Diagnostics ignored;
  policy::add_shipped_services(policy, find_shipped_rules(), ignored);
  return policy;
}

namespace {

struct Reading {
  std::string rules;
  policy::Date date;
};

Result<Reading> reading_of(const SiteOptions& options) {
  const auto date = date_of(options.date);
  if (!date) return std::unexpected(date.error());
  std::string rules = find_shipped_rules();
  if (!is_directory(rules)) {
    return fail(ErrorKind::Io,
                fmt::format("{}: no such directory; it should have the shipped rules "
                            "(ROLEWALL_RULES_DIR names another)",
                            rules));
  }
  return Reading{std::move(rules), *date};
}

}  // namespace

Result<std::string> site_directory(const SiteOptions& options, Looks looks) {
  return find_directory(options, looks);
}

Result<LoadedSite> load_site_of(const policy::Files& files, const std::string& directory,
                                const SiteOptions& options) {
  const auto reading = reading_of(options);
  if (!reading) return std::unexpected(reading.error());
  LoadedSite site;
  site.date = reading->date;
  site.rules = reading->rules;
  const policy::LoadOptions how{reading->rules, reading->date, options.expired_is_error,
                                options.locking, options.refreshed};
  const policy::RecordingFiles recording(files, site.texts);
  const policy::Files& read = options.remembers ? recording : files;
  site.policy = policy::load(directory, how, read, site.diagnostics);
  return site;
}

Result<std::unique_ptr<policy::Files>> reader_of(const std::string& directory, Looks looks) {
  if (looks != Looks::OnServer || !others_are_known()) {
    return std::make_unique<policy::DiskFiles>();
  }
  auto files = std::make_unique<policy::TrustedFiles>();
  // Said once, not of every file in them.
  TRY(files->check(directory));
  TRY(files->check(find_shipped_rules()));
  return files;
}

Result<LoadedSite> load_site(const SiteOptions& options, Looks looks) {
  const auto directory = find_directory(options, looks);
  if (!directory) return std::unexpected(directory.error());
  const auto files = reader_of(*directory, looks);
  if (!files) return std::unexpected(files.error());
  return load_site_of(**files, *directory, options);
}

Result<LoadedSite> if_valid(Result<LoadedSite> site) {
  if (!site || !site->diagnostics.has_errors()) return site;
  render(err(), site->policy.sources, site->diagnostics, Severity::Error);
  return fail(ErrorKind::Usage, summary(site->diagnostics) + " in the policies");
}

Result<LoadedSite> load_valid_site(const SiteOptions& options, Looks looks) {
  return if_valid(load_site(options, looks));
}

Result<policy::Index> choose_host(const policy::Policy& policy, const std::string& named) {
  std::vector<std::string> names;
  for (const policy::Host& host : policy.hosts) names.push_back(host.name);
  if (!named.empty()) {
    if (const auto found = policy::find_host(policy, named)) return *found;
    const std::string hint = did_you_mean(named, names);
    return fail(ErrorKind::Usage, fmt::format("--host {}: there is no such host in the site{}{}",
                                              named, hint.empty() ? "" : "; ", hint));
  }
  const std::string machine = machine_name();
  for (const std::string& name : {machine, machine.substr(0, machine.find('.'))}) {
    if (const auto found = policy::find_host(policy, name)) return *found;
  }
  if (policy.hosts.size() == 1) return policy::Index{0};
  constexpr std::size_t kShown = 12;
  const bool more = names.size() > kShown;
  if (more) names.resize(kShown);
  return fail(ErrorKind::Usage,
              fmt::format("no host of the site is named like this machine ({}); choose one with "
                          "--host: {}{}",
                          machine, fmt::join(names, ", "), more ? ", ..." : ""));
}

Result<CompiledHost> compile_host(LoadedSite site, const std::string& named) {
  const auto host = choose_host(site.policy, named);
  if (!host) return std::unexpected(host.error());
  ruleset::Snapshot snapshot = compile::compile(site.policy, *host, {site.date, true});
  return CompiledHost{std::move(site), *host, std::move(snapshot)};
}

Result<CompiledHost> compiled_host(const SiteOptions& options, Looks looks,
                                   const std::string& named) {
  auto site = load_valid_site(options, looks);
  if (!site) return std::unexpected(site.error());
  return compile_host(std::move(*site), named);
}

}  // namespace rolewall::cli
