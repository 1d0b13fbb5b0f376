#include "apply/state_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>
#include <set>
#include <utility>

#include "base/file.h"
#include "base/trusted_path.h"

namespace rolewall::apply {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

std::string path_of(const std::string& directory, std::string_view name) {
  return name.empty() ? directory : fmt::format("{}/{}", directory, name);
}

Result<void> check_regular(const std::string& path, const struct stat& status) {
  if (S_ISREG(status.st_mode)) return {};
  return fail(ErrorKind::Io,
              fmt::format("{}: {}: move it away", path,
                          S_ISDIR(status.st_mode) ? "is a directory" : "not a regular file"),
              S_ISDIR(status.st_mode) ? EISDIR : 0);
}

// What is planted in a sticky folder, with a name of ours, is not ours.
Result<void> check(const std::string& path, const struct stat& status) {
  const std::string why = weakness(path, status);
  return why.empty() ? Result<void>{} : fail(ErrorKind::Io, why);
}

std::unexpected<Error> not_opened(int at, const std::string& name, const std::string& path,
                                  int error) {
  struct stat status{};
  if (::fstatat(at, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode)) {
    return fail(ErrorKind::Io, path + ": is a link, and no link in the state directory is followed",
                ELOOP);
  }
  return io_error(path, error);
}

// `name` in the folder `at`, looked at once it is open.
Result<Descriptor> open_in(int at, const std::string& name, const std::string& path, int flags) {
  Descriptor fd(::openat(at, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | flags));
  if (fd.get() < 0) return not_opened(at, name, path, errno);
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return io_error(path, errno);
  TRY(check(path, status));
  return fd;
}

Result<Descriptor> open_folder(const std::string& directory, std::string_view folder) {
  std::set<std::string> trusted;
  TRY(check_trusted_path(directory, trusted));
  Descriptor here(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat status{};
  if (here.get() < 0 || ::fstat(here.get(), &status) != 0) return io_error(directory, errno);
  TRY(check(directory, status));
  std::string path = directory;
  while (!folder.empty()) {
    const std::size_t end = std::min(folder.find('/'), folder.size());
    const std::string name(folder.substr(0, end));
    folder.remove_prefix(std::min(end + 1, folder.size()));
    path += "/" + name;
    Result<Descriptor> next = open_in(here.get(), name, path, O_DIRECTORY);
    if (!next) return std::unexpected(std::move(next).error());
    here = std::move(*next);
  }
  return here;
}

// "generations/3" and "seal".
std::pair<std::string_view, std::string_view> split(std::string_view name) {
  const std::size_t slash = name.rfind('/');
  if (slash == std::string_view::npos) return {"", name};
  return {name.substr(0, slash), name.substr(slash + 1)};
}

Result<std::vector<std::string>> names_in(Descriptor folder, const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> open(::fdopendir(folder.get()), ::closedir);
  if (!open) return io_error(path, errno);
  folder.release();
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(open.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// What a generation's folder holds, and what a crash may have left of it.
bool is_ours(const std::string& name) {
  constexpr std::string_view kElements = "elements-";
  constexpr std::string_view kAside = "applied.json.";  // of write_file_atomically()
  constexpr std::size_t kRandom = 6;
  return name == "snapshot.json" || name == "applied.json" || name == "elements.json" ||
         name == "policies.json" || name == "seal" ||
         (name.starts_with(kElements) && plain_number(name.substr(kElements.size()))) ||
         (name.starts_with(kAside) && name.size() == kAside.size() + kRandom);
}

}  // namespace

Result<std::string> read_state_file(const std::string& directory, std::string_view name,
                                    std::size_t limit) {
  const auto [folder, file] = split(name);
  const Result<Descriptor> at = open_folder(directory, folder);
  if (!at) return std::unexpected(at.error());
  const std::string path = path_of(directory, name);
  // O_NONBLOCK: opening a FIFO must not hang.
  const Result<Descriptor> fd = open_in(at->get(), std::string(file), path, O_NONBLOCK);
  if (!fd) return std::unexpected(fd.error());
  struct stat status{};
  if (::fstat(fd->get(), &status) != 0) return io_error(path, errno);
  TRY(check_regular(path, status));
  return read_file(fd->get(), path, limit);
}

Result<void> append_to_state_file(const std::string& directory, std::string_view name,
                                  std::string_view line, std::size_t limit, bool on_disk) {
  const Result<Descriptor> at = open_folder(directory, "");
  if (!at) return std::unexpected(at.error());
  const std::string path = path_of(directory, name);
  const std::string file(name);
  constexpr int kFlags = O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  const Descriptor fd(::openat(at->get(), file.c_str(), kFlags, kPrivateFile));
  if (fd.get() < 0) return not_opened(at->get(), file, path, errno);
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return io_error(path, errno);
  TRY(check_regular(path, status));
  TRY(check(path, status));
  if (static_cast<std::size_t>(status.st_size) + line.size() >= limit) {
    return fail(ErrorKind::Io, fmt::format("{}: larger than the limit of {} bytes", path, limit),
                EFBIG);
  }
  return append_line(fd.get(), path, line, on_disk);
}

Result<std::optional<std::string>> read_state_link(const std::string& directory,
                                                   std::string_view name) {
  const std::string path = path_of(directory, name);
  const Result<Descriptor> at = open_folder(directory, "");
  if (!at && at.error().os_errno == ENOENT) return std::nullopt;
  if (!at) return std::unexpected(at.error());
  const std::string file(name);
  struct stat status{};
  if (::fstatat(at->get(), file.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return std::nullopt;
    return io_error(path, errno);
  }
  TRY(check(path, status));
  char target[256] = "";
  const ssize_t size = ::readlinkat(at->get(), file.c_str(), target, sizeof target - 1);
  if (size < 0) return io_error(path, errno);
  return std::string(target, static_cast<std::size_t>(size));
}

Result<std::vector<std::string>> list_state_folder(const std::string& directory,
                                                   std::string_view folder) {
  Result<Descriptor> at = open_folder(directory, folder);
  if (!at) return std::unexpected(std::move(at).error());
  return names_in(std::move(*at), path_of(directory, folder));
}

bool is_there(const std::string& directory, std::string_view name) {
  struct stat status{};
  return ::lstat(path_of(directory, name).c_str(), &status) == 0;
}

void remove_generation_folder(const std::string& directory, std::string_view folder) {
  const auto [parent, name] = split(folder);
  const Result<Descriptor> above = open_folder(directory, parent);
  if (!above) return;
  const std::string file(name);
  const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  Descriptor at(::openat(above->get(), file.c_str(), flags));
  if (at.get() < 0) return;
  Descriptor listed(::openat(at.get(), ".", flags));
  const auto names = names_in(std::move(listed), path_of(directory, folder));
  if (!names) return;
  for (const std::string& each : *names) {
    if (is_ours(each)) ::unlinkat(at.get(), each.c_str(), 0);
  }
  ::unlinkat(above->get(), file.c_str(), AT_REMOVEDIR);
}

void remove_half_written(const std::string& directory, std::string_view name) {
  constexpr std::size_t kRandom = 6;  // of mkostemp()
  const auto names = list_state_folder(directory, "");
  const Result<Descriptor> at = open_folder(directory, "");
  if (!names || !at) return;
  for (const std::string& each : *names) {
    const bool is_aside = each.size() == name.size() + 1 + kRandom && each.starts_with(name) &&
                          each[name.size()] == '.';
    if (is_aside) ::unlinkat(at->get(), each.c_str(), 0);
  }
}

std::optional<std::uint32_t> plain_number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  return value;
}

}  // namespace rolewall::apply
