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

#include "apply/events.h"
#include "apply/interrupted.h"
#include "apply/kernel.h"
#include "apply/notice.h"
#include "apply/restore.h"
#include "apply/state_files.h"
#include "apply/state_links.h"
#include "apply/systemd.h"
#include "apply/waiting.h"
#include "base/time.h"

namespace rolewall::apply {
namespace {

using std::chrono::milliseconds;

constexpr const char* kProcessName = "rolewall-await";  // at most 15 characters: prctl(2)

class Watcher {
 public:
  Watcher(const World& world, std::string directory, Pending pending,
          const std::optional<Generation>& former)
      : world_(world),
        directory_(std::move(directory)),
        pending_(std::move(pending)),
        former_(former),
        terminal_(own_terminal()) {}

  // False where there is no timer to be had.
  bool set_timer() {
    timer_ = ::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);
    if (timer_ < 0) return false;
    itimerspec at{};
    at.it_value.tv_sec = static_cast<time_t>(pending_.deadline_ns / kNsPerSecond);
    at.it_value.tv_nsec = static_cast<long>(pending_.deadline_ns % kNsPerSecond);
    return ::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &at, nullptr) == 0;
  }

  const std::string& token() const { return pending_.token; }

  void run() {
    constexpr int kLookMs = 500;
    pollfd timer{.fd = timer_, .events = POLLIN, .revents = 0};
    while (::poll(&timer, 1, kLookMs) <= 0) {
      // Another apply may have taken this one's place, and give it back.
      if (look() == Sight::NothingWaits) return;
    }
    roll_back();
  }

 private:
  enum class Sight : std::uint8_t { Ours, Another, NothingWaits };
  // What cannot be read, or was taken away, is no confirmation.
  Sight look() {
    const auto file = read_pending(directory_);
    if (file && *file)
      return seen_ = (*file)->token == pending_.token ? Sight::Ours : Sight::Another;
    const auto waits = whatever_waits(directory_).pending;
    const bool is_the_same = waits && waits->generation == pending_.generation;
    return is_the_same || !file || !is_settled() ? seen_ : Sight::NothingWaits;
  }

  // Whether the directory says what became of it. One that was moved away, emptied or made anew
  // does not.
  bool is_settled() const {
    const auto events = read_events(directory_);
    if (events && !events->all.empty()) return true;
    const auto current = current_number(directory_);
    const auto boots = boot_number(directory_);
    if (!current || !boots || !is_there(directory_, kCurrentLink)) return false;
    return *current == pending_.generation ? *boots == *current : current->has_value();
  }
  // Whether it says anything of what waits, or waited.
  bool is_told_of() const {
    const auto file = read_pending(directory_);
    if (!file || *file) return true;
    const auto events = read_events(directory_);
    if (!events || !events->all.empty()) return true;
    const auto current = current_number(directory_);
    return !current || (*current && *current == pending_.generation);
  }

  // Again and again: another program's changes, or a directory that cannot be locked, must not
  // leave the host shut.
  void roll_back() {
    constexpr milliseconds kLongestPause{5'000};
    constexpr int kTellEvery = 50;
    milliseconds pause{100};
    for (int attempt = 0; look() == Sight::Ours; ++attempt) {
      const Result<TakenBack> done = attempt_once(attempt);
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

  Result<TakenBack> attempt_once(int attempt) {
    constexpr int kWithoutRecord = 3;
    Result<std::unique_ptr<Kernel>> kernel = world_.open_kernel();
    if (!kernel) return std::unexpected(kernel.error());
    Result<std::optional<StateDirectory>> state = StateDirectory::open_existing(directory_);
    Event event = event_now(world_, EventKind::Expired);
    event.from = pending_.generation;
    event.why = "not confirmed by " + pending_.deadline;
    if (!state) {
      // Better unrecorded than shut out. Who holds the lock will let it go.
      const bool is_locked = state.error().kind == ErrorKind::Conflict;
      if (attempt >= kWithoutRecord && !is_locked) {
        return return_unrecorded(**kernel, std::move(event));
      }
      if (attempt >= kWithoutRecord) TRY(put_back(world_, **kernel, former_, directory_));
      return std::unexpected(state.error());
    }
    if (*state) clear_interrupted(**state, **kernel, world_);
    // Under the lock: a confirm may have come in between.
    if (look() != Sight::Ours) return fail(ErrorKind::Refused, "confirmed");
    if (!*state || !is_told_of()) return return_unrecorded(**kernel, std::move(event));
    // It may wait in the place of one that never came into force.
    if (const auto waits = read_pending(directory_); waits && *waits) {
      event.from = (*waits)->generation;
    }
    return return_by_itself(world_, **state, **kernel, std::move(event), former_);
  }

  // A directory that knows nothing of what waits is told nothing of its end.
  Result<TakenBack> return_unrecorded(Kernel& kernel, Event event) {
    auto put = put_back(world_, kernel, former_, directory_);
    if (!put) return std::unexpected(std::move(put).error());
    if (former_) event.to = former_->applied.generation;
    TakenBack done;
    done.event = std::move(event);
    done.problems = std::move(put->problems);
    done.problems.push_back(
        fmt::format("{} is gone, or cannot be written: it is not recorded there", directory_));
    return done;
  }

  const World& world_;
  std::string directory_;
  Pending pending_;
  const std::optional<Generation>& former_;
  std::string terminal_;
  Sight seen_ = Sight::Ours;  // in pending.json, when it could be read last
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
  const Result<pid_t> watcher = start(Watcher(world, directory, pending, former));
  if (!watcher || !systemd_runs_here()) return watcher;
  constexpr std::chrono::seconds kLater{3};  // the process comes first
  TRY(guard_by_systemd(*watcher, pending.token, within + kLater, directory));
  return watcher;
}

}  // namespace rolewall::apply
