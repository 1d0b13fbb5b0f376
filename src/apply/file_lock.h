// flock() on a file of the state directory, exclusively; the kernel lets go of it when its holder
// ends, whichever way.
#pragma once

#include <chrono>
#include <string>

#include "base/error.h"

namespace rolewall::apply {

class FileLock {
 public:
  // Makes the file where there is none. An error of kind Conflict where somebody else holds it for
  // longer than `patience`.
  static Result<FileLock> take(const std::string& path, std::chrono::seconds patience);
  ~FileLock();
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

// Whose turn it is to change the table, among us: a ban takes it for its moment, and an apply that
// was thrown back by changes, so that a loop that bans does not starve it. Neither insists: whoever
// does not get it in time goes on without.
Result<FileLock> take_turn(const std::string& state_directory);

}  // namespace rolewall::apply
