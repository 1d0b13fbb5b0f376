// doctest's main for tests that need the kernel's netfilter: the process moves into a user and
// network namespace of its own before the first test, so that no privilege is needed and nothing
// of the machine can be touched. Where that is refused, everything is skipped (status 77).
#define DOCTEST_CONFIG_IMPLEMENT
#include "support/netns.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

bool write_once(const char* path, const std::string& text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return written;
}

bool enter_namespaces() {
  const std::string uid = std::to_string(::geteuid());
  const std::string gid = std::to_string(::getegid());
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return false;
  // The new rights made the process undumpable, which the leak checker could not bear.
  ::prctl(PR_SET_DUMPABLE, 1);
  return write_once("/proc/self/setgroups", "deny") &&
         write_once("/proc/self/uid_map", "0 " + uid + " 1") &&
         write_once("/proc/self/gid_map", "0 " + gid + " 1");
}

}  // namespace

namespace rolewall::test {

void fresh_network() {
  if (::unshare(CLONE_NEWNET) != 0) {
    std::perror("unshare");
    std::abort();
  }
}

std::string output_of(const std::string& command) {
  std::string output;
  std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "re");
  if (pipe == nullptr) return "popen failed";
  char buffer[4096];
  while (const std::size_t size = std::fread(buffer, 1, sizeof buffer, pipe)) {
    output.append(buffer, size);
  }
  const int status = ::pclose(pipe);
  if (status != 0) output += "\nstatus " + std::to_string(status) + "\n";
  return output;
}

std::string load_nft(const std::string& text) {
  std::FILE* pipe = ::popen("nft -f -", "we");
  if (pipe == nullptr) return "popen failed";
  std::fwrite(text.data(), 1, text.size(), pipe);
  return ::pclose(pipe) == 0 ? "" : "nft -f failed";
}

}  // namespace rolewall::test

int main(int argc, char** argv) {
  if (!enter_namespaces()) {
    std::printf("skipped: no user and network namespace can be made here: %s\n",
                std::strerror(errno));
    return 77;
  }
  return doctest::Context(argc, argv).run();
}
