#include "apply/state_directory.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <utility>

#include "apply/applied_json.h"
#include "apply/element_files.h"
#include "apply/older_format.h"
#include "apply/pending.h"
#include "apply/seal.h"
#include "apply/state_files.h"
#include "base/file.h"
#include "print/print.h"

namespace rolewall::apply {
namespace {

namespace fs = std::filesystem;
using Number = std::optional<std::uint32_t>;

// Policies and addresses are nobody else's business.
constexpr mode_t kDirectoryMode = 0700;
constexpr std::size_t kMaxSmallFile = 64UL * 1024;
constexpr std::size_t kMaxApplied = std::size_t{1} << 26;  // the addresses of a large site

constexpr std::string_view kFormat = "format";
constexpr std::string_view kGenerations = "generations";
constexpr std::string_view kCurrent = "current";
constexpr std::string_view kBoot = "boot";
constexpr std::string_view kNothing = "nothing";  // where a link leads that leads to no generation

std::string join(const std::string& directory, std::string_view name) {
  return fmt::format("{}/{}", directory, name);
}

std::string folder_of(std::uint32_t generation) {
  return fmt::format("{}/{}", kGenerations, generation);
}

Result<void> make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), kDirectoryMode) == 0 || errno == EEXIST) return {};
  return io_error(path, errno);
}

// The number in `format`; std::nullopt where the file is not there yet.
Result<Number> read_format(const std::string& directory) {
  Result<std::string> text = read_state_file(directory, kFormat, kMaxSmallFile);
  if (!text && text.error().os_errno == ENOENT) return std::nullopt;
  if (!text) return std::unexpected(std::move(text).error());
  while (!text->empty() && text->back() == '\n') text->pop_back();
  const Number format = plain_number(*text);
  if (!format) return fail(ErrorKind::Io, join(directory, kFormat) + ": is damaged: not a number");
  return format;
}

// Whether this rolewall reads it. What is damaged in `format` alone is for the writer to refuse:
// each generation says itself whether it is whole.
Result<void> check_format(const std::string& directory) {
  const auto format = read_format(directory);
  if (!format || !*format || (**format >= kOldestFormat && **format <= kStateFormat)) return {};
  return fail(
      ErrorKind::Io,
      fmt::format("{}: written by {} rolewall (format {}, this one knows {}): nothing is read and "
                  "nothing changed. Use that one, or move the directory away and apply again",
                  directory, **format < kStateFormat ? "an older" : "a newer", **format,
                  kStateFormat));
}

// What may lie there before `format` does: a lock, an empty filesystem's own folder, and what a
// crash of ours has left.
bool may_come_first(const std::string& name) {
  static const std::set<std::string, std::less<>> known{"lock", "turn", "bans.lock", "lost+found"};
  return known.contains(name) || name.starts_with("format.");
}

// A directory that was named by mistake must not be written into, and nothing in it taken away.
Result<void> check_that_it_is_ours(const std::string& directory) {
  const auto format = read_format(directory);
  if (!format) return std::unexpected(format.error());
  if (*format) return {};
  const auto names = list_state_folder(directory, "");
  if (!names) return std::unexpected(names.error());
  const auto other = std::ranges::find_if_not(*names, may_come_first);
  if (other == names->end()) return {};
  return fail(ErrorKind::Usage,
              fmt::format("{}: holds {} and no `{}`, so it is no state directory of rolewall's, or "
                          "a damaged one: nothing was changed. Name a new or empty one with "
                          "--state-dir, or move this one away",
                          directory, *other, kFormat));
}

// The generations that are there, whole ones alone.
Result<std::vector<std::uint32_t>> list_generations(const std::string& directory) {
  const auto names = list_state_folder(directory, kGenerations);
  if (!names && names.error().os_errno == ENOENT) return std::vector<std::uint32_t>();
  if (!names) return std::unexpected(names.error());
  std::vector<std::uint32_t> numbers;
  for (const std::string& name : *names) {
    if (const Number number = plain_number(name)) numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

// Says the number twice, so that no other byte leads to another generation.
std::string link_to(Number generation) {
  if (!generation) return std::string(kNothing);
  return fmt::format("{}/../{}", folder_of(*generation), *generation);
}

// The generation that a link leads to; std::nullopt where it says that there is none.
struct Link {
  bool is_there = false;
  Number to;
};

Result<Link> linked(const std::string& directory, std::string_view name) {
  const auto target = read_state_link(directory, name);
  if (!target) return std::unexpected(target.error());
  if (!*target) return Link();
  if (**target == kNothing) return Link{true, {}};
  const std::string_view to(**target);
  const bool leads_there = to.starts_with(kGenerations) && to.size() > kGenerations.size() + 1;
  const std::string_view digits =
      leads_there ? to.substr(kGenerations.size() + 1, to.find("/..") - kGenerations.size() - 1)
                  : "";
  const Number number = plain_number(digits);
  // Older ones say the number once.
  if (!number || (to != link_to(number) && to != folder_of(*number))) {
    return fail(ErrorKind::Io, join(directory, name) + ": does not lead to a generation");
  }
  return Link{true, number};
}

// Where the link is lost, the history still says it.
Result<Number> linked_or_logged(const std::string& directory, std::string_view name,
                                Number (*by_log)(const std::vector<Event>&)) {
  const Result<Link> link = linked(directory, name);
  if (link && link->is_there) return link->to;
  const auto events = read_events(directory);
  if (!events) return std::unexpected(link ? events.error() : link.error());
  if (const Number logged = by_log(events->all)) return logged;
  if (!link) return std::unexpected(link.error());
  // Nothing was ever in force, unless all of it is lost.
  if (const auto format = read_format(directory); !format) return std::unexpected(format.error());
  return std::nullopt;
}

// std::nullopt: that there is none, which an empty place would leave to the history. Takes no room
// for a file's content.
Result<void> make_link(const std::string& directory, std::string_view name, Number generation) {
  const std::string link = join(directory, name);
  const std::string aside = link + ".new";
  const std::string target = link_to(generation);
  ::unlink(aside.c_str());
  if (::symlink(target.c_str(), aside.c_str()) != 0) return io_error(aside, errno);
  if (std::rename(aside.c_str(), link.c_str()) != 0) return io_error(link, errno);
  return sync_directory(directory);
}

// What a generation's files must agree with. Without one it is of a format that had none.
Result<std::optional<Seal>> seal_of(const std::string& directory, std::uint32_t generation) {
  return read_seal(directory, folder_of(generation));
}

Result<Applied> read_applied(const std::string& directory, std::uint32_t generation,
                             const std::optional<Seal>& seal) {
  constexpr std::string_view kFile = "applied.json";
  const std::string folder = folder_of(generation);
  const Result<std::string> text =
      read_sealed_file(directory, folder, seal ? &*seal : nullptr, kFile, kMaxApplied);
  if (!text) return std::unexpected(text.error());
  Result<Applied> applied =
      applied_from_json(fmt::format("{}/{}/{}", directory, folder, kFile), *text);
  if (!applied) return applied;
  const auto format = read_format(directory);
  if (!seal && !(format && *format == kOldestFormat)) {
    return fail(ErrorKind::Io,
                fmt::format("{}/{}: is damaged: it has no `{}`", directory, folder, kSealFile));
  }
  applied->generation = generation;
  const auto kernel = read_state_file(directory, kKernelFile, kMaxSmallFile);
  if (kernel) take_kernel(*kernel, *applied);
  return applied;
}

Result<Applied> read_applied(const std::string& directory, std::uint32_t generation) {
  const auto seal = seal_of(directory, generation);
  if (!seal) return std::unexpected(seal.error());
  return read_applied(directory, generation, *seal);
}

using WhichNumber = Result<Number> (*)(const std::string& directory);

Result<std::optional<Generation>> read_which(const std::string& directory, WhichNumber which) {
  TRY(check_format(directory));
  const auto generation = which(directory);
  if (!generation) return std::unexpected(generation.error());
  return read_former(directory, *generation);
}

// What a crash left half written, and what is too old. Failing here loses nothing.
void sweep(const std::string& directory, std::uint32_t newest) {
  const auto names = list_state_folder(directory, kGenerations);
  if (!names) return;
  std::set<std::uint32_t> in_use{newest};
  const auto use = [&](const Result<Number>& number) {
    if (number && *number) in_use.insert(**number);
  };
  use(current_number(directory));
  use(boot_number(directory));
  if (const auto pending = read_pending(directory); pending && *pending) {
    use((*pending)->former);
    use((*pending)->generation);
  }
  if (const auto events = read_events(directory)) use(in_force_before(events->all, newest));
  std::vector<std::uint32_t> old;
  for (const std::string& name : *names) {
    const Number number = plain_number(name);
    if (number && !in_use.contains(*number)) old.push_back(*number);
    constexpr std::string_view kAside = ".new";
    const bool unfinished = name.ends_with(kAside) &&
                            plain_number(name.substr(0, name.size() - kAside.size())).has_value();
    if (unfinished) remove_generation_folder(directory, fmt::format("{}/{}", kGenerations, name));
  }
  std::sort(old.rbegin(), old.rend());
  for (std::size_t i = kKeptGenerations - in_use.size(); i < old.size(); ++i) {
    remove_generation_folder(directory, folder_of(old[i]));
  }
}

}  // namespace

Result<std::optional<Generation>> current_generation(const std::string& directory) {
  return read_which(directory, current_number);
}

Result<std::optional<Generation>> boot_generation(const std::string& directory) {
  return read_which(directory, boot_number);
}

Result<Number> current_number(const std::string& directory) {
  return linked_or_logged(directory, kCurrent, in_force_by);
}

Result<Number> boot_number(const std::string& directory) {
  return linked_or_logged(directory, kBoot, confirmed_by);
}

std::vector<std::string> damaged_links(const std::string& directory) {
  std::vector<std::string> problems;
  for (const std::string_view name : {kCurrent, kBoot}) {
    if (const auto link = linked(directory, name); !link) {
      problems.push_back(link.error().message + ": what the history says counts");
    }
  }
  return problems;
}

Result<Generation> read_generation(const std::string& directory, std::uint32_t generation) {
  TRY(check_format(directory));
  const std::string folder = folder_of(generation);
  if (!is_there(directory, folder)) {
    return fail(ErrorKind::Usage,
                fmt::format("generation {} is not kept (`rolewall history` lists the kept ones)",
                            generation));
  }
  const auto seal = seal_of(directory, generation);
  if (!seal) return std::unexpected(seal.error());
  Result<Applied> applied = read_applied(directory, generation, *seal);
  if (!applied) return std::unexpected(std::move(applied).error());
  const Seal* const sealed = *seal ? &**seal : nullptr;
  constexpr std::string_view kFile = "snapshot.json";
  const Result<std::string> text =
      read_sealed_file(directory, folder, sealed, kFile, kMaxSnapshotSize);
  if (!text) return std::unexpected(text.error());
  Result<ruleset::Snapshot> snapshot = print::from_json(*text);
  if (!snapshot) {
    Error error = std::move(snapshot).error();
    error.message = fmt::format("{}/{}/{}: {}", directory, folder, kFile, error.message);
    return std::unexpected(std::move(error));
  }
  TRY(read_elements(directory, folder, sealed, snapshot->ruleset));
  return Generation{std::move(*applied), std::move(*snapshot)};
}

Result<std::optional<Generation>> read_former(const std::string& directory, Number former) {
  if (!former) return std::nullopt;
  Result<Generation> read = read_generation(directory, *former);
  if (!read) return std::unexpected(std::move(read).error());
  return std::move(*read);
}

Result<std::optional<Applied>> current_applied(const std::string& directory) {
  TRY(check_format(directory));
  // A writer may put another generation in its place, and sweep it away, while we read.
  constexpr int kAttempts = 10;
  for (int attempt = 1;; ++attempt) {
    const auto generation = current_number(directory);
    if (!generation) return std::unexpected(generation.error());
    if (!*generation) return std::nullopt;
    Result<Applied> applied = read_applied(directory, **generation);
    if (applied) return std::move(*applied);
    if (applied.error().os_errno != ENOENT || attempt == kAttempts) {
      return std::unexpected(std::move(applied).error());
    }
  }
}

Result<Kept> list_kept(const std::string& directory) {
  Kept kept;
  TRY(check_format(directory));
  const auto numbers = list_generations(directory);
  if (!numbers) return std::unexpected(numbers.error());
  for (const std::uint32_t generation : *numbers) {
    Result<Applied> applied = read_applied(directory, generation);
    if (applied) {
      kept.applied.push_back(std::move(*applied));
    } else if (is_there(directory, folder_of(generation))) {
      kept.unreadable.push_back({generation, applied.error().message});
    }
  }
  return kept;
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
  TRY(check_that_it_is_ours(directory));
  Result<FileLock> lock = FileLock::take(join(directory, "lock"), kPatience);
  if (!lock) return std::unexpected(std::move(lock).error());
  StateDirectory state(directory, std::move(*lock));
  TRY(check_format(directory));
  const auto format = read_format(directory);
  if (!format) return std::unexpected(format.error());
  if (*format && **format < kStateFormat) TRY(bring_up_to_date(directory));
  // Before anything else that would make the directory look like another's.
  if (!*format || **format < kStateFormat) {
    TRY(state.write(kFormat, fmt::format("{}\n", kStateFormat)));
  }
  TRY(make_directory(join(directory, kGenerations)));
  // It may be a link.
  if (auto listed = list_state_folder(directory, kGenerations); !listed) {
    return std::unexpected(std::move(listed).error());
  }
  return state;
}

Result<std::uint32_t> StateDirectory::prepare(const ruleset::Snapshot& snapshot, Applied applied) {
  const auto numbers = list_generations(path_);
  if (!numbers) return std::unexpected(numbers.error());
  std::uint32_t newest = numbers->empty() ? 0 : numbers->back();
  if (const auto events = read_events(path_)) {
    for (const Event& event : events->all) newest = std::max(newest, event.to.value_or(0));
  }
  const std::uint32_t next = newest + 1;
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
  TRY(make_link(path_, kCurrent, generation));
  if (generation) sweep(path_, *generation);
  return {};
}

Result<void> StateDirectory::make_boot(Number generation) {
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
  return write(kKernelFile, kernel_to_json(applied));
}

Result<void> StateDirectory::append(const Event& event) {
  return append_event(path_, event);
}
}  // namespace rolewall::apply
