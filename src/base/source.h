// Where in the user's files something was said. Every value that is parsed carries a span, and it
// survives to the kernel's refusal and to the evaluator's answer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rolewall {

// Index into SourceFiles. kNoFile: the thing is not from a file (a built-in step, the command
// line).
using FileId = std::uint32_t;
inline constexpr FileId kNoFile = 0xffffffff;

// Line and column count from 1; 0 means "the file as a whole".
struct Span {
  FileId file = kNoFile;
  std::uint32_t line = 0;
  std::uint32_t column = 0;

  bool known() const { return file != kNoFile; }
  bool operator==(const Span&) const = default;
};

// The files that were read, in the order they were read. Paths are as the user will see them
// (relative to where they were named), not canonical.
class SourceFiles {
 public:
  FileId add(std::string path) {
    paths_.push_back(std::move(path));
    return static_cast<FileId>(paths_.size() - 1);
  }
  const std::string& path(FileId file) const { return paths_[file]; }
  std::size_t size() const { return paths_.size(); }

  // "web.toml:12:3"; "web.toml" for a whole file; "" for an unknown span.
  std::string format(const Span& span) const;

 private:
  std::vector<std::string> paths_;
};

}  // namespace rolewall
