// Policy files in memory, for tests and fuzzers.
#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "policy/files.h"

namespace rolewall::policy {

class MemoryFiles : public Files {
 public:
  explicit MemoryFiles(std::map<std::string, std::string> files) : files_(std::move(files)) {}

  Result<std::string> read(const std::string& path, std::size_t limit) const override {
    const auto found = files_.find(path);
    if (found == files_.end()) {
      return fail(ErrorKind::Io, path + ": No such file or directory", ENOENT);
    }
    if (found->second.size() > limit) {
      return fail(ErrorKind::Io, fmt::format("{}: larger than the limit of {} bytes", path, limit),
                  EFBIG);
    }
    return found->second;
  }

  bool is_below(const std::string&, const std::string&) const override { return true; }

  Result<std::vector<std::string>> list(const std::string& directory) const override {
    std::vector<std::string> names;
    bool exists = false;
    for (const auto& [path, text] : files_) {
      if (!path.starts_with(directory + "/")) continue;
      exists = true;
      const std::string name = path.substr(directory.size() + 1);
      if (name.find('/') == std::string::npos) names.push_back(name);
    }
    if (!exists) return fail(ErrorKind::Io, directory + ": No such file or directory", ENOENT);
    return names;
  }

 private:
  std::map<std::string, std::string> files_;
};

}  // namespace rolewall::policy
