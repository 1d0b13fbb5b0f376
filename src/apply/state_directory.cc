#include "apply/state_directory.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "apply/element_files.h"
#include "base/file.h"
#include "print/print.h"

namespace rolewall::apply {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// Policies and addresses are nobody else's business.
constexpr mode_t kDirectoryMode = 0700;
constexpr std::size_t kMaxSmallFile = 64UL * 1024;

constexpr std::string_view kGenerations = "generations";
constexpr std::string_view kCurrent = "current";
constexpr std::string_view kBoot = "boot";

std::string join(const std::string& directory, std::string_view name) {
  return fmt::format("{}/{}", directory, name);
}

bool exists(const std::string& path) {
  struct stat status{};
  return ::lstat(path.c_str(), &status) == 0;
}

Result<void> make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), kDirectoryMode) == 0 || errno == EEXIST) return {};
  return io_error(path, errno);
}

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The number in `format`; std::nullopt where the file is not there yet.
Result<std::optional<std::uint32_t>> read_format(const std::string& directory) {
  const std::string path = join(directory, "format");
  if (!exists(path)) return std::nullopt;
  Result<std::string> text = read_file(path, kMaxSmallFile);
  if (!text) return std::unexpected(std::move(text).error());
  while (!text->empty() && text->back() == '\n') text->pop_back();
  const auto format = number(*text);
  if (!format) return fail(ErrorKind::Io, path + ": not a number");
  return format;
}

Result<void> check_format(const std::string& directory) {
  const auto read = read_format(directory);
  if (!read) return std::unexpected(read.error());
  const std::optional<std::uint32_t>& format = *read;
  if (!format || *format == kStateFormat) return {};
  return fail(
      ErrorKind::Io,
      fmt::format("{}: written by {} rolewall (format {}, this one reads {}): nothing was read or "
                  "changed. Use that version, or move the directory away and apply again",
                  directory, *format < kStateFormat ? "an older" : "a newer", *format,
                  kStateFormat));
}

std::string to_json(const Applied& applied) {
  std::vector<std::string> management;
  for (const net::Prefix& prefix : applied.management) management.push_back(net::format(prefix));
  Json sets = Json::array();
  for (const netlink::SetState& set : applied.mark.large_sets.sets) {
    sets.push_back({{"set", set.name}, {"handle", set.handle}, {"elements", set.elements}});
  }
  const Json json{{"version", kStateFormat},
                  {"applied_at", applied.at},
                  {"by", applied.by},
                  {"host", applied.host},
                  {"boot_id", applied.boot_id},
                  {"network_namespace", applied.network_namespace},
                  {"kernel_generation", applied.mark.generation},
                  {"run_time_jumps", applied.mark.run_time_jumps},
                  {"table_handle", applied.mark.large_sets.handle},
                  {"large_sets", std::move(sets)},
                  {"changes", applied.changes},
                  {"management", management},
                  {"machine", applied.machine}};
  // Names of users may hold anything.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

bool take_large_sets(const Json& json, netlink::TableState& state) {
  try {
    json.at("table_handle").get_to(state.handle);
    for (const Json& set : json.at("large_sets")) {
      netlink::SetState& added = state.sets.emplace_back();
      set.at("set").get_to(added.name);
      set.at("handle").get_to(added.handle);
      set.at("elements").get_to(added.elements);
    }
  } catch (const Json::exception&) {
    return false;
  }
  return true;
}

Result<Applied> applied_from_json(const std::string& path, const std::string& text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return fail(ErrorKind::Io, path + ": not a JSON object");
  const auto string = [&](const char* key) {
    const auto at = json.find(key);
    return at != json.end() && at->is_string() ? at->get<std::string>() : std::string();
  };
  Applied applied;
  applied.at = string("applied_at");
  applied.by = string("by");
  applied.host = string("host");
  applied.boot_id = string("boot_id");
  applied.network_namespace = string("network_namespace");
  applied.changes = string("changes");
  applied.machine = string("machine");
  if (const auto management = json.find("management");
      management != json.end() && management->is_array()) {
    for (const Json& entry : *management) {
      const auto prefix =
          entry.is_string() ? net::parse_prefix(entry.get<std::string>()) : std::nullopt;
      if (!prefix) return fail(ErrorKind::Io, path + ": an entry of `management` is not a prefix");
      applied.management.push_back(*prefix);
    }
  }
  if (!take_large_sets(json, applied.mark.large_sets)) {
    return fail(ErrorKind::Io, path + ": an entry of `large_sets` is not a set");
  }
  if (json.value("version", Json()) != kStateFormat) {
    return fail(ErrorKind::Io, fmt::format("{}: its `version` is not {}", path, kStateFormat));
  }
  const auto generation = json.find("kernel_generation");
  if (generation != json.end() && generation->is_number_unsigned()) {
    applied.mark.generation = generation->get<std::uint32_t>();
  }
  const auto jumps = json.find("run_time_jumps");
  applied.mark.run_time_jumps = jumps == json.end() || !jumps->is_boolean() || jumps->get<bool>();
  return applied;
}

// The generations that are there, whole ones alone.
Result<std::vector<std::uint32_t>> list_generations(const std::string& directory) {
  std::vector<std::uint32_t> numbers;
  std::error_code error;
  for (fs::directory_iterator at(join(directory, kGenerations), error), end; at != end && !error;
       at.increment(error)) {
    if (const auto value = number(at->path().filename().string())) numbers.push_back(*value);
  }
  if (error) return io_error(join(directory, kGenerations), error.value());
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

// The generation that a link leads to; std::nullopt where there is no such link.
Result<std::optional<std::uint32_t>> linked(const std::string& directory, std::string_view name) {
  const std::string link = join(directory, name);
  char target[256] = "";
  const ssize_t size = ::readlink(link.c_str(), target, sizeof target - 1);
  if (size < 0 && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
  if (size < 0) return io_error(link, errno);
  const std::string_view to(target, static_cast<std::size_t>(size));
  const auto value = to.starts_with(kGenerations) && to.size() > kGenerations.size() + 1
                         ? number(to.substr(kGenerations.size() + 1))
                         : std::nullopt;
  if (!value) return fail(ErrorKind::Io, fmt::format("{}: does not point to a generation", link));
  return value;
}

Result<void> make_link(const std::string& directory, std::string_view name,
                       std::uint32_t generation) {
  const std::string link = join(directory, name);
  const std::string aside = link + ".new";
  ::unlink(aside.c_str());
  const std::string target = fmt::format("{}/{}", kGenerations, generation);
  if (::symlink(target.c_str(), aside.c_str()) != 0) return io_error(aside, errno);
  if (std::rename(aside.c_str(), link.c_str()) != 0) return io_error(link, errno);
  return sync_directory(directory);
}

Result<Applied> read_applied(const std::string& directory, std::uint32_t generation) {
  const std::string path =
      join(directory, fmt::format("{}/{}/applied.json", kGenerations, generation));
  const Result<std::string> text = read_file(path, kMaxSmallFile);
  if (!text) return std::unexpected(text.error());
  Result<Applied> applied = applied_from_json(path, *text);
  if (applied) applied->generation = generation;
  return applied;
}

Result<std::optional<Generation>> read_linked(const std::string& directory, std::string_view name) {
  TRY(check_format(directory));
  const auto generation = linked(directory, name);
  if (!generation) return std::unexpected(generation.error());
  if (!*generation) return std::nullopt;
  Result<Generation> read = read_generation(directory, **generation);
  if (!read) return std::unexpected(std::move(read).error());
  return std::move(*read);
}

// What a crash left half written, and what is too old. Failing here loses nothing.
void sweep(const std::string& directory, std::uint32_t newest) {
  std::error_code ignored;
  const auto in_use = [&, current = linked(directory, kCurrent),
                       boot = linked(directory, kBoot)](std::uint32_t generation) {
    return generation == newest || (current && *current == generation) ||
           (boot && *boot == generation);
  };
  std::size_t kept = 0;
  std::vector<std::uint32_t> old;
  std::vector<fs::path> leftovers;
  for (fs::directory_iterator at(join(directory, kGenerations), ignored), end;
       at != end && !ignored; at.increment(ignored)) {
    const auto value = number(at->path().filename().string());
    if (!value) leftovers.push_back(at->path());
    if (!value) continue;
    if (in_use(*value)) {
      ++kept;
    } else {
      old.push_back(*value);
    }
  }
  for (const fs::path& path : leftovers) fs::remove_all(path, ignored);
  std::sort(old.rbegin(), old.rend());
  for (std::size_t i = kKeptGenerations - kept; i < old.size(); ++i) {
    fs::remove_all(join(directory, fmt::format("{}/{}", kGenerations, old[i])), ignored);
  }
}

}  // namespace

Result<std::optional<Generation>> current_generation(const std::string& directory) {
  return read_linked(directory, kCurrent);
}

Result<std::optional<Generation>> boot_generation(const std::string& directory) {
  return read_linked(directory, kBoot);
}

Result<std::optional<std::uint32_t>> current_number(const std::string& directory) {
  return linked(directory, kCurrent);
}

Result<std::optional<std::uint32_t>> boot_number(const std::string& directory) {
  return linked(directory, kBoot);
}

Result<Generation> read_generation(const std::string& directory, std::uint32_t generation) {
  TRY(check_format(directory));
  const std::string path = join(directory, fmt::format("{}/{}", kGenerations, generation));
  if (!exists(path)) {
    return fail(ErrorKind::Usage,
                fmt::format("generation {} is not kept (`rolewall history` lists the kept ones)",
                            generation));
  }
  const Result<std::string> text = read_file(join(path, "snapshot.json"), kMaxSnapshotSize);
  if (!text) return std::unexpected(text.error());
  Result<ruleset::Snapshot> snapshot = print::from_json(*text);
  if (!snapshot) {
    Error error = std::move(snapshot).error();
    error.message = fmt::format("{}/snapshot.json: {}", path, error.message);
    return std::unexpected(std::move(error));
  }
  Result<Applied> applied = read_applied(directory, generation);
  if (!applied) return std::unexpected(std::move(applied).error());
  TRY(read_elements(path, snapshot->ruleset));
  return Generation{std::move(*applied), std::move(*snapshot)};
}

Result<std::optional<Applied>> current_applied(const std::string& directory) {
  TRY(check_format(directory));
  // A writer may put another generation in its place, and sweep it away, while we read.
  constexpr int kAttempts = 10;
  for (int attempt = 1;; ++attempt) {
    const auto generation = linked(directory, kCurrent);
    if (!generation) return std::unexpected(generation.error());
    if (!*generation) return std::nullopt;
    Result<Applied> applied = read_applied(directory, **generation);
    if (applied) return std::move(*applied);
    if (applied.error().os_errno != ENOENT || attempt == kAttempts) {
      return std::unexpected(std::move(applied).error());
    }
  }
}

Result<std::vector<Applied>> list_applied(const std::string& directory) {
  std::vector<Applied> all;
  TRY(check_format(directory));
  if (!exists(join(directory, kGenerations))) return all;
  const auto numbers = list_generations(directory);
  if (!numbers) return std::unexpected(numbers.error());
  for (const std::uint32_t generation : *numbers) {
    Result<Applied> applied = read_applied(directory, generation);
    if (!applied && applied.error().os_errno == ENOENT) continue;
    if (!applied) return std::unexpected(std::move(applied).error());
    all.push_back(std::move(*applied));
  }
  return all;
}

Result<StateDirectory> StateDirectory::open(const std::string& directory) {
  if (!exists(directory)) {
    std::error_code error;
    const fs::path parent = fs::path(directory).parent_path();
    if (!parent.empty()) fs::create_directories(parent, error);
    if (error) return io_error(parent.string(), error.value());
    TRY(make_directory(directory));
  }
  Result<FileLock> lock = FileLock::take(join(directory, "lock"), kPatience);
  if (!lock) return std::unexpected(std::move(lock).error());
  StateDirectory state(directory, std::move(*lock));
  TRY(check_format(directory));
  const auto format = read_format(directory);
  if (!format) return std::unexpected(format.error());
  if (!*format) {
    TRY(write_file_atomically(join(directory, "format"), fmt::format("{}\n", kStateFormat),
                              kPrivateFile));
  }
  TRY(make_directory(join(directory, kGenerations)));
  return state;
}

Result<std::uint32_t> StateDirectory::prepare(const ruleset::Snapshot& snapshot, Applied applied) {
  const auto numbers = list_generations(path_);
  if (!numbers) return std::unexpected(numbers.error());
  const std::uint32_t next = numbers->empty() ? 1 : numbers->back() + 1;
  applied.generation = next;

  const std::string final_path = join(path_, fmt::format("{}/{}", kGenerations, next));
  const std::string aside = final_path + ".new";
  std::error_code ignored;
  fs::remove_all(aside, ignored);
  TRY(make_directory(aside));
  const auto former = linked(path_, kCurrent);
  const std::string former_path =
      former && *former ? join(path_, fmt::format("{}/{}", kGenerations, **former)) : "";
  ruleset::Snapshot small = snapshot;
  TRY(write_elements(aside, former_path, small.ruleset));
  TRY(write_new_file(join(aside, "snapshot.json"), print::to_json(small), kPrivateFile));
  TRY(write_new_file(join(aside, "applied.json"), to_json(applied), kPrivateFile));
  TRY(sync_directory(aside));
  if (std::rename(aside.c_str(), final_path.c_str()) != 0) return io_error(final_path, errno);
  TRY(sync_directory(join(path_, kGenerations)));
  return next;
}

void StateDirectory::discard(std::uint32_t generation) {
  std::error_code ignored;
  fs::remove_all(join(path_, fmt::format("{}/{}", kGenerations, generation)), ignored);
}

Result<void> StateDirectory::make_current(std::uint32_t generation) {
  TRY(make_link(path_, kCurrent, generation));
  sweep(path_, generation);
  return {};
}

Result<void> StateDirectory::make_boot(std::uint32_t generation) {
  return make_link(path_, kBoot, generation);
}

Result<void> StateDirectory::remove(std::string_view name) {
  const std::string path = join(path_, name);
  if (::unlink(path.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return io_error(path, errno);
  }
  return sync_directory(path_);
}

Result<void> StateDirectory::write(std::string_view name, std::string_view content) {
  return write_file_atomically(join(path_, name), content, kPrivateFile);
}

Result<void> StateDirectory::note(const Applied& applied) {
  const std::string name = fmt::format("{}/{}/applied.json", kGenerations, applied.generation);
  return write(name, to_json(applied));
}

Result<bool> StateDirectory::forget_current() {
  const bool was_there = exists(join(path_, kCurrent));
  TRY(remove(kBoot));
  TRY(remove(kCurrent));
  return was_there;
}

}  // namespace rolewall::apply
