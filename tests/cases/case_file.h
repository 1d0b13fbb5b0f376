// A behaviour of the language as a file (tests/cases/README.md): a policy, packets in words, and
// what must become of them. Every key is taken or is an error at its line: an expectation that
// nobody compares would be a test that tests nothing.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "policy/policy.h"
#include "support/run_time.h"

namespace rolewall::cases {

// What an answer must be. What is not there is not asked.
struct Expected {
  std::optional<std::string> as;
  std::optional<std::string> verdict;
  std::optional<std::string> by;
  std::optional<std::string> at;
  std::optional<std::string> in_force;
  std::optional<std::vector<std::string>> way;
  std::optional<std::vector<std::string>> beyond;
  std::optional<std::vector<std::string>> choices;
};

struct Question {
  std::uint32_t line = 0;
  std::string ask;
  std::string host;              // asked alone, and what `self` stands for; "": both ends
  std::int64_t connections = 1;  // in a row: the last one's answer counts
  test::RunTime run_time;        // what is banned and opened on every host
  std::optional<std::vector<std::string>> packets;  // that the words must stand for
  Expected expected;
};

struct Case {
  policy::Date date{};
  std::map<std::string, std::string> files;  // "web.toml": its text
  std::vector<Question> questions;
};

// What is wrong with the case itself goes to `problems`, a line each with its place.
std::optional<Case> read_case(const std::string& path, std::vector<std::string>& problems);

}  // namespace rolewall::cases
