#include "apply/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/trusted_path.h"

namespace rolewall::apply {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPause{5};
constexpr std::chrono::seconds kTurnPatience{2};

// By /proc/locks, "1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF": " (process 1234)", for whoever
// has to end one that hangs; "" where that does not say it, as on overlayfs.
std::string holder_of(const struct stat& file) {
  const std::string locked =
      fmt::format("{:02x}:{:02x}:{}", ::major(file.st_dev), ::minor(file.st_dev), file.st_ino);
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    const std::vector<std::string> word(std::istream_iterator<std::string>(words), {});
    constexpr std::size_t kProcess = 4;
    constexpr std::size_t kPlace = 5;
    if (word.size() <= kPlace || word[1] != "FLOCK" || word[kPlace] != locked) continue;
    if (word[kProcess] != "0") return fmt::format(" (process {})", word[kProcess]);
  }
  return "";
}

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
          fmt::format("{}: another rolewall is running{} and did not finish within {} seconds",
                      path, holder_of(status), patience.count()),
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
