// Reading and writing whole files, with limits on all sizes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace rolewall {

// The whole content of a regular file. A directory, a device, a FIFO, or more than `limit` bytes is
// an error that names the path.
Result<std::string> read_file(const std::string& path, std::size_t limit);

// The same, of what is open already; `path` is for errors.
Result<std::string> read_file(int fd, const std::string& path, std::size_t limit);

// Standard input, whatever it is, until its end.
Result<std::string> read_input(std::size_t limit);

// Of a text, without their ends.
std::vector<std::string> lines_of(std::string_view text);

// "PATH: No such file or directory".
std::unexpected<Error> io_error(const std::string& path, int os_errno);

// A file that is not there yet, and its content on the disk. Its name is not: the directory is for
// the caller to fsync, once for all that is written into it.
Result<void> write_new_file(const std::string& path, std::string_view content, unsigned mode);

// The names in it are on the disk.
Result<void> sync_directory(const std::string& path);

inline constexpr unsigned kPrivateFile = 0600;  // a mode: its owner alone

// Writes aside, fsyncs and renames, so that a reader sees the old content or the new one. `mode` as
// for open(2). What is there and is no regular file (a device, a link) is an error, and stays.
Result<void> write_file_atomically(const std::string& path, std::string_view content,
                                   unsigned mode = 0644);

// Adds a line at the end of a regular file that is open to read and append. What a crash or a full
// disk has cut short there is ended first, so that this line stands alone. `on_disk`: returns when
// it would survive a power failure. For one writer at a time. `path` is for errors.
Result<void> append_line(int fd, const std::string& path, std::string_view line, bool on_disk);

}  // namespace rolewall
