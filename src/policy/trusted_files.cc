#include "policy/trusted_files.h"

#include "base/trusted_path.h"

namespace rolewall::policy {

Result<void> TrustedFiles::check(const std::string& path) const {
  return check_trusted_path(path, trusted_);
}

Result<std::string> TrustedFiles::read(const std::string& path, std::size_t limit) const {
  TRY(check(path));
  return DiskFiles::read(path, limit);
}

Result<std::vector<std::string>> TrustedFiles::list(const std::string& directory) const {
  TRY(check(directory));
  return DiskFiles::list(directory);
}

}  // namespace rolewall::policy
