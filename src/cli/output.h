// Where a verb writes its text: standard output, or the file that -o names.
#pragma once

#include <string>

namespace rolewall::cli {

// `path` "" or "-": standard output. A file is written whole or not at all; what is no regular file
// (/dev/null, a FIFO, a link) is written to as it is, never replaced. Returns the exit status.
int write_output(const std::string& path, std::string text);

}  // namespace rolewall::cli
