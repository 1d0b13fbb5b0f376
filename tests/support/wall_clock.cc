// Loaded into the program (LD_PRELOAD): a wall clock that is off by the seconds in the file that
// ROLEWALL_TEST_CLOCK names, and jumps as that changes. The other clocks are as they are.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace {

time_t seconds_off() {
  const char* path = std::getenv("ROLEWALL_TEST_CLOCK");
  std::FILE* file = path == nullptr ? nullptr : std::fopen(path, "re");
  if (file == nullptr) return 0;
  long long seconds = 0;
  if (std::fscanf(file, "%lld", &seconds) != 1) seconds = 0;
  std::fclose(file);
  return static_cast<time_t>(seconds);
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* now) noexcept {
  using Function = int (*)(clockid_t, timespec*);
  static const auto next = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "clock_gettime"));
  const int done = next(clock, now);
  if (done == 0 && clock == CLOCK_REALTIME) now->tv_sec += seconds_off();
  return done;
}

extern "C" time_t time(time_t* into) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (into != nullptr) *into = now.tv_sec;
  return now.tv_sec;
}
