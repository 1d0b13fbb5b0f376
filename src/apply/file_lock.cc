#include "apply/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <thread>
#include <utility>

#include "base/file.h"
#include "base/trusted_path.h"

namespace rolewall::apply {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPause{5};
constexpr std::chrono::seconds kTurnPatience{2};

}  // namespace

Result<FileLock> FileLock::take(const std::string& path, std::chrono::seconds patience) {
  const int fd =
      ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, kPrivateFile);
  if (fd < 0) return io_error(path, errno);
  FileLock lock(fd);
  // Who has it could hold it for ever, and one that is no file may be another's.
  struct stat status{};
  if (::fstat(fd, &status) != 0) return io_error(path, errno);
  if (!S_ISREG(status.st_mode)) {
    return fail(ErrorKind::Io, path + ": not a regular file: move it away");
  }
  if (const std::string why = weakness(path, status); !why.empty()) {
    return fail(ErrorKind::Io, why);
  }
  const Clock::time_point deadline = Clock::now() + patience;
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return io_error(path, errno);
    if (Clock::now() > deadline) {
      return fail(
          ErrorKind::Conflict,
          fmt::format("{}: another rolewall is running and did not finish within {} seconds", path,
                      patience.count()),
          EWOULDBLOCK);
    }
    std::this_thread::sleep_for(kPause);
  }
  return lock;
}

FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

Result<FileLock> take_turn(const std::string& state_directory) {
  return FileLock::take(state_directory + "/turn", kTurnPatience);
}

}  // namespace rolewall::apply
