// The files that a policy was read from, kept so that it can be read again as it was: `refresh`
// compiles what is in force anew, never what somebody has written since and not applied.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "policy/files.h"

namespace rolewall::policy {

struct FileTexts {
  std::map<std::string, std::string, std::less<>> files{};                 // by path
  std::map<std::string, std::vector<std::string>, std::less<>> folders{};  // names in them
};

// Another's, and takes down what is read. Both must outlive it.
class RecordingFiles : public Files {
 public:
  RecordingFiles(const Files& files, FileTexts& read) : files_(files), read_(read) {}

  Result<std::string> read(const std::string& path, std::size_t limit) const override;
  bool is_below(const std::string& path, const std::string& directory) const override;
  Result<std::vector<std::string>> list(const std::string& directory) const override;

 private:
  const Files& files_;
  FileTexts& read_;
};

// What was taken down, and nothing else: what is not there was not there then.
class RememberedFiles : public Files {
 public:
  explicit RememberedFiles(FileTexts texts) : texts_(std::move(texts)) {}

  Result<std::string> read(const std::string& path, std::size_t limit) const override;
  bool is_below(const std::string& path, const std::string& directory) const override;
  Result<std::vector<std::string>> list(const std::string& directory) const override;

 private:
  FileTexts texts_;
};

}  // namespace rolewall::policy
