// Where a site's files come from: the disk, or the memory of a test or fuzzer.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/error.h"

namespace rolewall::policy {

class Files {
 public:
  Files() = default;
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;
  virtual ~Files() = default;

  // The whole file; more than `limit` bytes, a directory or a FIFO is an error.
  virtual Result<std::string> read(const std::string& path, std::size_t limit) const = 0;

  // Whether the path, links followed, is a file below the directory. True where there is no such
  // file, which read() says.
  virtual bool is_below(const std::string& path, const std::string& directory) const = 0;

  // The names in a directory, sorted, less those that begin with a dot. os_errno is ENOENT where
  // there is no such directory.
  virtual Result<std::vector<std::string>> list(const std::string& directory) const = 0;
};

class DiskFiles : public Files {
 public:
  Result<std::string> read(const std::string& path, std::size_t limit) const override;
  bool is_below(const std::string& path, const std::string& directory) const override;
  Result<std::vector<std::string>> list(const std::string& directory) const override;
};

}  // namespace rolewall::policy
