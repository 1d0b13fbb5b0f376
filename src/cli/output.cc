#include "cli/output.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/file.h"
#include "cli/exit_status.h"
#include "cli/render.h"

namespace rolewall::cli {
namespace {

Result<void> write_to(const std::string& path, const std::string& text) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode)) {
    return write_file_atomically(path, text);
  }
  std::FILE* file = std::fopen(path.c_str(), "we");
  bool written = file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  int error = errno;
  if (file != nullptr && std::fclose(file) != 0) {
    written = false;
    error = errno;
  }
  if (written) return {};
  return fail(ErrorKind::Io, fmt::format("{}: {}", path, std::strerror(error)), error);
}

}  // namespace

int write_output(const std::string& path, std::string text) {
  if (!text.ends_with('\n')) text += '\n';
  if (path.empty() || path == "-") {
    out().write(text);
    return kDone;
  }
  const auto written = write_to(path, text);
  return written ? kDone : report(written.error());
}

}  // namespace rolewall::cli
