#include "base/file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace rolewall {
namespace {

struct Scratch {
  std::string path = (std::filesystem::temp_directory_path() / "rolewall-XXXXXX").string();
  Scratch() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Scratch() { std::filesystem::remove_all(path); }
  std::string file(const char* name) const { return path + "/" + name; }
};

TEST_CASE_FIXTURE(Scratch, "a file is written whole, and replaces the old one") {
  REQUIRE(write_file_atomically(file("a"), "one").has_value());
  REQUIRE(write_file_atomically(file("a"), "two").has_value());
  CHECK(read_file(file("a"), 10).value() == "two");
  CHECK(std::distance(std::filesystem::directory_iterator(path), {}) == 1);
  CHECK(!write_file_atomically(file("nowhere/a"), "x").has_value());
}

TEST_CASE_FIXTURE(Scratch, "what is no regular file is never replaced") {
  REQUIRE(::mkfifo(file("fifo").c_str(), 0600) == 0);
  std::filesystem::create_directory(file("directory"));
  std::filesystem::create_symlink("target", file("link"));
  for (const char* name : {"fifo", "directory", "link"}) {
    const auto before = std::filesystem::symlink_status(file(name)).type();
    CHECK(!write_file_atomically(file(name), "x").has_value());
    CHECK(std::filesystem::symlink_status(file(name)).type() == before);
  }
}

TEST_CASE_FIXTURE(Scratch, "a line is added, and does not hang on to one that was cut short") {
  const auto add = [&](const char* name, int flags, const char* line) {
    const int fd = ::open(file(name).c_str(), flags, 0600);
    REQUIRE(fd >= 0);
    const bool is_added = append_line(fd, file(name), line, /*on_disk=*/true).has_value();
    ::close(fd);
    return is_added;
  };
  constexpr int kFlags = O_RDWR | O_APPEND | O_CREAT;
  CHECK(add("log", kFlags, "one"));
  CHECK(add("log", kFlags, "two"));
  CHECK(read_file(file("log"), 100).value() == "one\ntwo\n");
  std::filesystem::resize_file(file("log"), 6);
  CHECK(add("log", kFlags, "three"));
  CHECK(read_file(file("log"), 100).value() == "one\ntw\nthree\n");
  REQUIRE(::mkfifo(file("fifo").c_str(), 0600) == 0);
  CHECK(!add("fifo", O_RDWR | O_APPEND, "four"));
}

TEST_CASE_FIXTURE(Scratch, "reading refuses what is no file, and more than the limit") {
  REQUIRE(::mkfifo(file("fifo").c_str(), 0600) == 0);
  CHECK(!read_file(file("fifo"), 10).has_value());
  CHECK(!read_file(path, 10).has_value());
  CHECK(!read_file(file("nowhere"), 10).has_value());
  REQUIRE(write_file_atomically(file("a"), "12345").has_value());
  CHECK(read_file(file("a"), 5).has_value());
  // More than one digit, of a file that says that it is empty.
  CHECK(read_file("/proc/sys/kernel/pid_max", 100).value().size() > 2);
  CHECK(!read_file(file("a"), 4).has_value());
}

}  // namespace
}  // namespace rolewall
