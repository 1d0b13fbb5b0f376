#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace rolewall {
namespace {

struct Descriptor {
  int value = -1;
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
};

bool write_all(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    content.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

// On the disk, with the mode as said, whatever the umask. errno tells where it fails.
bool write_durably(int fd, std::string_view content, unsigned mode) {
  return write_all(fd, content) && ::fchmod(fd, mode) == 0 && ::fsync(fd) == 0;
}

std::unexpected<Error> too_large(const std::string& path, std::size_t limit) {
  return fail(ErrorKind::Io, fmt::format("{}: larger than the limit of {} bytes", path, limit),
              EFBIG);
}

// What can be read until its end, of which about `expected` bytes are.
Result<std::string> read_all(int fd, const std::string& path, std::size_t expected,
                             std::size_t limit) {
  std::string content;
  // A file of /proc/sys says that it is empty, and gives what it holds to the first read alone.
  constexpr std::size_t kLeastRead = 4096;
  std::size_t room = std::max(expected + 1, kLeastRead);
  std::size_t size = 0;
  while (true) {
    ssize_t n = 0;
    // Without filling a large file's room with zeros first.
    content.resize_and_overwrite(room, [&](char* to, std::size_t) {
      do {
        n = ::read(fd, to + size, room - size);
      } while (n < 0 && errno == EINTR);
      return size + static_cast<std::size_t>(std::max<ssize_t>(n, 0));
    });
    if (n < 0) return io_error(path, errno);
    if (n == 0) return content;
    size = content.size();
    if (size > limit) return too_large(path, limit);
    if (size == room) room *= 2;
  }
}

}  // namespace

std::unexpected<Error> io_error(const std::string& path, int os_errno) {
  return fail(ErrorKind::Io, fmt::format("{}: {}", path, std::strerror(os_errno)), os_errno);
}

Result<std::string> read_file(const std::string& path, std::size_t limit) {
  // O_NONBLOCK: opening a FIFO must not hang; regular files ignore it.
  const Descriptor fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (fd.value < 0) return io_error(path, errno);
  return read_file(fd.value, path, limit);
}

Result<std::string> read_file(int fd, const std::string& path, std::size_t limit) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return io_error(path, errno);
  if (S_ISDIR(status.st_mode)) return fail(ErrorKind::Io, path + ": is a directory", EISDIR);
  if (!S_ISREG(status.st_mode)) return fail(ErrorKind::Io, path + ": not a regular file");
  if (static_cast<std::size_t>(status.st_size) > limit) return too_large(path, limit);
  return read_all(fd, path, static_cast<std::size_t>(status.st_size), limit);
}

Result<std::string> read_input(std::size_t limit) {
  return read_all(STDIN_FILENO, "standard input", 0, limit);
}

Result<void> write_new_file(const std::string& path, std::string_view content, unsigned mode) {
  Descriptor fd{::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)};
  if (fd.value < 0) return io_error(path, errno);
  if (!write_durably(fd.value, content, mode)) return io_error(path, errno);
  return {};
}

Result<void> sync_directory(const std::string& path) {
  const Descriptor fd{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (fd.value < 0 || ::fsync(fd.value) != 0) return io_error(path, errno);
  return {};
}

Result<void> write_file_atomically(const std::string& path, std::string_view content,
                                   unsigned mode) {
  // A rename would put a file in the place of a device, a FIFO or a link.
  struct stat status{};
  if (::lstat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    return fail(ErrorKind::Io, path + ": not a regular file, so it is not replaced");
  }
  const std::string directory =
      path.find('/') == std::string::npos ? "." : path.substr(0, path.rfind('/') + 1);
  std::string aside = path + ".XXXXXX";
  Descriptor fd{::mkostemp(aside.data(), O_CLOEXEC)};
  if (fd.value < 0) return io_error(path, errno);
  if (!write_durably(fd.value, content, mode) || std::rename(aside.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(aside.c_str());
    return io_error(path, error);
  }
  return sync_directory(directory);
}

Result<void> append_line(int fd, const std::string& path, std::string_view line, bool on_disk) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return io_error(path, errno);
  if (!S_ISREG(status.st_mode)) return fail(ErrorKind::Io, path + ": not a regular file");
  char last = '\n';
  if (status.st_size > 0 && ::pread(fd, &last, 1, status.st_size - 1) != 1) {
    return io_error(path, errno);
  }
  const std::string text = fmt::format("{}{}\n", last == '\n' ? "" : "\n", line);
  if (!write_all(fd, text)) return io_error(path, errno);
  if (on_disk && ::fsync(fd) != 0) return io_error(path, errno);
  return {};
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace rolewall
