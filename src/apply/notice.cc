#include "apply/notice.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>
#include <utmpx.h>

#include <set>

namespace rolewall::apply {
namespace {

// A terminal that is stopped must not stop us.
void write_to_terminal(const std::string& path, const std::string& text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return;
  struct stat status{};
  if (::fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && ::isatty(fd) == 1) {
    [[maybe_unused]] const ssize_t written = ::write(fd, text.data(), text.size());
  }
  ::close(fd);
}

}  // namespace

void give_notice(const std::string& text, const std::string& terminal) {
  ::openlog("rolewall", LOG_PID, LOG_DAEMON);
  ::syslog(LOG_WARNING, "%s", text.c_str());
  ::closelog();

  std::set<std::string> terminals;
  if (!terminal.empty()) terminals.insert(terminal);
  ::setutxent();
  while (const utmpx* entry = ::getutxent()) {
    if (entry->ut_type != USER_PROCESS) continue;
    const std::string line(entry->ut_line, ::strnlen(entry->ut_line, sizeof entry->ut_line));
    if (!line.empty() && line.find("..") == std::string::npos) terminals.insert("/dev/" + line);
  }
  ::endutxent();
  for (const std::string& path : terminals) {
    write_to_terminal(path, fmt::format("\r\nrolewall: {}\r\n", text));
  }
}

std::string own_terminal() {
  for (const int fd : {STDERR_FILENO, STDOUT_FILENO, STDIN_FILENO}) {
    char name[256] = "";
    if (::isatty(fd) == 1 && ::ttyname_r(fd, name, sizeof name) == 0) return name;
  }
  return "";
}

}  // namespace rolewall::apply
