#include "policy/remembered_files.h"

#include <fmt/format.h>

#include <cerrno>

namespace rolewall::policy {

Result<std::string> RecordingFiles::read(const std::string& path, std::size_t limit) const {
  Result<std::string> text = files_.read(path, limit);
  if (text) read_.files[path] = *text;
  return text;
}

// What leads out of the site is an error of it, and no such policy is ever put in force.
bool RecordingFiles::is_below(const std::string& path, const std::string& directory) const {
  return files_.is_below(path, directory);
}

Result<std::vector<std::string>> RecordingFiles::list(const std::string& directory) const {
  Result<std::vector<std::string>> names = files_.list(directory);
  if (names) read_.folders[directory] = *names;
  return names;
}

Result<std::string> RememberedFiles::read(const std::string& path, std::size_t limit) const {
  const auto file = texts_.files.find(path);
  if (file == texts_.files.end()) {
    return fail(ErrorKind::Io, fmt::format("{}: no such file", path), ENOENT);
  }
  if (file->second.size() > limit) {
    return fail(ErrorKind::Io, fmt::format("{}: more than {} bytes", path, limit));
  }
  return file->second;
}

bool RememberedFiles::is_below(const std::string& /*path*/,
                               const std::string& /*directory*/) const {
  return true;
}

Result<std::vector<std::string>> RememberedFiles::list(const std::string& directory) const {
  const auto folder = texts_.folders.find(directory);
  if (folder == texts_.folders.end()) {
    return fail(ErrorKind::Io, fmt::format("{}: no such directory", directory), ENOENT);
  }
  return folder->second;
}

}  // namespace rolewall::policy
