#include "policy/toml_file.h"

#include <doctest/doctest.h>

#include <string>

namespace rolewall::policy {
namespace {

Value toml(std::string_view text) {
  Diagnostics diagnostics;
  auto value = parse_toml(text, 0, diagnostics);
  REQUIRE(value);
  REQUIRE(diagnostics.all().empty());
  return std::move(*value);
}

Diagnostic refused_toml(std::string_view text) {
  Diagnostics diagnostics;
  CHECK(!parse_toml(text, 0, diagnostics));
  REQUIRE(diagnostics.all().size() == 1);
  return diagnostics.all()[0];
}

}  // namespace

TEST_CASE("values have their places, keys their order") {
  const Value top = toml("b = 1\na = [\"x\", { c = true }]\n\n[[t]]\nd = 2027-03-01\n[[t]]\n");
  REQUIRE(top.members.size() == 3);
  CHECK(top.members[0].key == "b");
  CHECK(top.members[0].value.integer == 1);
  CHECK(top.members[1].span == Span{0, 2, 1});
  CHECK(top.members[1].value.items[0].span() == Span{0, 2, 6});
  CHECK(top.members[1].value.items[1].find("c")->value.span() == Span{0, 2, 17});
  const Value& tables = top.members[2].value;
  REQUIRE(tables.items.size() == 2);
  CHECK(tables.items[0].span() == Span{0, 4, 1});
  CHECK(tables.items[1].span() == Span{0, 6, 1});
  CHECK(tables.items[0].find("d")->value.date ==
        Date{std::chrono::year(2027), std::chrono::month(3), std::chrono::day(1)});
}

TEST_CASE("a word inside a string has its own place, where the string stands as it is") {
  const Value top = toml(
      "a = \"one two\"\nb = 'one two'\nc = \"on\\u0065 two\"\nd = \"\"\"one two\"\"\"\n"
      "e = [\"\xc3\xa4\", \"one two\"]\n");
  CHECK(top.find("a")->value.place.at(4) == Span{0, 1, 10});
  CHECK(top.find("b")->value.place.at(4) == Span{0, 2, 10});
  CHECK(top.find("c")->value.place.at(4) == Span{0, 3, 5});
  CHECK(top.find("d")->value.place.at(4) == Span{0, 4, 5});
  // Columns count characters, not bytes.
  CHECK(top.find("e")->value.items[1].place.at(4) == Span{0, 5, 16});
}

TEST_CASE("text that is not UTF-8 is refused at its line and column") {
  const auto at = [](std::string_view text) { return refused_toml(text).span; };
  CHECK(refused_toml("a = 1\nb = \"\xff\"").code == "invalid-utf8");
  CHECK(at("a = 1\nb = \"\xff\"") == Span{0, 2, 6});
  CHECK(at("# \xc3\xa4\xc3") == Span{0, 1, 4});      // cut short
  CHECK(at("# \xc0\xaf") == Span{0, 1, 3});          // overlong
  CHECK(at("# \xe0\x80\xaf") == Span{0, 1, 3});      // overlong
  CHECK(at("# \xed\xa0\x80") == Span{0, 1, 3});      // a surrogate
  CHECK(at("# \xf4\x90\x80\x80") == Span{0, 1, 3});  // beyond Unicode
  CHECK(at("# \xf0\x8f\xbf\xbf") == Span{0, 1, 3});  // overlong
  CHECK(toml("# \xf0\x9f\x9a\x80 \xed\x9f\xbf\n").members.empty());
}

TEST_CASE("a byte order mark is no character") {
  CHECK(toml("\xef\xbb\xbf"
             "a = 1")
            .members[0]
            .span == Span{0, 1, 1});
}

TEST_CASE("what is not ASCII stands in strings and comments alone") {
  const auto at = [](std::string_view text) { return refused_toml(text).span; };
  CHECK(refused_toml("\xc3\xa4 = 1").code == "syntax");
  CHECK(at("\xc3\xa4 = 1") == Span{0, 1, 1});
  CHECK(at("a = \xc2\xa0 1") == Span{0, 1, 5});
  CHECK(at("a = \xdd\xae") == Span{0, 1, 5});
  CHECK(at("a = \"\xc3\xa4\" \xc3\xa4") == Span{0, 1, 9});
  CHECK(at("a = \"\"\"x\"\"\"\"\"\nb = \xc3\xa4") == Span{0, 2, 5});
  CHECK(at("a = 'x\\' \xc3\xa4") == Span{0, 1, 10});
  const Value top = toml(
      "\"\xc3\xa4\" = '\xc3\xa4' # \xc3\xa4\n"
      "b = \"\\\"\xc3\xa4\"\nc = \"\"\"\n\xc3\xa4\"\"\xc3\xa4\"\"\"\"\"\nd = '''\xc3\xa4\\'''\n");
  CHECK(top.members.size() == 4);
  CHECK(top.find("c")->value.text == "\xc3\xa4\"\"\xc3\xa4\"\"");
}

TEST_CASE("nesting is bounded, whichever way it is written") {
  std::string dotted = "a";
  for (int i = 0; i < 200'000; ++i) dotted += ".a";
  CHECK(refused_toml(dotted + " = 1").code == "too-deep");
  CHECK(refused_toml("[" + dotted + "]").code == "too-deep");
  CHECK(refused_toml("x = { " + dotted + " = 1 }").code == "too-deep");
  CHECK(refused_toml("x = " + std::string(100'000, '[')).code == "too-deep");
  // Dots in strings and comments are no nesting.
  const std::string dots(100, '.');
  CHECK(toml("# " + dots + "\na = \"" + dots + "\"\nb = '" + dots + "'\nc = \"\"\"" + dots + "\n" +
             dots + "\"\"\"\nd = \"\\\"" + dots + "\"\n")
            .members.size() == 4);
}

TEST_CASE("what is no TOML is one finding, which writes nothing to the terminal") {
  const Diagnostic found = refused_toml("a = 1\n[b\nc = 1");
  CHECK(found.code == "syntax");
  CHECK(found.span.line == 2);
  for (const char c : found.message) CHECK(static_cast<unsigned char>(c) >= ' ');
}

TEST_CASE("a table's name that begins with no letter is a finding") {
  for (const char* text : {"[,\n", "[ =]\n", "[[ .a]]\n", "[#\n", "[\n]\n"}) {
    CAPTURE(text);
    CHECK(refused_toml(text).code == "syntax");
  }
}

TEST_CASE("a long line stays quick") {
  std::string text = "a = [";
  for (int i = 0; i < 200'000; ++i) text += "\"x\",";
  text += "\"\xc3\xa4\"]\n";
  CHECK(toml(text).find("a")->value.items.size() == 200'001);
}

}  // namespace rolewall::policy
