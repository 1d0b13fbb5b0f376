// Loaded into the program (LD_PRELOAD): a machine on which the socket's send buffer cannot be
// raised, as in a container at Debian's default, whatever this one allows.
#include <dlfcn.h>
#include <sys/socket.h>

#include <cerrno>

extern "C" int setsockopt(int fd, int level, int option, const void* value, socklen_t size) {
  if (level == SOL_SOCKET && (option == SO_SNDBUF || option == SO_SNDBUFFORCE)) {
    errno = EPERM;
    return -1;
  }
  using Function = int (*)(int, int, int, const void*, socklen_t);
  static const auto next = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "setsockopt"));
  return next(fd, level, option, value, size);
}
