// What a terminal would obey is shown and not obeyed.
#include "cli/terminal.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>
#include <string>

namespace rolewall::cli {
namespace {

TEST_CASE("characters that a terminal obeys are named by their numbers") {
  CHECK(printable("plain, \ttabs, ä, 字, 😀") == "plain, \ttabs, ä, 字, 😀");
  CHECK(printable("a\x1b[2Jb\n\x7f") == "a\\u{1b}[2Jb\\u{a}\\u{7f}");
  CHECK(printable("\xc2\x9b"
                  "31m") == "\\u{9b}31m");  // CSI, of C1
  CHECK(printable("\xe2\x80\xae"
                  "cod") == "\\u{202e}cod");                             // right-to-left override
  CHECK(printable("\xef\xbf\xbe\xef\xbf\xbf") == "\\u{fffe}\\u{ffff}");  // XML has none of them
  CHECK(printable("\xe2\x81\xa6\xe2\x80\xa8\xd8\x9c") == "\\u{2066}\\u{2028}\\u{61c}");
}

TEST_CASE("bytes that are not UTF-8 are, too") {
  CHECK(printable("\x9b"
                  "31m") == "\\u{9b}31m");
  CHECK(printable("\xc0\x8a") == "\\u{c0}\\u{8a}");             // a newline, too long
  CHECK(printable("\xed\xa0\x80") == "\\u{ed}\\u{a0}\\u{80}");  // half a pair
  CHECK(printable("a\xe2\x80") == "a\\u{e2}\\u{80}");
}

TEST_CASE("below a line a caret stands where it did") {
  CHECK(in_place("a\xe2\x80\xae"
                 "b\x1b"
                 "c") == "a?b?c");
}

TEST_CASE("whatever is written as a line") {
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  Terminal(file).line("one\x1b[2J\xc2\x9b\ntwo");
  std::rewind(file);
  char text[64] = "";
  const std::size_t size = std::fread(text, 1, sizeof text, file);
  std::fclose(file);
  CHECK(std::string(text, size) == "one\\u{1b}[2J\\u{9b}\ntwo\n");
}

}  // namespace
}  // namespace rolewall::cli
