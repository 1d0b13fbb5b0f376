#include "process.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

namespace rolewall::corpus {
namespace {

int file_of(const std::string& text) {
  const int file = ::memfd_create("input", 0);
  std::size_t done = 0;
  while (file >= 0 && done < text.size()) {
    const ssize_t written = ::write(file, text.data() + done, text.size() - done);
    if (written <= 0) break;
    done += static_cast<std::size_t>(written);
  }
  ::lseek(file, 0, SEEK_SET);
  return file;
}

std::string contents_of(int file) {
  std::string text;
  std::array<char, 65536> buffer{};
  ::lseek(file, 0, SEEK_SET);
  for (ssize_t size = 0; (size = ::read(file, buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
  return text;
}

Finished run(const std::vector<std::string>& words, const std::string& input, bool errors) {
  const int in = file_of(input);
  const int out = file_of("");
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(in, STDIN_FILENO);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(errors ? out : ::open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  Finished finished;
  if (child < 0 || ::waitpid(child, &finished.status, 0) != child) finished.status = -1;
  finished.output = contents_of(out);
  ::close(in);
  ::close(out);
  return finished;
}

}  // namespace

Finished run(const std::vector<std::string>& words, const std::string& input) {
  return run(words, input, true);
}

std::string output_of(const std::vector<std::string>& words, const std::string& input) {
  const Finished finished = run(words, input, false);
  return finished.status == 0 ? finished.output : "";
}

}  // namespace rolewall::corpus
