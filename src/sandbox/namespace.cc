// run(): the child makes the namespaces, the parent, who alone has rights over the user ids
// outside, writes their mapping, and then the child goes on as root of its own world.
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "sandbox/descriptor.h"
#include "sandbox/rtnetlink.h"
#include "sandbox/sandbox.h"

namespace rolewall::sandbox {
namespace {

// What the child says over the pipe once: 0, or the errno with which the kernel refused.
using Answer = int;

std::unexpected<Error> refused(std::string_view what, int error) {
  return fail(ErrorKind::System, fmt::format("{}: {}", what, std::strerror(error)), error);
}

// 0 or errno. /proc's files of this kind take one write each.
int write_once(const std::string& path, std::string_view text) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.valid()) return errno;
  const ssize_t written = ::write(file.get(), text.data(), text.size());
  return written == static_cast<ssize_t>(text.size()) ? 0 : errno;
}

// Root there is this user here; all 65,536 ids are themselves where we may say so.
Result<void> map_users(pid_t child) {
  const std::string process = fmt::format("/proc/{}", child);
  if (::geteuid() == 0 && write_once(process + "/uid_map", "0 0 65536") == 0) {
    if (const int error = write_once(process + "/gid_map", "0 0 65536"); error != 0) {
      return refused("map the groups of a new user namespace", error);
    }
    return {};
  }
  if (const int error = write_once(process + "/setgroups", "deny"); error != 0) {
    return refused("deny setgroups in a new user namespace", error);
  }
  if (const int error = write_once(process + "/uid_map", fmt::format("0 {} 1", ::geteuid()));
      error != 0) {
    return refused("map the users of a new user namespace", error);
  }
  if (const int error = write_once(process + "/gid_map", fmt::format("0 {} 1", ::getegid()));
      error != 0) {
    return refused("map the groups of a new user namespace", error);
  }
  return {};
}

// A read or write that a signal cannot cut short; false at the end of the pipe.
template <class Call, class Buffer>
bool whole(Call call, int fd, Buffer* buffer) {
  ssize_t n;
  do {
    n = call(fd, buffer, sizeof *buffer);
  } while (n < 0 && errno == EINTR);
  return n == static_cast<ssize_t>(sizeof *buffer);
}

[[noreturn]] void child(Descriptor to_parent, Descriptor from_parent,
                        const std::function<int()>& body) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  Answer answer = ::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 ? 0 : errno;
  whole(::write, to_parent.get(), &answer);
  char mapped = 0;
  if (answer != 0 || !whole(::read, from_parent.get(), &mapped)) ::_exit(1);

  answer = 0;
  if (auto links = Rtnetlink::open(); !links) {
    answer = links.error().os_errno;
  } else if (auto up = links->bring_up("lo"); !up) {
    answer = up.error().os_errno;
  }
  whole(::write, to_parent.get(), &answer);
  to_parent.close();
  from_parent.close();
  if (answer != 0) ::_exit(1);

  const int status = body();
  std::fflush(nullptr);
  ::_exit(status);
}

Result<int> wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return refused("wait for the sandbox", errno);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// The child's half is done up to `body`; or why not.
Result<void> prepare(pid_t pid, int from_child, int to_child) {
  Answer answer = 0;
  if (!whole(::read, from_child, &answer)) {
    return fail(ErrorKind::System, "the sandbox's process died");
  }
  if (answer != 0) return refused("make a user and a network namespace", answer);
  TRY(map_users(pid));
  const char mapped = 1;
  if (!whole(::write, to_child, &mapped) || !whole(::read, from_child, &answer)) {
    return fail(ErrorKind::System, "the sandbox's process died");
  }
  if (answer != 0) return refused("bring up the loopback of a network namespace", answer);
  return {};
}

}  // namespace

Result<int> run(const std::function<int()>& body) {
  int up[2];
  int down[2];
  if (::pipe2(up, O_CLOEXEC) != 0) return refused("make a pipe", errno);
  Descriptor from_child(up[0]);
  Descriptor to_parent(up[1]);
  if (::pipe2(down, O_CLOEXEC) != 0) return refused("make a pipe", errno);
  Descriptor from_parent(down[0]);
  Descriptor to_child(down[1]);

  std::fflush(nullptr);  // else the child would write what is buffered a second time
  const pid_t pid = ::fork();
  if (pid < 0) return refused("fork", errno);
  if (pid == 0) {
    from_child.close();
    to_child.close();
    child(std::move(to_parent), std::move(from_parent), body);
  }
  to_parent.close();
  from_parent.close();
  const auto ready = prepare(pid, from_child.get(), to_child.get());
  to_child.close();  // a child that still waits for its mapping ends
  auto status = wait_for(pid);
  if (!ready) return std::unexpected(ready.error());
  return status;
}

std::string unavailable() {
  const auto status = run([] {
    auto links = Rtnetlink::open();
    if (!links) return 1;
    if (!links->add_veth({.name = "probe", .mac = {2}}, {.name = "probe-peer", .mac = {2, 1}})) {
      return 2;
    }
    return write_once("/proc/sys/net/ipv4/conf/all/rp_filter", "0") == 0 ? 0 : 3;
  });
  if (!status) return status.error().message;
  switch (*status) {
    case 0:
      return "";
    case 2:
      return "the kernel makes no veth devices in a network namespace";
    case 3:
      return "/proc/sys/net cannot be written in a network namespace";
    default:
      return fmt::format("a process in a network namespace ended with status {}", *status);
  }
}

}  // namespace rolewall::sandbox
