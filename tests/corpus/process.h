// Programs that the test runs, with a text as their input. They share our network namespace.
#pragma once

#include <string>
#include <vector>

namespace rolewall::corpus {

struct Finished {
  int status = 0;      // 0: done
  std::string output;  // of both streams
};

// `input` goes through a file, so that no pipe can fill up.
Finished run(const std::vector<std::string>& words, const std::string& input);

// What it says on its output stream; "" where it fails.
std::string output_of(const std::vector<std::string>& words, const std::string& input);

}  // namespace rolewall::corpus
