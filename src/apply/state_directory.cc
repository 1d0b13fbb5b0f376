#include "apply/state_directory.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <set>
#include <utility>

#include "apply/applied_json.h"
#include "apply/element_files.h"
#include "apply/interrupted.h"
#include "apply/missing_events.h"
#include "apply/older_format.h"
#include "apply/seal.h"
#include "apply/state_files.h"
#include "apply/waiting.h"
#include "base/file.h"
#include "print/print.h"

namespace rolewall::apply {
namespace {

namespace fs = std::filesystem;
using Number = std::optional<std::uint32_t>;

// Policies and addresses are nobody else's business.
constexpr mode_t kDirectoryMode = 0700;

std::string join(const std::string& directory, std::string_view name) {
  return fmt::format("{}/{}", directory, name);
}

Result<void> make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), kDirectoryMode) == 0 || errno == EEXIST) return {};
  return io_error(path, errno);
}

// What is too old. Failing here loses nothing.
void sweep(const std::string& directory, std::uint32_t newest) {
  const auto names = list_state_folder(directory, kGenerations);
  if (!names) return;
  std::set<std::uint32_t> in_use{newest};
  const auto use = [&](const Result<Number>& number) {
    if (number && *number) in_use.insert(**number);
  };
  use(current_number(directory));
  use(boot_number(directory));
  if (const auto pending = whatever_waits(directory).pending) {
    use(pending->former);
    use(pending->generation);
  }
  std::set<std::uint32_t> told_of;
  std::set<std::uint32_t> refreshed;
  if (const auto events = read_events(directory)) {
    use(in_force_before(events->all, newest));
    for (const Event& event : events->all) told_of.insert(event.to.value_or(0));
    refreshed = refreshed_away(events->all);
  }
  std::vector<std::uint32_t> old;
  for (const std::string& name : *names) {
    const Number number = plain_number(name);
    if (number && !in_use.contains(*number)) old.push_back(*number);
  }
  // Those go first that nobody would go back to: what nobody knows to have been in force, and what
  // a refresh has replaced (a timer's are many).
  std::ranges::sort(old, std::greater(), [&](std::uint32_t number) {
    return std::pair(told_of.contains(number) && !refreshed.contains(number), number);
  });
  for (std::size_t i = kKeptGenerations - in_use.size(); i < old.size(); ++i) {
    remove_generation_folder(directory, folder_of(old[i]));
  }
}

// A refresh has the sources of what it refreshes: they are there once. Whether it is so.
bool link_sources(const std::string& directory, std::uint32_t former, const std::string& checksum,
                  const std::string& aside) {
  const auto seal = read_seal(directory, folder_of(former));
  if (!seal || !*seal) return false;
  const auto sealed = (*seal)->find(std::string(kSourcesFile));
  if (sealed == (*seal)->end() || sealed->second != checksum) return false;
  if (!read_sources(directory, former)) return false;
  return ::link(fmt::format("{}/{}/{}", directory, folder_of(former), kSourcesFile).c_str(),
                fmt::format("{}/{}/{}", directory, aside, kSourcesFile).c_str()) == 0;
}

// What others keep among our generations may have any number for its name: it is passed over, and
// says nothing of where we are.
Result<std::uint32_t> free_number(const std::string& directory) {
  const auto numbers = list_generations(directory);
  if (!numbers) return std::unexpected(numbers.error());
  std::uint32_t newest = 0;
  for (const std::uint32_t number : *numbers) {
    const std::string folder = folder_of(number);
    const bool is_ours = is_there(directory, fmt::format("{}/{}", folder, kSealFile)) ||
                         is_there(directory, folder + "/applied.json");
    if (is_ours) newest = number;
  }
  if (const auto known = newest_known(directory)) newest = std::max(newest, *known);
  for (std::uint32_t next = newest; next != UINT32_MAX;) {
    if (!is_there(directory, folder_of(++next))) return next;
  }
  return fail(ErrorKind::Io,
              fmt::format("{}/{}: no number is left after {}: move the state directory away, and "
                          "apply again",
                          directory, kGenerations, newest));
}

}  // namespace

bool is_unwritable(const Error& error) {
  return error.kind == ErrorKind::Io &&
         (error.os_errno == EROFS || error.os_errno == ENOSPC || error.os_errno == EDQUOT);
}

Result<StateDirectory> StateDirectory::open(const std::string& directory) {
  struct stat status{};
  if (::lstat(directory.c_str(), &status) != 0) {
    std::error_code error;
    const fs::path parent = fs::path(directory).parent_path();
    if (!parent.empty()) fs::create_directories(parent, error);
    if (error) return io_error(parent.string(), error.value());
    TRY(make_directory(directory));
  }
  if (const auto in_use = is_in_use(directory); !in_use) return std::unexpected(in_use.error());
  Result<FileLock> lock = FileLock::take(join(directory, "lock"), kPatience);
  if (!lock) return std::unexpected(std::move(lock).error());
  StateDirectory state(directory, std::move(*lock));
  TRY(check_format(directory));
  const auto format = read_format(directory);
  if (!format) return std::unexpected(format.error());
  if (*format && **format < kStateFormat) TRY(bring_up_to_date(directory));
  const bool is_damaged = is_format_damaged(directory);
  if (is_damaged) {
    state.mended_ = fmt::format("{}/{}: was damaged and is written anew", directory, kFormatFile);
  }
  sweep_half_written(directory);
  // Before anything else that would make the directory look like another's.
  if (!*format || **format < kStateFormat || is_damaged) {
    TRY(state.write(kFormatFile, fmt::format("{}\n", kStateFormat)));
  }
  TRY(make_directory(join(directory, kGenerations)));
  // It may be a link.
  const auto listed = list_generations(directory);
  if (!listed) return std::unexpected(listed.error());
  // Once there is a generation, one that is gone is a loss.
  for (const std::string_view link : {kBootLink, kCurrentLink}) {
    if (listed->empty() && !is_there(directory, link)) {
      TRY(make_link(directory, link, std::nullopt));
    }
  }
  return state;
}

Result<std::optional<StateDirectory>> StateDirectory::open_existing(const std::string& directory) {
  const auto in_use = is_in_use(directory);
  if (!in_use) return std::unexpected(in_use.error());
  if (!*in_use) return std::nullopt;
  Result<StateDirectory> state = open(directory);
  if (!state) return std::unexpected(std::move(state).error());
  return std::move(*state);
}

Result<std::uint32_t> StateDirectory::prepare(const ruleset::Snapshot& snapshot, Applied applied,
                                              const std::string& sources) {
  const Result<std::uint32_t> free = free_number(path_);
  if (!free) return free;
  const std::uint32_t next = *free;
  applied.generation = next;

  const std::string aside = folder_of(next) + ".new";
  const auto put = [&](std::string_view name, const std::string& content) {
    return write_new_file(fmt::format("{}/{}/{}", path_, aside, name), content, kPrivateFile);
  };
  remove_generation_folder(path_, aside);
  TRY(make_directory(join(path_, aside)));
  const auto former = current_number(path_);
  ruleset::Snapshot small = snapshot;
  Seal seal;
  TRY(write_elements(path_, aside, former && *former ? folder_of(**former) : "", small.ruleset,
                     seal));
  for (const auto& [name, content] : {std::pair("snapshot.json", print::to_json(small)),
                                      std::pair("applied.json", to_json(applied))}) {
    TRY(put(name, content));
    seal[name] = sha256(content);
  }
  if (!sources.empty()) {
    const std::string name(kSourcesFile);
    seal[name] = sha256(sources);
    const bool is_linked = former && *former && link_sources(path_, **former, seal[name], aside);
    if (!is_linked) TRY(put(name, sources));
  }
  TRY(put(kSealFile, to_text(seal)));
  TRY(sync_directory(join(path_, aside)));
  const std::string final_path = join(path_, folder_of(next));
  if (std::rename(join(path_, aside).c_str(), final_path.c_str()) != 0) {
    return io_error(final_path, errno);
  }
  TRY(sync_directory(join(path_, kGenerations)));
  reserve_event(path_);
  return next;
}

void StateDirectory::discard(std::uint32_t generation) {
  remove_generation_folder(path_, folder_of(generation));
}

Result<void> StateDirectory::make_current(Number generation) {
  TRY(make_link(path_, kCurrentLink, generation));
  if (generation) sweep(path_, *generation);
  return {};
}

Result<void> StateDirectory::make_boot(Number generation) {
  return make_link(path_, kBootLink, generation);
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
  return write(kKernelFile, kernel_to_json(applied));
}

Result<void> StateDirectory::append(const Event& event) {
  return append_event(path_, event);
}

}  // namespace rolewall::apply
