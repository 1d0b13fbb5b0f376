// Who and where: what applied.json says beside the ruleset.
#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

#include "apply/pending.h"
#include "apply/state_directory.h"

namespace rolewall::apply {
namespace {

std::string user_name() {
  const uid_t uid = ::geteuid();
  std::vector<char> buffer(16UL * 1024);
  passwd entry{};
  passwd* found = nullptr;
  std::string name = fmt::format("{}", uid);
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
    name = found->pw_name;
  }
  const char* sudo = std::getenv("SUDO_USER");
  if (sudo != nullptr && *sudo != '\0') name += fmt::format(" (sudo {})", sudo);
  return name;
}

std::string network_namespace() {
  struct stat status{};
  if (::stat("/proc/thread-self/ns/net", &status) != 0) return "";
  return fmt::format("{}:{}", status.st_dev, status.st_ino);
}

}  // namespace

std::string this_boot() {
  std::string id;
  if (std::FILE* file = std::fopen("/proc/sys/kernel/random/boot_id", "re")) {
    char text[64] = "";
    if (std::fgets(text, sizeof text, file) != nullptr) id = text;
    std::fclose(file);
  }
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

bool same_world(const Applied& a, const Applied& b) {
  return a.boot_id == b.boot_id && a.network_namespace == b.network_namespace;
}

Applied applied_now(const std::string& host, std::uint32_t kernel_generation) {
  return {.generation = 0,
          .at = clock_time(),
          .by = user_name(),
          .host = host,
          .boot_id = this_boot(),
          .network_namespace = network_namespace(),
          .kernel_generation = kernel_generation,
          .changes = "",
          .management = {}};
}

}  // namespace rolewall::apply
