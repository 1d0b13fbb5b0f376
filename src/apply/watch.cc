#include "apply/watch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include "apply/notice.h"
#include "apply/state_files.h"
#include "apply/systemd.h"
#include "apply/timed_rollback.h"
#include "base/time.h"

namespace rolewall::apply {
namespace {

using std::chrono::milliseconds;

constexpr const char* kProcessName = "rolewall-await";  // at most 15 characters: prctl(2)

class Watcher {
 public:
  explicit Watcher(TimedRollback rollback)
      : rollback_(std::move(rollback)), terminal_(own_terminal()) {}

  // False where there is no timer to be had.
  bool set_timer() {
    timer_ = ::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);
    if (timer_ < 0) return false;
    itimerspec at{};
    at.it_value.tv_sec = static_cast<time_t>(rollback_.pending().deadline_ns / kNsPerSecond);
    at.it_value.tv_nsec = static_cast<long>(rollback_.pending().deadline_ns % kNsPerSecond);
    return ::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &at, nullptr) == 0;
  }

  const std::string& token() const { return rollback_.pending().token; }

  void run() {
    constexpr int kLookMs = 500;
    pollfd timer{.fd = timer_, .events = POLLIN, .revents = 0};
    while (::poll(&timer, 1, kLookMs) <= 0) {
      // Another apply may have taken this one's place, and give it back.
      if (rollback_.look() == TimedRollback::Sight::NothingWaits) return;
    }
    roll_back();
  }

 private:
  // Again and again: another program's changes, or a directory that cannot be locked, must not
  // leave the host shut.
  void roll_back() {
    constexpr milliseconds kLongestPause{5'000};
    constexpr int kTellEvery = 50;
    milliseconds pause{100};
    for (int attempt = 0; rollback_.look() == TimedRollback::Sight::Ours; ++attempt) {
      const Result<TakenBack> done = rollback_.attempt(attempt);
      if (done) {
        give_notice(in_words(*done), terminal_);
        return;
      }
      if (done.error().kind == ErrorKind::Refused) return;
      if (attempt % kTellEvery == 0) {
        give_notice("the rollback failed and will be tried again: " + done.error().message,
                    terminal_);
      }
      std::this_thread::sleep_for(pause);
      pause = std::min(pause * 2, kLongestPause);
    }
  }

  TimedRollback rollback_;
  std::string terminal_;
  int timer_ = -1;
};

// Keeps `kept` and what stands for the three standard streams.
void let_go_of_everything(int kept) {
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    nothing < 0 ? ::close(fd) : ::dup2(nothing, fd);
  }
  // Our lock and sockets among them: the lock is the process's that made it.
  if (kept > STDERR_FILENO + 1) {
    ::close_range(STDERR_FILENO + 1, static_cast<unsigned>(kept) - 1, 0);
  }
  ::close_range(static_cast<unsigned>(kept) + 1, ~0U, 0);
  [[maybe_unused]] const int root = ::chdir("/");
}

[[noreturn]] void watch(Watcher watcher, int to_parent) {
  ::setsid();
  const pid_t pid = ::fork();
  if (pid != 0) ::_exit(pid < 0 ? 1 : 0);
  for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE}) ::signal(signal, SIG_IGN);
  ::prctl(PR_SET_NAME, kProcessName);
  ::prctl(PR_SET_PDEATHSIG, 0);
  let_go_of_everything(to_parent);
  const pid_t self = watcher.set_timer() ? ::getpid() : 0;
  const ssize_t told = ::write(to_parent, &self, sizeof self);
  ::close(to_parent);
  if (told == sizeof self && self != 0) {
    watcher.run();
    if (systemd_runs_here()) stop_timer(watcher.token());
  }
  ::_exit(0);
}

// The process's number, or why there is none.
Result<pid_t> start(Watcher watcher) {
  const auto refused = [](const char* what) {
    return fail(ErrorKind::System,
                fmt::format("cannot set up the rollback ({}: {}): nothing was changed", what,
                            std::strerror(errno)),
                errno);
  };
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return refused("pipe");
  std::fflush(nullptr);  // else the child would write what is buffered a second time
  const pid_t child = ::fork();
  if (child < 0) {
    const int error = errno;
    ::close(ends[0]);
    ::close(ends[1]);
    errno = error;
    return refused("fork");
  }
  if (child == 0) {
    ::close(ends[0]);
    watch(std::move(watcher), ends[1]);
  }
  ::close(ends[1]);
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_t self = 0;
  ssize_t size = 0;
  do {
    size = ::read(ends[0], &self, sizeof self);
  } while (size < 0 && errno == EINTR);
  ::close(ends[0]);
  if (size != sizeof self || self == 0) {
    errno = ECHILD;
    return refused("its process did not start");
  }
  return self;
}

// By /proc/PID/stat, "PID (NAME) STATE ...".
bool waits_still(const std::string& process) {
  const std::ifstream text("/proc/" + process + "/stat");
  std::ostringstream all;
  all << text.rdbuf();
  const std::string line = all.str();
  const std::string name = fmt::format(" ({}) ", kProcessName);
  const std::size_t at = line.find(name);
  if (at == std::string::npos || at + name.size() >= line.size()) return false;
  const char state = line[at + name.size()];
  return state != 'Z' && state != 'X';
}

}  // namespace

bool is_watched(const Pending& pending) {
  if (pending.watcher != 0 && waits_still(std::to_string(pending.watcher))) return true;
  if (!pending.token.empty()) return systemd_runs_here() && timer_will_fire(pending.token);
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string process = entry.path().filename().string();
    if (plain_number(process) && waits_still(process)) return true;
  }
  return false;
}

Result<int> start_watch_process(const World& world, const std::string& state_directory,
                                const Pending& pending, const std::optional<Generation>& former,
                                std::chrono::seconds within) {
  // It does not stay in the directory that it was started in.
  std::error_code error;
  const std::string directory = std::filesystem::absolute(state_directory, error).string();
  if (error) {
    return fail(ErrorKind::System,
                fmt::format("cannot set up the rollback (the path of {}: {}): nothing was changed",
                            state_directory, error.message()));
  }
  const Result<pid_t> watcher = start(Watcher(TimedRollback(world, directory, pending, former)));
  if (!watcher || !systemd_runs_here()) return watcher;
  constexpr std::chrono::seconds kLater{3};  // the process comes first
  TRY(guard_by_systemd(*watcher, pending.token, within + kLater, directory));
  return watcher;
}

}  // namespace rolewall::apply
