#include "iptables_loader.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "sandbox/descriptor.h"

namespace rolewall::kernel_judge {
namespace {

constexpr std::array kFolders{"/usr/sbin/", "/sbin/"};

std::string program(bool ipv6) {
  const std::string name = ipv6 ? "ip6tables-nft-restore" : "iptables-nft-restore";
  for (const char* folder : kFolders) {
    if (::access((folder + name).c_str(), X_OK) == 0) return folder + name;
  }
  return "";
}

std::unexpected<Error> system_error(const char* what) {
  return fail(ErrorKind::System, std::string(what) + ": " + std::strerror(errno), errno);
}

Result<void> restore(const std::string& text, bool ipv6) {
  if (text.empty()) return {};
  const std::string path = program(ipv6);
  const sandbox::Descriptor file(::memfd_create("rules", MFD_CLOEXEC));
  if (file.get() < 0 ||
      ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::lseek(file.get(), 0, SEEK_SET) != 0) {
    return system_error("cannot write the rules");
  }
  const bool shows = std::getenv("SHOW_REFUSALS") != nullptr;
  const pid_t child = ::fork();
  if (child < 0) return system_error("cannot start a process");
  if (child == 0) {
    const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    ::dup2(file.get(), STDIN_FILENO);
    ::dup2(nowhere, STDOUT_FILENO);
    if (!shows) ::dup2(nowhere, STDERR_FILENO);
    ::execl(path.c_str(), path.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return system_error("cannot wait for iptables-restore");
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  if (shows) {
    ::write(STDERR_FILENO, text.data(), text.size());
  }
  return fail(ErrorKind::Usage, "iptables-restore refuses the rules");
}

}  // namespace

bool has_iptables() {
  return !program(false).empty() && !program(true).empty();
}

Result<void> make_ipsets() {
  for (const char* command :
       {"ipset create s4 hash:ip", "ipset create s4b hash:ip", "ipset add s4 10.9.1.5",
        "ipset create s6 hash:ip family inet6", "ipset create s6b hash:ip family inet6",
        "ipset add s6 2001:db8:9:1::5"}) {
    if (std::system(command) != 0) {
      return fail(ErrorKind::System, std::string("the sandbox does not take: ") + command);
    }
  }
  return {};
}

Result<void> load_iptables(const IptablesText& text) {
  TRY(restore(render(text, false), false));
  return restore(render(text, true), true);
}

}  // namespace rolewall::kernel_judge
