#include "apply/world.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>

#include "apply/kernel.h"
#include "apply/watch.h"
#include "base/calendar.h"
#include "base/time.h"

namespace rolewall::apply {
namespace {

class ThisWorld : public World {
 public:
  Result<std::unique_ptr<Kernel>> open_kernel() const override { return open_netlink_kernel(); }

  std::string boot_id() const override {
    std::string id;
    if (std::FILE* file = std::fopen("/proc/sys/kernel/random/boot_id", "re")) {
      char text[64] = "";
      if (std::fgets(text, sizeof text, file) != nullptr) id = text;
      std::fclose(file);
    }
    while (!id.empty() && id.back() == '\n') id.pop_back();
    return id;
  }

  std::string network_namespace() const override {
    struct stat status{};
    if (::stat("/proc/thread-self/ns/net", &status) != 0) return "";
    return fmt::format("{}:{}", status.st_dev, status.st_ino);
  }

  std::int64_t wall_seconds() const override { return std::time(nullptr); }

  std::uint64_t boot_ns() const override {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * kNsPerSecond +
           static_cast<std::uint64_t>(now.tv_nsec);
  }

  Result<int> start_watch(const std::string& state_directory, const Pending& pending,
                          const std::optional<Generation>& former,
                          std::chrono::seconds within) const override {
    return start_watch_process(*this, state_directory, pending, former, within);
  }
};

}  // namespace

const World& this_world() {
  static const ThisWorld world;
  return world;
}

std::string clock_time(const World& world, std::int64_t seconds_from_now) {
  const std::int64_t at = world.wall_seconds() + seconds_from_now;
  return format_moment(static_cast<std::uint64_t>(std::max<std::int64_t>(at, 0)) * kNsPerSecond);
}

}  // namespace rolewall::apply
