// A site as a git revision has it, read from the repository's object store alone.
//
// The repository may be anybody's: nothing of it is run and nothing followed that leads out of it.
// Its configuration, hooks, filters, attributes, replacements and alternates are not read; a link
// in the tree is not followed, one within .git is refused; what an object holds is held against its
// name by libgit2. Only .git as a directory is taken: a file of that name (a linked work tree, a
// submodule) names another place.
#pragma once

#include <memory>
#include <string>

#include "policy/files.h"

namespace rolewall::policy {

class GitFiles : public Files {
 public:
  // The revision of the repository that holds the site's directory: a branch, tag, HEAD, a commit's
  // name or its beginning, and ~N, ^N behind it.
  static Result<std::unique_ptr<GitFiles>> open(const std::string& directory,
                                                const std::string& revision);
  ~GitFiles() override;

  // The site's directory there: "origin/main:policies". What lies below it is of the revision; all
  // else, as the shipped rules, is of the disk.
  const std::string& directory() const { return directory_; }

  Result<std::string> read(const std::string& path, std::size_t limit) const override;
  bool is_below(const std::string& path, const std::string& directory) const override;
  Result<std::vector<std::string>> list(const std::string& directory) const override;

 private:
  struct Store;
  GitFiles(std::unique_ptr<Store> store, std::string directory);

  std::unique_ptr<Store> store_;
  std::string directory_;
  DiskFiles disk_;
};

// Whether the site's directory is as the commit that is checked out has it. An error where that
// cannot be told.
Result<bool> is_as_committed(const std::string& directory);

}  // namespace rolewall::policy
