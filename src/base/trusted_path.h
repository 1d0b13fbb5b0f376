// Whether anybody else could have written what stands at a path: as OpenSSH's StrictModes has it.
// What is put in force, policies and the state directory alike, is read only where nobody could.
#pragma once

#include <sys/stat.h>

#include <set>
#include <string>

#include "base/error.h"

namespace rolewall {

// Why others could change what stands at `path` and has this status; "" where they could not. A
// sentence that ends with how to mend that.
std::string weakness(const std::string& path, const struct stat& status);

// An error where the file or directory, a directory on the way to it from the root on, or a link on
// that way could be changed by others: whoever can rename one can put another in its place. Because
// nobody else can, what was looked at is what is read. `trusted`: directories that were found to be
// so, and are not looked at again.
Result<void> check_trusted_path(const std::string& path, std::set<std::string>& trusted);

// Whether there is anybody else: not in a user namespace that knows one user alone (`unshare -r`),
// where all other owners look alike.
bool others_are_known();

}  // namespace rolewall
